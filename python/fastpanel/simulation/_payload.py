"""What is kept of one candidate on one split: forecasts in z-space and how to whiten them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from fastpanel import scoring
from fastpanel._tensors import load_tensors, save_tensors
from fastpanel.simulation._space import ScoreSpace
from fastpanel.typing import FloatArray, IntArray


@dataclass(frozen=True)
class Payload:
    """Forecasts of one candidate on the test weeks of one split.

    Attributes
    ----------
    z_true : float64 [T, A]
        Targets divided by the training MAD; NaN = missing or not scored.
    z_samples : float32 [S, T, A]
        Draws on the same scale. They are rounded to float32 before anything is
        scored, so scores computed from the file equal the recorded ones.
    scale : float64 [A]
    whitener : float64 [K, K]
        W of the scored assets.
    assets : int64 [K]
        Positions of the scored assets.
    test_idx, test_groups : int64 [T]
        Row and group of every test week.
    es : float64 [T]
        Energy score in the whitened space.
    n_eff, shrinkage
        Of the whitener.
    """

    z_true: FloatArray
    z_samples: np.ndarray
    scale: FloatArray
    whitener: FloatArray
    assets: IntArray
    test_idx: IntArray
    test_groups: IntArray
    es: FloatArray
    n_eff: int
    shrinkage: float


def make_payload(
    y: FloatArray,
    samples: FloatArray,
    space: ScoreSpace,
    rows: IntArray,
    groups: IntArray,
    estimator: str,
) -> Payload:
    """Scale, round and score ``samples [S, T, A]`` against ``y [T, A]``."""
    scale = space.scale(y.shape[1])
    z_samples = (samples / scale).astype(np.float32)
    z_true = y / scale
    es = _energy_score(z_true, z_samples, space.whitener.matrix, space.assets, estimator)
    return Payload(
        z_true=z_true,
        z_samples=z_samples,
        scale=scale,
        whitener=space.whitener.matrix,
        assets=space.assets,
        test_idx=rows,
        test_groups=groups,
        es=es,
        n_eff=int(space.whitener.n_eff),
        shrinkage=float(space.whitener.shrinkage),
    )


def _energy_score(
    z_true: FloatArray,
    z_samples: np.ndarray,
    whitener: FloatArray,
    assets: IntArray,
    estimator: str,
) -> FloatArray:
    truth = z_true[:, assets] @ whitener.T
    draws = z_samples[:, :, assets].astype(np.float64) @ whitener.T
    score: FloatArray = scoring.energy_score(truth, draws, m_axis=0, estimator=estimator)
    return score


def save_payload(payload: Payload, path: Path) -> str:
    """Write as tensors and plain numbers, atomically; the SHA-256 of the file."""
    content = {_FILE_NAMES.get(f.name, f.name): getattr(payload, f.name) for f in fields(payload)}
    return save_tensors(path, content)


def load_payload(path: Path) -> Payload:
    """Read one payload."""
    content = load_tensors(path)
    return Payload(**{f.name: content[_FILE_NAMES.get(f.name, f.name)] for f in fields(Payload)})


_FILE_NAMES = {"shrinkage": "lambda"}
