"""Names and argument order of ``scoringrules``, so that an import can be switched."""

from __future__ import annotations

from typing import Any

from fastpanel.scoring._energy import energy_score
from fastpanel.scoring._variogram import variogram_score

es_ensemble = energy_score


def vs_ensemble(
    obs: Any,
    fct: Any,
    w: Any = None,
    m_axis: int = -2,
    v_axis: int = -1,
    *,
    ens_w: Any = None,
    p: float = 0.5,
    estimator: str = "nrg",
) -> Any:
    """:func:`variogram_score` with the argument order of ``scoringrules``.

    Parameters
    ----------
    obs, fct, w, m_axis, v_axis, ens_w, p, estimator
        As in :func:`variogram_score`.

    Returns
    -------
    float or array
        As :func:`variogram_score`, which says the errors too.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpanel.scoring import vs_ensemble
    >>> float(vs_ensemble(np.array([0.0, 1.0]), np.array([[0.0, 4.0]]), np.ones((2, 2))))
    2.0
    """
    return variogram_score(obs, fct, m_axis, v_axis, p=p, w=w, ens_w=ens_w, estimator=estimator)
