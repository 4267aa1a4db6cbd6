"""Kernel scores with a kernel that the user writes, compiled by Numba."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fastpanel._jit import (
    Loop,
    compile_reducer,
    compiled,
    is_compiled,
    pieces,
    share_out,
    shares,
    takes_read_only,
    warn_plain,
)
from fastpanel.errors import ParameterError
from fastpanel.scoring._arrange import Axes, arrange, check_estimator, truth_of
from fastpanel.scoring._devices import on_device
from fastpanel.typing import FloatArray

ESTIMATORS = ("nrg", "fair")


def kernel_score(
    obs: Any,
    fct: Any,
    kernel: Callable[[FloatArray, FloatArray], float],
    m_axis: int = -2,
    v_axis: int = -1,
    *,
    estimator: str = "nrg",
) -> Any:
    r"""Kernel score :math:`\frac12 E k(X, X') + \frac12 k(y, y) - E k(X, y)`.

    Parameters
    ----------
    obs : array [..., D]
        Truth.
    fct : array [..., M, D]
        Samples.
    kernel : function of two float64 vectors [D] to a float
        Symmetric and (conditionally) positive definite; it must not write into
        the vectors. With ``@numba.njit`` it runs compiled, without the GIL, points
        in parallel; a plain Python function works too, slowly, with a warning.
        ``-norm(a - b)`` gives the energy score, ``exp(-|a - b|^2 / 2 s^2)`` the
        Gaussian kernel score (MMD).
    m_axis, v_axis : int
        Axes of ``fct`` that hold members and variables.
    estimator : {"nrg", "fair"}
        As in :func:`energy_score`.

    Returns
    -------
    float or array [...]
        One score per point, float64.

    Raises
    ------
    ShapeError
        Shapes do not fit.
    ParameterError
        The kernel does not compile (the message shows your line) or does not
        return a number, an unknown estimator, or arrays that are not NumPy's (a
        Numba kernel runs on the CPU).

    Warns
    -----
    UserWarning
        ``kernel`` is a plain Python function.

    Notes
    -----
    ``O(M^2)`` calls per point; points are shared among threads. The first call
    with a kernel compiles it (a second or so).

    References
    ----------
    Gneiting and Raftery (2007), section 5.

    Examples
    --------
    >>> import numba, numpy as np
    >>> from fastpanel.scoring import kernel_score
    >>> @numba.njit
    ... def minus_norm(a, b):
    ...     return -np.sqrt(np.sum((a - b) ** 2))
    >>> samples = np.array([[3.0, 4.0], [0.0, 0.0]])
    >>> float(kernel_score(np.zeros(2), samples, minus_norm))
    1.25
    """
    if on_device(obs, fct) is not None:
        raise ParameterError("kernel_score runs on NumPy arrays: convert obs and fct first")
    obs, fct = np.asarray(obs), np.asarray(fct)
    axes = Axes.of(obs, fct, m_axis, v_axis)
    fair = check_estimator(estimator, ESTIMATORS, axes.members)
    arranged = arrange(fct, axes)
    truth = truth_of(obs, axes, arranged)
    if is_compiled(kernel):
        compile_reducer(kernel, "kernel_score", arrays=2)
        score = compiled(_score, kernel)
    elif callable(kernel):
        warn_plain(kernel, "kernel_score", "pair by pair")
        score = _score(kernel)
    else:
        raise ParameterError(f"kernel must be a function of two vectors, got {kernel!r}")
    members = arranged.members
    if not is_compiled(kernel) or takes_read_only(kernel):
        truth, members = truth.view(), members.view()
        truth.flags.writeable = members.flags.writeable = False
    elif np.may_share_memory(truth, obs) or np.may_share_memory(members, fct):
        truth, members = truth.copy(), members.copy()  # declared signatures could write
    out = np.empty(len(truth))
    share_out(
        [partial(score, truth, members, fair, piece, out) for piece in pieces(len(out), shares())]
    )
    return arranged.scores(out)


def _score(kernel: Any) -> Loop:
    """Score the points ``piece[0]`` to ``piece[1]``; Python as it stands, or compiled."""

    def loop(truth: Any, members: Any, fair: bool, piece: Any, out: Any) -> None:
        count, inner = members.shape[1], members.shape[2]
        pairs = count * (count - 1) if fair else count * count
        for point in range(piece[0], piece[1]):
            ensemble, y = members[point // inner, :, point % inner], truth[point]
            own, cross = 0.0, 0.0
            for m in range(count):
                x = ensemble[m]
                cross += kernel(x, y)
                if not fair:
                    own += 0.5 * kernel(x, x)
                for k in range(m):
                    own += kernel(x, ensemble[k])
            out[point] = own / pairs + 0.5 * kernel(y, y) - cross / count

    return loop
