"""Metrics of an outer fold: what the walk-forward test amounts to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastpanel.errors import DataError
from fastpanel.models import metric_registry, register_metric
from fastpanel.portfolio._inference import moments
from fastpanel.portfolio._path import as_pnl, drawdown, turnover
from fastpanel.typing import FloatArray


@dataclass(frozen=True, eq=False)
class OuterRecord:
    """Results of the test weeks of one or all outer folds.

    Attributes
    ----------
    pnl : float [T]
        Returns after costs; NaN weeks are left out.
    weights : float [T, A], optional
        Weights held.
    es : float [T], optional
        Energy score per week; NaN weeks are left out.
    inside : float [T, A], optional
        1 where the truth lay in the forecast interval, 0 where not, NaN where
        it is missing.
    """

    pnl: FloatArray
    weights: FloatArray | None = None
    es: FloatArray | None = None
    inside: FloatArray | None = None


OUTER_METRICS = (
    "mean_pnl",
    "volatility",
    "sharpe",
    "max_drawdown",
    "turnover",
    "mean_es",
    "coverage",
)
"""Built-in names; a result that was not recorded gives NaN."""


def outer_metrics(record: OuterRecord, names: Sequence[str] = OUTER_METRICS) -> dict[str, float]:
    """Evaluate metrics of scope ``outer`` by name, per period.

    ``fastpanel.models.register_metric(name, scope="outer")`` adds a function
    of one :class:`OuterRecord`.

    Parameters
    ----------
    record : OuterRecord
        What was recorded of the outer weeks; a metric whose input is absent is NaN.
    names : sequence of str

    Returns
    -------
    dict
        Name to value.

    Raises
    ------
    UnknownNameError
        A name that is not registered.

    Examples
    --------
    >>> record = OuterRecord(pnl=np.array([0.02, -0.01, 0.02]))
    >>> values = outer_metrics(record, ["mean_pnl", "max_drawdown"])
    >>> {name: round(value, 6) for name, value in values.items()}
    {'mean_pnl': 0.01, 'max_drawdown': -0.01}
    """
    registry = metric_registry("outer")
    return {name: float(registry[name](record)) for name in names}


def _returns(record: OuterRecord) -> FloatArray:
    pnl = as_pnl(record.pnl)
    used: FloatArray = pnl[~np.isnan(pnl)]
    if not used.size:
        raise DataError("the record holds no week with a return")
    return used


def _mean_of(values: FloatArray | None) -> float:
    if values is None or np.isnan(values).all():
        return math.nan
    return float(np.nanmean(values))


@register_metric("mean_pnl", scope="outer")
def _mean_pnl(record: OuterRecord) -> float:
    return moments(_returns(record)).mean


@register_metric("volatility", scope="outer")
def _volatility(record: OuterRecord) -> float:
    return moments(_returns(record)).volatility


@register_metric("sharpe", scope="outer")
def _sharpe(record: OuterRecord) -> float:
    return moments(_returns(record)).sharpe


@register_metric("max_drawdown", scope="outer")
def _max_drawdown(record: OuterRecord) -> float:
    return float(drawdown(_returns(record)).min())


@register_metric("turnover", scope="outer")
def _turnover(record: OuterRecord) -> float:
    return math.nan if record.weights is None else turnover(record.weights)


@register_metric("mean_es", scope="outer")
def _mean_es(record: OuterRecord) -> float:
    return _mean_of(record.es)


@register_metric("coverage", scope="outer")
def _coverage(record: OuterRecord) -> float:
    return _mean_of(record.inside)
