"""The candidate plan: a stratified, scrambled Sobol design with fixed ids."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from fastpanel._runtime import checked_seed
from fastpanel.errors import ConfigError
from fastpanel.tuning._space import ParameterSpec, parse_space


def sample_candidates(
    space: Iterable[Mapping[str, Any] | ParameterSpec], num_samples: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Draw the candidate plan of a search space.

    Every combination of the categorical and bool parameters is a stratum; each
    stratum gets the same power-of-two number of scrambled Sobol points over its
    active float and int parameters.

    Parameters
    ----------
    space : iterable of mappings or ParameterSpec
        Entries of ``tuning.space``.
    num_samples : int
        Candidates over all strata. An empty space gives the single candidate
        ``"0"`` without changes, whatever ``num_samples`` says.
    seed : int
        Same seed, same plan.

    Returns
    -------
    dict
        Candidate id (``"0"``, ``"1"``, ...) to ``{path: value}``.

    Raises
    ------
    ConfigError
        A wrong entry; ``num_samples`` not divisible by the number of strata or
        not a power of two per stratum; a stratum without continuous
        parameters that would repeat one candidate.

    Examples
    --------
    >>> space = [{"path": "training.svi.learning_rate", "type": "float",
    ...           "bounds": [1e-4, 1e-2], "transform": "log"}]
    >>> plan = sample_candidates(space, num_samples=4, seed=7)
    >>> sorted(plan)
    ['0', '1', '2', '3']
    """
    specs = parse_space(space)
    if not specs:
        return {"0": {}}
    strata = _strata(specs)
    per_stratum = _points_per_stratum(num_samples, len(strata))
    candidates: list[dict[str, Any]] = []
    for index, chosen in enumerate(strata):
        active = [spec for spec in specs if not spec.is_discrete and spec.active(chosen)]
        if not active and per_stratum > 1:
            raise ConfigError(
                f"tuning.num_samples: {num_samples} gives {per_stratum} candidates to the "
                f"stratum {chosen}, which has no float or int parameter to vary; "
                f"use {len(strata)} samples"
            )
        points = _sobol(len(active), per_stratum, checked_seed(seed), index)
        for row in points:
            values = {spec.path: spec.at(u) for spec, u in zip(active, row, strict=True)}
            candidates.append({**chosen, **values})
    return {str(i): candidate for i, candidate in enumerate(candidates)}


def _strata(specs: tuple[ParameterSpec, ...]) -> list[dict[str, Any]]:
    discrete = [spec for spec in specs if spec.is_discrete]
    strata: list[dict[str, Any]] = []
    for values in itertools.product(*(spec.choices for spec in discrete)):
        chosen = dict(zip((spec.path for spec in discrete), values, strict=True))
        kept = _drop_inactive(discrete, chosen)
        if kept not in strata:
            strata.append(kept)
    return strata


def _drop_inactive(discrete: list[ParameterSpec], chosen: dict[str, Any]) -> dict[str, Any]:
    while True:
        kept = {
            spec.path: chosen[spec.path]
            for spec in discrete
            if spec.path in chosen and spec.active(chosen)
        }
        if kept == chosen:
            return kept
        chosen = kept


def _points_per_stratum(num_samples: int, strata: int) -> int:
    if num_samples < 1 or num_samples % strata:
        raise ConfigError(
            f"tuning.num_samples: {num_samples} is not a positive multiple of the {strata} "
            "combinations of categorical and bool parameters"
        )
    points = num_samples // strata
    if points & (points - 1):
        raise ConfigError(
            f"tuning.num_samples: {num_samples} gives {points} candidates to each of {strata} "
            "combinations; Sobol points need a power of two"
        )
    return points


def _sobol(dimensions: int, n: int, seed: int, stratum: int) -> Any:
    if not dimensions:
        return np.empty((n, 0))
    from scipy.stats import qmc

    rng = np.random.default_rng([seed, stratum])
    return qmc.Sobol(dimensions, scramble=True, rng=rng).random(n)
