"""The bench report: ratios, targets and floors; a slow kernel fails a smoke run."""

from __future__ import annotations

import ast
import sys
from dataclasses import replace

import numpy as np
import pytest
from benches.harness import Peak, weighed_apart
from benches.report import (
    HERE,
    Row,
    below_floor,
    floors_of,
    not_run,
    pairs,
    slim,
    still_below,
    target_of,
)

from benches import bench_features

OURS = Row("rolling", "mean", "daily-20", (5000, 500, 20), "fastpanel", 1, 0.002, 9, 1_000_000)
RIVAL = replace(OURS, library="bottleneck", seconds=0.006)


def test_a_pair_is_judged_by_its_target():
    (pair,) = pairs([OURS, RIVAL, replace(RIVAL, threads=2), replace(RIVAL, size="other")])
    assert pair.ratio == pytest.approx(3.0)
    targets = {
        "share_without_avx512": 0.5,
        "target": [
            {
                "kernels": ["rolling.mean"],
                "rivals": ["bottleneck"],
                "sizes": ["intra*"],
                "at_least": 9,
            },
            {
                "kernels": ["rolling.mean"],
                "rivals": ["bottleneck"],
                "sizes": ["daily*"],
                "at_least": 4,
            },
        ],
    }
    assert target_of(pair, targets, "avx512") == 4
    assert target_of(pair, targets, "avx2") == 2
    assert target_of(replace(pair, rival=replace(RIVAL, library="polars")), targets, "avx2") is None


def test_floors_are_lower_without_avx512():
    targets = {"share_without_avx512": 0.5, "floors": {"rolling.mean / bottleneck": 3.0}}
    assert floors_of(targets, "avx512") == {"rolling.mean / bottleneck": 3.0}
    assert floors_of(targets, "avx2") == {"rolling.mean / bottleneck": 1.5}


def test_a_smoke_run_fails_below_a_floor_and_without_one():
    table = [OURS, RIVAL]
    assert below_floor(table, {"rolling.mean / bottleneck": 2.9}) == {}
    (line,) = below_floor(table, {"rolling.mean / bottleneck": 3.1}).values()
    assert line.startswith("rolling.mean / bottleneck: 3.00 times faster, at least 3.1 expected")
    assert "has no floor" in below_floor(table, {})["rolling.mean / bottleneck"]
    gone = below_floor(table, {"rolling.mean / bottleneck": 2.0, "rolling.sum / polars": 1.0})
    assert gone == {"rolling.sum / polars": "rolling.sum / polars: has a floor, but was not run"}


def test_what_is_slow_once_is_measured_again():
    floors = {"rolling.mean / bottleneck": 3.1, "rolling.sum / polars": 1.0}
    asked = []

    def again(seconds: float):
        def measured(families):
            asked.append(families)
            return [OURS, replace(RIVAL, seconds=seconds)]

        return measured

    assert still_below({}, floors, again(0.001)) == {}
    assert asked == []
    slow = below_floor([OURS, RIVAL], {"rolling.mean / bottleneck": 3.1})
    assert still_below(slow, floors, again(0.0063)) == {}
    (line,) = still_below(slow, floors, again(0.004)).values()
    assert "2.00 times faster" in line
    assert asked == [["rolling"], ["rolling"]]
    unnamed = below_floor([OURS, RIVAL], {})
    assert still_below(unnamed, {}, again(0.009)) == unnamed


def test_targets_that_nothing_ran_are_named():
    limits = [
        {"kernel": "rolling.mean", "size": "daily-20"},
        {"kernel": "rolling.mode", "size": "x"},
    ]
    targets = {"limit": limits, "threads": {"kernels": ["rolling.mean daily-20", "rolling.mad y"]}}
    assert not_run([OURS], targets) == ["rolling.mode x", "rolling.mad y"]


def test_a_report_keeps_the_fastest_call_times_its_parts():
    info = {"family": "preprocess", "library": "fastpanel one by one", "stands_for": 45, "note": ""}
    stats = {"min": 0.0123456, "rounds": 3}
    other = {"extra_info": {"fits_per_hour": 900}, "stats": stats}  # compares no libraries
    (record,) = slim({"benchmarks": [other, {"extra_info": info, "stats": stats}]})
    assert record["seconds"] == pytest.approx(0.5556)
    assert record["note"] == "one part of 45 timed"
    assert "stands_for" not in record


def test_peak_sees_memory_that_is_gone_again():
    with Peak() as peak:
        np.ones(8_000_000).sum()
    if peak.bytes is None:
        pytest.skip("no /proc here")
    assert 60e6 < peak.bytes < 90e6


def test_benches_import_only_the_public_package():
    for path in sorted(HERE.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fastpanel"):
                parts = [*node.module.split("."), *(alias.name for alias in node.names)]
                private = {part for part in parts if part.startswith("_")}
                assert not private, f"{path.name}: {private}"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_case_is_weighed_in_a_process_that_gives_back_what_it_freed():
    (case,) = bench_features.test_features_intraday.cases
    assert case.apart
    panel = 8 * 104 * 50 * 45
    assert panel < weighed_apart(case) < 100e6
