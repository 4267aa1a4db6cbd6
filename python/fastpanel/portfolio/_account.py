"""From decisions to positions to profit: what is decided on a bar trades on the next one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastpanel.errors import ParameterError, ShapeError
from fastpanel.portfolio._pnl import compute_pnl
from fastpanel.portfolio._spec import CostSpec, as_spec
from fastpanel.typing import FloatArray, IntArray

PnlRule = Callable[[FloatArray, FloatArray, "FloatArray | None", Any], float]


@dataclass(frozen=True, eq=False)
class Decisions:
    """Weights chosen with what was known at the close of each bar; nothing is traded yet.

    Attributes
    ----------
    bars : int64 [N]
        Ascending positions of the bars that the decisions have seen.
    weights : float64 [N, A]
    """

    bars: IntArray
    weights: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "bars", np.asarray(self.bars, dtype=np.int64))
        object.__setattr__(self, "weights", np.asarray(self.weights, dtype=np.float64))
        if self.weights.ndim != 2 or self.bars.shape != self.weights.shape[:1]:
            raise ShapeError(f"bars {self.bars.shape} and weights {self.weights.shape} do not fit")
        if (np.diff(self.bars) <= 0).any():
            raise ParameterError("bars must ascend")

    def at_next_bar(self, delay: int = 1) -> Positions:
        """Positions that trade after the bar that was seen: ``delay`` bars later, at least 1."""
        if delay < 1:
            raise ParameterError(f"delay must be at least 1 bar, got {delay}; see at_same_bar")
        return Positions(self.bars + delay, self.weights, looks_ahead=False)

    def at_same_bar(self) -> Positions:
        """Positions that earn the very bar which the decision has seen: a comparison, no result."""
        return Positions(self.bars, self.weights, looks_ahead=True)


@dataclass(frozen=True, eq=False)
class Positions:
    """Weights held over bars. Made by :class:`Decisions`; ``looks_ahead`` marks same-bar trading.

    Attributes
    ----------
    bars : int64 [N]
        Bars whose return the weights earn.
    weights : float64 [N, A]
    looks_ahead : bool
    """

    bars: IntArray
    weights: FloatArray
    looks_ahead: bool


def account(
    positions: Positions,
    bar_returns: FloatArray,
    cost_spec: CostSpec | Mapping[str, Any] | None = None,
    *,
    rule: PnlRule = compute_pnl,
) -> FloatArray:
    """Return of the capital in every held bar, after costs.

    Weights carry over from bar to bar. The first bar, and one after a gap, is
    entered from cash.

    Parameters
    ----------
    positions : Positions
        ``decisions.at_next_bar()``; decisions themselves are refused, because
        they have not been traded yet.
    bar_returns : float64 [T, A]
        Simple return of each bar; NaN = none.
    cost_spec : CostSpec, mapping or None
    rule : callable
        ``(w, y, w_prev, cost_spec) -> float``; default :func:`compute_pnl`.

    Returns
    -------
    float64 [N]

    Raises
    ------
    ParameterError
        Decisions instead of positions, or a bar without a row in ``bar_returns``.

    Examples
    --------
    >>> decided = Decisions([0, 1], [[1.0], [0.0]])
    >>> returns = np.array([[0.5], [0.01], [0.02]])
    >>> account(decided.at_next_bar(), returns, {"bps": 10}).round(6).tolist()
    [0.009, -0.001]
    >>> account(decided.at_same_bar(), returns).tolist()
    [0.5, 0.0]
    """
    if not isinstance(positions, Positions):
        raise ParameterError(
            f"account takes Positions, got {type(positions).__name__}; decisions trade at the "
            "next bar: decisions.at_next_bar()"
        )
    bars = positions.bars
    if bars.size and not 0 <= bars[0] <= bars[-1] < len(bar_returns):
        raise ParameterError(
            f"positions are held in bars {bars[0]} to {bars[-1]}, but returns exist for bars 0 to "
            f"{len(bar_returns) - 1}"
        )
    book = Book(cost_spec, rule=rule)
    pnl = np.empty(len(bars))
    for i, bar in enumerate(bars):
        if i and bar != bars[i - 1] + 1:
            book = Book(cost_spec, rule=rule)
        pnl[i] = book.hold(positions.weights[i], bar_returns[bar])
    return pnl


class Book:
    """Weights held now; each change of them is paid for.

    Parameters
    ----------
    cost_spec : CostSpec, mapping or None
    rule : callable
        As in :func:`account`.
    held : float64 [A], optional
        Weights before the first bar; None = cash.

    Examples
    --------
    >>> book = Book({"bps": 100})
    >>> [round(book.hold(np.array([w]), np.array([0.0])), 6) for w in (1.0, 1.0, 0.5)]
    [-0.01, 0.0, -0.005]
    """

    def __init__(
        self,
        cost_spec: CostSpec | Mapping[str, Any] | None = None,
        *,
        rule: PnlRule = compute_pnl,
        held: FloatArray | None = None,
    ) -> None:
        self._costs = as_spec(CostSpec, cost_spec, "cost")
        self._rule, self._held = rule, held

    def hold(self, weights: FloatArray, returns: FloatArray) -> float:
        """Change to ``weights``, hold them over a bar with these simple returns [A]."""
        pnl = self._rule(weights, returns, self._held, self._costs)
        self._held = weights
        return float(pnl)
