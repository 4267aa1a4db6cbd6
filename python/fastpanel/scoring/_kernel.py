"""Kernel scores with a kernel that the user writes, compiled by Numba."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from fastpanel import _core
from fastpanel.errors import ParameterError
from fastpanel.scoring._arrange import Axes, arrange, check_estimator, truth_of
from fastpanel.scoring._devices import on_device
from fastpanel.typing import FloatArray

ESTIMATORS = ("nrg", "fair")
_compiled: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


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
        Symmetric and (conditionally) positive definite, an ``@numba.njit``
        function or one that Numba can compile. ``-norm(a - b)`` gives the energy
        score, ``exp(-|a - b|^2 / 2 s^2)`` the Gaussian kernel score (MMD).
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
        The kernel does not compile, an unknown estimator, or arrays that are not
        NumPy's (a Numba kernel runs on the CPU).

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
    score = _compile(kernel)
    out = np.empty(len(truth))
    chunks = np.array_split(np.arange(len(truth)), 4 * _core.num_threads())

    def run(chunk: Any) -> None:
        if chunk.size:
            score(truth, arranged.members, fair, chunk[0], chunk[-1] + 1, out)

    with ThreadPoolExecutor(_core.num_threads()) as pool:
        list(pool.map(run, chunks))
    return arranged.scores(out)


def _compile(kernel: Any) -> Any:
    """The loop over points around ``kernel``, without the GIL; kept as long as the kernel."""
    try:
        return _compiled[kernel]
    except (KeyError, TypeError):
        pass
    import numba

    function = kernel if isinstance(kernel, numba.core.dispatcher.Dispatcher) else None
    if function is None:
        if not callable(kernel):
            raise ParameterError(f"kernel must be a function of two vectors, got {kernel!r}")
        function = numba.njit(kernel)

    @numba.njit(nogil=True)
    def score(truth, members, fair, start, stop, out):  # type: ignore[no-untyped-def]
        count, inner = members.shape[1], members.shape[2]
        pairs = count * (count - 1) if fair else count * count
        for point in range(start, stop):
            ensemble, y = members[point // inner, :, point % inner], truth[point]
            own, cross = 0.0, 0.0
            for m in range(count):
                x = ensemble[m]
                cross += function(x, y)
                if not fair:
                    own += 0.5 * function(x, x)
                for k in range(m):
                    own += function(x, ensemble[k])
            out[point] = own / pairs + 0.5 * function(y, y) - cross / count

    vector, field = numba.float64[::1], numba.float64[:, :, :, ::1]
    signature = (numba.float64[:, ::1], field, numba.boolean, numba.int64, numba.int64, vector)
    try:
        score.compile(signature)
    except numba.core.errors.NumbaError as error:
        raise ParameterError(
            "kernel does not compile: it must take two float64 vectors and return a number; "
            f"Numba says: {str(error).strip().splitlines()[0]}"
        ) from error
    _compiled[kernel] = score
    return score
