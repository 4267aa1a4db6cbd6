from __future__ import annotations

import numpy as np
import pytest

from fastpanel import models
from fastpanel.errors import ModelError, UnknownNameError
from fastpanel.models import PrebuildContext, PrebuildResult
from fastpanel.models._prepare import target_scale


def run(**context):
    return models.run_prebuild("factor_prior_init", PrebuildContext(**context))


def test_scale_of_standardised_targets():
    rng = np.random.default_rng(0)
    X, y = np.zeros((5000, 3, 1)), 40.0 * rng.standard_t(4, size=(5000, 3))
    result = run(X=X, y=y)
    assert isinstance(result, PrebuildResult)
    # sd / robust scale of t(4): sqrt(2) / (1.4826 * 0.7407)
    got = result.model_params["likelihood"]["sigma_scale"]
    assert got == pytest.approx(np.sqrt(2) / (1.4826 * 0.7407), rel=0.06)


def test_scale_without_standardisation_is_in_the_unit_of_y():
    y = 40.0 * np.random.default_rng(0).normal(size=(3000, 3))
    config = {"training": {"standardize_targets": False}}
    result = run(X=np.zeros((3000, 3, 1)), y=y, config=config)
    assert result.model_params["likelihood"]["sigma_scale"] == pytest.approx(40.0, rel=0.05)


def test_masked_rows_are_not_looked_at():
    y = np.random.default_rng(0).normal(size=(100, 3))
    mask = np.zeros((100, 3), dtype=bool)
    mask[90:] = True
    base = run(X=np.zeros((100, 3, 1)), y=y, M=mask)
    changed = y.copy()
    changed[90:] = 1e6
    assert run(X=np.zeros((100, 3, 1)), y=changed, M=mask) == base


def test_result_is_accepted_by_the_model(truth, config):
    params = run(X=truth.X, y=truth.y).model_params
    settings = config("numpyro", steps=25, params=dict(params))
    assert np.isfinite(models.fit(truth.X, truth.y, settings).losses).all()


def test_robust_scale_of_degenerate_assets():
    y = np.array([[1.0, 5.0, np.nan], [2.0, 5.0, np.nan], [3.0, 5.0, np.nan]])
    center, scale = target_scale(y)
    np.testing.assert_allclose(center, [2.0, 5.0, 3.5])
    np.testing.assert_allclose(scale, 1.4826022185)


def test_hook_must_exist_and_return_a_result():
    models.register_prebuild("returns_a_dict")(lambda context: {"model_params": {}})
    context = PrebuildContext(X=np.zeros((3, 1, 1)), y=np.zeros((3, 1)))
    with pytest.raises(ModelError, match=r"'returns_a_dict' returned dict"):
        models.run_prebuild("returns_a_dict", context)
    with pytest.raises(UnknownNameError, match="factor_prior_init"):
        models.run_prebuild("no_such_hook", context)
