"""The space in which a split is scored: scaled and decorrelated on its training side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastpanel._runtime import canonical, real
from fastpanel.errors import DataError, ParameterError, ShapeError
from fastpanel.scoring._devices import at_home, on_device
from fastpanel.scoring._energy import energy_score, score_with
from fastpanel.typing import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Whitener:
    """Robust scale and inverse Cholesky factor of the training targets.

    ``scale_a = MAD(y_a) + mad_eps`` and, with ``z = y / scale`` over the fully
    observed weeks, ``S = cov(z)``, shrunk to ``(1 - shrinkage) S + shrinkage
    diag(S)``; ``matrix`` is the inverse of the Cholesky factor of that plus
    ``(var_floor + eps) I``. A vector is whitened as ``matrix @ (y / scale)``, so
    the training ``z`` has covariance I where nothing is shrunk or added.

    Attributes
    ----------
    scale : float64 [A]
        In the unit of the targets, one per asset given.
    matrix : float64 [K, K]
        Lower triangular, over the assets kept.
    n_eff : int
        Fully observed training weeks, over the assets kept.
    shrinkage : float
        Weight of the diagonal.
    kept : int64 [K]
        Positions of the assets that are scored. An asset whose training MAD is 0,
        or which has no training value, has no scale and is left out.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpanel.scoring import Whitener
    >>> y = np.array([[1.0, 2.0], [2.0, 1.0], [3.0, 5.0], [4.0, 4.0], [10.0, 3.0]])
    >>> whitener = Whitener.fit(y)
    >>> whitener.n_eff, whitener.shrinkage
    (5, 0.3)
    >>> whitener.matrix.round(6)
    array([[ 0.282843,  0.      ],
           [-0.044824,  0.640347]])
    >>> whitener.transform(y).shape
    (5, 2)
    """

    scale: FloatArray
    matrix: FloatArray
    n_eff: int
    shrinkage: float
    kept: IntArray

    def __post_init__(self) -> None:
        for array in (self.scale, self.matrix, self.kept):
            array.setflags(write=False)

    @classmethod
    def fit(
        cls,
        y_train: Any,
        *,
        mad_eps: float = 1e-12,
        eps: float = 1e-5,
        var_floor: float = 0.0,
        shrinkage: float | None = None,
    ) -> Whitener:
        """Learn scale and matrix from training targets only.

        Parameters
        ----------
        y_train : array [T, A]
            Training targets; NaN = missing. Pass the rows of the training side
            alone: after purge and embargo nothing else may enter.
        mad_eps : float
            Added to the (raw) median absolute deviation.
        eps, var_floor : float
            Added to the diagonal of the shrunk covariance.
        shrinkage : float, optional
            In [0, 1]; by default 0.30 below 150 fully observed weeks, 0.15 below
            300, 0.075 from there on.

        Returns
        -------
        Whitener

        Raises
        ------
        ShapeError
            ``y_train`` does not have two axes.
        ParameterError
            A constant is negative or not finite, or ``shrinkage`` outside [0, 1].
        DataError
            Infinite targets, no asset with a scale, fewer than 2 fully observed
            weeks, or a covariance that is not positive definite.

        Notes
        -----
        The MAD of an asset is over its own observed weeks; the covariance (ddof 1,
        centred by the mean) over fully observed weeks.
        """
        y = canonical(y_train, "y_train", ndim=2)
        _check_constants(mad_eps=mad_eps, eps=eps, var_floor=var_floor)
        if np.isinf(y).any():
            t, a = np.argwhere(np.isinf(y))[0]
            raise DataError(f"y_train is infinite in row {t}, column {a}")
        mad = _mad(y)
        kept = np.flatnonzero(mad > 0)
        if not kept.size:
            raise DataError("no asset can be scored: every training MAD is 0 or undefined")
        scale = mad + mad_eps
        z = y[:, kept] / scale[kept]
        z = z[~np.isnan(z).any(axis=1)]
        if len(z) < 2:
            raise DataError(
                "whitening needs at least 2 fully observed training weeks, "
                f"got {len(z)} among {len(y)}"
            )
        weight = _shrinkage(len(z)) if shrinkage is None else float(shrinkage)
        if not 0 <= weight <= 1:
            raise ParameterError(f"shrinkage must lie in [0, 1], got {shrinkage}")
        covariance = np.atleast_2d(np.cov(z, rowvar=False))
        diagonal = np.diag(np.diag(covariance))
        shrunk = (1 - weight) * covariance + weight * diagonal
        matrix = _inverse_factor(shrunk + (var_floor + eps) * np.eye(kept.size))
        return cls(scale, matrix, len(z), weight, kept.astype(np.int64))

    @property
    def left_out(self) -> IntArray:
        """Positions of the assets that are not scored."""
        return np.setdiff1d(np.arange(self.scale.size), self.kept)

    def transform(self, array: Any) -> Any:
        """``(array / scale) @ matrix.T`` over the last axis.

        Parameters
        ----------
        array : array [..., A]
            Truth or samples, in the unit of the training targets.

        Returns
        -------
        array [..., K]
            Whitened values, without unit. A vector with a missing asset is NaN
            altogether: whitening mixes assets. torch and JAX inputs stay on their
            device.

        Raises
        ------
        ShapeError
            The last axis is not the training assets.
        """
        native = on_device(array, array)
        values = real(array, "array") if native is None else native[1]
        self._check(values.shape, -1, "array")
        every = self.kept.size == self.scale.size
        joint = self._joint()
        if native is None:
            values = values if every else values[..., self.kept]
            out = values @ joint.T
            missing: BoolArray = np.asarray(np.isnan(values).any(axis=-1))
            return np.where(missing[..., np.newaxis], np.nan, out) if missing.any() else out
        xp = native[0]
        values = values if every else values[..., self.kept.tolist()]
        out = values @ xp.asarray(np.ascontiguousarray(joint.T), values)
        return xp.where(xp.isnan(values).any(-1)[..., None], xp.nan, out)

    @at_home
    def energy_score(
        self,
        obs: Any,
        fct: Any,
        m_axis: int = -2,
        v_axis: int = -1,
        *,
        estimator: str = "nrg",
        ens_w: Any = None,
    ) -> Any:
        """Energy score of whitened truth and samples, in one pass.

        Equal to ``energy_score(transform(obs), transform(fct), ...)``; whitening
        takes place in the scratch of each point, so no whitened copy of the
        samples is made. A week with a missing target is NaN: average with
        ``nanmean`` and report how many weeks count.

        Parameters
        ----------
        obs : array [..., A]
            Truth.
        fct : array [..., M, A]
            Samples; ``m_axis=0`` for ``[S, T, A]``.
        m_axis, v_axis, estimator, ens_w
            As in :func:`energy_score`.

        Returns
        -------
        float or array [...]
            One score per point.

        Raises
        ------
        ShapeError, ParameterError
            As :func:`energy_score`.

        Examples
        --------
        >>> import numpy as np
        >>> from fastpanel.scoring import Whitener
        >>> rng = np.random.default_rng(0)
        >>> whitener = Whitener.fit(rng.normal(size=(200, 3)))
        >>> whitener.energy_score(np.zeros((5, 3)), rng.normal(size=(64, 5, 3)), m_axis=0).shape
        (5,)
        """
        self._check(fct.shape if hasattr(fct, "shape") else np.shape(fct), v_axis, "fct")
        if on_device(obs, fct) is not None:
            return self._on_device(obs, fct, m_axis, v_axis, estimator, ens_w)
        obs, fct = np.asarray(obs), np.asarray(fct)
        if self.kept.size < self.scale.size:
            at = v_axis % fct.ndim
            fct = np.take(fct, self.kept, axis=at)
            obs = np.take(obs, self.kept, axis=_obs_axis(m_axis, at, fct.ndim))
        return score_with(obs, fct, m_axis, v_axis, estimator, ens_w, None, self._joint())

    def _on_device(
        self, obs: Any, fct: Any, m_axis: int, v_axis: int, estimator: str, ens_w: Any
    ) -> Any:
        xp, obs, fct = on_device(obs, fct)  # type: ignore[misc]
        at, m = v_axis % fct.ndim, m_axis % fct.ndim
        obs = self.transform(xp.moveaxis(obs, _obs_axis(m, at, fct.ndim), -1))
        fct = self.transform(xp.moveaxis(fct, at, -1))
        m -= m > at
        return energy_score(obs, fct, m, -1, estimator=estimator, ens_w=ens_w)

    def _joint(self) -> FloatArray:
        """Scale and matrix in one: ``matrix @ diag(1 / scale)``."""
        return np.ascontiguousarray(self.matrix / self.scale[self.kept])

    def _check(self, shape: tuple[int, ...], axis: int, name: str) -> None:
        if not shape or not -len(shape) <= axis < len(shape) or shape[axis] != self.scale.size:
            raise ShapeError(
                f"{name} must have {self.scale.size} assets (as y_train) along axis {axis}, "
                f"got shape {tuple(shape)}"
            )


def _obs_axis(m_axis: int, v_axis: int, ndim: int) -> int:
    """The variable axis of the truth, counted from the end."""
    m, v = m_axis % ndim, v_axis % ndim
    return v - ndim + (m > v)


def _mad(y: FloatArray) -> FloatArray:
    """Raw median absolute deviation of every column over its observed rows; NaN without any."""
    out = np.full(y.shape[1], np.nan)
    for a, column in enumerate(y.T):
        seen = column[~np.isnan(column)]
        if seen.size:
            out[a] = np.median(np.abs(seen - np.median(seen)))
    return out


def _shrinkage(n_eff: int) -> float:
    if n_eff >= 300:
        return 0.075
    return 0.15 if n_eff >= 150 else 0.30


def _inverse_factor(matrix: FloatArray) -> FloatArray:
    """Inverse of the Cholesky factor, exactly lower triangular."""
    try:
        factor = np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        raise DataError(
            "the shrunk covariance of the training targets is not positive definite: "
            "raise eps, var_floor or shrinkage"
        ) from None
    inverse = np.zeros_like(factor)
    for i, row in enumerate(factor):  # forward substitution
        inverse[i, i] = 1.0
        inverse[i, :i] = -row[:i] @ inverse[:i, :i]
        inverse[i, : i + 1] /= row[i]
    return inverse


def _check_constants(**constants: float) -> None:
    for name, value in constants.items():
        if not (np.isfinite(value) and value >= 0):
            raise ParameterError(f"{name} must be finite and not negative, got {value}")
