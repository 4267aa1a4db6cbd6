"""Forecasts in chunks of weeks, for panels whose draws do not fit in memory at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fastpanel.errors import ParameterError
from fastpanel.models._api import predict
from fastpanel.models._memory import BYTES_PER_DRAW
from fastpanel.models._state import FitState
from fastpanel.typing import FloatArray


def predict_chunks(
    X_pred: Any,
    state: FitState,
    config: Mapping[str, Any],
    num_samples: int,
    *,
    max_mib: int = 256,
) -> Iterator[tuple[slice, dict[str, FloatArray]]]:
    """:func:`predict` over consecutive weeks, a bounded number of them at a time.

    Every score of a week (energy score, CRPS, PIT) needs all draws of that
    week and no other week, so a caller scores a chunk and lets it go.

    Parameters
    ----------
    X_pred, state, config, num_samples
        As for :func:`predict`.
    max_mib
        Bound on the draws of one chunk at their peak, in MiB (48 bytes per
        draw of an asset and week). At least one week is drawn at a time.

    Yields
    ------
    (rows, forecast)
        The slice of ``X_pred``'s rows, and their ``"samples"`` ``[S, t, A]``
        and ``"mean"`` ``[t, A]``.

    Raises
    ------
    ParameterError, ShapeError, ModelError
        As for :func:`predict`, or ``max_mib`` below one.

    Notes
    -----
    Within a chunk draw s is one path over its weeks; draws of different chunks
    are independent. One chunk gives the same draws as :func:`predict`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastpanel.models import fit
    >>> X, y = np.zeros((60, 2, 1)), np.random.default_rng(0).normal(size=(60, 2))
    >>> config = {"training": {"svi": {"num_steps": 10}}}
    >>> state, widths = fit(X[:40], y[:40], config), np.empty((20, 2))
    >>> for rows, forecast in predict_chunks(X[40:], state, config, 50):
    ...     widths[rows] = np.ptp(forecast["samples"], axis=0)
    >>> bool((widths > 0).all())
    True
    """
    if max_mib < 1:
        raise ParameterError(f"max_mib is {max_mib}; give at least 1")
    X = np.asarray(X_pred)
    per_week = BYTES_PER_DRAW * max(num_samples, 1) * state.n_assets
    size = max(1, (max_mib << 20) // per_week)
    index = np.asarray(config.get("predict_index", state.rows[1] + np.arange(len(X))))
    for start in range(0, max(len(X), 1), size):
        rows = slice(start, min(start + size, len(X)))
        own = {**config, "seed": _seed(config, start), "predict_index": index[rows]}
        yield rows, predict(X[rows], state, own, num_samples)


def _seed(config: Mapping[str, Any], start: int) -> int:
    seed = int(config.get("seed", 0))
    if start == 0:
        return seed
    return int(np.random.SeedSequence((seed, start)).generate_state(1, np.uint64)[0] >> 1)
