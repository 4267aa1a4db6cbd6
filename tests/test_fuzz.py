"""The array boundary under fire: whatever comes in, a result or a fastpanel error comes out.

Seeded, so that a failure names its case. ``FASTPANEL_FUZZ_SECONDS=300`` runs for so long instead
of a fixed number of cases, from a fresh seed that is printed.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastpanel as fp
from fastpanel.errors import FastPanelError

SECONDS = float(os.environ.get("FASTPANEL_FUZZ_SECONDS", "0"))
CASES = 60  # per function
DTYPES = ["f8", "f4", "f2", ">f8", "i8", "i4", "u1", "?", "c16", "O", "U3", "M8[ns]", "m8[s]", "g"]
STORAGES = ["as is", "as is", "fortran", "reversed", "strided", "read-only", "broadcast"]
STORAGES += ["unaligned", "list", "transposed", "sub"]
SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, 1.8e308, -1e300, 1e-300]


class Draw:
    """Random arrays and numbers, most of them sane, some of them absurd."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def pick(self, *values: Any) -> Any:
        return values[self.rng.integers(len(values))]

    def size(self) -> int:
        return int(self.pick(0, 1, 2, 3, 7, 8, 9, 16, 17, 33, 64))

    def shape(self, ndim: int | None = None) -> tuple[int, ...]:
        ndim = self.pick(0, 1, 2, 2, 2, 3, 3, 4) if ndim is None or self.chance(0.1) else ndim
        limit = {4: 9, 3: 17}.get(ndim, 64)
        return tuple(min(self.size(), limit) for _ in range(ndim))

    def array(self, ndim: int | None = None, shape: tuple[int, ...] | None = None) -> Any:
        shape = self.shape(ndim) if shape is None or self.chance(0.1) else shape
        values = self.rng.normal(size=shape)
        values *= 10.0 ** self.pick(0, 0, 0, -300, 8, 300)
        if self.chance(0.5) and values.ndim:
            values[self.rng.random(shape) < self.pick(0.02, 0.3, 1.0)] = self.pick(*SPECIAL)
        if self.chance(0.2) and values.ndim:
            values = np.round(values)  # ties
        return self.storage(self.dtype(values))

    def dtype(self, values: np.ndarray) -> Any:
        if self.chance(0.75):
            return values
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            wanted = self.pick(*DTYPES)
            if wanted[0] in "mM":
                values = np.nan_to_num(values).clip(-1e6, 1e6).astype("i8")
            return values.astype(wanted)

    def storage(self, x: np.ndarray) -> Any:
        """The same values, lying in memory in some other way."""
        how = self.pick(*STORAGES)
        if how == "fortran":
            return np.asfortranarray(x)
        if how == "reversed":
            return x[(slice(None, None, -1),) * x.ndim]
        if how == "strided":
            wide = np.zeros(tuple(2 * n for n in x.shape), x.dtype)
            wide[(slice(None, None, 2),) * x.ndim] = x
            return wide[(slice(None, None, 2),) * x.ndim]
        if how == "read-only":
            x = np.array(x)
            x.flags.writeable = False
        if how == "broadcast" and x.ndim and len(x):
            return np.broadcast_to(x[:1], (self.size(), *x.shape[1:]))
        if how == "unaligned" and x.dtype.kind == "f":
            raw = np.zeros(x.nbytes + 1, np.uint8)
            odd = raw[1:].view(x.dtype)[: x.size].reshape(x.shape)
            odd[...] = x
            return odd
        if how == "list":
            return x.tolist()
        if how == "transposed":
            return x.T
        if how == "sub":

            class Sub(np.ndarray):
                pass

            return x.view(Sub)
        return x

    def window(self) -> Any:
        return self.pick(1, 2, 3, 5, 8, 20, 63, 64, 200, 2**31, 2**40, 2**62, 0, -1, 2.5, "3", None,
                         True, np.int32(4), np.float64(3))  # fmt: skip

    def periods(self) -> Any:
        return self.pick(None, None, None, 1, 2, 3, 0, -5, 10**9, 2**63, 1.5)

    def axis(self) -> Any:
        return self.pick(0, 0, 0, 1, -1, 2, -4, 99, 2**40, None, 0.5)

    def fraction(self) -> Any:
        return self.pick(0.5, 0.05, 0.0, 1.0, -0.1, 1.1, np.nan, np.inf, "x")


def windowed(function: Callable[..., Any], *middle: str) -> Callable[[Draw], Any]:
    def call(draw: Draw) -> Any:
        extra = [getattr(draw, name)() for name in middle]
        return function(
            draw.array(), draw.window(), *extra, min_periods=draw.periods(), axis=draw.axis()
        )

    return call


def decaying(function: Callable[..., Any]) -> Callable[[Draw], Any]:
    def call(draw: Draw) -> Any:
        how = draw.pick("span", "halflife", "alpha")
        value = draw.pick(0.1, 0.9, 1.0, 5, 1e9, 0.0, -1.0, np.nan, np.inf, "x", None)
        return function(
            draw.array(),
            **{how: value},
            adjust=draw.chance(0.5),
            min_periods=draw.pick(0, 1, 5, -1, 2**62),
            axis=draw.axis(),
        )

    return call


def along(function: Callable[..., Any]) -> Callable[[Draw], Any]:
    return lambda draw: function(draw.array(), axis=draw.axis())


def market(function: Callable[..., Any]) -> Callable[[Draw], Any]:
    return lambda draw: function(draw.array(2), draw.window(), min_periods=draw.periods())


def bars(function: Callable[..., Any]) -> Callable[[Draw], Any]:
    def call(draw: Draw) -> Any:
        shape = draw.shape(2)
        prices = [draw.array(shape=shape) for _ in range(3)]
        method = draw.pick("simple", "wilder", "other")
        return function(*prices, draw.window(), method=method)

    return call


