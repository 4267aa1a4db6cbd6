"""Check of a model and its guide before any training step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
from numpyro import handlers

from fastpanel.models import _sites
from fastpanel.models._contract import ModelBatch
from fastpanel.models.numpyro_._plan import Plan
from fastpanel.models.numpyro_._program import Data, Hyper, initial_parameters


def parameter_shapes(plan: Plan, data: Data, hyper: Hyper) -> dict[str, tuple[int, ...]]:
    """Shapes of the parameters, after checking the sites; nothing is computed.

    Raises
    ------
    ModelError
        Names the site or parameter that breaks the contract.
    """
    jax.eval_shape(lambda d, h: _check_sites(plan, d, h), data, hyper)
    shapes = _shapes(plan, data, hyper)
    longer = data._replace(**{name: _one_more_row(getattr(data, name)) for name in ("X", "y", "M")})
    _sites.check_fixed_shapes(shapes, _shapes(plan, longer, hyper))
    return shapes


def _shapes(plan: Plan, data: Data, hyper: Hyper) -> dict[str, tuple[int, ...]]:
    values = jax.eval_shape(lambda d, h: initial_parameters(plan, d, h)[2], data, hyper)
    return {name: tuple(value.shape) for name, value in values.items()}


def _check_sites(plan: Plan, data: Data, hyper: Hyper) -> None:
    key = jax.random.key(0)
    batch = ModelBatch(data.X, data.y, data.M)
    model, guide = plan.build(hyper.model_floats, hyper.guide_floats)
    model_sites = _described(handlers.trace(handlers.seed(model, key)).get_trace(batch))
    _sites.check_observed(model_sites, plan.model_name, data.y.shape)
    guide_sites = _described(handlers.trace(handlers.seed(guide, key)).get_trace(batch))
    _sites.check_guide(model_sites, guide_sites, plan.model_name, plan.guide_name)


def _described(trace: Mapping[str, Any]) -> dict[str, _sites.Site]:
    return {
        name: _sites.Site(
            tuple(site["value"].shape),
            site["is_observed"],
            bool(site["infer"].get("is_auxiliary", False)),
            "enumerate" in site["infer"],
            _sites.support_name(site["fn"]),
        )
        for name, site in trace.items()
        if site["type"] == "sample"
    }


def _one_more_row(array: Any) -> Any:
    return jax.ShapeDtypeStruct((array.shape[0] + 1, *array.shape[1:]), array.dtype)
