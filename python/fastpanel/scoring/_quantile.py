"""Quantile loss, of quantile forecasts and of samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastpanel import _core
from fastpanel._runtime import real
from fastpanel.errors import ParameterError, ShapeError
from fastpanel.scoring import _formulas
from fastpanel.scoring._arrange import Axes, arrange
from fastpanel.scoring._devices import at_home, on_device


def quantile_score(obs: Any, fct_quantile: Any, alpha: Any) -> Any:
    """Quantile (pinball) loss ``(alpha - 1{y < q}) (y - q)``.

    Parameters
    ----------
    obs : array
        Truth ``y``.
    fct_quantile : array
        Forecast ``q`` of the quantile, in the unit of ``obs``.
    alpha : float or array
        Quantile level in [0, 1]. All three broadcast.

    Returns
    -------
    float or array
        The loss, not negative, 0 where the forecast is the truth; NaN where
        either is NaN. torch and JAX inputs come back as such.

    Raises
    ------
    ParameterError
        A level outside [0, 1].

    References
    ----------
    Koenker and Bassett (1978), Regression quantiles.

    Examples
    --------
    >>> from fastpanel.scoring import quantile_score
    >>> round(float(quantile_score(3.0, 5.0, 0.05)), 12)
    1.9
    >>> round(float(quantile_score(10.0, 5.0, 0.05)), 12)
    0.25
    """
    native = on_device(obs, fct_quantile)
    if native is not None:
        xp, obs, fct_quantile = native
        if isinstance(alpha, int | float):
            _check(np.asarray(alpha))
        alpha = xp.asarray(alpha, fct_quantile)
        return xp.where(obs < fct_quantile, alpha - 1.0, alpha) * (obs - fct_quantile)
    y, q, level = real(obs, "obs"), real(fct_quantile, "fct_quantile"), real(alpha, "alpha")
    _check(level)
    try:
        np.broadcast_shapes(y.shape, q.shape, level.shape)
    except ValueError:
        raise ShapeError(
            f"obs {y.shape}, fct_quantile {q.shape} and alpha {level.shape} do not broadcast"
        ) from None
    return (np.where(y < q, level - 1.0, level) * (y - q))[()]


@at_home
def ensemble_quantile(fct: Any, levels: Any, m_axis: int = -1) -> Any:
    """Quantiles of the members by linear interpolation, as ``numpy.quantile``.

    Parameters
    ----------
    fct : array [..., M]
        Samples.
    levels : float or sequence of float [L]
        Levels in [0, 1].
    m_axis : int
        Axis of ``fct`` that holds the members.

    Returns
    -------
    array [...] or [L, ...]
        Levels first, as NumPy does; NaN where a sample is NaN. torch and JAX
        inputs stay on their device.

    Raises
    ------
    ParameterError
        A level outside [0, 1].

    Notes
    -----
    One sort for all levels, eight points at a time.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpanel.scoring import ensemble_quantile
    >>> float(ensemble_quantile(np.arange(101.0), 0.05))
    5.0
    """
    wanted = np.asarray(levels, dtype=np.float64)
    _check(wanted)
    flat = np.atleast_1d(wanted)
    if flat.ndim != 1:
        raise ParameterError(f"levels must be a number or one axis of numbers, got {wanted.shape}")
    native = on_device(fct, fct)
    if native is not None:
        xp, _, fct = native
        values = _formulas.quantiles(xp, fct, Axes.of_members(fct, m_axis).m, flat.tolist())
    else:
        fct = np.asarray(fct)
        arranged = arrange(fct, Axes.of_members(fct, m_axis))
        values = arranged.scores(_core.ensemble_quantiles(arranged.members, flat))
    return values[0] if wanted.ndim == 0 else values


@at_home
def tail_quantile_loss(obs: Any, fct: Any, alpha: float = 0.05, m_axis: int = -1) -> Any:
    """Quantile loss of the samples' own quantile: how well the tail was forecast.

    Parameters
    ----------
    obs : array [...]
        Truth.
    fct : array [..., M]
        Samples.
    alpha : float
        Level in [0, 1]; the quantile is interpolated linearly between members.
    m_axis : int
        Axis of ``fct`` that holds the members.

    Returns
    -------
    float or array [...]
        ``(alpha - 1{y < q}) (y - q)``; NaN where the truth or a sample is NaN.

    Raises
    ------
    ShapeError, ParameterError
        As :func:`crps_ensemble`; a level outside [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> from fastpanel.scoring import tail_quantile_loss
    >>> round(float(tail_quantile_loss(3.0, np.arange(101.0), 0.05)), 12)
    1.9
    """
    native = on_device(obs, fct)
    if native is not None:
        _, obs, fct = native
    else:
        obs, fct = np.asarray(obs), np.asarray(fct)
    Axes.of(obs, fct, m_axis, None)
    return quantile_score(obs, ensemble_quantile(fct, alpha, m_axis), alpha)


def _check(levels: Any) -> None:
    if not (np.all(levels >= 0) and np.all(levels <= 1)):
        raise ParameterError(f"quantile levels must lie in [0, 1], got {levels}")
