"""Robust scaling against its rivals, and all training sets at once against separate fits.

Like for like: winsor bounds pooled over assets, median, MAD and quartiles per asset
and feature, transform with clipping. NumPy gets the layout that it likes best (columns
contiguous) for free; scikit-learn is RobustScaler.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from benches.harness import Rival, suite
from sklearn.preprocessing import RobustScaler

import fastpanel as fp
from fastpanel.preprocess import PanelPreprocessor


class Features:
    """A panel with heavy tails, and the training sets of two kinds of validation."""

    def __init__(self, size: tuple[int, int, int]) -> None:
        times, _, features = size
        self.x = np.random.default_rng(0).standard_t(5, size=size)
        self.names = [f"f{i}" for i in range(features)]
        groups = fp.splits.build_equal_groups(times, 0, times // 10)
        self.cpcv = fp.splits.make_cpcv_splits(groups, q=2, horizon=1, embargo_len=4)
        self.expanding = [np.arange(times - 52 + k) for k in range(52)]

    @cached_property
    def columns(self) -> np.ndarray:
        return np.ascontiguousarray(self.x.transpose(1, 2, 0))  # [A, F, T]

    @cached_property
    def pooled(self) -> np.ndarray:
        return np.ascontiguousarray(self.x.reshape(-1, self.x.shape[2]).T)


def scaler() -> PanelPreprocessor:
    return PanelPreprocessor(max_abs_corr=1)


def numpy_scale(i: Features) -> np.ndarray:
    low, high = np.quantile(i.pooled, [0.005, 0.995], axis=1)[..., None]
    raw = np.clip(i.columns, low, high)
    lower, median, upper = np.quantile(raw, [0.25, 0.5, 0.75], axis=2)[..., None]
    mad = np.median(np.abs(raw - median), axis=2, keepdims=True)
    scale = np.maximum(np.maximum(1.4826 * mad, (upper - lower) / 1.349), 1e-6) + 1e-12
    return np.clip((raw - median) / scale, -10, 10)


def fit_one(i: Features, rows: np.ndarray) -> np.ndarray:
    return scaler().fit(i.x, i.names, rows=rows).median


def every(sets):
    return Rival(
        lambda i: lambda: scaler().fit_splits(i.x, i.names, sets(i)),
        read=lambda states: states[-1].median,
    )


def last_of(sets):
    """Fit one of the sets; its time stands for every set's."""
    return Rival(
        lambda i: lambda: fit_one(i, getattr(sets(i)[-1], "train", sets(i)[-1])),
        stands_for=lambda i: len(sets(i)),
    )


test_preprocess = suite(
    "preprocess",
    {"smoke": (300, 10, 10), "T1000-A50-F45": (1000, 50, 45), "T2000-A200-F50": (2000, 200, 50)},
    Features,
    {
        "fit and transform": {
            "fastpanel": lambda i: lambda: scaler().fit(i.x, i.names).transform(i.x),
            "numpy": Rival(
                lambda i: lambda: numpy_scale(i), read=lambda z: z.transpose(2, 0, 1), serial=True
            ),
            "sklearn": Rival(
                lambda i: lambda: RobustScaler().fit_transform(i.x.reshape(len(i.x), -1)),
                read=None,
                note="neither winsor bounds nor MAD",
            ),
        },
        "45 training sets": {
            "fastpanel": every(lambda i: i.cpcv),
            "fastpanel one by one": last_of(lambda i: i.cpcv),
        },
        "52 weekly refits": {
            "fastpanel": every(lambda i: i.expanding),
            "fastpanel one by one": last_of(lambda i: i.expanding),
        },
    },
)
