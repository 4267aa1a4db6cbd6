"""The five hooks: how they are called, and that a wrong one is named before any work."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fastpanel as fp
from fastpanel.errors import ParameterError
from fastpanel.simulation import load_config
from fastpanel.simulation._hooks import default_hooks, stub_hooks


@pytest.fixture
def stub():
    return stub_hooks(load_config({}))


@pytest.mark.parametrize(
    ("name", "wrong", "called"),
    [
        ("fit_model", lambda X, y, config: None, "X_train, y_train, config, init_state"),
        ("predict", lambda X, state: None, "X_pred, state, config, num_samples"),
        ("score", lambda y_true, pred: 0.0, "y_true, pred, score_spec"),
        ("allocate", lambda pred, spec, more: None, "pred, alloc_spec"),
        ("compute_pnl", lambda w, y: 0.0, "w, y_t, w_prev, cost_spec"),
        ("fit_many", lambda: [], "jobs"),
        ("predict_many", lambda jobs, more: [], "jobs"),
    ],
)
def test_a_hook_that_cannot_be_called_is_named(stub, name, wrong, called):
    with pytest.raises(ParameterError) as caught:
        replace(stub, **{name: wrong})
    assert f"hook {name} is called as {name}({called}), but it takes (" in str(caught.value)


def test_a_hook_must_be_a_function_and_only_batch_forms_may_be_left_out(stub):
    with pytest.raises(ParameterError, match="hook score is no function: None"):
        replace(stub, score=None)
    assert replace(stub, fit_many=None).fit_many is None


def test_hooks_may_have_defaults_and_take_anything(stub):
    replace(stub, fit_model=lambda *args: None, score=lambda y, p, s, extra=1: 0.0)


def test_books_are_kept_as_documented(stub):
    w, y = np.array([1.0, -1.0]), np.array([0.02, 0.01])
    assert stub.compute_pnl(w, y, None, fp.portfolio.CostSpec()) == pytest.approx(0.01)


def test_full_mode_brings_all_five_and_stubs_take_any_shape(stub):
    full = default_hooks(load_config({}))
    for name in ("fit_model", "predict", "score", "allocate", "compute_pnl"):
        assert callable(getattr(full, name))
    for shape in ((3, 1, 1), (7, 4, 2)):
        y = np.ones(shape[:2])
        state = stub.fit_model(np.zeros(shape), y, {"seed": 0}, None)
        pred = stub.predict(np.zeros((2, *shape[1:])), state, {}, 5)
        assert pred["samples"].shape == (5, 2, shape[1])
