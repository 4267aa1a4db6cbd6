from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpanel.errors import ConfigError, DataError, ParameterError, ShapeError
from fastpanel.portfolio import AllocationSpec, allocate

NAN = math.nan


def draws(means, vols, count=4):
    """Samples [S, A] with exactly these means and standard deviations (ddof 1)."""
    shape = np.tile([1.0, -1.0], count // 2)
    shape /= shape.std(ddof=1)
    return np.asarray(means) + shape[:, None] * np.asarray(vols)


def test_equal_weights_of_the_assets_that_are_there():
    samples = draws([0.1, NAN, -0.2, 0.0], [1, 1, 1, 1])
    assert allocate({"samples": samples}, {"method": "equal"}).tolist() == [1 / 3, 0, 1 / 3, 1 / 3]


def test_mean_over_vol_is_proportional_and_signed():
    samples = draws([0.02, -0.03, 0.04], [0.01, 0.03, 0.04])  # ratios 2, -1, 1
    np.testing.assert_allclose(allocate({"samples": samples}), [0.5, -0.25, 0.25])


def test_long_only_drops_the_negative_views():
    samples = draws([0.02, -0.03, 0.04], [0.01, 0.03, 0.04])
    weights = allocate({"samples": samples}, {"long_only": True})
    np.testing.assert_allclose(weights, [2 / 3, 0, 1 / 3])


def test_gross_scales_the_book():
    samples = draws([0.02, -0.03, 0.04], [0.01, 0.03, 0.04])
    np.testing.assert_allclose(allocate({"samples": samples}, {"gross": 2.0}), [1.0, -0.5, 0.5])


def test_what_a_capped_asset_cannot_take_goes_to_the_others():
    samples = draws([0.06, 0.02, 0.02], [0.01, 0.01, 0.01])  # ratios 6, 2, 2
    weights = allocate({"samples": samples}, {"max_weight": 0.4})
    np.testing.assert_allclose(weights, [0.4, 0.3, 0.3])


def test_caps_may_leave_cash():
    weights = allocate({"samples": draws([1.0, 1.0], [1, 1])}, {"max_weight": 0.2})
    assert weights.tolist() == [0.2, 0.2]


def test_net_zero_is_relative_to_the_mean_view():
    samples = draws([0.01, 0.02, 0.03], [0.01, 0.01, 0.01])  # ratios 1, 2, 3 -> -1, 0, 1
    np.testing.assert_allclose(
        allocate({"samples": samples}, {"net": 0.0}), [-0.5, 0.0, 0.5], atol=1e-12
    )


def test_net_splits_the_gross():
    samples = draws([0.01, 0.02, 0.03], [0.01, 0.01, 0.01])
    np.testing.assert_allclose(
        allocate({"samples": samples}, {"net": 0.5}), [-0.25, 0.0, 0.75], atol=1e-12
    )


def test_net_that_the_caps_forbid_becomes_the_nearest():
    samples = draws([0.01, 0.02, 0.03], [0.01, 0.01, 0.01])
    weights = allocate({"samples": samples}, {"method": "equal", "net": 1.0, "max_weight": 0.2})
    np.testing.assert_allclose(weights, [0.2, 0.2, 0.2])


def test_top_k_is_long_the_best_and_short_the_worst():
    samples = draws([0.01, 0.05, -0.02, 0.03, 0.02], [0.01] * 5)
    weights = allocate({"samples": samples}, {"method": "top_k", "k": 2})
    assert weights.tolist() == [-0.25, 0.25, -0.25, 0.25, 0.0]


def test_top_k_long_only_and_fewer_assets_than_k():
    samples = draws([0.01, 0.05, -0.02], [0.01] * 3)
    long_only = {"method": "top_k", "k": 2, "long_only": True}
    assert allocate({"samples": samples}, long_only).tolist() == [0.5, 0.5, 0.0]
    assert allocate({"samples": samples}, {"method": "top_k", "k": 9}).tolist() == [0.0, 0.5, -0.5]


def test_the_given_mean_replaces_the_mean_of_the_draws():
    samples = draws([0.02, 0.02], [0.01, 0.01])
    assert allocate({"samples": samples, "mean": [0.01, -0.01]}).tolist() == [0.5, -0.5]
    assert allocate({"samples": samples, "mean": [[NAN, 0.01]]}).tolist() == [0.0, 1.0]


def test_a_middle_axis_of_one_period_is_the_hook_form():
    samples = draws([0.02, -0.01], [0.01, 0.01])
    np.testing.assert_array_equal(
        allocate({"samples": samples[:, None]}), allocate({"samples": samples})
    )


def test_one_bad_draw_makes_an_asset_absent():
    samples = draws([0.02, 0.02], [0.01, 0.01])
    samples[1, 0] = NAN
    assert allocate({"samples": samples}).tolist() == [0.0, 1.0]


def test_no_asset_is_cash():
    samples = np.full((4, 3), NAN)
    for method in ("equal", "mean_over_vol", "top_k", "min_cvar"):
        assert allocate({"samples": samples}, {"method": method}).tolist() == [0.0] * 3


def test_an_asset_without_predicted_risk_is_not_held():
    samples = draws([0.1, 0.02], [0.0, 0.01])
    assert allocate({"samples": samples}).tolist() == [0.0, 1.0]


# ---------------------------------------------------------------- min_cvar


def cvar(weights, samples, level):
    """Mean loss of the worst ``level`` of the draws, by sorting (level * S an integer)."""
    losses = np.sort(-samples @ weights)[::-1]
    return losses[: round(level * len(losses))].mean()


@pytest.fixture(scope="module")
def risky():
    rng = np.random.default_rng(3)
    common = rng.standard_t(4, size=(200, 1))
    return 0.001 + 0.01 * (common * [1.0, 0.5, -0.3] + rng.normal(size=(200, 3)))


def test_min_cvar_beats_every_portfolio_of_a_grid(risky):
    spec = AllocationSpec(method="min_cvar", cvar_level=0.05, long_only=True)
    weights = allocate({"samples": risky}, spec)
    assert weights.sum() == pytest.approx(1.0)
    assert weights.min() >= 0.0
    best = cvar(weights, risky, 0.05)
    steps = np.linspace(0, 1, 41)
    grid = [(a, b, 1 - a - b) for a in steps for b in steps if a + b <= 1]
    values = [cvar(np.array(w), risky, 0.05) for w in grid]
    assert best <= min(values) + 1e-9
    assert best == pytest.approx(min(values), rel=0.02)  # and is what the grid comes close to


def test_min_cvar_equals_skfolio(risky):
    skfolio = pytest.importorskip("skfolio")
    from skfolio.optimization import MeanRisk

    model = MeanRisk(risk_measure=skfolio.RiskMeasure.CVAR, cvar_beta=0.9).fit(risky)
    spec = {"method": "min_cvar", "cvar_level": 0.1, "long_only": True}
    ours = allocate({"samples": risky}, spec)
    np.testing.assert_allclose(cvar(ours, risky, 0.1), cvar(model.weights_, risky, 0.1), rtol=1e-5)


def test_min_cvar_may_go_short_when_the_net_leaves_room(risky):
    pair = np.column_stack([risky[:, 0], risky[:, 0] * 2.0 + 1e-5 * risky[:, 1], risky[:, 2]])
    plain = {"method": "min_cvar", "net": 0.5, "gross": 1.5}
    weights = allocate({"samples": pair}, plain)
    assert weights.min() < -1e-3
    bound = allocate({"samples": pair}, plain | {"long_only": True})
    assert cvar(weights, pair, 0.05) < cvar(bound, pair, 0.05)
    assert weights.sum() == pytest.approx(0.5)


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("pred", "error", "text"),
    [
        ({"mean": [1.0]}, DataError, "'samples'"),
        ({"samples": np.ones((4, 2, 3))}, ShapeError, "holds 2 periods"),
        ({"samples": np.ones(4)}, ShapeError, r"\[S, A\]"),
        ({"samples": np.ones((4, 2)), "mean": [1.0]}, ShapeError, "'mean'"),
        ({"samples": np.ones((1, 2))}, ShapeError, "at least 2 samples"),
    ],
)
def test_bad_predictions_are_named(pred, error, text):
    with pytest.raises(error, match=text):
        allocate(pred)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"method": "best"}, "method"),
        ({"metod": "equal"}, "did you mean 'method'"),
        ({"gross": 0.0}, "gross"),
        ({"max_weight": -1.0}, "max_weight"),
        ({"net": 2.0}, r"\|net\| = 2.0 exceeds gross"),
        ({"net": -0.5, "long_only": True}, "no negative net"),
        ({"method": "min_cvar", "net": 0.0}, "would hold nothing"),
        ({"k": 0}, "k"),
        ({"cvar_level": 1.0}, "cvar_level"),
    ],
)
def test_bad_specs_are_named(spec, text):
    with pytest.raises(ConfigError, match=text):
        allocate({"samples": np.ones((4, 2))}, spec)


