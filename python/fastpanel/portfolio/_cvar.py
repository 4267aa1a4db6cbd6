"""Weights of least conditional value at risk: one linear programme on the samples."""

from __future__ import annotations

import numpy as np

from fastpanel.errors import ModelError
from fastpanel.portfolio._limits import inside
from fastpanel.portfolio._spec import AllocationSpec
from fastpanel.typing import FloatArray


def min_cvar(samples: FloatArray, spec: AllocationSpec) -> FloatArray:
    """Minimise the mean loss of the worst ``cvar_level`` share of the draws.

    Rockafellar and Uryasev (2000): variables are the long and short part of
    each weight, the value at risk t and the excess loss u_s of each draw;
    minimise ``t + sum(u) / (level * S)`` with ``u_s >= -r_s w - t``.

    Parameters
    ----------
    samples : float64 [S, n]
        Draws of simple returns of the assets that are there.
    spec : AllocationSpec
        ``net`` is the budget; None means ``gross``.

    Returns
    -------
    float64 [n]
    """
    from scipy import optimize, sparse

    count, assets = samples.shape
    cap = min(spec.max_weight or spec.gross, spec.gross)
    shorts = 0.0 if spec.long_only else cap
    wanted = spec.gross if spec.net is None else spec.net
    net = float(np.clip(wanted, -assets * cap, assets * cap))
    returns = samples / (np.abs(samples).max() or 1.0)  # the solver's tolerances are absolute
    tail = sparse.hstack(
        [
            sparse.csr_array(-returns),
            sparse.csr_array(returns),
            -np.ones((count, 1)),
            -sparse.eye_array(count),
        ]
    )
    unit = np.ones((1, assets))
    nothing = np.zeros((1, 1 + count))
    gross_row = sparse.csr_array(np.hstack([unit, unit, nothing]))
    solution = optimize.linprog(
        np.concatenate(
            [np.zeros(2 * assets), [1.0], np.full(count, 1.0 / (spec.cvar_level * count))]
        ),
        A_ub=sparse.vstack([tail, gross_row]).tocsr(),
        b_ub=np.append(np.zeros(count), spec.gross),
        A_eq=np.hstack([unit, -unit, nothing]),
        b_eq=[net],
        bounds=[(0, cap)] * assets + [(0, shorts)] * assets + [(None, None)] + [(0, None)] * count,
        method="highs",
    )
    if solution.status != 0:
        raise ModelError(
            f"min_cvar found no weights for {assets} assets and {count} draws: {solution.message}"
        )
    weights: FloatArray = solution.x[:assets] - solution.x[assets : 2 * assets]
    return inside(weights, spec)  # the solver keeps limits up to its tolerance
