"""Variogram score: the dependence between dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastpanel import _core
from fastpanel._runtime import canonical
from fastpanel.errors import ParameterError, ShapeError
from fastpanel.scoring import _formulas
from fastpanel.scoring._arrange import (
    Arranged,
    Axes,
    arrange,
    check_estimator,
    truth_of,
    weights_of,
)
from fastpanel.scoring._devices import at_home, on_device
from fastpanel.typing import FloatArray

ESTIMATORS = ("nrg", "fair")


@at_home
def variogram_score(
    obs: Any,
    fct: Any,
    m_axis: int = -2,
    v_axis: int = -1,
    *,
    p: float = 0.5,
    w: Any = None,
    ens_w: Any = None,
    estimator: str = "nrg",
) -> Any:
    r"""Variogram score :math:`\sum_{ij} w_{ij} (E|X_i - X_j|^p - |y_i - y_j|^p)^2`.

    Parameters
    ----------
    obs : array [..., D]
        Truth. Leading axes broadcast against those of ``fct``.
    fct : array [..., M, D]
        Samples.
    m_axis, v_axis : int
        Axes of ``fct`` that hold members and variables.
    p : float
        Order, above 0; 0.5 is the usual choice.
    w : array [D, D] or [..., D, D], optional
        Weights of pairs of dimensions, 1 if absent.
    ens_w : array, optional
        Member weights as in :func:`energy_score`.
    estimator : {"nrg", "fair"}
        ``fair`` removes what the finite ensemble adds; unbiased in M.

    Returns
    -------
    float or array [...]
        One score per point, in the unit to the power of ``2 p``. NaN where a
        value is NaN. torch and JAX inputs stay on their device.

    Raises
    ------
    ShapeError, ParameterError
        As :func:`energy_score`; ``p`` not above 0.

    Notes
    -----
    ``O(M D^2)`` time and ``O(M D)`` memory per point and thread. The sum runs over
    ordered pairs, so every pair counts twice, as in ``scoringrules``.

    References
    ----------
    Scheuerer and Hamill (2015), Variogram-based proper scoring rules.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpanel.scoring import variogram_score
    >>> float(variogram_score(np.array([0.0, 1.0]), np.array([[0.0, 4.0]])))
    2.0
    """
    if not p > 0:
        raise ParameterError(f"p must be above 0, got {p}")
    native = on_device(obs, fct)
    if native is not None:
        xp, obs, fct = native
        axes = Axes.of(obs, fct, m_axis, v_axis)
        fair = check_estimator(estimator, ESTIMATORS, axes.members)
        return _formulas.variogram_score(xp, obs, fct, axes, fair, p, w, ens_w)
    obs, fct = np.asarray(obs), np.asarray(fct)
    axes = Axes.of(obs, fct, m_axis, v_axis)
    fair = check_estimator(estimator, ESTIMATORS, axes.members)
    arranged = arrange(fct, axes)
    scores = _core.variogram_score(
        truth_of(obs, axes, arranged),
        arranged.members,
        order=float(p),
        fair=fair,
        pairs=None if w is None else _pairs(w, arranged),
        weights=None if ens_w is None else weights_of(ens_w, axes, arranged),
    )
    return arranged.scores(scores)


def _pairs(w: Any, arranged: Arranged) -> FloatArray:
    pairs = canonical(w, "w")
    dims = arranged.members.shape[-1]
    if pairs.shape == (dims, dims):
        return pairs
    if pairs.shape[-2:] != (dims, dims):
        raise ShapeError(f"w must have shape ({dims}, {dims}) or [..., D, D], got {pairs.shape}")
    flat = pairs.reshape(*pairs.shape[:-2], dims * dims)
    try:
        return arranged.of_points(flat, dims * dims)
    except ValueError:
        raise ShapeError(f"w {pairs.shape} does not fit scores {arranged.lead}") from None
