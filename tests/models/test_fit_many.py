from __future__ import annotations

import logging

import jax
import numpy as np
import pytest

from fastpanel import models
from fastpanel.errors import ModelError
from fastpanel.models._memory import padded_rows


def compiled(action):
    """Run ``action`` and return what XLA compiled of the fit and predict programs."""
    names = []

    class Handler(logging.Handler):
        def emit(self, record):
            message = record.getMessage()
            if message.startswith("Finished XLA compilation"):
                names.append(message)

    handler, logger = Handler(), logging.getLogger("jax._src.dispatch")
    logger.addHandler(handler)
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        with jax.log_compiles():
            action()
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
    return [name for name in names if "program" in name or "predict_one" in name]


def candidates(config, count, **extra):
    return [
        config(
            "numpyro",
            steps=25,
            lr=0.01 * (1 + c),
            seed=c,
            params={
                "coefficients": {"scale": 0.1 * (1 + c)},
                "likelihood": {"sigma_scale": 1.0 + c},
            },
            **extra,
        )
        for c in range(count)
    ]


@pytest.mark.slow
def test_a_job_does_not_depend_on_the_others(simulate, config):
    panels = [simulate(T=90, F=3, seed=s) for s in range(3)]
    jobs = [models.FitJob(p.X, p.y, c) for p in panels for c in candidates(config, 5)]
    together = models.fit_many(jobs)
    for position in (0, 4, 7, 14):
        alone = models.fit_many([jobs[position]])[0]
        for name, value in alone.params.items():
            np.testing.assert_allclose(together[position].params[name], value, atol=2e-5)
        np.testing.assert_allclose(together[position].losses, alone.losses, rtol=1e-5)
    reversed_order = models.fit_many(jobs[::-1])[::-1]
    for one, other in zip(together, reversed_order, strict=True):
        np.testing.assert_allclose(one.params["beta_loc"], other.params["beta_loc"], atol=2e-5)


def test_candidates_learn_different_things(simulate, config):
    p = simulate(T=90, F=3)
    states = models.fit_many([models.FitJob(p.X, p.y, c) for c in candidates(config, 3)])
    assert len({float(s.params["beta_loc"][0]) for s in states}) == 3


def test_padded_columns_and_rows_change_nothing(simulate, config):
    # 3 features pad to 8, 90 rows to 96: against a problem that needs no padding
    p = simulate(T=96, F=8)
    settings = config("numpyro", steps=40)
    X, y = p.X.copy(), p.y.copy()
    X[90:], y[90:] = 7.0, np.nan
    X[:, :, 3:] = 0.0
    filled = models.fit(X, y, settings)
    padded = models.fit(p.X[:90, :, :3], p.y[:90], settings)
    np.testing.assert_array_equal(padded.losses, filled.losses)
    for name, value in padded.params.items():
        np.testing.assert_array_equal(
            value, filled.params[name][:3] if "beta" in name else filled.params[name]
        )
    assert padded.params["beta_loc"].shape == (3,)


def test_jobs_with_different_numbers_of_steps_share_a_program(simulate, config):
    p = simulate(T=90, F=3)
    settings = [config("numpyro", steps=n, svi={"lr_decay": 1.0}) for n in (10, 40, 60)]
    short, middle, long = models.fit_many([models.FitJob(p.X, p.y, s) for s in settings])
    assert [len(s.losses) for s in (short, middle, long)] == [10, 40, 60]
    np.testing.assert_allclose(long.losses[:10], short.losses, rtol=1e-5)
    alone = models.fit(p.X, p.y, settings[0])
    np.testing.assert_allclose(short.params["beta_loc"], alone.params["beta_loc"], atol=1e-6)


def test_expanding_refits_do_not_compile_again(simulate, config):
    p = simulate(T=127, F=3)
    settings = config("numpyro", steps=5)

    def walk(first, last):
        state = models.fit(p.X[:first], p.y[:first], settings)
        for t in range(first + 1, last):
            state = models.fit(p.X[:t], p.y[:t], settings, state)
            models.predict(p.X[t : t + 1], state, settings, 16)

    assert compiled(lambda: walk(113, 115))  # the detector sees the first compilation
    assert compiled(lambda: walk(115, 127)) == []


def test_prior_scales_and_rates_are_inputs_of_the_program(simulate, config):
    p = simulate(T=90, F=3)
    first, *others = candidates(config, 4)
    models.fit(p.X, p.y, first)
    assert compiled(lambda: [models.fit(p.X, p.y, c) for c in others]) == []


@pytest.mark.parametrize(
    ("count", "expected"), [(1, 8), (50, 56), (100, 112), (400, 448), (512, 512), (513, 640)]
)
def test_row_buckets(count, expected):
    assert padded_rows(count) == expected


def test_a_diverging_job_is_named_by_position(simulate, config):
    p = simulate(T=90, F=3)
    good = config("numpyro", steps=25, svi={"optimizer": "Adam"})
    bad = config("numpyro", steps=25, lr=1e6, svi={"optimizer": "Adam"})
    with pytest.raises(ModelError, match="job 1"):
        models.fit_many([models.FitJob(p.X, p.y, c) for c in (good, bad, good)])


def test_results_are_the_same_under_a_global_x64_switch(simulate, config):
    p = simulate(T=90, F=3)
    settings = config("numpyro", steps=25)
    plain = models.fit(p.X, p.y, settings)
    with jax.enable_x64(True):
        switched = models.fit(p.X, p.y, settings)
    np.testing.assert_array_equal(plain.losses, switched.losses)


@pytest.mark.slow
def test_predict_many_matches_predict(simulate, config):
    panels = [simulate(T=90, F=3, seed=s) for s in range(3)]
    settings = candidates(config, 2)
    jobs = [models.FitJob(p.X, p.y, c) for p in panels for c in settings]
    states = models.fit_many(jobs)
    asks = [
        models.PredictJob(job.X[:5], state, job.config, n)
        for job, state, n in zip(jobs, states, (20, 20, 33, 20, 17, 20), strict=True)
    ]
    many = models.predict_many(asks)
    for ask, got in zip(asks, many, strict=True):
        one = models.predict(ask.X, ask.state, ask.config, ask.num_samples)
        assert got["samples"].shape == (ask.num_samples, 5, 5)
        np.testing.assert_allclose(got["samples"], one["samples"], atol=1e-4)
        np.testing.assert_allclose(got["mean"], one["mean"], atol=1e-4)


def test_mixed_back_ends_keep_their_order(simulate, config):
    p = simulate(T=60, F=3)
    order = ["pyro", "numpyro", "pyro"]
    states = models.fit_many([models.FitJob(p.X, p.y, config(b, steps=2)) for b in order])
    assert [s.backend for s in states] == order


def test_a_failed_fit_can_be_returned_beside_the_states_of_the_others(simulate, config):
    p = simulate(T=90, F=3)
    good = config("numpyro", steps=25, svi={"optimizer": "Adam"})
    bad = config("numpyro", steps=25, svi={"optimizer": "Adam"}, seed=1)
    bad["training"]["require"] = {"max_loss_change": 1e-12}
    jobs = [models.FitJob(p.X, p.y, c) for c in (good, bad, good)]
    first, refused, last = models.fit_many(jobs, errors="return")
    assert isinstance(refused, ModelError)
    assert "job 1" in str(refused)
    del bad["training"]["require"]
    whole = models.fit_many(jobs)
    for state, same in ((first, whole[0]), (last, whole[2])):
        np.testing.assert_array_equal(state.losses, same.losses)
