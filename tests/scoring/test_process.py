"""What only a fresh process shows: what is imported, and how much memory is taken."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "jax", "numba", "scipy", "pandas", "polars", "matplotlib")


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    return done.stdout.strip()


def test_import_is_light() -> None:
    code = f"""
import sys
import fastpanel.scoring as s
import numpy as np
s.energy_score(np.zeros(2), np.ones((3, 2)))
s.Whitener.fit(np.random.default_rng(0).normal(size=(9, 2)))
print([name for name in {HEAVY} if name in sys.modules])
"""
    assert run(code) == "[]"


@pytest.mark.slow
def test_energy_score_takes_no_memory_per_pair() -> None:
    # The matrix of pairs of one week would be 32 MB, their differences 1.6 GB; the scratch of a
    # thread is one week of samples, 800 kB.
    code = """
import resource
import numpy as np
import fastpanel.scoring as s
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
rng = np.random.default_rng(0)
y, x = rng.normal(size=(8, 50)), rng.normal(size=(2000, 8, 50))
s.energy_score(y[:1], x[:16, :1], 0)  # load everything
s.Whitener.fit(rng.normal(size=(60, 50))).energy_score(y[:1], x[:16, :1], 0)
before = peak()
s.energy_score(y, x, 0)
s.Whitener.fit(rng.normal(size=(60, 50))).energy_score(y, x, 0)
print(peak() - before)
"""
    assert float(run(code)) < 10.0
