"""Keep what the device benches measured: ``python -m benches.devices raw.json``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benches.report import HERE

KEPT = HERE / "devices.json"


def reduced(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Fastest time of every bench on both devices, from the JSON of pytest-benchmark."""
    seconds: dict[str, dict[str, float]] = {}
    for bench in raw["benchmarks"]:
        info = bench["extra_info"]
        seconds.setdefault(info["what"], {})[info["on"]] = float(f"{bench['stats']['min']:.4g}")
    about = raw["benchmarks"][0]["extra_info"]
    return {"devices": about["devices"], "versions": about["versions"], "seconds": seconds}


def load_devices() -> dict[str, Any]:
    """What is kept."""
    kept: dict[str, Any] = json.loads(KEPT.read_text(encoding="utf-8"))
    return kept


if __name__ == "__main__":
    raw_json = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    KEPT.write_text(json.dumps(reduced(raw_json), indent=1) + "\n", encoding="utf-8")
