"""Many training sets over the same rows, as the core wants them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastpanel.typing import BoolArray, IntArray

_BLOCK = 64  # rows per block of the core's pooled moments


@dataclass(frozen=True)
class TrainingSets:
    """Row positions of every set, with what they share.

    Rows that lie in the same sets form a class; ``member [K, classes]`` says
    which set has which class.
    """

    rows: tuple[IntArray, ...]
    union: IntArray
    classes: IntArray
    member: BoolArray

    @classmethod
    def of(cls, rows: Sequence[IntArray], times: int) -> TrainingSets:
        """Group the rows of all sets into classes."""
        inside = _inside(rows, times)
        union = np.flatnonzero(inside.any(axis=0))
        keys = np.ascontiguousarray(np.packbits(inside[:, union], axis=0).T)
        as_bytes = keys.view(np.dtype((np.void, keys.shape[1]))).ravel()
        _, first, classes = np.unique(as_bytes, return_index=True, return_inverse=True)
        member = np.ascontiguousarray(inside[:, union[first]])
        return cls(tuple(rows), union, classes.astype(np.int64), member)

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Jobs:
    """Blocks of 64 rows with the rows of them that count, and the sets made of these."""

    block: IntArray
    rows: IntArray
    offsets: IntArray
    jobs: IntArray

    @classmethod
    def of(cls, rows: Sequence[IntArray], times: int) -> Jobs:
        """Cut every set along the blocks; equal pieces become one job."""
        blocks = -(-times // _BLOCK)
        inside = _inside(rows, blocks * _BLOCK).reshape(len(rows), blocks, _BLOCK)
        bits = np.packbits(inside, axis=2, bitorder="little").view("<u8")[:, :, 0].astype(np.int64)
        owner, block = np.nonzero(bits)
        pieces = np.stack([block, bits[owner, block]], axis=1)
        unique, jobs = np.unique(pieces, axis=0, return_inverse=True)
        offsets = np.searchsorted(owner, np.arange(len(rows) + 1))
        first, second = np.ascontiguousarray(unique.T, dtype=np.int64)
        return cls(first, second, offsets.astype(np.int64), jobs.reshape(-1).astype(np.int64))


def intervals_of(rows: IntArray) -> IntArray:
    """Return ascending rows as half-open intervals ``[n, 2]``."""
    starts = np.flatnonzero(np.diff(rows, prepend=rows[:1] - 2) != 1)
    stops = np.append(starts[1:], len(rows)) - 1
    return np.stack([rows[starts], rows[stops] + 1], axis=1)


def _inside(rows: Sequence[IntArray], times: int) -> BoolArray:
    inside = np.zeros((len(rows), times), dtype=bool)
    for k, index in enumerate(rows):
        inside[k, index] = True
    return inside
