"""Scores of samples against their rivals, each rival in the layout that it likes best.

fastpanel reads ``[S, T, A]`` as models hand it over. Rivals: scoringrules (Numba),
properscoring, SciPy's ``pdist``, and the centred inner-product formula that a careful
JAX user writes. The ratio to fastpanel's column is the time of the rival over its own.
``-m "not slow"`` runs the smoke sizes alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import numba
import numpy as np
import pytest
import scoringrules
from scipy.spatial.distance import pdist

import fastpanel as fp
from fastpanel import _core

SMOKE_ONLY = os.environ.get("FASTPANEL_BENCH") == "smoke"


def sizes(smoke: tuple[int, ...], *full: tuple[int, ...]) -> list[Any]:
    named = [pytest.param(smoke, id="smoke")]
    skip = pytest.mark.skipif(SMOKE_ONLY, reason="smoke sizes only")
    for size in full:
        named.append(
            pytest.param(size, id="x".join(map(str, size)), marks=[pytest.mark.slow, skip])
        )
    return named


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = _core.num_threads()
    fp.set_num_threads(1)
    yield
    fp.set_num_threads(before)


# ------------------------------------------------------------------ energy score


def by_pdist(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """One week at a time: x [T, S, A]."""
    members = x.shape[1]
    errors = [np.sqrt(((a - b) ** 2).sum(-1)).mean() for a, b in zip(x, y, strict=True)]
    return np.array(errors) - np.array([pdist(a).sum() for a in x]) / members**2


def by_jax() -> Callable[[Any, Any], Any]:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    @jax.jit
    def score(y: Any, x: Any) -> Any:
        z = x - y[:, None]
        norms = jnp.sum(z * z, axis=-1)
        products = jnp.einsum("tsa,tra->tsr", z, z)
        squared = norms[:, :, None] + norms[:, None, :] - 2 * products
        pairs = jnp.sqrt(jnp.maximum(squared, 0)).sum((1, 2))
        return jnp.sqrt(norms).mean(1) - pairs / (2 * x.shape[1] ** 2)

    return score


@pytest.mark.parametrize("library", ["fastpanel", "jax_gram", "pdist", "scoringrules"])
@pytest.mark.parametrize(
    "size", sizes((8, 60, 10), (52, 200, 20), (52, 200, 200), (52, 1000, 20), (100, 400, 50))
)
def test_energy_score(
    benchmark: Any, library: str, size: tuple[int, ...], one_thread: None
) -> None:
    weeks, members, assets = size
    benchmark.group = f"energy score T{weeks} S{members} A{assets}"
    rng = np.random.default_rng(0)
    y, x = rng.normal(size=(weeks, assets)), rng.normal(size=(members, weeks, assets))
    by_week = np.ascontiguousarray(np.moveaxis(x, 0, 1))
    want = fp.scoring.energy_score(y, x, 0)
    if library == "fastpanel":
        call = lambda: fp.scoring.energy_score(y, x, 0)  # noqa: E731
    elif library == "pdist":
        call = lambda: by_pdist(y, by_week)  # noqa: E731
    elif library == "scoringrules":
        call = lambda: scoringrules.es_ensemble(y, by_week, backend="numba")  # noqa: E731
    else:
        score = by_jax()
        import jax.numpy as jnp

        truth, samples = jnp.asarray(y), jnp.asarray(by_week)
        call = lambda: np.asarray(score(truth, samples))  # noqa: E731
    np.testing.assert_allclose(call(), want, rtol=1e-7)
    benchmark.pedantic(call, rounds=3, warmup_rounds=1)


@pytest.mark.parametrize("how", ["one pass", "transform, then score"])
@pytest.mark.parametrize("size", sizes((8, 60, 10), (52, 400, 50)))
def test_whitened_energy_score(benchmark: Any, how: str, size: tuple[int, ...]) -> None:
    weeks, members, assets = size
    benchmark.group = f"whitened energy score T{weeks} S{members} A{assets}"
    rng = np.random.default_rng(0)
    whitener = fp.scoring.Whitener.fit(rng.normal(size=(300, assets)))
    y, x = rng.normal(size=(weeks, assets)), rng.normal(size=(members, weeks, assets))
    if how == "one pass":
        benchmark(lambda: whitener.energy_score(y, x, 0))
    else:
        benchmark(lambda: fp.scoring.energy_score(whitener.transform(y), whitener.transform(x), 0))


# ------------------------------------------------------------------ CRPS


@pytest.mark.parametrize(
    "library", ["fastpanel", "fastpanel_S_first", "properscoring", "scoringrules"]
)
@pytest.mark.parametrize("size", sizes((500, 50), (50_000, 200), (50_000, 1000), (10_000, 4000)))
def test_crps(benchmark: Any, library: str, size: tuple[int, ...], one_thread: None) -> None:
    points, members = size
    benchmark.group = f"CRPS N{points} S{members}"
    rng = np.random.default_rng(0)
    y, x = rng.normal(size=points), rng.normal(size=(points, members))
    if library == "properscoring":
        rival = pytest.importorskip("properscoring")
        call = lambda: rival.crps_ensemble(y, x)  # noqa: E731
    elif library == "scoringrules":
        call = lambda: scoringrules.crps_ensemble(y, x, backend="numba")  # noqa: E731
    elif library == "fastpanel":
        call = lambda: fp.scoring.crps_ensemble(y, x)  # noqa: E731
    else:
        first = np.ascontiguousarray(x.T)
        call = lambda: fp.scoring.crps_ensemble(y, first, 0)  # noqa: E731
    np.testing.assert_allclose(call(), fp.scoring.crps_ensemble(y, x), rtol=1e-9, atol=1e-12)
    benchmark.pedantic(call, rounds=3, warmup_rounds=1)


@pytest.mark.parametrize("library", ["fastpanel", "scoringrules"])
@pytest.mark.parametrize("size", sizes((100, 50), (2000, 1000)))
def test_fair_crps(benchmark: Any, library: str, size: tuple[int, ...], one_thread: None) -> None:
    points, members = size
    benchmark.group = f"fair CRPS N{points} S{members}"
    rng = np.random.default_rng(0)
    y, x = rng.normal(size=points), rng.normal(size=(points, members))
    if library == "fastpanel":
        call = lambda: fp.scoring.crps_ensemble(y, x, estimator="fair")  # noqa: E731
    else:
        call = lambda: scoringrules.crps_ensemble(  # noqa: E731
            y, x, estimator="fair", backend="numba"
        )
    np.testing.assert_allclose(call(), fp.scoring.crps_ensemble(y, x, estimator="fair"), rtol=1e-9)
    benchmark.pedantic(call, rounds=3, warmup_rounds=1)


# ------------------------------------------------------------------ the others


@pytest.mark.parametrize("library", ["fastpanel", "scoringrules"])
@pytest.mark.parametrize("size", sizes((8, 60, 10), (52, 400, 50)))
def test_variogram_score(
    benchmark: Any, library: str, size: tuple[int, ...], one_thread: None
) -> None:
    weeks, members, assets = size
    benchmark.group = f"variogram score T{weeks} S{members} A{assets}"
    rng = np.random.default_rng(0)
    y, x = rng.normal(size=(weeks, assets)), rng.normal(size=(weeks, members, assets))
    if library == "fastpanel":
        call = lambda: fp.scoring.variogram_score(y, x)  # noqa: E731
    else:
        call = lambda: scoringrules.vs_ensemble(y, x, backend="numba")  # noqa: E731
    np.testing.assert_allclose(call(), fp.scoring.vs_ensemble(y, x), rtol=1e-9)
    benchmark.pedantic(call, rounds=3, warmup_rounds=1)


@numba.njit
def minus_norm(a: Any, b: Any) -> Any:
    total = 0.0
    for i in range(a.size):
        total += (a[i] - b[i]) ** 2
    return -np.sqrt(total)


@pytest.mark.parametrize("how", ["built in", "user's kernel"])
@pytest.mark.parametrize("size", sizes((8, 60, 10), (52, 400, 20)))
def test_kernel_score(benchmark: Any, how: str, size: tuple[int, ...]) -> None:
    weeks, members, assets = size
    benchmark.group = f"kernel score T{weeks} S{members} A{assets}"
    rng = np.random.default_rng(0)
    y, x = rng.normal(size=(weeks, assets)), rng.normal(size=(members, weeks, assets))
    if how == "built in":
        call = lambda: fp.scoring.energy_score(y, x, 0)  # noqa: E731
    else:
        call = lambda: fp.scoring.kernel_score(y, x, minus_norm, 0)  # noqa: E731
    benchmark.pedantic(call, rounds=3, warmup_rounds=1)
