"""Training windows along time: never across a gap, burn-in out of the loss."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from fastpanel.errors import ParameterError, ShapeError
from fastpanel.typing import ArrayLike, BoolArray


@dataclass(frozen=True)
class Window:
    """Rows ``[start, stop)``; the first ``burn_in`` of them are context only."""

    start: int
    stop: int
    burn_in: int = 0

    def __len__(self) -> int:
        return self.stop - self.start


def segments(n_rows: int, train_index: ArrayLike | None = None) -> list[tuple[int, int]]:
    """Contiguous stretches of the training rows, as row ranges ``[start, stop)``.

    Parameters
    ----------
    n_rows
        Number of training rows.
    train_index
        Their positions on the full time axis, strictly increasing; None means
        that there is no gap.

    Returns
    -------
    list of (start, stop)
        In time order; together they cover all training rows.

    Raises
    ------
    ShapeError, ParameterError
        ``train_index`` has another length or does not increase strictly.

    Examples
    --------
    >>> segments(5, [3, 4, 9, 10, 11])
    [(0, 2), (2, 5)]
    """
    if train_index is None:
        return [(0, n_rows)]
    index = np.asarray(train_index)
    if index.shape != (n_rows,):
        raise ShapeError(
            f"train_index has shape {index.shape}, but there are {n_rows} training rows"
        )
    if not np.issubdtype(index.dtype, np.integer):
        raise ParameterError(f"train_index holds {index.dtype}; give integer positions")
    steps = np.diff(index)
    if (steps <= 0).any():
        row = int(np.argmax(steps <= 0)) + 1
        raise ParameterError(
            f"train_index must increase strictly, but holds {index[row]} after {index[row - 1]}"
        )
    cuts = [0, *(np.flatnonzero(steps != 1) + 1).tolist(), n_rows]
    return list(itertools.pairwise(cuts))


def build_windows(
    n_rows: int,
    window_len: int | None,
    burn_in: int = 0,
    *,
    train_index: ArrayLike | None = None,
    overlap_burn_in: bool = False,
) -> list[Window]:
    """Cut every contiguous stretch of training rows into windows.

    Parameters
    ----------
    n_rows
        Number of training rows.
    window_len
        Rows of a window; None = each contiguous stretch is one window.
    burn_in
        First rows of every window that give context but no loss.
    train_index
        Positions of the rows on the full time axis (see :func:`segments`).
    overlap_burn_in
        Start each further window of a stretch ``burn_in`` rows earlier, so that
        no row but the stretch's first is lost to burn-in.

    Returns
    -------
    list of Window
        In time order. A last window that is not longer than its burn-in is
        dropped.

    Examples
    --------
    >>> [(w.start, w.stop) for w in build_windows(100, 30)]
    [(0, 30), (30, 60), (60, 90), (90, 100)]
    """
    stride = (window_len or 0) - (burn_in if overlap_burn_in else 0)
    windows = []
    for first, last in segments(n_rows, train_index):
        starts = [first] if window_len is None else range(first, last, stride)
        for start in starts:
            stop = last if window_len is None else min(start + window_len, last)
            if stop - start > burn_in:
                windows.append(Window(start, stop, burn_in))
    if not windows:
        raise ParameterError(
            f"no training window is longer than tbptt_burn_in_len {burn_in}: "
            f"{n_rows} rows in {len(segments(n_rows, train_index))} contiguous stretches"
        )
    return windows


def group_windows(
    windows: list[Window], window_len: int | None, grad_accum_steps: int
) -> list[list[Window]]:
    """Windows of each optimiser step of one pass; the last group may be smaller.

    Without a window length the full sequence drives every step, however many
    stretches it has.

    Parameters
    ----------
    windows : list of Window
        Of :func:`build_windows`.
    window_len : int or None
        Rows of a window; None = the full sequence.
    grad_accum_steps : int
        Windows per optimiser step.

    Returns
    -------
    list of list of Window

    Examples
    --------
    >>> groups = group_windows(build_windows(100, 30), 30, 2)
    >>> [len(group) for group in groups]
    [2, 2]
    """
    if window_len is None:
        return [windows]
    return [windows[i : i + grad_accum_steps] for i in range(0, len(windows), grad_accum_steps)]


def burn_in_rows(n_rows: int, windows: list[Window]) -> BoolArray:
    """Rows that no window keeps in its loss, ``bool [n_rows]``."""
    left_out = np.ones(n_rows, dtype=bool)
    for window in windows:
        left_out[window.start + window.burn_in : window.stop] = False
    return left_out
