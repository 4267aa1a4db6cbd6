"""One seed per unit of work, derived from where the unit stands."""

from __future__ import annotations

import numpy as np


def unit_seed(study: int, *place: int) -> int:
    """A 31-bit seed for the unit at ``place`` (fold, candidate, split, ...) of ``study``.

    Examples
    --------
    >>> unit_seed(123, 0, 1) == unit_seed(123, 0, 1) != unit_seed(123, 1, 0)
    True
    """
    state = np.random.SeedSequence([study, *place]).generate_state(1)
    return int(state[0] >> 1)
