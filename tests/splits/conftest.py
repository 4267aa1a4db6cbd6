"""The oracle of the splitters: splits from the definition, row by row, with no intervals."""

from __future__ import annotations

from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest


def blocks_of(rows):
    rows = np.asarray(rows)
    return np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)


def cpcv(groups, q, ends, embargo, pool):
    """(combo, train, test) per combination; ``ends[i]`` is the last row of label i."""
    out = []
    for combo in combinations(range(len(groups)), q):
        test = [i for g in combo for i in range(*groups[g])]
        train = []
        for i in pool:
            if i in test:
                continue
            bad = False
            for block in blocks_of(test):
                reach = max(ends[j] for j in block)
                bad |= i <= reach and ends[i] >= block[0]
                bad |= reach < i <= reach + embargo
            if not bad:
                train.append(i)
        out.append((tuple(combo), train, test))
    return out


def greedy(n, q, limit):
    """Balanced combinations by trying every unused one at every step."""
    left = list(combinations(range(n), q))
    counts = np.zeros(n, dtype=int)
    chosen = []
    for _ in range(min(limit, len(left))):

        def cost(combo):
            after = counts.copy()
            after[list(combo)] += 1
            return (after.max() - after.min(), (after**2).sum(), combo)

        best = min(left, key=cost)
        left.remove(best)
        counts[list(best)] += 1
        chosen.append(best)
    return chosen


@pytest.fixture(scope="session")
def reference():
    return SimpleNamespace(cpcv=cpcv, greedy=greedy)
