"""Statistics across the assets of one time: no row sees another one."""

from __future__ import annotations

from fastpanel.cross_section._apply import apply
from fastpanel.cross_section._rows import demean, mad_dispersion, rank, zscore

__all__ = ["apply", "demean", "mad_dispersion", "rank", "zscore"]
