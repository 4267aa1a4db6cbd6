"""Literal examples, an independent reference and laws of `select`."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpanel.errors import DataError, ParameterError, ShapeError
from fastpanel.selection import select

NAN = math.nan


def constant(values, groups=4):
    """One split, one week per group, every week at the candidate's value: SE is 0."""
    es = np.repeat(np.asarray(values, float)[:, None, None], groups, axis=2)
    return es, np.arange(groups)[None]


def with_se(values, se_best):
    """Weekly scores whose bootstrap SE of the first candidate is close to ``se_best``."""
    es, groups = constant(values, 2)
    # two groups at +-d: the median is 0 half of the time, +-d a quarter each: SE = d / sqrt(2)
    es[0, 0] += np.array([-1.0, 1.0]) * se_best * math.sqrt(2.0)
    return es, groups


def test_weeks_of_a_group_are_averaged():
    result = select([[[1.0, 3.0]]], [[0, 0]])
    assert result.es_model.tolist() == [2.0]


def test_splits_of_a_group_are_averaged_with_equal_weight():
    # split 0 has two weeks of the group (mean 2), split 1 one week (4)
    result = select([[[1.0, 3.0], [4.0, 99.0]]], [[0, 0], [0, -1]])
    assert result.es_model.tolist() == [3.0]


def test_es_model_is_the_median_over_groups():
    assert select([[[1.0, 2.0, 9.0]]], [[0, 1, 2]]).es_model.tolist() == [2.0]


def test_padding_weeks_are_never_read():
    groups = [[0, 1, -1]]
    a = select([[[1.0, 2.0, NAN]], [[1.5, 2.0, 7.0]]], groups)
    b = select([[[1.0, 2.0, -50.0]], [[1.5, 2.0, NAN]]], groups)
    assert a == b
    assert a.n_weeks == 2


def test_equal_groups_have_no_standard_error():
    es, groups = constant([0.1, 0.7], 7)
    assert select(es, groups).se_es.tolist() == [0.0, 0.0]


def test_one_group_has_no_standard_error():
    assert select([[[1.0, 5.0]]], [[3, 3]]).se_es.tolist() == [0.0]


def test_standard_error_is_the_bootstrap_std_of_the_median():
    es, groups = with_se([1.0], 0.05)
    se = select(es, groups, num_samples=20_000).se_es[0]
    assert se == pytest.approx(0.05, rel=0.03)


def test_standard_error_divides_by_draws_minus_one():
    es, groups = constant([0.0], 2)
    es[0, 0] = [-1.0, 1.0]  # medians of resamples: -1, 0 or 1
    seen = {round(select(es, groups, num_samples=2, seed=s).se_es[0], 9) for s in range(40)}
    assert seen == {0.0, round(math.sqrt(0.5), 9), round(math.sqrt(2.0), 9)}


def test_same_seed_same_value_other_seed_other_value():
    rng = np.random.default_rng(0)
    es, groups = rng.gamma(2.0, size=(2, 1, 9)), np.arange(9)[None]
    assert select(es, groups, seed=[1, 2]).se_es[0] == select(es, groups, seed=(1, 2)).se_es[0]
    assert select(es, groups, seed=1).se_es[0] != select(es, groups, seed=2).se_es[0]


def test_band_of_one_and_of_two_and_a_half_standard_errors():
    es, groups = with_se([1.00, 1.04, 1.10, 1.30], 0.05)
    assert select(es, groups, c=1.0).survivors == (0, 1)
    assert select(es, groups, c=2.5).survivors == (0, 1, 2)


def test_max_keep_keeps_the_best_by_energy_score():
    es, groups = with_se([1.00, 1.04, 1.10, 1.30], 0.05)
    assert select(es, groups, c=2.5, max_keep=2).survivors == (0, 1)


def test_an_empty_band_keeps_the_best_min_keep():
    es, groups = with_se([1.00, 1.04, 0.99, 1.30], 0.05)
    es[2, 0] += [0.01, -0.01]  # some spread for the best one: the band can be empty
    assert select(es, groups, c=-1.0, min_keep=2).survivors == (0, 2)


def test_min_keep_does_not_widen_a_band_that_is_not_empty():
    es, groups = constant([1.0, 1.1, 1.2])
    assert select(es, groups, min_keep=2).survivors == (0,)


def one_week(values):
    """[M, G, A] group scores as [M, 1, G, A]."""
    return np.asarray(values, float)[:, None]


def test_crps_is_the_median_over_assets_of_the_mean_over_groups():
    es, groups = constant([1.0], 2)
    crps = one_week([[[1.0, 2.0], [3.0, 6.0]]])  # asset a (1, 3), asset b (2, 6)
    assert select(es, groups, crps=crps).crps_model.tolist() == [3.0]


def test_ql_is_aggregated_like_crps():
    es, groups = constant([1.0], 2)
    ql = one_week([[[1.0, 2.0, 9.0], [3.0, 6.0, 9.0]]])
    assert select(es, groups, ql=ql).ql_model.tolist() == [4.0]


def secondary(values):
    return np.broadcast_to(np.asarray(values, float)[:, None, None, None], (len(values), 1, 4, 1))


