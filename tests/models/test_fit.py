from __future__ import annotations

import logging
from functools import cache

import numpy as np
import pytest

from fastpanel import models
from fastpanel.errors import ConfigError, DataError, ModelError, ParameterError, ShapeError


@pytest.fixture(scope="module")
def both(simulate, config):
    """One panel, fitted by a back end when first asked for."""
    truth = simulate(unit=250.0)
    return truth, cache(lambda backend: models.fit(truth.X, truth.y, config(backend)))


def implied_covariance(state):
    p = state.params
    sigma2 = np.exp(2 * p["sigma_loc"])
    return (p["loadings_loc"] @ p["loadings_loc"].T + np.diag(sigma2)) * np.outer(
        state.scale, state.scale
    )


def test_parameters_are_recovered_in_the_unit_of_the_target(both, backend):
    truth, states = both
    state = states(backend)
    got = state.params["beta_loc"] * state.scale.mean() / truth.unit
    np.testing.assert_allclose(got, truth.beta, atol=0.08)
    np.testing.assert_allclose(
        implied_covariance(state), truth.covariance, atol=0.2 * truth.unit**2
    )


def test_both_back_ends_agree(both):
    _, states = both
    numpyro, pyro = states("numpyro"), states("pyro")
    assert set(numpyro.params) == set(pyro.params)
    for name in ("alpha_loc", "beta_loc", "loadings_loc", "sigma_loc"):
        np.testing.assert_allclose(numpyro.params[name], pyro.params[name], atol=0.05)
    np.testing.assert_allclose(
        np.log(numpyro.params["beta_scale"]), np.log(pyro.params["beta_scale"]), atol=0.25
    )
    assert numpyro.losses[-50:].mean() == pytest.approx(pyro.losses[-50:].mean(), abs=0.02)


def test_posterior_of_coefficients_matches_the_conjugate_one(simulate, config, backend):
    # no factor, one asset: given sigma the posterior of beta is Gaussian and known
    truth = simulate(A=1, K=0, F=4)
    settings = config(backend, params={"num_factors": 0, "coefficients": {"scale": 0.1}})
    state = models.fit(truth.X, truth.y, settings)
    z = (truth.y - state.center) / state.scale
    design = np.concatenate([truth.X[:, 0], np.ones((len(z), 1))], axis=1)
    noise = np.exp(2 * state.params["sigma_loc"][0])
    prior = np.diag(1 / np.array([0.1, 0.1, 0.1, 0.1, 0.05]) ** 2)
    precision = design.T @ design / noise + prior
    mean = np.linalg.solve(precision, design.T @ z[:, 0] / noise)
    sd = 1 / np.sqrt(np.diag(precision))  # mean field: inverse diagonal of the precision
    np.testing.assert_allclose(state.params["beta_loc"], mean[:4], atol=0.02)
    np.testing.assert_allclose(state.params["beta_scale"], sd[:4], rtol=0.2)
    assert np.abs(mean[:4]).max() < np.abs(truth.beta / state.scale).max()  # shrunk


def test_masked_targets_have_no_influence(truth, config, backend):
    y = truth.y.copy()
    y[10:40, 2] = np.nan
    y[100] = np.nan
    settings = config(backend, steps=30)
    base = models.fit(truth.X, y, settings)
    X = truth.X.copy()
    X[100] = 1e9  # a week without any target
    X[10:40, 2] = np.nan
    again = models.fit(X, y, settings)
    for name, value in base.params.items():
        np.testing.assert_array_equal(value, again.params[name])
    assert base.n_obs == truth.y.size - 30 - truth.y.shape[1]


def test_burn_in_targets_leave_the_loss_unchanged(truth, config, backend):
    settings = config(backend, steps=6, svi={"tbptt_window_len": 80, "tbptt_burn_in_len": 5})
    settings["training"]["standardize_targets"] = False
    base = models.fit(truth.X, truth.y, settings)
    y = truth.y.copy()
    for start in (0, 80, 160, 240):
        y[start : start + 5] += 100.0
    again = models.fit(truth.X, y, settings)
    np.testing.assert_array_equal(base.losses, again.losses)
    assert base.n_obs == (320 - 4 * 5) * 5
    y[5] += 100.0
    assert models.fit(truth.X, y, settings).losses[0] > base.losses[0] + 1.0


def test_windows_visit_the_data_in_turn(truth, config, backend):
    # a shock in the third window shows in the losses of steps 2, 6, 10, ...
    y = truth.y.copy()
    y[170:180] += 20.0
    svi = {"tbptt_window_len": 80}
    settings = config(backend, steps=8, lr=1e-6, svi=svi, training={"standardize_targets": False})
    losses = models.fit(truth.X, y, settings).losses
    assert set(np.flatnonzero(losses > losses.mean())) == {2, 6}
    settings["training"]["svi"]["grad_accum_steps"] = 2
    losses = models.fit(truth.X, y, settings).losses
    assert set(np.flatnonzero(losses > losses.mean())) == {1, 3, 5, 7}


