"""Model selection: energy-score band, secondary ranks, complexity tie-break."""

from __future__ import annotations

from fastpanel.selection._combine import combine
from fastpanel.selection._result import Selection
from fastpanel.selection._select import select
from fastpanel.selection._spec import BandSpec, BootstrapSpec, SelectionSpec

__all__ = ["BandSpec", "BootstrapSpec", "Selection", "SelectionSpec", "combine", "select"]
