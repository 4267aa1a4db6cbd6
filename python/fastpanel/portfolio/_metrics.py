"""Metrics of an outer fold: what the walk-forward test amounts to."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fastpanel.errors import DataError
from fastpanel.portfolio._inference import moments
from fastpanel.portfolio._path import as_pnl, drawdown, turnover
from fastpanel.registry import Registry
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


OUTER_METRICS: Registry[Callable[[OuterRecord], float]] = Registry("outer metric")
"""Metrics by name; a result that was not recorded gives NaN."""


def outer_metrics(record: OuterRecord, names: Sequence[str] | None = None) -> dict[str, float]:
    """Evaluate outer metrics by name (default: all), per period.

    Examples
    --------
    >>> record = OuterRecord(pnl=np.array([0.02, -0.01, 0.02]))
    >>> values = outer_metrics(record, ["mean_pnl", "max_drawdown"])
    >>> {name: round(value, 6) for name, value in values.items()}
    {'mean_pnl': 0.01, 'max_drawdown': -0.01}
    """
    chosen = list(OUTER_METRICS) if names is None else names
    return {name: float(OUTER_METRICS[name](record)) for name in chosen}


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


@OUTER_METRICS.register("mean_pnl")
def _mean_pnl(record: OuterRecord) -> float:
    return moments(_returns(record)).mean


@OUTER_METRICS.register("volatility")
def _volatility(record: OuterRecord) -> float:
    return moments(_returns(record)).volatility


@OUTER_METRICS.register("sharpe")
def _sharpe(record: OuterRecord) -> float:
    return moments(_returns(record)).sharpe


@OUTER_METRICS.register("max_drawdown")
def _max_drawdown(record: OuterRecord) -> float:
    return float(drawdown(_returns(record)).min())


@OUTER_METRICS.register("turnover")
def _turnover(record: OuterRecord) -> float:
    return math.nan if record.weights is None else turnover(record.weights)


@OUTER_METRICS.register("mean_es")
def _mean_es(record: OuterRecord) -> float:
    return _mean_of(record.es)


@OUTER_METRICS.register("coverage")
def _coverage(record: OuterRecord) -> float:
    return _mean_of(record.inside)