def test_a_spec_of_another_kind_is_refused():
    with pytest.raises(ParameterError, match="allocation must be AllocationSpec"):
        allocate({"samples": np.ones((4, 2))}, "equal")  # type: ignore[arg-type]


# ---------------------------------------------------------------- laws

specs = st.builds(
    lambda method, gross, share, long_only, cap, k: AllocationSpec(
        method=method,
        gross=gross,
        net=None if share is None else gross * (abs(share) if long_only else share),
        long_only=long_only,
        max_weight=cap,
        k=k,
    ),
    st.sampled_from(["mean_over_vol", "equal", "top_k", "min_cvar"]),
    st.floats(0.1, 3.0),
    st.one_of(st.none(), st.sampled_from([-1.0, -0.4, 0.3, 1.0])),
    st.booleans(),
    st.one_of(st.none(), st.floats(0.01, 2.0)),
    st.integers(1, 4),
)


@settings(max_examples=150, deadline=None)
@given(specs, st.integers(0, 2**32 - 1), st.integers(1, 7))
def test_weights_obey_every_limit(spec, seed, assets):
    rng = np.random.default_rng(seed)
    samples = rng.normal(rng.normal(size=assets), 1.0, size=(12, assets)) * 0.02
    absent = rng.random(assets) < 0.2
    samples[0, absent] = NAN
    weights = allocate({"samples": samples}, spec)
    assert weights.shape == (assets,)
    assert np.abs(weights).sum() <= spec.gross * (1 + 1e-12)
    assert (weights[absent] == 0.0).all()
    if spec.long_only:
        assert (weights >= 0.0).all()
    if spec.max_weight is not None:
        assert (np.abs(weights) <= spec.max_weight * (1 + 1e-12)).all()
    if spec.net is not None and spec.method != "min_cvar":
        # the net is reached or the book is as near as its names and caps allow
        assert abs(weights.sum()) <= abs(spec.net) + 1e-9
    if spec.method == "min_cvar" and (~absent).any():
        wanted = spec.gross if spec.net is None else spec.net
        cap = min(spec.max_weight or spec.gross, spec.gross)
        room = cap * np.count_nonzero(~absent)
        assert weights.sum() == pytest.approx(np.clip(wanted, -room, room), abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.sampled_from([-0.5, 0.0, 0.5]))
