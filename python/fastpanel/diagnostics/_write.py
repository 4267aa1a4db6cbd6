"""Numbers, pictures and files of one diagnostic, in one call."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fastpanel.diagnostics._calibration import (
    coverage_curve,
    coverage_over_time,
    pit_histogram,
    pit_values,
)
from fastpanel.diagnostics._candidates import SelectionLike, candidate_columns
from fastpanel.diagnostics._draw_calibration import (
    curve_finding,
    draw_coverage_curve,
    draw_coverage_over_time,
    draw_pit,
    pit_finding,
    weekly_finding,
)
from fastpanel.diagnostics._draw_fan import draw_fan, fan_finding
from fastpanel.diagnostics._draw_outcome import (
    candidates_finding,
    draw_candidates,
    draw_pnl,
    sharpe_finding,
)
from fastpanel.diagnostics._fan import fan
from fastpanel.diagnostics._files import file_names, save_picture
from fastpanel.diagnostics._forecasts import Forecasts
from fastpanel.diagnostics._page import Picture
from fastpanel.diagnostics._spec import FanChartSpec
from fastpanel.typing import ArrayLike, TimeArray

FAN_GUIDE = (
    "Black often outside the bands: the forecasts are too narrow (under-dispersed). "
    "Always inside wide bands: too wide (over-dispersed)."
)
COVERAGE_GUIDE = (
    "Above its dashed target a band is too wide, below it too narrow. "
    "Coverage that swings hints at regime shifts."
)
PIT_GUIDE = (
    "Flat at density 1 is calibrated. U-shape: too narrow (under-dispersed); "
    "hump: too wide (over-dispersed); skew: biased."
)
CURVE_GUIDE = (
    "On the diagonal is calibrated, above it over-dispersed (too wide), "
    "below it under-dispersed (too narrow)."
)
CANDIDATE_GUIDE = (
    "Candidates inside the shaded band cannot be told from the best by energy score; "
    "CRPS, tail loss and then complexity decide among them."
)
PNL_GUIDE = (
    "The interval of the Sharpe ratio allows for autocorrelation, skew and fat tails, "
    "not for the number of strategies tried; the deflated Sharpe ratio does."
)


def write_fan_charts(
    folder: Path, forecasts: Forecasts, spec: FanChartSpec, *, unit: str = "MAD units"
) -> list[Picture]:
    """Write ``<asset>.png`` and ``<asset>.csv`` for each chosen asset.

    Characters that a file system may refuse become ``_``.

    Parameters
    ----------
    folder : Path
        Made where it does not exist.
    forecasts : Forecasts
    spec : FanChartSpec
        Its ``assets`` and ``quantiles``.
    unit : str
        Label of the vertical axis.

    Returns
    -------
    list of Picture
        With captions, in order.

    Raises
    ------
    ParameterError
        An unknown asset, before any file.
    ArtifactError
        A file cannot be written.

    Examples
    --------
    >>> from fastpanel.diagnostics import FanChartSpec, Forecasts
    >>> rng = np.random.default_rng(0)
    >>> weeks = np.datetime64("2020-01-03") + 7 * np.arange(40)
    >>> draws, truth = rng.normal(size=(99, 40, 2)), rng.normal(size=(40, 2))
    >>> forecasts = Forecasts(draws, truth, weeks, ("A", "B"))
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pictures = write_fan_charts(Path(folder), forecasts, FanChartSpec(assets=("B",)))
    ...     [picture.path.name for picture in pictures]
    ['B.png']
    """
    chosen = spec.select(forecasts.assets)
    pictures = []
    for asset, stem in file_names(chosen).items():
        table = fan(forecasts, asset, spec.quantiles)
        drawn, finding = draw_fan(table, unit=unit), fan_finding(table)
        pictures.append(save_picture(folder, stem, table.columns(), drawn, finding, FAN_GUIDE))
    return pictures


def write_calibration(folder: Path, forecasts: Forecasts, spec: FanChartSpec) -> list[Picture]:
    """Write coverage over time, PIT histogram and coverage curve, each as PNG and CSV.

    Files: ``coverage_fan``, ``pit_histogram``, ``coverage_curve``.

    Parameters
    ----------
    folder : Path
        Made where it does not exist.
    forecasts : Forecasts
    spec : FanChartSpec
        Its ``coverage_levels``.

    Returns
    -------
    list of Picture
        With captions, for a :class:`Section`.

    Raises
    ------
    ArtifactError
        A file cannot be written.

    Examples
    --------
    >>> from fastpanel.diagnostics import FanChartSpec, Forecasts
    >>> rng = np.random.default_rng(0)
    >>> weeks = np.datetime64("2020-01-03") + 7 * np.arange(40)
    >>> draws, truth = rng.normal(size=(99, 40, 2)), rng.normal(size=(40, 2))
    >>> forecasts = Forecasts(draws, truth, weeks, ("A", "B"))
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pictures = write_calibration(Path(folder), forecasts, FanChartSpec())
    ...     [picture.path.name for picture in pictures]
    ['coverage_fan.png', 'pit_histogram.png', 'coverage_curve.png']
    """
    weekly = coverage_over_time(forecasts, spec.coverage_levels)
    pit = pit_histogram(pit_values(forecasts))
    curve = coverage_curve(forecasts)
    drawn = draw_coverage_over_time(weekly), draw_pit(pit), draw_coverage_curve(curve)
    found = weekly_finding(weekly), pit_finding(pit), curve_finding(curve)
    return [
        save_picture(folder, "coverage_fan", weekly.columns(), drawn[0], found[0], COVERAGE_GUIDE),
        save_picture(folder, "pit_histogram", pit.columns(), drawn[1], found[1], PIT_GUIDE),
        save_picture(folder, "coverage_curve", curve.columns(), drawn[2], found[2], CURVE_GUIDE),
    ]


def write_pnl(
    folder: Path,
    times: TimeArray,
    equity: ArrayLike,
    drawdown: ArrayLike,
    *,
    sharpe: tuple[float, float, float] | None = None,
    baselines: Mapping[str, ArrayLike] | None = None,
) -> Picture:
    """Write ``pnl.png`` and ``pnl.csv``.

    ``sharpe`` is the annual Sharpe ratio with its interval ``(value, low,
    high)``; ``baselines`` are equity curves [T] to compare with.

    Parameters
    ----------
    folder : Path
        Made where it does not exist.
    times : datetime64 [T]
    equity, drawdown : float [T]
    sharpe : (value, low, high), optional
        Annual Sharpe ratio with its interval.
    baselines : mapping of str to float [T], optional
        Equity curves to compare with.

    Returns
    -------
    Picture

    Raises
    ------
    ArtifactError
        A file cannot be written.

    Examples
    --------
    >>> from fastpanel.portfolio import drawdown, equity_curve
    >>> pnl = 0.01 * np.random.default_rng(0).normal(size=60)
    >>> weeks = np.datetime64("2020-01-03") + 7 * np.arange(60)
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_pnl(Path(folder), weeks, equity_curve(pnl), drawdown(pnl)).path.name
    'pnl.png'
    """
    finding = "Capital after costs" if sharpe is None else sharpe_finding(*sharpe)
    figure = draw_pnl(times, equity, drawdown, finding=finding, baselines=baselines)
    columns = {"timestamp": np.asarray(times), "equity": np.asarray(equity, dtype=np.float64)}
    columns["drawdown"] = np.asarray(drawdown, dtype=np.float64)
    for name, values in (baselines or {}).items():
        columns[f"equity_{name}"] = np.asarray(values, dtype=np.float64)
    return save_picture(folder, "pnl", columns, figure, finding, PNL_GUIDE)


def write_candidates(
    folder: Path, selection: SelectionLike, params: Mapping[str, Mapping[str, Any]] | None = None
) -> Picture:
    """Write ``candidates.png`` (the best 20) and ``candidates.csv`` (all).

    Parameters
    ----------
    folder : Path
        Made where it does not exist.
    selection : Selection
    params : mapping, optional
        Candidate id to ``{path: value}``.

    Returns
    -------
    Picture

    Raises
    ------
    ArtifactError
        A file cannot be written.

    Examples
    --------
    >>> from fastpanel.selection import select
    >>> selection = select([[[1.0, 1.1]], [[2.0, 2.1]]], [[0, 1]])
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_candidates(Path(folder), selection).path.name
    'candidates.png'
    """
    columns, finding = candidate_columns(selection, params), candidates_finding(selection)
    drawn = draw_candidates(selection)
    return save_picture(folder, "candidates", columns, drawn, finding, CANDIDATE_GUIDE)