def test_rank_sum_picks_the_best_compromise():
    es, groups = constant([1.0, 1.0, 1.0])
    result = select(es, groups, crps=secondary([0.1, 0.2, 0.3]), ql=secondary([0.3, 0.1, 0.2]))
    assert result.secondary_score.tolist() == [4.0, 3.0, 5.0]
    assert result.finalists == (1,)
    assert result.pick == 1


def test_ties_share_their_average_rank_and_nan_comes_last():
    es, groups = constant([1.0] * 4)
    result = select(es, groups, crps=secondary([0.2, 0.1, 0.2, NAN]))
    assert result.crps_rank.tolist() == [2.5, 1.0, 2.5, 4.0]
    assert np.isnan(result.ql_rank).all()


def test_without_secondary_scores_there_is_no_rank_sum():
    es, groups = constant([1.0, 1.0])
    result = select(es, groups, complexity=[2.0, 1.0])
    assert np.isnan(result.secondary_score).all()
    assert (result.finalists, result.pick) == ((0, 1), 1)


def test_the_smaller_of_two_tied_models_wins():
    es, groups = constant([1.0, 1.0])
    assert select(es, groups, complexity=[30.0, 12.0]).pick == 1
    assert select(es, groups, complexity=[12.0, 30.0]).pick == 0


def test_complexity_goes_before_the_energy_score():
    es, groups = with_se([1.0, 1.02], 0.05)
    assert select(es, groups, complexity=[30.0, 12.0]).pick == 1


def test_equal_complexity_falls_back_to_energy_score_then_id():
    es, groups = with_se([1.01, 1.0, 1.0], 0.05)
    assert select(es, groups, c=5.0, complexity=[3, 3, 3]).pick == 1
    es, groups = constant([1.0, 1.0])
    assert select(es, groups).pick == 0


def test_a_failed_candidate_never_wins():
    es, groups = constant([1.0, 2.0])
    es[0, 0, 1] = NAN
    result = select(es, groups, complexity=[1.0, 9.0])
    assert result.failed == (0,)
    assert math.isnan(result.es_model[0])
    assert math.isnan(result.se_es[0])
    assert (result.survivors, result.pick) == ((1,), 1)


@pytest.mark.parametrize("score", [math.inf, -math.inf])
def test_an_infinite_week_fails_its_candidate(score):
    es, groups = constant([1.0, 2.0])
    es[0, 0, 1] = score
    assert select(es, groups).failed == (0,)


def test_a_failed_secondary_score_cannot_win_by_its_other_rank():
    es, groups = constant([1.0, 1.0])
    crps, ql = secondary([NAN, 0.5]), secondary([0.1, 0.2])
    result = select(es, groups, crps=crps, ql=ql, complexity=[1.0, 9.0])
    assert result.secondary_score.tolist() == [3.0, 3.0]
    assert result.pick == 1


def test_a_week_missing_for_all_is_left_out_and_counted():
    es, groups = constant([1.0, 2.0], 3)
    es[:, 0, 2] = NAN
    result = select(es, groups)
    assert result.es_model.tolist() == [1.0, 2.0]
    assert (result.n_weeks, result.n_missing) == (2, 1)


def test_a_missing_asset_of_one_week_leaves_the_other_entries():
    es, groups = constant([1.0], 2)
    crps = one_week([[[1.0, 2.0], [NAN, 6.0]]])
    assert select(es, groups, crps=crps).crps_model.tolist() == [(1.0 + 4.0) / 2]


def test_an_asset_without_any_target_leaves_the_median():
    es, groups = constant([1.0], 2)
    crps = one_week([[[1.0, NAN], [3.0, NAN]]])
    assert select(es, groups, crps=crps).crps_model.tolist() == [2.0]


def test_non_survivors_show_nan_and_are_not_read():
    es, groups = constant([1.0, 3.0])
    crps = secondary([0.4, 0.1])
    result = select(es, groups, crps=crps, ql=crps)
    assert result.crps_model[0] == 0.4
    assert math.isnan(result.crps_model[1])
    assert math.isnan(result.ql_model[1])
    assert math.isnan(result.secondary_score[1])


def test_all_candidates_failed():
    es = [[[1.0, NAN]], [[NAN, 1.0]]]
    with pytest.raises(DataError, match="all 2 candidates failed"):
        select(es, [[0, 1]])


