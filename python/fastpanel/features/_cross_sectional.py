"""Cross-sectional: where an asset stands among the others in the same week."""

from __future__ import annotations

from fastpanel import cross_section
from fastpanel.features._inputs import Inputs
from fastpanel.typing import FloatArray


def cs_rank(x: Inputs, base: str) -> FloatArray:
    """``(average rank - 0.5) / n`` of a base column among the assets that have it."""
    return cross_section.rank(x.column(base))