@pytest.mark.slow
def test_window_losses_average_to_the_full_loss(truth, config, backend):
    # KL is shared out over windows, so the mean over a pass estimates the full ELBO
    svi = {"num_elbo_particles": 50}
    quiet = {"steps": 4, "lr": 1e-9}
    full = models.fit(truth.X, truth.y, config(backend, svi=svi, **quiet)).losses
    svi["tbptt_window_len"] = 80
    parts = models.fit(truth.X, truth.y, config(backend, svi=svi, **quiet)).losses
    assert parts.mean() == pytest.approx(full.mean(), rel=0.01)
    svi["grad_accum_steps"] = 4
    whole = models.fit(truth.X, truth.y, config(backend, svi=svi, **quiet)).losses
    np.testing.assert_allclose(whole, full.mean(), rtol=0.02)


def test_accumulated_windows_weigh_as_much_as_they_have_entries(truth, config, backend):
    y = truth.y.copy()
    y[270:] += 20.0  # the last window, of 50 rows where others have 90, is the hard one
    svi = {"num_elbo_particles": 10}
    quiet = {"steps": 2, "lr": 1e-9, "training": {"standardize_targets": False}}
    full = models.fit(truth.X, y, config(backend, svi=svi, **quiet)).losses.mean()
    svi |= {"tbptt_window_len": 90, "grad_accum_steps": 2}
    first, second = models.fit(truth.X, y, config(backend, svi=svi, **quiet)).losses
    assert second > 2.0 * first
    assert (180 * first + 140 * second) / 320 == pytest.approx(full, rel=0.1)


def test_a_short_window_before_a_gap_ends_at_the_gap(truth, config, backend):
    y = truth.y.copy()
    y[50:140] += 20.0  # the second of the windows of 50, 90, 90 and 90 rows
    settings = config(
        backend,
        steps=4,
        lr=1e-9,
        train_index=np.r_[0:50, 60:330],
        svi={"tbptt_window_len": 90, "num_elbo_particles": 10},
        training={"standardize_targets": False},
    )
    first, second, third, fourth = models.fit(truth.X, y, settings).losses
    assert second > 2.0 * max(first, third, fourth)


def test_loss_is_per_entry(simulate, config, backend):
    one, two = simulate(T=160), simulate(T=320)
    svi = {"num_elbo_particles": 20}
    small = models.fit(one.X, one.y, config(backend, steps=1, svi=svi)).losses[0]
    large = models.fit(two.X, two.y, config(backend, steps=1, svi=svi)).losses[0]
    assert large == pytest.approx(small, rel=0.15)


def test_gaps_do_not_change_what_independent_rows_learn(truth, config, backend):
    index = np.r_[0:100, 140:360]
    plain = models.fit(truth.X, truth.y, config(backend, steps=20))
    gapped = models.fit(truth.X, truth.y, config(backend, steps=20, train_index=index))
    np.testing.assert_array_equal(plain.params["beta_loc"], gapped.params["beta_loc"])
    assert gapped.rows == (0, 360)
    burned = models.fit(
        truth.X,
        truth.y,
        config(backend, steps=20, train_index=index, svi={"tbptt_burn_in_len": 10}),
    )
    assert burned.n_obs == (320 - 2 * 10) * 5


def test_zero_steps_from_a_state_return_that_state(both, config, backend):
    truth, states = both
    again = models.fit(truth.X, truth.y, config(backend, steps=0), states(backend))
    assert again is states(backend)


@pytest.mark.parametrize("lr_decay", [1.0, 0.1])
def test_zero_steps_leave_the_guide_where_it_starts(both, config, backend, lr_decay):
    truth, _ = both
    svi = {"optimizer": "ClippedAdam", "lr_decay": lr_decay}
    begun = models.fit(truth.X, truth.y, config(backend, steps=0, svi=svi))
    moved = models.fit(truth.X, truth.y, config(backend, steps=1, lr=1e-7, svi=svi))
    assert len(begun.losses) == 0
    for name, value in begun.params.items():
        np.testing.assert_allclose(value, moved.params[name], atol=1e-5)


def test_warm_start_begins_where_the_state_ended(both, config, backend):
    truth, states = both
    cold = models.fit(truth.X, truth.y, config(backend, steps=2, lr=1e-6))
    warm = models.fit(truth.X, truth.y, config(backend, steps=2, lr=1e-6), states(backend))
    assert warm.losses[0] < cold.losses[0] - 0.05
    for name, value in states(backend).params.items():
        np.testing.assert_allclose(warm.params[name], value, rtol=1e-3, atol=1e-5)


def test_state_of_one_back_end_warm_starts_and_predicts_in_the_other(both, config):
    truth, states = both
    warm = models.fit(truth.X, truth.y, config("pyro", steps=1, lr=1e-6), states("numpyro"))
    np.testing.assert_allclose(
        warm.params["sigma_loc"], states("numpyro").params["sigma_loc"], atol=1e-4
    )
    means = [
        models.predict(truth.X[:5], states("numpyro"), config(b), 400)["mean"]
        for b in ("numpyro", "pyro")
    ]
    np.testing.assert_allclose(means[0], means[1], atol=0.05 * truth.unit)


