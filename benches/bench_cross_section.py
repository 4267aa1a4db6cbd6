"""Cross-sections, each rival in the layout it likes best."""

from __future__ import annotations

from functools import cached_property

import bottleneck as bn
import numpy as np
import pandas as pd
import polars as pl
from benches.harness import Rival, suite

from fastpanel import cross_section


class Table:
    """Dates by assets; the second form has many ties."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.x = np.random.default_rng(0).normal(size=size)
        self.ties = np.round(self.x, 1)

    @cached_property
    def by_date(self) -> pl.DataFrame:
        """Dates as columns, which is the layout that polars ranks fastest."""
        return pl.from_numpy(np.asfortranarray(self.x.T))

    @cached_property
    def ties_by_date(self) -> pl.DataFrame:
        return pl.from_numpy(np.asfortranarray(self.ties.T))


def polars_rank(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select((pl.all().rank() - 0.5) / pl.all().count())


def ranks(table, frame):
    return {
        "fastpanel": lambda i: lambda: cross_section.rank(table(i)),
        "bottleneck": lambda i: (
            lambda: (bn.nanrankdata(table(i), axis=1) - 0.5) / table(i).shape[1]
        ),
        "pandas": lambda i: lambda: (pd.DataFrame(table(i)).rank(axis=1) - 0.5) / table(i).shape[1],
        "polars": Rival(lambda i: lambda: polars_rank(frame(i)), read=lambda r: r.to_numpy().T),
    }


def numpy_zscore(x: np.ndarray) -> np.ndarray:
    return (x - np.nanmean(x, axis=1, keepdims=True)) / np.nanstd(x, axis=1, ddof=1, keepdims=True)


def bottleneck_mad(x: np.ndarray) -> np.ndarray:
    return bn.nanmedian(np.abs(x - bn.nanmedian(x, axis=1)[:, None]), axis=1)


test_cross_section = suite(
    "cross_section",
    {"smoke": (500, 200), "assets-500": (5000, 500), "assets-2000": (5000, 2000)},
    Table,
    {
        "rank": ranks(lambda i: i.x, lambda i: i.by_date),
        "rank with ties": ranks(lambda i: i.ties, lambda i: i.ties_by_date),
        "zscore": {
            "fastpanel": lambda i: lambda: cross_section.zscore(i.x),
            "numpy": Rival(lambda i: lambda: numpy_zscore(i.x), serial=True),
        },
        "demean": {
            "fastpanel": lambda i: lambda: cross_section.demean(i.x),
            "bottleneck": lambda i: lambda: i.x - bn.nanmean(i.x, axis=1)[:, None],
        },
        "mad_dispersion": {
            "fastpanel": lambda i: lambda: cross_section.mad_dispersion(i.x),
            "bottleneck": lambda i: lambda: bottleneck_mad(i.x),
        },
    },
)
