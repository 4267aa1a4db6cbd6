"""Likelihood scale of the factor models from the training rows."""

from __future__ import annotations

import numpy as np

from fastpanel.models._config import parse_config
from fastpanel.models._contract import PrebuildContext, PrebuildResult
from fastpanel.models._prebuilds import register_prebuild
from fastpanel.models._prepare import prepare


@register_prebuild("factor_prior_init")
def factor_prior_init(context: PrebuildContext) -> PrebuildResult:
    """Centre the prior of ``sigma`` on the spread of the training targets.

    The spread is the median over assets of the standard deviation of the
    targets as training will see them: standardised by the robust scale unless
    ``training.standardize_targets`` is off. It exceeds 1 for heavy tails.

    Examples
    --------
    >>> y = np.random.default_rng(0).normal(size=(400, 3))
    >>> result = factor_prior_init(PrebuildContext(X=np.zeros((400, 3, 1)), y=y))
    >>> 0.9 < result.model_params["likelihood"]["sigma_scale"] < 1.1
    True
    """
    y = context.y if context.M is None else np.where(context.M, np.nan, context.y)
    prepared = prepare(context.X, y, {}, parse_config(context.config))
    observed = np.where(prepared.missing, np.nan, prepared.y)
    enough = (~prepared.missing).sum(axis=0) > 1
    spread = float(np.median(np.nanstd(observed[:, enough], axis=0))) if enough.any() else 1.0
    scale = max(spread, 2e-3)  # priors below 1e-3 are refused
    return PrebuildResult(
        model_params={"likelihood": {"sigma_scale": scale}},
        metadata={"rows": len(y), "observed": int((~prepared.missing).sum())},
    )
