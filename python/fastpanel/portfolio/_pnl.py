"""Profit of one period after costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from fastpanel._runtime import real
from fastpanel.errors import DataError, ParameterError, ShapeError
from fastpanel.portfolio._spec import CostSpec, as_spec
from fastpanel.typing import ArrayLike, FloatArray


def compute_pnl(
    w: ArrayLike,
    y_t: ArrayLike,
    w_prev: ArrayLike | None = None,
    cost_spec: CostSpec | Mapping[str, Any] | None = None,
) -> float:
    """Return of the capital over one period: ``sum(w * y) - costs``.

    With traded value ``d = |w - w_prev|`` per asset, costs are
    ``sum(max(bps / 1e4 * d, min_fee where d > 0)) + slippage_bps / 1e4 * sum(d)``.
    A position that is reduced in a period without a return (the asset has left)
    is a forced sale and pays ``liquidation_bps / 1e4 * d`` on top.

    Parameters
    ----------
    w : float [A]
        Weights chosen before the period (shares of the capital).
    y_t : float [A]
        Simple returns over the period; log returns go through
        :func:`simple_returns` first, because only simple returns add up over
        assets. NaN of an asset that is not held is ignored; NaN of a held one
        counts as ``cost_spec.missing_return`` (0: the position stands still,
        -1: all is lost), or is an error if that is None.
    w_prev : float [A], optional
        Weights of the period before; None = all cash.
    cost_spec : CostSpec, mapping or None
        None = no costs.

    Returns
    -------
    float
        Simple return after costs.

    Raises
    ------
    ShapeError
        Arrays of different length.
    DataError
        A weight or return that is not finite (and not a missing return).

    Examples
    --------
    >>> round(compute_pnl([1.0, -1.0], [0.02, 0.01]), 12)
    0.01
    >>> round(compute_pnl([1.0, -1.0], [0.02, 0.01], None, {"bps": 10}), 12)
    0.008
    """
    costs = as_spec(CostSpec, cost_spec, "cost")
    weights = _weights("w", w)
    before = np.zeros_like(weights) if w_prev is None else _weights("w_prev", w_prev)
    returns = real(y_t, "y_t")
    if not weights.shape == returns.shape == before.shape:
        raise ShapeError(
            f"w {weights.shape}, y_t {returns.shape} and w_prev {before.shape} must be equal [A]"
        )
    held = weights != 0.0
    earned = _known(returns[held], np.flatnonzero(held), costs.missing_return)
    traded = np.abs(weights - before)
    fees = np.maximum(costs.bps / 1e4 * traded, costs.min_fee * (traded > 0.0)).sum()
    slippage = costs.slippage_bps / 1e4 * traded.sum()
    forced = np.isnan(returns) & (np.abs(weights) < np.abs(before))
    liquidation = costs.liquidation_bps / 1e4 * traded[forced].sum()
    return float(weights[held] @ earned - fees - slippage - liquidation)


def simple_returns(returns: ArrayLike, kind: Literal["simple", "log"]) -> FloatArray:
    """Convert ``"simple"`` or ``"log"`` returns of any shape to simple ones; NaN stays NaN.

    Parameters
    ----------
    returns : float, any shape
    kind : {"simple", "log"}
        What they are.

    Returns
    -------
    float64, same shape
        A copy.

    Raises
    ------
    ParameterError
        Another kind.

    Examples
    --------
    >>> simple_returns([0.0, 0.6931471805599453], "log").round(12).tolist()
    [0.0, 1.0]
    """
    values = np.array(returns, dtype=np.float64)
    if kind == "log":
        return np.asarray(np.expm1(values), dtype=np.float64)
    if kind != "simple":
        raise ParameterError(f"kind must be 'simple' or 'log', got {kind!r}")
    return values


def _weights(name: str, values: ArrayLike) -> FloatArray:
    weights = real(values, name)
    if weights.ndim != 1:
        raise ShapeError(f"{name} must be [A], got shape {weights.shape}")
    if not np.isfinite(weights).all():
        bad = int(np.flatnonzero(~np.isfinite(weights))[0])
        raise DataError(f"{name}[{bad}] is {weights[bad]}; an absent asset has weight 0, not NaN")
    return weights


def _known(returns: FloatArray, assets: Any, missing_return: float | None) -> FloatArray:
    gone = np.isnan(returns)
    if np.isinf(returns).any():
        bad = int(assets[np.flatnonzero(np.isinf(returns))[0]])
        raise DataError(f"y_t[{bad}] is infinite")
    if gone.any() and missing_return is None:
        raise DataError(
            f"asset {int(assets[np.flatnonzero(gone)[0]])} is held but its return is NaN; "
            "set cost.missing_return to the return such a position earns"
        )
    return np.where(gone, missing_return if missing_return is not None else 0.0, returns)
