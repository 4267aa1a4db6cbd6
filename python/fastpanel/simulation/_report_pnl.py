"""The part of a report that is about money."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fastpanel import diagnostics, portfolio
from fastpanel.diagnostics import Facts, Section, Text
from fastpanel.portfolio import SharpeReport
from fastpanel.simulation._config import SimulationConfig
from fastpanel.simulation._hooks import default_hooks
from fastpanel.simulation._outer import account_rows
from fastpanel.simulation._result import SimulationResult
from fastpanel.typing import FloatArray

SAME_BAR = (
    "Same-bar execution (allocation.execution: same_bar): weights earn the same bar that they "
    "were decided on. Nobody can trade like this; the profit below is no result."
)


def pnl_section(
    result: SimulationResult,
    config: SimulationConfig,
    report: SharpeReport,
    folder: Path,
    *,
    others: dict[str, FloatArray] | None = None,
    extra: tuple[Any, ...] = (),
) -> Section:
    """Tiles, the capital with its drawdown, and what may be concluded.

    ``others`` are PnL series [N] to draw beside the strategy's.
    """
    pnl = np.concatenate([fold.pnl for fold in result.outer])
    low, high = report.hac_interval_annual
    facts = Facts(
        (
            ("Mean a year", percent(report.mean_annual)),
            ("Volatility a year", percent(report.volatility_annual)),
            ("Sharpe ratio a year", f"{signed(report.sharpe_annual)}"),
            ("95 % interval", f"{signed(low)} to {signed(high)}"),
            ("Deflated Sharpe", percent(report.deflated_sharpe)),
            ("Deepest drawdown", percent(report.max_drawdown)),
            ("Traded a week", percent(report.turnover)),
            ("Weeks to believe it", _weeks(report.min_track_record)),
        )
    )
    when = "the same week" if config.allocation.execution == "same_bar" else "the next one"
    note = Text(
        f"Weights are decided after a week and earn the return of {when}, {_costs(config)}. "
        f"Weights carry over from week to week. The interval allows for autocorrelation. The "
        f"deflated Sharpe ratio is the chance that the true ratio beats what the best of "
        f"{report.n_trials:,.0f} trials without skill would show. Weeks to believe it: the track "
        "record needed to tell this ratio from zero at 95 % confidence. If assets were chosen "
        "because they did well, no number here can make up for it."
    )
    if not config.diagnostics.fan_charts.enable:
        return Section("Profit and loss", (facts, *extra, note))
    drawn = {"equal weight": equal_weight_pnl(result, config), **(others or {})}
    picture = diagnostics.write_pnl(
        folder,
        np.concatenate([result.dataset.times[fold.rows] for fold in result.outer]),
        portfolio.equity_curve(pnl),
        portfolio.drawdown(pnl),
        sharpe=(report.sharpe_annual, *report.hac_interval_annual),
        baselines={name: portfolio.equity_curve(series) for name, series in drawn.items()},
    )
    return Section("Profit and loss", (facts, picture, *extra, note))


def equal_weight_pnl(result: SimulationResult, config: SimulationConfig) -> FloatArray:
    """The same weeks and costs, with the present assets held in equal parts."""
    present = np.concatenate([np.isfinite(fold.samples).all(axis=0) for fold in result.outer])
    weights = present / np.maximum(present.sum(axis=1, keepdims=True), 1)
    rows = np.concatenate([fold.rows for fold in result.outer])
    return account_rows(result.dataset, rows, weights, config, default_hooks(config))


def percent(value: float) -> str:
    """Write a share with one decimal and a true minus sign; a dash for NaN."""
    return "–" if np.isnan(value) else f"{100 * value:.1f} %".replace("-", "−")


def signed(value: float) -> str:
    """Write two decimals and a true minus sign; a dash for NaN."""
    return "–" if np.isnan(value) else f"{value:.2f}".replace("-", "−")


def _weeks(count: float) -> str:
    if np.isnan(count):
        return "–"
    return "never" if np.isinf(count) else f"{count:,.0f}"


def _costs(config: SimulationConfig) -> str:
    cost = config.cost
    parts = [f"{cost.bps:g} basis points of the traded value"]
    if cost.slippage_bps:
        parts.append(f"{cost.slippage_bps:g} of slippage")
    if cost.min_fee:
        parts.append(f"at least {cost.min_fee:g} of the capital per trade")
    if cost.liquidation_bps:
        parts.append(f"{cost.liquidation_bps:g} for a forced sale")
    return f"after costs of {', '.join(parts)}"
