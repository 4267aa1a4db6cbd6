"""One request for historical bars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np

BAR_SIZES: dict[str, timedelta] = {
    "1 min": timedelta(minutes=1),
    **{f"{n} mins": timedelta(minutes=n) for n in (2, 3, 5, 10, 15, 20, 30)},
    "1 hour": timedelta(hours=1),
    **{f"{n} hours": timedelta(hours=n) for n in (2, 3, 4, 8)},
    "1 day": timedelta(days=1),
}
"""Bar sizes by name."""


@dataclass(frozen=True)
class HistoryRequest:
    """Bars of one asset in one calendar month.

    Attributes
    ----------
    asset : str
        Name that the bars are kept under.
    start, end : datetime64[ns]
        UTC; bars that begin in ``[start, end)``.
    bar_size : str
        One of :data:`BAR_SIZES`.
    what_to_show : str
        Kind of price, such as ``TRADES`` or ``MIDPOINT``; a provider that has
        only one kind leaves it aside.
    contract : mapping
        What else the provider has to know of the asset.
    """

    asset: str
    start: np.datetime64
    end: np.datetime64
    bar_size: str
    what_to_show: str
    contract: Mapping[str, Any] = field(default_factory=dict)

    @property
    def month(self) -> str:
        """``YYYY-MM``."""
        return str(self.start.astype("datetime64[M]"))
