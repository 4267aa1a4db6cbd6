"""What is to be forecast from each row: the return of a later one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastpanel.data._clean_bars import WeeklyReturns
from fastpanel.errors import DataError, ParameterError, ShapeError
from fastpanel.typing import ArrayLike, FloatArray

if TYPE_CHECKING:
    from fastpanel.data._panel import Panel


def targets_of(panel: Panel, returns: WeeklyReturns | ArrayLike, shift: int) -> FloatArray:
    """Targets ``[T, A]`` of a panel's rows; :meth:`Panel.with_targets` says how."""
    if isinstance(shift, bool) or not isinstance(shift, int | np.integer) or shift < 1:
        raise ParameterError(
            f"shift is {shift!r}; give a whole number from 1: row t may only be asked for a "
            "return that begins after it"
        )
    if isinstance(returns, WeeklyReturns):
        return _by_label(panel, returns, int(shift))
    values = np.asarray(returns, dtype=np.float64)
    if values.shape != panel.shape[:2]:
        raise ShapeError(
            f"returns have shape {values.shape}, the panel's rows and assets are "
            f"{panel.shape[:2]}; give the return of each row, unshifted"
        )
    return shifted(values, int(shift))


def shifted(returns: FloatArray, shift: int) -> FloatArray:
    """Row ``t`` becomes row ``t + shift``; the last ``shift`` rows are NaN."""
    targets = np.full(returns.shape, np.nan)
    targets[: max(len(returns) - shift, 0)] = returns[shift:]
    return targets


def _by_label(panel: Panel, returns: WeeklyReturns, shift: int) -> FloatArray:
    absent = [asset for asset in panel.assets if asset not in returns.assets]
    if absent:
        raise DataError(f"the returns have no asset {absent[0]!r}; they hold {returns.assets}")
    rows = np.searchsorted(returns.times, panel.times)
    found = rows < len(returns.times)
    found[found] = returns.times[rows[found]] == panel.times[found]
    if not found.all():
        raise DataError(
            f"the returns have no week {panel.times[~found][0]}; take panel and returns from the "
            "same clean_bars"
        )
    columns = [returns.assets.index(asset) for asset in panel.assets]
    return shifted(returns.values, shift)[rows][:, columns]