def test_an_uncapped_long_short_book_meets_its_net_and_gross(seed, assets, net):
    rng = np.random.default_rng(seed)
    samples = rng.normal(rng.normal(size=assets), 1.0, size=(12, assets))
    weights = allocate({"samples": samples}, {"net": net})
    assert weights.sum() == pytest.approx(net, abs=1e-9)
    assert np.abs(weights).sum() == pytest.approx(1.0)


def test_a_registered_allocator_sees_present_assets_and_is_kept_inside_the_limits():
    from fastpanel.portfolio import allocators, register_allocator

    seen = {}

    @register_allocator("test_all_on_first")
    def all_on_first(samples, mean, spec):
        seen.update(shape=samples.shape, mean=mean, bet=spec.params["bet"])
        return np.array([spec.params["bet"], -spec.params["bet"]])

    samples = draws([0.1, NAN, -0.2], [1, 1, 1])
    spec = {"method": "test_all_on_first", "params": {"bet": 3.0}, "max_weight": 0.4}
    assert allocate({"samples": samples}, spec).tolist() == [0.4, 0.0, -0.4]
    assert seen["shape"] == (4, 2)
    np.testing.assert_allclose(seen["mean"], [0.1, -0.2])
    assert allocate({"samples": samples}, {**spec, "max_weight": None}).tolist() == [0.5, 0, -0.5]
    assert allocate({"samples": samples}, {**spec, "long_only": True}).tolist() == [0.4, 0, 0]
    assert {"equal", "mean_over_vol", "top_k", "min_cvar"} < set(allocators())


@pytest.mark.parametrize(
    ("answer", "message"),
    [([1.0], r"returned shape \(1,\) for 2 assets"), ([1.0, NAN], "returned nan for asset 1 of 2")],
)
def test_a_broken_allocator_is_named(answer, message):
    from fastpanel.portfolio import register_allocator

    name = f"test_broken_{len(answer)}"
    register_allocator(name)(lambda samples, mean, spec: answer)
    with pytest.raises((ShapeError, DataError), match=f"'{name}' {message}"):
        allocate({"samples": draws([0.1, 0.2], [1, 1])}, {"method": name})


def test_an_unknown_method_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'mean_over_vol'"):
        allocate({"samples": draws([0.1], [1])}, {"method": "mean_vol"})
