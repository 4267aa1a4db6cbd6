"""The plan of a run: what is tested, what may be trained on, and that it can be read back."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

import fastpanel as fp
from fastpanel.errors import ConfigError
from fastpanel.simulation import CVStructure, build_structure, load_config


def plan(n_samples=95, *, outer=None, **cv):
    section = {"warmup_len": 11, "group_len": 14, "horizon": 1, "embargo_len": 2, "q": 2, **cv}
    return build_structure(n_samples, load_config({"cv": section, "outer": outer or {}}))


def test_stored_structure_gives_the_same_splits(config, panel):
    config["flags"] = {"simulation_mode": "dry_run"}
    config["cv"]["seed"] = 77
    result = fp.simulation.run(config, panel=panel, progress=False)
    stored = json.loads((result.folder / "cv" / "cv_structure.json").read_text())
    assert stored["warmup"] == [0, 11]
    assert stored["groups"][0] == [11, 25]
    assert stored["seed"] == 77
    again = CVStructure.from_dict(stored)
    assert len(again.outer) == len(result.structure.outer) == 4
    for one, other in zip(result.structure.outer, again.outer, strict=True):
        assert (one.group, one.known, one.earlier) == (other.group, other.known, other.earlier)
        for a, b in zip((one.fold, *one.inner), (other.fold, *other.inner), strict=True):
            np.testing.assert_array_equal(a.train, b.train)
            np.testing.assert_array_equal(a.test, b.test)


def test_one_row_per_week_with_group_and_role(config, panel):
    config["flags"] = {"simulation_mode": "dry_run"}
    config["cv"]["group_len"] = 13  # 84 weeks after the warm-up: 6 are left over
    folder = fp.simulation.run(config, panel=panel, progress=False).folder
    table = pl.read_csv(folder / "cv" / "timestamps_cv.csv")
    assert table["role"].to_list() == ["warmup"] * 11 + ["remainder"] * 6 + ["group"] * 78
    assert table["group"].to_list() == [-1] * 17 + [g for g in range(6) for _ in range(13)]
    assert table["timestamp"][0].startswith("2020-01-03")
    assert table["iso_week"][0] == "2020-01"


def test_groups_without_enough_before_them_are_skipped_and_named():
    structure = plan(exclude_warmup=True)
    assert [p.group for p in structure.outer] == [3, 4, 5]
    skipped = structure.to_dict()["skipped_groups"]
    assert [entry["group"] for entry in skipped] == [0, 1, 2]
    assert all("too few earlier groups" in entry["reason"] for entry in skipped)
    with pytest.raises(ConfigError, match=r"outer.test_groups: .*group 2.*needs 3"):
        plan(exclude_warmup=True, outer={"test_groups": [2]})


def test_listed_groups_restrict_the_folds_and_must_exist():
    assert [p.group for p in plan(outer={"test_groups": [4, 2]}).outer] == [2, 4]
    assert [p.group for p in plan(outer={"test_groups": "last"}).outer] == [5]
    with pytest.raises(ConfigError, match=r"outer.test_groups: \[6\] out of range.*groups 0 to 5"):
        plan(outer={"test_groups": [3, 6]})


@pytest.mark.parametrize("exclude", [False, True])
def test_nothing_before_the_warm_up_is_tested_and_nothing_after_the_start_is_read(exclude):
    structure = plan(exclude_warmup=exclude, horizon=2)
    for outer in structure.outer:
        assert outer.fold.test.min() == outer.start >= 11
        assert outer.fold.train.max() == outer.start - 2
        assert outer.fold.train.min() == (11 if exclude else 0)
        for split in outer.inner:
            assert split.test.min() >= 11
            assert max(split.test.max(), split.train.max()) <= outer.start - 2
            assert (split.train.min() < 11) is not exclude


def test_purge_and_embargo_of_the_section_reach_every_inner_split():
    structure = plan(horizon=2, embargo_len=3, q=1)
    outer = structure.outer[1]
    assert (outer.group, outer.start) == (2, 39)
    first = outer.inner[0]  # tests group 0
    np.testing.assert_array_equal(first.test, np.arange(11, 25))
    # h = 2 rows leave before, h + e = 5 after; the newest label known at row 39 is that of row 37
    np.testing.assert_array_equal(first.train, [*range(9), *range(30, 38)])


def test_limited_combinations_are_balanced():
    inner = plan(max_inner_combos=2).outer[2].inner  # fold of group 4: 4 earlier groups
    assert [split.test_groups for split in inner] == [(0, 1), (2, 3)]
    assert len(plan().outer[2].inner) == 6
