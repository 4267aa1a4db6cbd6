"""Replay a finished run: the same forecasts, other weights or costs, a report of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pydantic import Field

from fastpanel._files import read_json, write_json
from fastpanel._version import __version__
from fastpanel.config import StrictModel, parse
from fastpanel.errors import ArtifactError, ConfigError, ParameterError
from fastpanel.portfolio import AllocationSpec, CostSpec, SharpeReport
from fastpanel.simulation._hooks import Hooks, default_hooks
from fastpanel.simulation._keys import content_key
from fastpanel.simulation._outer import replay
from fastpanel.simulation._outer_store import save_book
from fastpanel.simulation._replay_report import write_replay_report
from fastpanel.simulation._result import SimulationResult
from fastpanel.simulation._stored import StoredRun, load_run
from fastpanel.simulation._summary import pnl_report
from fastpanel.typing import FloatArray

FOLDER = "backtests"
_SUMMARY = "backtest.json"


class ReplaySettings(StrictModel):
    """A backtest file: either section, whole or in part; what is not named stays as in the run."""

    allocation: dict[str, Any] = Field(default_factory=dict)
    cost: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class BacktestResult:
    """Outcome of :func:`backtest`.

    Attributes
    ----------
    folder : Path
        ``report.html``, ``backtest.json``, ``outer_<k>/weights.csv`` and ``pnl.csv``.
    allocation, cost
        What was used.
    result : SimulationResult
        The run with the replayed weights and PnL.
    pnl : float64 [N]
        Simple returns after costs of all outer weeks.
    run_pnl : float64 [N]
        The run's own.
    sharpe : SharpeReport
        Every candidate and every replay of the run counts as a trial.
    """

    folder: Path
    allocation: AllocationSpec
    cost: CostSpec
    result: SimulationResult
    pnl: FloatArray
    run_pnl: FloatArray
    sharpe: SharpeReport

    @property
    def report(self) -> Path:
        """Path of ``report.html``."""
        return self.folder / "report.html"


def backtest(
    run: str | Path,
    *,
    allocation: AllocationSpec | Mapping[str, Any] | None = None,
    cost: CostSpec | Mapping[str, Any] | None = None,
    name: str | None = None,
    hooks: Hooks | None = None,
) -> BacktestResult:
    """Replay the outer forecasts of a finished run with other weights or costs.

    Nothing is fitted and no file of the run changes: the stored draws go
    through allocation and accounting again. With the settings of the run the
    PnL is the run's own, bit for bit.

    Parameters
    ----------
    run : path
        Folder of a run.
    allocation, cost : mapping or spec, optional
        A mapping changes the keys it names, a spec replaces the section. None
        keeps the run's.
    name : str, optional
        Folder below ``<run>/backtests``; default: a short hash of the
        settings, so the same settings meet the same folder.
    hooks : Hooks, optional
        Whose ``allocate`` and ``compute_pnl`` to use, for a run that had its
        own.

    Returns
    -------
    BacktestResult

    Raises
    ------
    ArtifactError
        No finished run there, or ``name`` holds a replay with other settings.
    ConfigError
        Mistakes in ``allocation`` or ``cost``.

    Notes
    -----
    The deflated Sharpe ratio counts every replay in the folder as one more
    trial: whoever picks among replays by their outer PnL selects on test weeks.

    Examples
    --------
    >>> backtest("no/such/run")
    Traceback (most recent call last):
        ...
    fastpanel.errors.ArtifactError: no/such/run holds no run: run_manifest.json is missing
    """
    stored = load_run(run)
    config = stored.config.model_copy(
        update={
            "allocation": _merged(AllocationSpec, stored.config.allocation, allocation),
            "cost": _merged(CostSpec, stored.config.cost, cost),
        }
    )
    settings = {
        "allocation": config.allocation.model_dump(mode="json"),
        "cost": config.cost.model_dump(mode="json"),
    }
    folder = stored.folder / FOLDER / (content_key(settings)[:8] if name is None else _safe(name))
    _refuse_others(folder, settings)
    used = hooks or default_hooks(config)
    outer = replay(stored.result.dataset, stored.result.outer, config, used)
    result = replace(stored.result, outer=outer)
    trials = len(result.candidates) + _other_replays(folder) + 1
    sharpe = pnl_report(result, n_trials=trials)
    done = BacktestResult(
        folder=folder,
        allocation=config.allocation,
        cost=config.cost,
        result=result,
        pnl=np.concatenate([fold.pnl for fold in outer]),
        run_pnl=np.concatenate([fold.pnl for fold in stored.result.outer]),
        sharpe=sharpe,
    )
    _write(done, stored, settings)
    write_replay_report(done.report, stored, result, config, sharpe)
    return done


def read_settings(path: str | Path) -> ReplaySettings:
    """Sections ``allocation`` and ``cost`` of a YAML file; other keys are errors.

    Parameters
    ----------
    path : path
        Either section may be absent, or hold some of its keys.

    Returns
    -------
    ReplaySettings
        For ``backtest(run, allocation=..., cost=...)``.

    Raises
    ------
    ConfigError
        The file is missing or no YAML, or has mistakes; all are listed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "cheap.yml"
    ...     _ = path.write_text("cost: {bps: 1.0}")
    ...     settings = read_settings(path)
    >>> settings.cost
    {'bps': 1.0}
    """
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(values or {}, Mapping):
        raise ConfigError(f"{path} must hold the sections allocation and cost")
    return parse(ReplaySettings, values or {}, source=str(path))


def _merged(model: Any, own: Any, given: Any) -> Any:
    if given is None:
        return own
    if isinstance(given, model):
        return given
    section = "allocation" if model is AllocationSpec else "cost"
    return parse(model, {**own.model_dump(), **given}, source=section)


def _safe(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ParameterError(
            f"name must be letters, digits, '.', '_' and '-', beginning with a letter or digit, "
            f"got {name!r}"
        )
    return name


def _refuse_others(folder: Path, settings: Mapping[str, Any]) -> None:
    if not folder.exists():
        return
    path = folder / _SUMMARY
    if not path.is_file():
        if any(folder.iterdir()):
            raise ArtifactError(f"{folder} exists and holds no backtest; choose another name")
        return
    stored = read_json(path)
    if {key: stored.get(key) for key in settings} != settings:
        raise ArtifactError(f"{folder} holds a backtest with other settings; choose another name")


def _other_replays(folder: Path) -> int:
    return sum(path.parent != folder for path in folder.parent.glob(f"*/{_SUMMARY}"))


def _write(done: BacktestResult, stored: StoredRun, settings: Mapping[str, Any]) -> None:
    for fold in done.result.outer:
        save_book(fold, done.result.dataset, done.folder / f"outer_{fold.group}")
    write_json(
        done.folder / _SUMMARY,
        {
            "run": stored.folder.name,
            "version": __version__,
            **settings,
            "weeks": len(done.pnl),
            "pnl": done.sharpe.to_dict(),
            "run_total": float(np.prod(1.0 + done.run_pnl) - 1.0),
            "total": float(np.prod(1.0 + done.pnl) - 1.0),
        },
    )