def test_state_of_another_panel_is_refused(both, config, backend):
    truth, states = both
    with pytest.raises(ModelError, match="does not fit"):
        models.fit(truth.X[:, :3], truth.y[:, :3], config(backend), states(backend))


def test_same_seed_same_bits_and_other_seed_other_bits(truth, config, backend):
    first, again, other = (
        models.fit(truth.X, truth.y, config(backend, steps=20, seed=seed)) for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(first.losses, again.losses)
    assert (first.losses != other.losses).all()


def test_fits_leave_nothing_behind(truth, config):
    import pyro
    import torch

    pyro.param("mine", torch.tensor(3.0))
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    models.fit(truth.X, truth.y, config("pyro", steps=2))
    assert list(pyro.get_param_store().keys()) == ["mine"]
    assert torch.rand(1) == expected
    assert torch.get_num_threads() == threads
    pyro.get_param_store().clear()


@pytest.mark.parametrize("name", ["factor_model_v1", "factor_student_t", "test_model"])
@pytest.mark.parametrize("guide", ["own", pytest.param("mean_field", marks=pytest.mark.slow)])
def test_every_shipped_pair_fits_and_predicts(simulate, config, backend, name, guide):
    truth = simulate(T=60, A=4, F=3)
    own = "test_guide" if name == "test_model" else "factor_guide_v1"
    model = {
        "model_name": name,
        "guide_name": own if guide == "own" else guide,
        "params": {},
    }
    settings = config(backend, steps=60, model=model)
    state = models.fit(truth.X, truth.y, settings)
    forecast = models.predict(truth.X[:6], state, settings, 30)
    assert forecast["samples"].shape == (30, 6, 4)
    assert forecast["mean"].shape == (6, 4)
    assert np.isfinite(forecast["samples"]).all()
    assert state.losses[-10:].mean() < state.losses[:10].mean()
    assert all((v > 0).all() for k, v in state.params.items() if k.endswith("_scale"))


def test_extreme_data_stay_finite(truth, config, backend):
    y = truth.y.copy()
    y[::50] = 1e6
    state = models.fit(truth.X * 30, y, config(backend, steps=200))
    assert np.isfinite(state.losses).all()


def test_divergence_names_the_step(truth, config, backend):
    svi = {"optimizer": "Adam"}
    settings = config(backend, steps=50, lr=1e6, svi=svi)
    with pytest.raises(ModelError, match=r"job 0.*step \d+"):
        models.fit(truth.X, truth.y, settings)


def test_log_every(truth, config, backend, caplog):
    with caplog.at_level(logging.INFO, logger="fastpanel.models"):
        models.fit(truth.X, truth.y, config(backend, steps=20, svi={"log_every": 5}))
    assert [record.args[1] for record in caplog.records] == [5, 10, 15, 20]


def test_wrong_input_is_named(truth, config, backend):
    settings = config(backend, steps=1)
    with pytest.raises(ShapeError, match="y_train"):
        models.fit(truth.X, truth.y[:-1], settings)
    with pytest.raises(ShapeError, match=r"\[T, A, F\]"):
        models.fit(truth.X[..., 0], truth.y, settings)
    with pytest.raises(DataError, match="all NaN"):
        models.fit(truth.X, np.full_like(truth.y, np.nan), settings)
    X = truth.X.copy()
    X[3, 1, 2] = np.nan
    with pytest.raises(DataError, match="row 3, asset 1, feature 2"):
        models.fit(X, truth.y, settings)
    y = truth.y.copy()
    y[4, 0] = np.inf
    with pytest.raises(DataError, match="row 4, asset 0"):
        models.fit(truth.X, y, settings)
    with pytest.raises(ConfigError, match="did you mean 'num_steps'"):
        models.fit(truth.X, truth.y, config(backend, svi={"num_step": 3}))
    with pytest.raises(ParameterError, match="did you mean 'coefficients'"):
        models.fit(truth.X, truth.y, config(backend, params={"coeficients": {}}))
    with pytest.raises(ParameterError, match=r"loadings.scale is -1"):
        models.fit(truth.X, truth.y, config(backend, params={"loadings": {"scale": -1.0}}))
    with pytest.raises(ConfigError, match="burn_in"):
        svi = {"tbptt_window_len": 5, "tbptt_burn_in_len": 5}
        models.fit(truth.X, truth.y, config(backend, svi=svi))


@pytest.mark.parametrize("hole", [None, 200])
def test_burn_in_of_the_full_sequence_starts_after_every_gap(truth, config, backend, hole):
    index = np.r_[0:100, 140:360]
    settings = config(
        backend,
        steps=4,
        train_index=index,
        svi={"tbptt_burn_in_len": 10},
        training={"standardize_targets": False},
    )
    y = truth.y.copy()
    if hole is not None:
        y[hole, 1] = np.nan  # a week that misses only some of its targets
    base = models.fit(truth.X, y, settings)
    y[:10] += 100.0
    y[100:110] += 100.0
    np.testing.assert_array_equal(models.fit(truth.X, y, settings).losses, base.losses)
    y[110] += 100.0
    assert models.fit(truth.X, y, settings).losses[0] > base.losses[0] + 1.0
