"""The preprocessor of panels: fit on training rows, one state per training set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from fastpanel.config import parse
from fastpanel.errors import ShapeError
from fastpanel.preprocess._clean import clean, pooled_moments
from fastpanel.preprocess._input import Cube, check_names, check_rows
from fastpanel.preprocess._kinds import kinds_of
from fastpanel.preprocess._scaler import Scaler, fit_scalers
from fastpanel.preprocess._sets import TrainingSets, intervals_of
from fastpanel.preprocess._spec import PreprocessingSpec
from fastpanel.preprocess._state import PreprocessState
from fastpanel.splits import Fold
from fastpanel.typing import ArrayLike, IntArray


class PanelPreprocessor:
    """Cleaning and robust scaling of ``[T, A, F]`` panels, fitted on training rows only.

    Cleaning drops features, for all assets: too often missing, nearly
    constant, duplicates (absolute Pearson correlation), in this order, pooled
    over training rows and assets on raw values. Scaling of a continuous
    feature: clip to pooled training quantiles, subtract the median, divide by
    ``max(1.4826 MAD, IQR / 1.349, scale_floor) + mad_eps`` per asset, clip to
    ``[clip_min, clip_max]``. ``brk_*`` become ``(x - p) / sqrt(p (1 - p) +
    breakout_var_floor)``, ``cs_rank_*`` pass through; a ``<group>__`` prefix
    is ignored.

    Parameters
    ----------
    **section
        Keys of :class:`PreprocessingSpec`.
    use_feature_names_for_scaling : bool, default True
        Off: every feature is continuous.

    Raises
    ------
    ConfigError
        A key is unknown or its value out of its domain.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([1.0, 2.0, 3.0, 4.0, 100.0]).reshape(5, 1, 1)
    >>> pre = PanelPreprocessor(winsor_low_q=0, winsor_high_q=1, mad_eps=0)
    >>> state = pre.fit(X, ["x"])
    >>> state.median.item(), state.scale.item()
    (3.0, 1.4826)
    >>> state.transform(X)[:, 0, 0].round(3)
    array([-1.349, -0.674,  0.   ,  0.674, 10.   ])
    """

    def __init__(self, *, use_feature_names_for_scaling: bool = True, **section: Any) -> None:
        self.spec = parse(PreprocessingSpec, section, source="preprocessing")
        self.use_feature_names_for_scaling = bool(use_feature_names_for_scaling)

    def fit(
        self,
        X: ArrayLike,
        feature_names: Sequence[str],
        mask: ArrayLike | None = None,
        rows: ArrayLike | None = None,
        asset_names: Sequence[str] | None = None,
        absent: ArrayLike | None = None,
    ) -> PreprocessState:
        """Clean and scale on the training rows.

        Parameters
        ----------
        X : array-like [T, A, F]
            Raw features, NaN = missing.
        feature_names : sequence of str, [F]
        mask : bool array-like [T, A, F], optional
            True = missing; what X holds there is ignored.
        rows : bool [T] or int array-like, optional
            Training rows; all rows without it. No other row is read.
        asset_names : sequence of str, [A], optional
            For error messages.
        absent : bool array-like [T, A], optional
            True = the asset is not there that week (not listed yet, or no
            longer). Such asset-weeks do not count as missing for
            ``min_usable_ratio``; mask their values, or make them NaN.

        Returns
        -------
        PreprocessState

        Raises
        ------
        DataError
            An observed training value is infinite, a scaled one reaches
            ``max_abs_fail`` (names feature and asset), or no feature is left.
        ShapeError, ParameterError
            The arguments do not fit together.

        Notes
        -----
        Deterministic, bit for bit, for any number of threads. Cost: one sort
        per asset and feature, and ``F**2`` products per entry for the
        duplicates (none with ``max_abs_corr=1``).
        """
        cube = Cube.check(X, mask, asset_names, absent)
        return self._fit(cube, feature_names, [check_rows(rows, len(cube.values))])[0]

    def fit_splits(
        self,
        X: ArrayLike,
        feature_names: Sequence[str],
        folds: Iterable[Fold | ArrayLike],
        mask: ArrayLike | None = None,
        asset_names: Sequence[str] | None = None,
        absent: ArrayLike | None = None,
    ) -> list[PreprocessState]:
        """Fit on the training rows of every fold, bit-equal to separate fits.

        Each column is sorted once for all folds; a fold only counts. For many
        folds that share most rows (CPCV, expanding windows) this is several
        times faster than :meth:`fit` per fold.

        Parameters
        ----------
        X, feature_names, mask, asset_names, absent
            As in :meth:`fit`.
        folds : iterable of Fold, of (train, test) pairs or of training rows
            Only the training rows are used.

        Returns
        -------
        list of PreprocessState
            One per fold; they may keep different features.
        """
        cube = Cube.check(X, mask, asset_names, absent)
        return self._fit(cube, feature_names, _rows_of(folds, len(cube.values)))

    def refit(
        self,
        state: PreprocessState,
        X: ArrayLike,
        mask: ArrayLike | None = None,
        rows: ArrayLike | None = None,
        asset_names: Sequence[str] | None = None,
    ) -> PreprocessState:
        """Keep the features of ``state``; fit the statistics anew on ``rows``.

        Examples
        --------
        >>> import numpy as np
        >>> X = np.arange(12.0).reshape(6, 1, 2) ** [1, 2]
        >>> pre = PanelPreprocessor(max_abs_corr=1)
        >>> state = pre.fit(X, ["a", "b"], rows=range(4))
        >>> pre.refit(state, X, rows=range(5)).train_intervals
        array([[0, 5]])
        """
        cube = Cube.check(X, mask, asset_names)
        return self._refit(state, cube, [check_rows(rows, len(cube.values))])[0]

    def refit_splits(
        self,
        state: PreprocessState,
        X: ArrayLike,
        folds: Iterable[Fold | ArrayLike],
        mask: ArrayLike | None = None,
        asset_names: Sequence[str] | None = None,
    ) -> list[PreprocessState]:
        """:meth:`refit` for the training rows of every fold at once, bit-equal."""
        cube = Cube.check(X, mask, asset_names)
        return self._refit(state, cube, _rows_of(folds, len(cube.values)))

    def _fit(
        self, cube: Cube, feature_names: Sequence[str], rows: list[IntArray]
    ) -> list[PreprocessState]:
        names = check_names(feature_names, cube.values.shape[2])
        if not rows:
            return []
        kinds = kinds_of(names, self.use_feature_names_for_scaling)
        sets = TrainingSets.of(rows, len(cube.values))
        cleanings = clean(cube, names, sets, self.spec)
        kept = [cleaning.kept for cleaning in cleanings]
        scalers = fit_scalers(cube, names, kinds, sets, kept=kept, spec=self.spec)
        return [
            PreprocessState(
                feature_names=names,
                kept=tuple(names[f] for f in cleaning.kept),
                kept_index=cleaning.kept,
                kinds=tuple(kinds[f] for f in cleaning.kept),
                dropped=cleaning.dropped,
                **_statistics(scaler),
                train_intervals=intervals_of(train),
                spec=self.spec,
            )
            for cleaning, scaler, train in zip(cleanings, scalers, rows, strict=True)
        ]

    def _refit(
        self, state: PreprocessState, cube: Cube, rows: list[IntArray]
    ) -> list[PreprocessState]:
        expected = (state.median.shape[0], len(state.feature_names))
        if cube.values.shape[1:] != expected:
            raise ShapeError(
                f"X has shape {cube.values.shape}, but the state was fitted on {expected[0]} "
                f"assets and {expected[1]} features"
            )
        if not rows:
            return []
        names = state.feature_names
        kinds = kinds_of(names, self.use_feature_names_for_scaling)
        sets = TrainingSets.of(rows, len(cube.values))
        pooled_moments(cube, names, sets, pairs=False)
        kept = [state.kept_index] * len(rows)
        scalers = fit_scalers(cube, names, kinds, sets, kept=kept, spec=self.spec)
        return [
            PreprocessState(
                feature_names=names,
                kept=state.kept,
                kept_index=state.kept_index,
                kinds=tuple(kinds[f] for f in state.kept_index),
                dropped=state.dropped,
                **_statistics(scaler),
                train_intervals=intervals_of(train),
                spec=self.spec,
            )
            for scaler, train in zip(scalers, rows, strict=True)
        ]


def _statistics(scaler: Scaler) -> dict[str, Any]:
    return dict(vars(scaler))


def _rows_of(folds: Iterable[Fold | ArrayLike], times: int) -> list[IntArray]:
    return [check_rows(_train_of(fold), times, f"fold {k}") for k, fold in enumerate(folds)]


def _train_of(fold: Any) -> Any:
    if isinstance(fold, Fold):
        return fold.train
    pair = isinstance(fold, tuple) and len(fold) == 2 and all(np.ndim(part) == 1 for part in fold)
    return fold[0] if pair else fold  # what a splitter yields is (train, test)
