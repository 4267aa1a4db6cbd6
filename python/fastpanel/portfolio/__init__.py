"""Portfolio: weights from predictive samples, profit after costs, honest Sharpe ratios."""

from __future__ import annotations

from fastpanel.portfolio._account import Book, Decisions, Positions, account
from fastpanel.portfolio._allocate import allocate
from fastpanel.portfolio._metrics import OUTER_METRICS, OuterRecord, outer_metrics
from fastpanel.portfolio._overfit import Overfitting, effective_trials, overfitting
from fastpanel.portfolio._path import drawdown, equity_curve, turnover
from fastpanel.portfolio._pnl import compute_pnl, simple_returns
from fastpanel.portfolio._registry import allocators, register_allocator
from fastpanel.portfolio._sharpe import SharpeReport, sharpe_report
from fastpanel.portfolio._spec import AllocationSpec, CostSpec

__all__ = [
    "OUTER_METRICS",
    "AllocationSpec",
    "Book",
    "CostSpec",
    "Decisions",
    "OuterRecord",
    "Overfitting",
    "Positions",
    "SharpeReport",
    "account",
    "allocate",
    "allocators",
    "compute_pnl",
    "drawdown",
    "effective_trials",
    "equity_curve",
    "outer_metrics",
    "overfitting",
    "register_allocator",
    "sharpe_report",
    "simple_returns",
    "turnover",
]
