"""How much memory fits and predictions take, from shapes alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastpanel.errors import ParameterError
from fastpanel.models._config import FitConfig, parse_config
from fastpanel.models._registries import default_model_registry, resolve_backend

MAX_JOBS = {"cpu": 16}  # more do not fit the cache
MAX_JOBS_ELSEWHERE = 512
LIVE_ARRAYS = 8  # arrays of the size of y that a training step keeps alive
BYTES_PER_DRAW = 48  # at the peak: as drawn, joined, widened, in units, and the chunk before
_PROGRAM_MIB = {"cpu": 256}
_PROGRAM_MIB_ELSEWHERE = 4096


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes at the peak of a batch.

    Attributes
    ----------
    inputs
        Training and test arrays of the splits, in double precision.
    program
        The largest compiled program, or one Pyro fit.
    draws
        Predictive draws of one split's candidates while they are scored.
    """

    inputs: int
    program: int
    draws: int

    @property
    def total(self) -> int:
        """Programs and draws take turns; the inputs stay."""
        return self.inputs + max(self.program, self.draws)


def estimate_memory(
    config: Mapping[str, Any],
    *,
    rows: int,
    assets: int,
    features: int,
    candidates: int = 1,
    splits: int = 1,
    test_rows: int = 0,
    num_samples: int = 0,
    complete: bool = False,
) -> MemoryEstimate:
    """Estimate the memory of a batch before it runs; nothing is compiled or allocated.

    Parameters
    ----------
    config
        As for :func:`fit`.
    rows, assets, features
        Shape of the largest training array.
    candidates, splits
        Jobs that share a program: candidates on each of the splits.
    test_rows, num_samples
        Shape of a split's forecast, for the draws.
    complete
        Every week has all targets or none, so that weeks whose models are
        independent share one factorisation instead of one each.

    Returns
    -------
    MemoryEstimate
        For arrays only; the interpreter, the back end and its compiled code
        take several hundred MB on top. For ``factor_model_v1`` and
        ``factor_regime`` tests hold it between once and about twice what XLA
        reserves; elsewhere it is a guide.

    Raises
    ------
    ParameterError
        A size below one.

    Examples
    --------
    >>> small = estimate_memory({}, rows=400, assets=20, features=45, candidates=4)
    >>> large = estimate_memory({}, rows=400, assets=20, features=45, candidates=16)
    >>> small.program < large.program <= 256 * 2**20
    True
    """
    sizes = {"rows": rows, "assets": assets, "features": features}
    sizes |= {"candidates": candidates, "splits": splits}
    for name, value in sizes.items():
        if value < 1:
            raise ParameterError(f"{name} is {value}; give at least 1")
    parsed = parse_config(config)
    section = parsed.model
    backend = resolve_backend(section.backend, section.model_name, section.guide_name)
    platform = "gpu" if parsed.use_gpu else "cpu"
    width = 1 if backend == "pyro" else min(candidates, max_jobs(platform))
    registry = default_model_registry(backend)
    normalise = getattr(registry[section.model_name], "normalise", dict)
    values = week_values(normalise(section.params), assets, complete=complete)
    per_job = job_bytes(padded_rows(rows), values)
    per_pack = pack_bytes(padded_rows(rows), assets, -(-features // 8) * 8)
    room = max(1, (program_bytes(parsed, platform) - per_pack) // per_job)
    return MemoryEstimate(
        inputs=8 * splits * (rows + test_rows) * assets * (features + 2),
        program=per_pack + min(width, room) * per_job,
        draws=BYTES_PER_DRAW * candidates * num_samples * test_rows * assets,
    )


def week_values(params: Mapping[str, Any], assets: int, *, complete: bool) -> int:
    """Values per week that a training step of one job keeps alive.

    The rounds of a K x K factorisation stay for the gradient, in every state of
    a hidden chain; a regime has its own residuals as well.
    """
    factors, regimes = params.get("num_factors", 0), params.get("num_regimes", 1)
    states = params.get("num_levels", regimes)
    values: int = LIVE_ARRAYS * assets * regimes
    if states > 1 or not complete:
        values += states * factors * (factors + 1) * (2 * factors + 1) // 2
    return values + (8 * states**2 if states > 1 else 0)


def job_bytes(rows: int, values: int) -> int:
    """What one more job on the same data adds to a program."""
    return 4 * rows * values


def pack_bytes(rows: int, assets: int, features: int) -> int:
    """What one data set takes in a program."""
    return 4 * rows * assets * features * 2


def max_jobs(platform: str) -> int:
    """Most jobs in one program."""
    return MAX_JOBS.get(platform, MAX_JOBS_ELSEWHERE)


def program_bytes(config: FitConfig, platform: str) -> int:
    """Bound on one program's arrays; configured, as it decides which fits run together."""
    given = config.training.program_mib
    return (given or _PROGRAM_MIB.get(platform, _PROGRAM_MIB_ELSEWHERE)) << 20


def padded_rows(count: int) -> int:
    """Rows are padded to at most five quarters, in steps that grow with their number."""
    step = max(8, power_of_two(count + 1) // 8)
    return -(-count // step) * step


def power_of_two(count: int, least: int = 1) -> int:
    """The next power of two."""
    return max(least, 1 << (count - 1).bit_length())
