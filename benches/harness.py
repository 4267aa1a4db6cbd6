"""What every bench shares: workloads by kernel, size and library, timed and weighed alike.

A bench file says what to run, nothing else::

    test_rolling = suite(
        "rolling",
        {"smoke": (1000, 64, 20), "daily-20": (5000, 500, 20)},
        Table,                                   # size -> inputs, built once, not timed
        {"mean": {
            "fastpanel": lambda i: lambda: rolling.mean(i.x, i.window),
            "bottleneck": Rival(lambda i: lambda: bn.move_mean(i.by_asset, i.window, axis=1),
                                read=np.transpose),
        }},
    )

The outer function prepares (layouts, frames: what the library likes best) and is not timed; the
inner one is. At the smoke size every rival has to give fastpanel's numbers, so that times are
compared like for like. ``python -m benches.run`` runs the files once on one thread and once on
all cores, and keeps the result.
"""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastpanel as fp

SMOKE = os.environ.get("FASTPANEL_BENCH") == "smoke"
THREADS = fp.show_versions()["threads"]
OURS = "fastpanel"
# Libraries that use more than one core where they may; the others are timed on one thread only.
THREADED = {OURS, "polars", "numbagg", "numba", "jax", "torch", "numpy"}
# Libraries whose first call compiles; what it takes says nothing about the next one.
COMPILING = {OURS, "numbagg", "numba", "jax", "scoringrules"}
BUDGET = 0.15 if SMOKE else 0.6
SLOW, SLOW_COMPILING = 0.5, 2.0  # a first call of so many seconds is followed by a single timed one

Prepare = Callable[[Any], Callable[[], Any]]


@dataclass(frozen=True)
class Rival:
    """One library's way of doing it.

    Attributes
    ----------
    prepare : function of the inputs
        Brings them into the library's layout; returns the call that is timed.
    read : function of the result
        Makes it comparable with fastpanel's; None if it is not, which ``note`` says.
    note : str
        What a reader has to know about the comparison.
    once : bool
        Takes seconds: timed once, without a call before. It must not compile.
    serial : bool
        Uses one core whatever it is given: timed on one thread only.
    stands_for : function of the inputs
        The call does one part of so many; its time is multiplied by that.
    skip : names of sizes
        Left out there: it would take minutes.
    rtol : float
        How close it gets.
    """

    prepare: Prepare
    read: Callable[[Any], Any] | None = np.asarray
    note: str = ""
    once: bool = False
    serial: bool = False
    stands_for: Callable[[Any], float] = lambda _: 1
    skip: tuple[str, ...] = ()
    rtol: float = 1e-7


Kernels = Mapping[str, Mapping[str, Prepare | Rival]]


@dataclass(frozen=True)
class Case:
    """One cell: a kernel at a size by a library."""

    family: str
    kernel: str
    size: str
    shape: tuple[int, ...]
    library: str
    rival: Rival
    ours: Rival | None
    make: Callable[[tuple[int, ...]], Any]
    small: tuple[int, ...]
    apart: bool


def suite(
    family: str,
    sizes: Mapping[str, tuple[int, ...]],
    make: Callable[[tuple[int, ...]], Any],
    kernels: Kernels,
    *,
    apart: bool = False,
) -> Callable[..., None]:
    """Make one parametrised pytest-benchmark function out of a family's workloads.

    The first size is the smoke size. ``make`` takes a size and builds the inputs. ``apart``
    weighs each case in a process of its own: polars serves later calls from what it freed,
    unseen.
    """
    inputs = lru_cache(maxsize=1)(make)
    first, *rest = sizes
    small = sizes[first]
    cases = [
        Case(
            family,
            kernel,
            size,
            sizes[size],
            library,
            _rival(how),
            _ours(libraries),
            inputs,
            small,
            apart and not SMOKE,
        )
        for size in ([first] if SMOKE else rest)
        for kernel, libraries in kernels.items()
        for library, how in libraries.items()
        if size not in _rival(how).skip
        and (THREADS == 1 or (library.split()[0] in THREADED and not _rival(how).serial))
    ]
    names = [f"{case.kernel}-{case.size}-{case.library}" for case in cases]

    @pytest.mark.parametrize("case", cases, ids=names)
    def test(benchmark: Any, case: Case) -> None:
        _run(benchmark, case)

    test.cases = cases
    return test


def _rival(how: Prepare | Rival) -> Rival:
    return how if isinstance(how, Rival) else Rival(how)


def _ours(libraries: Mapping[str, Prepare | Rival]) -> Rival | None:
    return _rival(libraries[OURS]) if OURS in libraries else None


@lru_cache(maxsize=1)
def _freeze() -> None:
    """Spare what the libraries keep for good from every later collection: it takes seconds."""
    gc.collect()
    gc.freeze()


def _run(benchmark: Any, case: Case) -> None:
    _freeze()
    inputs = case.make(case.shape)
    call = case.rival.prepare(inputs)
    if SMOKE and case.ours and case.rival.read and case.ours.read:
        got, want = case.rival.read(call()), case.ours.read(case.ours.prepare(inputs)())
        np.testing.assert_allclose(got, want, rtol=case.rival.rtol, atol=1e-2 * case.rival.rtol)
    once = case.rival.once and not SMOKE
    started = time.perf_counter()
    with Peak() as peak:
        if once:
            benchmark.pedantic(call, rounds=1)
        else:
            call()
    if not once:
        benchmark.pedantic(call, rounds=_rounds(case, call, time.perf_counter() - started))
    benchmark.group = f"{case.family}.{case.kernel} {case.size}"
    benchmark.extra_info |= {
        "family": case.family,
        "kernel": case.kernel,
        "size": case.size,
        "shape": list(case.shape),
        "library": case.library,
        "threads": THREADS,
        "stands_for": case.rival.stands_for(inputs),
        "note": case.rival.note,
        "peak_bytes": weighed_apart(case) if case.apart else peak.bytes,
    }


def _rounds(case: Case, call: Callable[[], Any], first: float) -> int:
    """How often to time a call whose first run took so many seconds."""
    compiles = case.library.split()[0] in COMPILING
    if first >= (SLOW_COMPILING if compiles else SLOW):
        return 1
    started = time.perf_counter()
    call()
    seconds = time.perf_counter() - started
    least = 3 if seconds < SLOW or case.library == OURS else 1
    return max(least, min(50, int(BUDGET / seconds)))


def weighed_apart(case: Case) -> int:
    """Peak memory of the case in a process of its own, whose polars keeps nothing."""
    names = (case.family, case.kernel, case.size, case.library)
    returns_at_once = "dirty_decay_ms:0,muzzy_decay_ms:0"  # polars' allocator, what is freed
    done = subprocess.run(
        [sys.executable, "-m", "benches.weigh", *names],
        env={**os.environ, "_RJEM_MALLOC_CONF": returns_at_once},
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        check=True,
    )
    return int(done.stdout)


class Peak:
    """Resident memory that a block of code takes at most, beyond what was there before."""

    bytes: int | None = None

    def __enter__(self) -> Peak:
        gc.collect()
        try:
            ctypes.CDLL(None).malloc_trim(0)  # else freed memory would serve the call unseen
            Path("/proc/self/clear_refs").write_text("5")  # forget the highest point so far
            self._before = _status("VmRSS")
        except (OSError, AttributeError):
            self._before = -1
        return self

    def __exit__(self, *error: object) -> None:
        if self._before >= 0:
            self.bytes = max(0, _status("VmHWM") - self._before)


def _status(field: str) -> int:
    text = Path("/proc/self/status").read_text()
    return 1024 * int(text.split(f"{field}:")[1].split()[0])
