"""What a search has cost: probability of overfitting and the effective number of trials."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from fastpanel.errors import DataError, ParameterError, ShapeError
from fastpanel.typing import ArrayLike, FloatArray

Measure = Literal["sharpe", "mean"]


@dataclass(frozen=True, eq=False)
class Overfitting:
    """Probability of back-test overfitting of a search (PBO).

    Attributes
    ----------
    pbo : float
        Share of the divisions in which the best strategy in sample ends below
        the median out of sample: 0 = the search finds what lasts, 0.5 = it is
        no better than a blind choice.
    logits : float64 [C]
        Log odds of the out-of-sample rank of the in-sample best, per division;
        below 0 is overfitted.
    slope : float
        Of the out-of-sample on the in-sample performance of the best; NaN
        where the latter does not vary.
    n_strategies, n_paths, n_divisions : int
    """

    pbo: float
    logits: FloatArray
    slope: float
    n_strategies: int
    n_paths: int
    n_divisions: int


def overfitting(
    paths: ArrayLike | Sequence[ArrayLike],
    *,
    n_blocks: int = 10,
    measure: Measure = "sharpe",
) -> Overfitting:
    """Probability of back-test overfitting by combinatorially symmetric cross-validation.

    The periods of each path are cut into ``n_blocks`` blocks in time order;
    for every choice of half of them, the strategy that is best there is ranked
    in the other half.

    Parameters
    ----------
    paths : float [T, N], or a sequence of them
        Performance per period of N strategies: one back-test, or one per CPCV
        path (the divisions of all paths are pooled). Higher is better. A
        period that is NaN for any strategy is left out.
    n_blocks : int
        Even, at least 2.
    measure : "sharpe" or "mean"
        How periods are summed up; ``mean`` for scores.

    Returns
    -------
    Overfitting

    Raises
    ------
    ShapeError, DataError, ParameterError
        Fewer than two strategies, too few periods, an odd ``n_blocks``.

    Notes
    -----
    Bailey, Borwein, Lopez de Prado and Zhu (2017). A strategy without variance
    in a half has Sharpe ratio 0 there; ties share their rank. Cost:
    O(C(n_blocks, n_blocks / 2) N) per path.

    Examples
    --------
    >>> skill = np.linspace(0.0, 0.3, 5) + np.random.default_rng(0).normal(size=(400, 5))
    >>> overfitting(skill).pbo < 0.2
    True
    """
    if n_blocks < 2 or n_blocks % 2:
        raise ParameterError(f"n_blocks must be even and at least 2, got {n_blocks}")
    if measure not in {"sharpe", "mean"}:
        raise ParameterError(f"measure must be 'sharpe' or 'mean', got {measure!r}")
    matrices = _matrices(paths, n_blocks)
    inside, outside, logits = [], [], []
    for matrix in matrices:
        for best_in, best_out, rank in _divide(matrix, n_blocks, measure):
            share = rank / (matrix.shape[1] + 1)
            inside.append(best_in)
            outside.append(best_out)
            logits.append(np.log(share / (1.0 - share)))
    odds = np.array(logits)
    return Overfitting(
        pbo=float((odds < 0.0).mean()),
        logits=odds,
        slope=_slope(np.array(inside), np.array(outside)),
        n_strategies=matrices[0].shape[1],
        n_paths=len(matrices),
        n_divisions=len(odds),
    )


def effective_trials(performance: ArrayLike) -> float:
    """How many independent trials N correlated ones amount to, in [1, N].

    ``(sum l)^2 / sum l^2`` over the eigenvalues l of the correlation matrix:
    N if all are uncorrelated, 1 if all are the same.

    Parameters
    ----------
    performance : float [T, N]
        Per period and strategy. Periods with a NaN are left out; a strategy
        that never changes counts as nothing new.

    Returns
    -------
    float

    Raises
    ------
    ShapeError, DataError
        Another shape, or fewer than two complete periods.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(1000, 2))
    >>> round(effective_trials(np.column_stack([x, x[:, 0]])), 1)
    1.8
    """
    values = _complete(performance)
    if len(values) < 2:
        raise DataError(f"{len(values)} complete periods are too few for a correlation")
    spread = values.std(axis=0)
    moving = values[:, spread > 1e-14 * np.abs(values).max(initial=0.0)]
    if not moving.shape[1]:
        return 1.0
    correlation = np.atleast_2d(np.corrcoef(moving, rowvar=False))
    return float(moving.shape[1] ** 2 / (correlation**2).sum())


def _matrices(paths: ArrayLike | Sequence[ArrayLike], n_blocks: int) -> list[FloatArray]:
    given = [paths] if np.ndim(paths[0]) < 2 else list(paths)  # type: ignore[index, arg-type]
    matrices = [_complete(path) for path in given]  # type: ignore[arg-type]
    for matrix in matrices:
        if matrix.shape[1] < 2 or matrix.shape[1] != matrices[0].shape[1]:
            raise ShapeError(
                f"every path needs the same strategies, at least 2; got {matrix.shape[1]}"
            )
        if len(matrix) < 2 * n_blocks:
            raise DataError(
                f"{len(matrix)} complete periods are too few for {n_blocks} blocks of 2; use a "
                "smaller n_blocks"
            )
    return matrices


def _complete(path: ArrayLike) -> FloatArray:
    values = np.asarray(path, dtype=np.float64)
    if values.ndim != 2:
        raise ShapeError(f"performance must be [T, N], got shape {values.shape}")
    if np.isinf(values).any():
        raise DataError("performance holds an infinite value")
    return values[~np.isnan(values).any(axis=1)]


def _divide(
    matrix: FloatArray, n_blocks: int, measure: Measure
) -> Iterator[tuple[float, float, float]]:
    """Performance of the in-sample best in both halves and its rank out of sample."""
    from scipy.stats import rankdata

    parts = np.array_split(matrix - matrix.mean(axis=0), n_blocks)
    counts = np.array([len(part) for part in parts], dtype=np.float64)
    sums = np.stack([part.sum(axis=0) for part in parts])
    squares = np.stack([(part**2).sum(axis=0) for part in parts])
    centre = matrix.mean(axis=0)
    size = np.abs(matrix).max(axis=0)

    def performance(blocks: list[int]) -> FloatArray:
        n = counts[blocks].sum()
        off = sums[blocks].sum(axis=0) / n  # centred first: no cancellation in the variance
        mean = off + centre
        if measure == "mean":
            return np.asarray(mean, dtype=np.float64)
        variance = np.maximum(squares[blocks].sum(axis=0) - n * off**2, 0.0) / (n - 1.0)
        volatility = np.sqrt(variance)
        flat = volatility <= 1e-10 * size
        return np.where(flat, 0.0, mean / np.where(flat, 1.0, volatility))

    every = set(range(n_blocks))
    for chosen in combinations(range(n_blocks), n_blocks // 2):
        inside = performance(list(chosen))
        outside = performance(sorted(every - set(chosen)))
        best = int(np.argmax(inside))
        yield float(inside[best]), float(outside[best]), float(rankdata(outside)[best])


def _slope(x: FloatArray, y: FloatArray) -> float:
    off = x - x.mean()
    scale = float(off @ off)
    return float(off @ (y - y.mean()) / scale) if scale > 0.0 else float("nan")
