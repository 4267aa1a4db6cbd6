"""Energy score of multivariate ensembles, and its mean as a training loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastpanel import _core
from fastpanel.errors import ShapeError
from fastpanel.scoring import _formulas
from fastpanel.scoring._arrange import (
    Axes,
    arrange,
    check_estimator,
    mask_of,
    truth_of,
    weights_of,
)
from fastpanel.scoring._devices import at_home, on_device
from fastpanel.typing import FloatArray

ESTIMATORS = ("nrg", "fair")


@at_home
def energy_score(
    obs: Any,
    fct: Any,
    m_axis: int = -2,
    v_axis: int = -1,
    *,
    estimator: str = "nrg",
    ens_w: Any = None,
    mask: Any = None,
) -> Any:
    r"""Energy score :math:`E|X - y| - \frac12 E|X - X'|` with the Euclidean norm.

    Parameters
    ----------
    obs : array [..., D]
        Truth, in the unit of the samples. Leading axes broadcast against those
        of ``fct``.
    fct : array [..., M, D]
        Samples. Samples ``[S, T, A]`` as models give them are scored with
        ``m_axis=0`` against truth ``[T, A]``, without a transposed copy.
    m_axis, v_axis : int
        Axes of ``fct`` that hold members and variables; the variable axis of
        ``obs`` is the same without the member axis.
    estimator : {"nrg", "fair"}
        ``nrg`` averages over all M^2 pairs (1 / (2 M^2), the literal V-statistic);
        ``fair`` over pairs of distinct members, unbiased in M. Compare forecasts
        of different M with ``fair``.
    ens_w : array, optional
        Weight of every member, normalised here: ``[M]``, the shape of ``fct``
        without ``v_axis``, or ``[..., M]``.
    mask : bool array, optional
        Shape of ``obs``, **True = missing**: that dimension is left out of the
        norm at that point.

    Returns
    -------
    float or array [...]
        One score per point, float64 for NumPy inputs; torch and JAX inputs are
        scored on their device, in their dtype. NaN where a value that counts is
        NaN, or where every dimension is masked.

    Raises
    ------
    ShapeError
        Shapes do not fit; both are named.
    ParameterError
        Unknown estimator, ``fair`` with one member, negative weights, a mask
        that is not boolean.

    Notes
    -----
    ``O(M^2 D)`` time and ``O(M D)`` memory per point and thread; threads share
    points. Accurate to about 1e-15 at any location and scale. Differentiable
    for torch and JAX; :func:`energy_loss` needs less memory.

    References
    ----------
    Gneiting and Raftery (2007), Strictly proper scoring rules, prediction, and
    estimation. Ferro (2014), Fair scores for ensemble forecasts.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpanel.scoring import energy_score
    >>> float(energy_score(np.zeros(2), np.array([[3.0, 4.0], [0.0, 0.0]])))
    1.25
    """
    native = on_device(obs, fct)
    if native is not None:
        xp, obs, fct = native
        axes = Axes.of(obs, fct, m_axis, v_axis)
        fair = check_estimator(estimator, ESTIMATORS, axes.members)
        return _formulas.energy_score(xp, obs, fct, axes, fair, ens_w, mask)
    return score_with(obs, fct, m_axis, v_axis, estimator, ens_w, mask, None)


def score_with(
    obs: Any,
    fct: Any,
    m_axis: int,
    v_axis: int,
    estimator: str,
    ens_w: Any,
    mask: Any,
    transform: FloatArray | None,
) -> Any:
    """Energy score of NumPy arrays after a lower triangular ``transform [D, D]``, if given."""
    obs, fct = np.asarray(obs), np.asarray(fct)
    axes = Axes.of(obs, fct, m_axis, v_axis)
    fair = check_estimator(estimator, ESTIMATORS, axes.members)
    arranged = arrange(fct, axes)
    missing = None
    if mask is not None:
        moved = np.moveaxis(mask_of(mask, obs.shape), axes.obs_v, -1)
        missing = arranged.of_points(moved, moved.shape[-1])
    scores = _core.energy_score(
        truth_of(obs, axes, arranged),
        arranged.members,
        fair=fair,
        weights=None if ens_w is None else weights_of(ens_w, axes, arranged),
        mask=missing,
        transform=transform,
    )
    return arranged.scores(scores)


def energy_loss(obs: Any, samples: Any) -> Any:
    """Mean energy score, differentiable, for training.

    Parameters
    ----------
    obs : torch tensor or JAX array [..., D]
        Truth.
    samples : torch tensor or JAX array [..., M, D]
        Samples, for instance reparametrised draws of a model.

    Returns
    -------
    scalar
        Mean over all points, on the device and with the dtype of the inputs.
        The gradient is finite everywhere: coinciding points contribute 0.
        NumPy arrays give a number.

    Raises
    ------
    ShapeError
        Shapes do not fit.

    Notes
    -----
    torch: value and gradient are taken together, chunk by chunk, so no
    ``[..., M, M]`` matrix is kept for the backward pass; first derivatives only.

    Examples
    --------
    >>> import torch
    >>> from fastpanel.scoring import energy_loss
    >>> samples = torch.tensor([[3.0, 4.0], [0.0, 0.0]], requires_grad=True)
    >>> loss = energy_loss(torch.zeros(2), samples)
    >>> loss.item()
    1.25
    >>> loss.backward()
    >>> samples.grad.isfinite().all().item()
    True
    """
    native = on_device(obs, samples)
    if native is None:
        return float(np.mean(energy_score(obs, samples)))
    xp, obs, samples = native
    axes = Axes.of(obs, samples, -2, -1)
    if 0 in axes.points:
        raise ShapeError(f"energy_loss needs at least one point, got samples {axes.shape}")
    if hasattr(xp, "energy_loss"):
        return xp.energy_loss(obs, samples)
    return _formulas.energy_score(xp, obs, samples, axes, False, None, None).mean()
