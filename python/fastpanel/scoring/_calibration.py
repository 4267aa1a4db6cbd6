"""Calibration: the place of the truth among the samples, and how often intervals hold it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastpanel import _core
from fastpanel._runtime import real
from fastpanel.errors import ParameterError
from fastpanel.scoring import _formulas
from fastpanel.scoring._arrange import Axes, arrange, truth_of
from fastpanel.scoring._devices import Device, at_home, on_device
from fastpanel.scoring._quantile import ensemble_quantile


@at_home
def pit(obs: Any, fct: Any, m_axis: int = -1) -> Any:
    """Probability integral transform from samples: share below plus half the ties.

    Parameters
    ----------
    obs : array [...]
        Truth.
    fct : array [..., M]
        Samples.
    m_axis : int
        Axis of ``fct`` that holds the members.

    Returns
    -------
    float or array [...]
        In [0, 1]; uniform if the forecasts are calibrated. NaN where the truth
        or a sample is NaN. torch and JAX inputs stay on their device.

    Raises
    ------
    ShapeError, ParameterError
        As :func:`crps_ensemble`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpanel.scoring import pit
    >>> float(pit(2.0, np.array([1.0, 2.0, 3.0, 4.0])))
    0.375
    """
    native = on_device(obs, fct)
    if native is not None:
        xp, obs, fct = native
        return _formulas.pit(xp, obs, fct, Axes.of(obs, fct, m_axis, None))
    obs, fct = np.asarray(obs), np.asarray(fct)
    axes = Axes.of(obs, fct, m_axis, None)
    arranged = arrange(fct, axes)
    return arranged.scores(_core.pit(truth_of(obs, axes, arranged), arranged.members))


@at_home
def coverage(
    obs: Any,
    fct: Any,
    levels: Any,
    m_axis: int = -1,
    *,
    axis: int | tuple[int, ...] | None = None,
) -> Any:
    """Share of observed truths inside the central interval of each level.

    Parameters
    ----------
    obs : array [...]
        Truth; NaN = not observed, left out of the share.
    fct : array [..., M]
        Samples.
    levels : float or sequence of float [L]
        Nominal coverages in [0, 1]; the interval of level c is closed, from
        quantile (1 - c) / 2 to (1 + c) / 2, interpolated linearly.
    m_axis : int
        Axis of ``fct`` that holds the members.
    axis : int or tuple of int, optional
        Axes of ``obs`` to average over, all by default; ``axis=-1`` on ``[T, A]``
        gives the coverage of every week, ``[L, T]``.

    Returns
    -------
    array [L] or [L, ...]
        Shares (without the level axis for a single level); NaN where nothing is
        observed or an observed point has a NaN sample. torch and JAX inputs stay
        on their device.

    Raises
    ------
    ShapeError, ParameterError
        As :func:`crps_ensemble`; a level outside [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> from fastpanel.scoring import coverage
    >>> samples = np.tile(np.arange(11.0), (4, 1))
    >>> coverage(np.array([1.0, 5.0, 9.0, 10.0]), samples, [0.8, 1.0])
    array([0.75, 1.  ])
    """
    wanted = real(levels, "levels")
    if wanted.ndim > 1 or wanted.size == 0 or not (np.all(wanted >= 0) and np.all(wanted <= 1)):
        raise ParameterError(f"levels must be numbers in [0, 1], got {levels}")
    flat = np.atleast_1d(wanted)
    native = on_device(obs, fct)
    if native is not None:
        xp, obs, fct = native
    else:
        xp, obs, fct = None, real(obs, "obs"), np.asarray(fct)
    Axes.of(obs, fct, m_axis, None)
    bounds = ensemble_quantile(fct, np.concatenate([(1 - flat) / 2, (1 + flat) / 2]), m_axis)
    wider = obs.ndim - (bounds.ndim - 1)  # obs may have leading axes that fct lacks
    if wider > 0:
        bounds = bounds.reshape((bounds.shape[0], *(1,) * wider, *bounds.shape[1:]))
    shares = _shares(xp, obs, bounds[: flat.size], bounds[flat.size :], axis)
    return shares[0] if wanted.ndim == 0 else shares


def _shares(
    xp: Device | None, obs: Any, low: Any, high: Any, axis: int | tuple[int, ...] | None
) -> Any:
    """Mean over observed points of ``low <= obs <= high``, levels first."""
    ops: Any = np if xp is None else xp
    one, zero = (c if xp is None else xp.asarray(c, low) for c in (1.0, 0.0))
    inside = ops.where((obs >= low) & (obs <= high), one, zero)
    inside = ops.where(ops.isnan(low) | ops.isnan(high), ops.nan, inside)
    seen = ops.broadcast_to(~ops.isnan(obs), inside.shape)
    inside, count = ops.where(seen, inside, zero), ops.where(seen, one, zero)
    if axis is None:
        levels = inside.shape[0]
        inside, count = inside.reshape(levels, -1), count.reshape(levels, -1)
        axes: tuple[int, ...] = (-1,)
    else:
        given = (axis,) if isinstance(axis, int) else axis
        axes = tuple(a if a < 0 else a + 1 for a in given)
    inside, count = inside.sum(axes), count.sum(axes)
    return ops.where(count > 0, inside / ops.where(count > 0, count, one), ops.nan)
