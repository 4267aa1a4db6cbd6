"""Scores of samples, each rival in the layout that it likes best.

fastpanel reads ``[S, T, A]`` as models hand it over. Rivals: scoringrules (Numba),
properscoring, SciPy's ``pdist``, NumPy by broadcasting, and the centred inner-product
formula that a careful JAX user writes.
"""

from __future__ import annotations

import warnings
from functools import cached_property, lru_cache

import numpy as np
import scoringrules
from benches.harness import Rival, suite
from scipy.spatial.distance import pdist

import fastpanel as fp

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its sources have an escape that Python calls invalid
    import properscoring


class Fields:
    """Samples of a panel, as models and as rivals hold them."""

    def __init__(self, size: tuple[int, int, int]) -> None:
        weeks, members, assets = size
        rng = np.random.default_rng(0)
        self.y = rng.normal(size=(weeks, assets))
        self.x = rng.normal(size=(members, weeks, assets))
        self.whitener = fp.scoring.Whitener.fit(rng.normal(size=(2 * assets + 50, assets)))

    @cached_property
    def by_week(self) -> np.ndarray:
        return np.ascontiguousarray(np.moveaxis(self.x, 0, 1))


def by_pdist(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    members = x.shape[1]
    errors = [np.sqrt(((a - b) ** 2).sum(-1)).mean() for a, b in zip(x, y, strict=True)]
    return np.array(errors) - np.array([pdist(a).sum() for a in x]) / members**2


def by_broadcasting(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    errors = np.linalg.norm(x - y[:, None], axis=-1).mean(-1)
    pairs = np.linalg.norm(x[:, :, None] - x[:, None], axis=-1).mean((-2, -1))
    return errors - pairs / 2


@lru_cache(maxsize=1)
def jax_gram():
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    @jax.jit
    def score(y, x):
        z = x - y[:, None]
        norms = jnp.sum(z * z, axis=-1)
        products = jnp.einsum("tsa,tra->tsr", z, z)
        squared = norms[:, :, None] + norms[:, None, :] - 2 * products
        pairs = jnp.sqrt(jnp.maximum(squared, 0)).sum((1, 2))
        return jnp.sqrt(norms).mean(1) - pairs / (2 * x.shape[1] ** 2)

    return score


def by_jax(i: Fields):
    import jax.numpy as jnp

    score = jax_gram()
    truth, samples = jnp.asarray(i.y), jnp.asarray(i.by_week)
    return lambda: score(truth, samples).block_until_ready()


LARGE = ("S1000-A20", "S400-A50", "S200-A200")

test_fields = suite(
    "scoring",
    {
        "smoke": (20, 100, 20),
        "S200-A20": (52, 200, 20),
        "S400-A50": (52, 400, 50),
        "S200-A200": (52, 200, 200),
        "S1000-A20": (52, 1000, 20),
    },
    Fields,
    {
        "energy_score": {
            "fastpanel": lambda i: lambda: fp.scoring.energy_score(i.y, i.x, 0),
            "jax": Rival(by_jax),
            "scipy": Rival(lambda i: lambda: by_pdist(i.y, i.by_week)),
            "scoringrules": Rival(
                lambda i: lambda: scoringrules.es_ensemble(i.y, i.by_week, backend="numba")
            ),
            "numpy": Rival(
                lambda i: lambda: by_broadcasting(i.y, i.by_week),
                skip=("S1000-A20", "S200-A200"),
                serial=True,
            ),
        },
        "energy_score, whitened": {
            "fastpanel": lambda i: lambda: i.whitener.energy_score(i.y, i.x, 0),
            "fastpanel in two steps": lambda i: (
                lambda: fp.scoring.energy_score(
                    i.whitener.transform(i.y), i.whitener.transform(i.x), 0
                )
            ),
        },
        "variogram_score": {
            "fastpanel": lambda i: lambda: fp.scoring.variogram_score(i.y, i.x, 0),
            "scoringrules": Rival(
                lambda i: lambda: scoringrules.vs_ensemble(i.y, i.by_week, backend="numba"),
                skip=LARGE[-2:],
            ),
        },
    },
)


class Points:
    """Independent samples of many numbers."""

    def __init__(self, size: tuple[int, int]) -> None:
        points, members = size
        rng = np.random.default_rng(0)
        self.y, self.x = rng.normal(size=points), rng.normal(size=(points, members))

    @cached_property
    def members_first(self) -> np.ndarray:
        return np.ascontiguousarray(self.x.T)


def rules(estimator: str, **how):
    return Rival(
        lambda i: (
            lambda: scoringrules.crps_ensemble(i.y, i.x, estimator=estimator, backend="numba")
        ),
        rtol=1e-6,
        **how,
    )


def crps(estimator: str):
    return lambda i: lambda: fp.scoring.crps_ensemble(i.y, i.x, estimator=estimator)


test_points = suite(
    "scoring",
    {
        "smoke": (2000, 100),
        "S200": (50_000, 200),
        "S1000": (50_000, 1000),
        "S4000": (10_000, 4000),
    },
    Points,
    {
        "crps": {
            "fastpanel": crps("qd"),
            "fastpanel S first": lambda i: (
                lambda: fp.scoring.crps_ensemble(i.y, i.members_first, 0)
            ),
            "properscoring": lambda i: lambda: properscoring.crps_ensemble(i.y, i.x),
            "scoringrules": rules("qd"),
        },
        "crps, pwm": {"fastpanel": crps("pwm"), "scoringrules": rules("pwm")},
        "quantile_score": {
            "fastpanel": lambda i: lambda: fp.scoring.quantile_score(i.y, i.x[:, 0], 0.1),
            "scoringrules": lambda i: lambda: scoringrules.quantile_score(i.y, i.x[:, 0], 0.1),
        },
        "pit": {
            "fastpanel": lambda i: lambda: fp.scoring.pit(i.y, i.x),
            "numpy": Rival(lambda i: lambda: (i.x < i.y[:, None]).mean(-1), serial=True),
        },
    },
)

test_pairs = suite(
    "scoring",
    {"smoke": (500, 100), "N2000-S1000": (2000, 1000)},
    Points,
    {
        "crps, fair": {"fastpanel": crps("fair"), "scoringrules": rules("fair")},
        "crps, nrg": {"fastpanel": crps("nrg"), "scoringrules": rules("nrg")},
    },
)
