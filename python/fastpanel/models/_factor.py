"""The linear factor model's parameters and latent sites, shared by both back ends.

``y_t = alpha + X_t beta + B f_t + sigma * eps_t`` with ``f_t ~ N(0, I)``
integrated out. Priors are meant for standardised targets and features:
``alpha_a ~ N(0, intercept.scale)``, ``beta_f ~ N(0, coefficients.scale)``,
``B_ak ~ N(0, loadings.scale)``, ``sigma_a ~ LogNormal(log sigma_scale,
sigma_spread)`` and, for the Student-t likelihood,
``df - 2 ~ LogNormal(log df_excess, df_spread)``.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastpanel.errors import ModelError, ParameterError
from fastpanel.models._complexity import register_complexity
from fastpanel.typing import FloatArray

MIN_GUIDE_SCALE = 1e-4
MAX_INIT_SCALE = 0.05
_COUNTS = {
    "num_factors": (0, 32),
    "num_regimes": (2, 8),
    "num_levels": (3, 31),
    "rank": (1, 1000),
    "num_warmup": (10, 100_000),
    "num_samples": (10, 100_000),
    "num_chains": (1, 64),
    "max_tree_depth": (1, 15),
}
_REFERENCE_WEEKS = 520

_DEFAULTS: dict[str, Any] = {
    "coefficients": {"scale": 0.02},
    "intercept": {"scale": 0.05},
    "likelihood": {"sigma_scale": 1.0, "sigma_spread": 0.5},
    "loadings": {"scale": 0.5},
    "num_factors": 1,
}
_STUDENT_LIKELIHOOD: dict[str, Any] = {"df": None, "df_excess": 6.0, "df_spread": 0.7}


@dataclass(frozen=True, eq=False)
class Latent:
    """One latent site: its prior, and where a guide starts.

    A real site is normal with mean ``center``; a positive one is log-normal with
    median ``center``, and ``scale`` is the spread of its logarithm. Both may be
    traced values. ``init_loc`` None starts the guide at ``center``.
    """

    name: str
    shape: tuple[int, ...]
    center: Any
    scale: Any
    positive: bool = False
    init_loc: FloatArray | None = None
    per_feature: bool = False


def normalise(
    params: Mapping[str, Any],
    *,
    student: bool = False,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Fill in defaults and check every value; ``extra`` are a model's own keys.

    Raises
    ------
    ParameterError
        An unknown key (with the nearest known one) or a value outside its
        domain.
    """
    defaults = {k: dict(v) if isinstance(v, dict) else v for k, v in _DEFAULTS.items()}
    if student:
        defaults["likelihood"] |= _STUDENT_LIKELIHOOD
    defaults |= extra or {}
    return merge(defaults, params, "model.params")


def normalise_latent(params: Mapping[str, Any]) -> dict[str, Any]:
    """As :func:`normalise`, for the model that keeps its factors: there must be one."""
    full = normalise(params)
    if full["num_factors"] == 0:
        raise ParameterError("model.params.num_factors is 0; 'factor_latent' needs at least 1")
    return full


def latents(params: Mapping[str, Any], n_assets: int, n_features: int) -> tuple[Latent, ...]:
    """Latent sites of a model with normalised ``params``, in sampling order."""
    likelihood = params["likelihood"]
    factors = params["num_factors"]
    sites = [
        Latent("alpha", (n_assets,), 0.0, params["intercept"]["scale"]),
        Latent("beta", (n_features,), 0.0, params["coefficients"]["scale"], per_feature=True),
        Latent(
            "sigma",
            (n_assets,),
            likelihood["sigma_scale"],
            likelihood["sigma_spread"],
            positive=True,
        ),
    ]
    if factors:
        scale = params["loadings"]["scale"]
        start = initial_loadings(n_assets, factors)
        sites.append(Latent("loadings", (n_assets, factors), 0.0, scale, init_loc=start))
    if likelihood.get("df", 1.0) is None:
        sites.append(
            Latent("df_excess", (), likelihood["df_excess"], likelihood["df_spread"], positive=True)
        )
    return tuple(sites)


def initial_loadings(n_assets: int, n_factors: int) -> FloatArray:
    """Orthogonal starting loadings: a market factor, then finer contrasts.

    Zero is a saddle point, as the sign of a factor is free; this start fixes
    the sign and breaks the tie between factors without a random number.
    """
    asset = (np.arange(n_assets) + 0.5)[:, None]
    return 0.3 * np.cos(np.pi * asset * np.arange(n_factors) / n_assets)


