from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpanel.errors import ConfigError
from fastpanel.tuning import sample_candidates

RATE = {"path": "training.svi.learning_rate", "type": "float", "bounds": [1e-4, 1e-2]}
KIND = {"path": "model.params.kind", "type": "categorical", "values": ["ar", "ma", "none"]}
FLAG = {"path": "model.params.flag", "type": "bool"}


def test_strata_get_equal_power_of_two_shares():
    plan = sample_candidates([KIND, FLAG, RATE], 24, 1)
    assert list(plan) == [str(i) for i in range(24)]
    strata = [(c["model.params.kind"], c["model.params.flag"]) for c in plan.values()]
    assert {strata.count(stratum) for stratum in strata} == {4}
    assert len(set(strata)) == 6


@pytest.mark.parametrize(("n", "words"), [(20, "multiple of the 6"), (18, "power of two")])
def test_wrong_counts_are_refused_before_sampling(n, words):
    with pytest.raises(ConfigError, match=words):
        sample_candidates([KIND, FLAG, RATE], n, 1)


@given(seed=st.integers(0, 2**31), log=st.booleans())
@settings(max_examples=25, deadline=None)
def test_one_point_in_each_quarter_of_the_transformed_range(seed, log):
    space = [{**RATE, "transform": "log10" if log else "linear"}]
    values = np.array([c[RATE["path"]] for c in sample_candidates(space, 4, seed).values()])
    low, high = RATE["bounds"]
    u = np.log(values / low) / np.log(high / low) if log else (values - low) / (high - low)
    assert sorted(np.floor(4 * u)) == [0, 1, 2, 3]


def test_log_and_log10_give_the_same_points():
    plans = [sample_candidates([{**RATE, "transform": t}], 8, 3) for t in ("log", "log10")]
    assert plans[0] == plans[1]


def test_int_reaches_both_bounds():
    space = [{"path": "model.params.k", "type": "int", "bounds": [1, 4]}]
    plan = sample_candidates(space, 64, 5)
    values = {candidate["model.params.k"] for candidate in plan.values()}
    assert values == {1, 2, 3, 4}


def test_when_drops_inactive_parameters_and_merges_duplicates():
    depth = {
        "path": "model.params.depth",
        "type": "categorical",
        "values": [1, 2],
        "when": {"model.params.kind": "ar"},
    }
    plan = sample_candidates([KIND, depth, RATE], 4, 1)  # ar/1, ar/2, ma, none
    kinds = [(c["model.params.kind"], c.get("model.params.depth")) for c in plan.values()]
    assert kinds == [("ar", 1), ("ar", 2), ("ma", None), ("none", None)]


def test_seed_decides():
    space = [{**RATE, "transform": "log"}]
    assert sample_candidates(space, 8, 1) == sample_candidates(space, 8, 1)
    assert sample_candidates(space, 8, 1) != sample_candidates(space, 8, 2)


def test_empty_space_is_the_base_configuration():
    assert sample_candidates([], 16, 1) == {"0": {}}


def test_repeating_candidates_are_refused():
    with pytest.raises(ConfigError, match="no float or int parameter"):
        sample_candidates([KIND], 6, 1)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"path": "a..b", "type": "bool"}, "dot-separated"),
        ({"path": "a", "type": "float"}, "needs bounds"),
        ({"path": "a", "type": "float", "bounds": [1, 1]}, "low < high"),
        ({"path": "a", "type": "float", "bounds": [0, 1], "transform": "log"}, "above 0"),
        ({"path": "a", "type": "int", "bounds": [0.5, 2]}, "whole numbers"),
        ({"path": "a", "type": "categorical"}, "needs values"),
        ({"path": "a", "type": "categorical", "values": [1, 1]}, "repeat"),
        ({"path": "a", "type": "bool", "bounds": [0, 1]}, "not bounds"),
        ({"path": "a", "type": "bool", "when": {"b": 1}}, "not another"),
        ({"path": "a", "type": "flot", "bounds": [0, 1]}, "space.0.type"),
        ({"path": "a", "type": "bool", "wen": {}}, "did you mean 'when'"),
    ],
)
def test_wrong_entries_name_the_entry(entry, words):
    with pytest.raises(ConfigError, match=words):
        sample_candidates([entry], 2, 1)