def test_no_scored_week():
    with pytest.raises(DataError, match="no test week has an energy score"):
        select(np.full((2, 1, 3), NAN), [[0, 1, 2]])


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"es": np.zeros((2, 3))}, ShapeError, r"\[M, K, T\]"),
        ({"es": np.zeros((0, 1, 2))}, ShapeError, "non-empty"),
        ({"groups": [[0, 1, 2]]}, ShapeError, r"groups must be \[K, T\] = \(1, 2\)"),
        ({"groups": [[0.0, 1.0]]}, ParameterError, "integers"),
        ({"groups": [[0, -2]]}, ParameterError, r"groups\[0, 1\] is -2"),
        ({"groups": [[-1, -1]]}, DataError, "no test week"),
        ({"crps": np.zeros((2, 1, 2))}, ShapeError, "crps must be"),
        ({"ql": np.zeros((2, 1, 3, 4))}, ShapeError, "ql must be"),
        ({"complexity": [1.0]}, ShapeError, "complexity must be"),
        ({"complexity": [1.0, NAN]}, DataError, "candidate 1"),
        ({"c": NAN}, ParameterError, "c must be finite"),
        ({"min_keep": 0}, ParameterError, "min_keep=0"),
        ({"min_keep": 3, "max_keep": 2}, ParameterError, "max_keep=2"),
        ({"num_samples": 1}, ParameterError, "num_samples"),
    ],
)
def test_bad_input_is_named(change, error, text):
    arguments = {"es": np.ones((2, 1, 2)), "groups": [[0, 1]]} | change
    with pytest.raises(error, match=text):
        select(arguments.pop("es"), arguments.pop("groups"), **arguments)


# ---------------------------------------------------------------- independent reference


def reference(es, groups, crps):
    """The same aggregates by pandas group-bys, straight from the definitions."""
    models, splits, weeks = es.shape
    frame = pd.DataFrame(
        [
            {"m": m, "k": k, "g": groups[k, t], "a": a, "es": es[m, k, t], "crps": crps[m, k, t, a]}
            for m in range(models)
            for k in range(splits)
            for t in range(weeks)
            for a in range(crps.shape[3])
            if groups[k, t] >= 0
        ]
    )
    occurrence = frame.groupby(["m", "k", "g", "a"])[["es", "crps"]].mean()
    group = occurrence.groupby(["m", "g", "a"]).mean()
    es_model = group["es"].groupby(["m", "g"]).first().groupby("m").median()
    crps_model = group["crps"].groupby(["m", "a"]).mean().groupby("m").median()
    return es_model.to_numpy(), crps_model.to_numpy()


@pytest.mark.parametrize("missing", [0.0, 0.15])
def test_aggregates_equal_pandas(missing):
    rng = np.random.default_rng(7)
    models, splits, weeks, assets = 5, 6, 11, 3
    es = rng.gamma(3.0, size=(models, splits, weeks))
    crps = rng.gamma(3.0, size=(models, splits, weeks, assets))
    groups = rng.integers(-1, 4, size=(splits, weeks))
    es[:, rng.random((splits, weeks)) < missing] = NAN
    crps[:, rng.random((splits, weeks, assets)) < missing] = NAN
    result = select(es, groups, crps=crps, c=100.0)
    es_model, crps_model = reference(es, groups, crps)
    np.testing.assert_allclose(result.es_model, es_model, rtol=1e-13)
    np.testing.assert_allclose(result.crps_model, crps_model, rtol=1e-13)


# ---------------------------------------------------------------- laws

problems = st.builds(
    lambda seed, m, k, t, a: (np.random.default_rng(seed), m, k, t, a),
    st.integers(0, 2**32 - 1),
    st.integers(1, 6),
    st.integers(1, 3),
    st.integers(1, 6),
    st.integers(1, 3),
)


@settings(max_examples=60, deadline=None)
@given(problems, st.floats(0.0, 3.0))
def test_order_of_candidates_changes_only_their_ids(problem, c):
    rng, m, k, t, a = problem
    es = rng.gamma(2.0, size=(m, k, t))
    es[rng.random((m, k, t)) < 0.05] = NAN
    es[0] = 5.0  # one candidate without failure
    crps, ql = rng.gamma(2.0, size=(2, m, k, t, a))
    groups = rng.integers(0, 3, size=(k, t))
    size = rng.permutation(m).astype(float)
    order = rng.permutation(m)
    plain = select(es, groups, crps=crps, ql=ql, complexity=size, c=c, num_samples=50)
    mixed = select(
        es[order], groups, crps=crps[order], ql=ql[order], complexity=size[order], c=c,
        num_samples=50,
    )  # fmt: skip
    assert order[mixed.pick] == plain.pick
    assert sorted(order[list(mixed.survivors)]) == list(plain.survivors)
    np.testing.assert_array_equal(mixed.es_model, plain.es_model[order])
    np.testing.assert_array_equal(mixed.se_es, plain.se_es[order])


@settings(max_examples=60, deadline=None)
@given(problems, st.floats(0.0, 3.0), st.integers(1, 6))
def test_survivors_obey_the_band(problem, c, max_keep):
    rng, m, k, t, _ = problem
    es, groups = rng.gamma(2.0, size=(m, k, t)), rng.integers(0, 3, size=(k, t))
    result = select(es, groups, c=c, max_keep=max_keep, num_samples=50)
    best = int(np.argmin(result.es_model))
    assert best in result.survivors
    assert result.pick in result.finalists
    assert set(result.finalists) <= set(result.survivors)
    assert 1 <= len(result.survivors) <= max_keep
    inside = result.es_model <= result.es_model[best] + c * result.se_es[best]
    assert inside[list(result.survivors)].all()
    if inside.sum() <= max_keep:
        assert len(result.survivors) == inside.sum()
