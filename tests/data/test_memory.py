"""Cleaning takes little memory beside bars that fill it; a fresh process shows how much."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = """
import numpy as np
import polars as pl
from benches.harness import Peak
import fastpanel as fp

days = np.arange("2022-01-03", "2024-01-01", dtype="datetime64[D]")
days = days[np.is_busday(days)].astype("datetime64[ns]")
times = (days[:, None] + np.arange(96) * np.timedelta64(15, "m")).reshape(-1)

def bars(times, assets):
    price = 100.0 + np.arange(len(assets) * len(times)) % 97
    return pl.DataFrame({
        "timestamp": pl.Series(np.tile(times, len(assets))).dt.replace_time_zone("UTC"),
        "asset": pl.Series(assets).gather(np.repeat(np.arange(len(assets)), len(times))),
        "open": price, "high": price + 1, "low": price - 1, "close": price,
    })

fp.features.compute(fp.clean_bars(bars(times[::96], ["A", "B"]), **how))  # load everything
quarters = bars(times, [f"A{number:02}" for number in range(50)])
with Peak() as peak:
    panel = fp.features.compute(fp.clean_bars(quarters, **how))
assert panel.shape == (104, 50, 45)
print(peak.bytes / quarters.estimated_size())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("how", [{}, {"calendar": "XNYS"}], ids=str)
def test_quarter_hours_are_cleaned_in_half_as_much_memory_again(how):
    done = subprocess.run(
        [sys.executable, "-c", f"how = {how}\n{CODE}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=ROOT,
    )
    assert not done.returncode, done.stderr
    assert float(done.stdout) < 0.5