def initial_scale(prior_scale: Any, largest: float, minimum: Any = min) -> Any:
    """Return the starting posterior scale: the prior's, at most ``largest``."""
    return minimum(prior_scale, largest)


def guide_settings(params: Mapping[str, Any], model: Any, name: str) -> float:
    """Check a hand-written guide's parameters and model; returns ``init_scale``."""
    if not hasattr(model, "latents"):
        raise ModelError(
            f"guide '{name}' needs a model that lists its sites in "
            f"latents(n_assets, n_features), but {type(model).__name__} has none; "
            "use guide 'mean_field' or write one"
        )
    merged = merge({"init_scale": MAX_INIT_SCALE}, params, "model.guide_params")
    value: float = merged["init_scale"]
    return value


@register_complexity("factor_latent")
@register_complexity("factor_model_v1")
def complexity(params: Mapping[str, Any], n_assets: int, n_features: int) -> float:
    """Effective number of free parameters at ten years of weekly rows.

    A coefficient with prior scale s and n informative entries counts
    ``n s^2 / (n s^2 + 1)``, its weight against the prior in a ridge regression
    with unit noise; loadings count net of the rotations that leave the
    covariance unchanged.
    """
    return linear_complexity(normalise(params), n_assets, n_features)


@register_complexity("factor_student_t")
def student_complexity(params: Mapping[str, Any], n_assets: int, n_features: int) -> float:
    """As for ``factor_model_v1``, plus one for learned degrees of freedom."""
    full = normalise(params, student=True)
    return linear_complexity(full, n_assets, n_features) + float(full["likelihood"]["df"] is None)


@register_complexity("test_model")
def example_complexity(params: Mapping[str, Any], n_assets: int, n_features: int) -> float:
    """One weight per feature and one noise scale."""
    return float(n_features + 1)


def linear_complexity(full: Mapping[str, Any], n_assets: int, n_features: int) -> float:
    """Effective parameters of location, loadings and noise; ``full`` is normalised."""
    factors = min(full["num_factors"], n_assets)
    loadings = n_assets * factors - factors * (factors - 1) / 2
    return float(
        n_features * informed(full["coefficients"]["scale"], _REFERENCE_WEEKS * n_assets)
        + n_assets * informed(full["intercept"]["scale"], _REFERENCE_WEEKS)
        + n_assets * informed(full["likelihood"]["sigma_spread"], _REFERENCE_WEEKS // 2)
        + loadings * informed(full["loadings"]["scale"], _REFERENCE_WEEKS)
    )


def informed(scale: float, entries: int = _REFERENCE_WEEKS) -> float:
    """Share of one parameter with prior scale ``scale`` that ``entries`` observations fix."""
    return entries * scale**2 / (entries * scale**2 + 1.0)


def merge(defaults: dict[str, Any], given: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Defaults overlaid by checked values; ``path`` names them in errors."""
    merged = dict(defaults)
    for key, value in given.items():
        where = f"{path}.{key}"
        if key not in defaults:
            near = difflib.get_close_matches(str(key), list(defaults), n=1, cutoff=0.5)
            hint = f"did you mean '{near[0]}'?" if near else f"known: {sorted(defaults)}"
            raise ParameterError(f"{where}: unknown key; {hint}")
        if isinstance(defaults[key], dict):
            if not isinstance(value, Mapping):
                raise ParameterError(f"{where} is {value!r}; give a mapping")
            merged[key] = merge(defaults[key], value, where)
        else:
            merged[key] = _checked(key, value, where)
    return merged


def _checked(key: str, value: Any, where: str) -> Any:
    if key in _COUNTS:
        low, high = _COUNTS[key]
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ParameterError(f"{where} is {value!r}; give an integer in {low}..{high}")
        return value
    if key == "df" and value is None:
        return None
    if not isinstance(value, int | float):  # a traced value of a compiled program
        if isinstance(value, str | Mapping | list | tuple | type(None)):
            raise ParameterError(f"{where} is {value!r}; give a number")
        return value
    least = 2.0 if key == "df" else 1e-3
    if isinstance(value, bool) or not math.isfinite(value) or value <= least:
        raise ParameterError(f"{where} is {value!r}; give a finite number above {least:g}")
    return float(value)