def scored(function: Callable[..., Any], dims: int, **choices: tuple[Any, ...]) -> Any:
    """``dims``: how many trailing axes of the truth are variables."""

    def call(draw: Draw) -> Any:
        lead, members = draw.shape(1), (draw.size(),)
        tail = draw.shape(dims) if dims else ()
        obs = draw.array(shape=(*lead, *tail))
        fct = draw.array(shape=(*lead, *members, *tail))
        options = {name: draw.pick(*values) for name, values in choices.items()}
        if draw.chance(0.3):
            options["m_axis"] = draw.axis()
        if draw.chance(0.2) and "mask" not in choices and "estimator" in choices:
            options["mask"] = (
                draw.array(shape=(*lead, *tail))
                if draw.chance(0.3)
                else (draw.rng.random((*lead, *tail)) < 0.3)
            )
        return function(obs, fct, **options)

    return call


def scaled(draw: Draw) -> Any:
    shape = tuple(min(n, 17) for n in draw.shape(3))
    x = draw.array(shape=shape)
    names = [f"f{i}" for i in range(draw.pick(shape[-1] if shape else 0, draw.size()))]
    rows = draw.pick(None, None, np.arange(draw.size()), draw.rng.random(draw.size()) < 0.7,
                     np.array([-1, 2]), np.array([10**9]), [0.5], np.array([], int))  # fmt: skip
    state = fp.preprocess.PanelPreprocessor().fit(x, names, rows=rows)
    return state.transform(draw.array(shape=shape))


def split(draw: Draw) -> Any:
    groups = draw.pick(
        [(0, 10), (10, 20), (20, 30)], [(0, 10), (5, 20)], [(5, 3)], [], [(-5, 5), (5, 9)],
        [(0, 2**40), (2**40, 2**41)], np.zeros((3, 2)), [(0,)], None,
    )  # fmt: skip
    if not isinstance(groups, list) or (groups and groups[-1][-1] > 10**6):
        groups = groups if groups is None else groups[:1]  # no index arrays of terabytes
    folds = fp.splits.make_cpcv_splits(
        groups,
        q=draw.pick(1, 2, 3, 0, -1, 10**6, 1.5),
        horizon=draw.pick(1, 0, 5, -3, 2**62),
        embargo_len=draw.pick(0, 2, -3, 2**62),
        n_samples=draw.pick(None, 30, 40, 5, -1),
        label_end=draw.pick(None, None, np.arange(30), draw.array(1), draw.array(2)),
    )
    return [fold.train for fold in folds]


def whitened(draw: Draw) -> Any:
    shape = draw.shape(2)
    whitener = fp.scoring.Whitener.fit(draw.array(shape=shape))
    return whitener.transform(draw.array(shape=shape))


R, C, S = fp.rolling, fp.cross_section, fp.scoring
TARGETS: dict[str, Callable[[Draw], Any]] = {
    **{name: windowed(getattr(R, name)) for name in
       ("mean", "sum", "var", "std", "min", "max", "median", "mad", "skew", "kurt", "rank")},
    "quantile": windowed(R.quantile, "fraction"),
    "ewm_mean": decaying(R.ewm_mean),
    "ewm_std": decaying(R.ewm_std),
    "corr_mean": market(R.corr_mean),
    "pc1_share": market(R.pc1_share),
    "atr": bars(R.atr),
    "true_range": bars(lambda high, low, close, window, method: R.true_range(high, low, close)),
    "rsi": bars(lambda high, low, close, window, method: R.rsi(close, window, method=method)),
    **{f"cross_{name}": along(getattr(C, name))
       for name in ("rank", "zscore", "demean", "mad_dispersion")},
    "energy_score": scored(S.energy_score, 1, estimator=("nrg", "fair", "x")),
    "crps": scored(S.crps_ensemble, 0, estimator=("qd", "nrg", "fair", "pwm", "x")),
    "variogram": scored(S.variogram_score, 1, p=(0.5, 1.0, 2.0, 0.0, -1.0, np.nan)),
    "pit": scored(S.pit, 0),
    "coverage": scored(S.coverage, 0, levels=([0.5], [0.1, 0.9], [], [2.0], [np.nan], 0.5, "x")),
    "quantile_score": lambda draw: S.quantile_score(draw.array(), draw.array(), draw.fraction()),
    "whitener": whitened,
    "preprocessor": scaled,
    "make_cpcv_splits": split,
    "build_equal_groups": lambda draw: fp.splits.build_equal_groups(
        draw.pick(100, 0, -1, 7, 2.5, 999), draw.pick(0, 10, -1, 10**9), draw.pick(50, 0, -2, 9e9)
    ),
}  # fmt: skip


def attack(name: str, seed: int) -> str:
    """One call; tells whether it gave a result. Anything but our errors comes through."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            TARGETS[name](Draw(seed))
    except FastPanelError as error:
        assert str(error).strip()
        return "refused"
    except MemoryError:
        return "refused"
    return "answered"


@pytest.mark.parametrize("name", TARGETS)
def test_only_results_and_our_errors_come_out(name: str) -> None:
    started, seed = time.perf_counter(), int(time.time()) * 1000 if SECONDS else 0
    outcomes = {"answered": 0, "refused": 0}
    share = SECONDS / len(TARGETS)
    while (time.perf_counter() - started < share) if SECONDS else (sum(outcomes.values()) < CASES):
        try:
            outcomes[attack(name, seed)] += 1
        except BaseException as error:  # a panic of the core is no Exception
            raise AssertionError(f"attack({name!r}, {seed}) raised {error!r}") from error
        seed += 1
    print(name, outcomes)
    assert SECONDS or all(outcomes.values()), outcomes
