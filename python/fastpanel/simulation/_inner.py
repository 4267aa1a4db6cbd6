"""The inner objective: every candidate on every CPCV split of one outer fold, recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from fastpanel.progress import Reporter, SilentReporter
from fastpanel.simulation._behind import Behind
from fastpanel.simulation._board import Board, Listener, aggregate_score
from fastpanel.simulation._config import SimulationConfig
from fastpanel.simulation._dataset import Dataset
from fastpanel.simulation._hooks import Hooks
from fastpanel.simulation._keys import inner_key
from fastpanel.simulation._ledger import Ledger, UnitRecord
from fastpanel.simulation._payload import save_payload
from fastpanel.simulation._structure import OuterPlan
from fastpanel.simulation._units import Batch, Unit, plan_batches
from fastpanel.simulation._work import InnerWork, UnitResult
from fastpanel.tuning import Engine, make_engine

_BATCH_BYTES = 1 << 28
"""Payloads of a batch are held in memory until they are written, beside those of the next."""

_WRITERS = 8


class InnerObjective:
    """Scores candidates; what is in the ledger is not computed again.

    Calling it with ``(candidate id, values)`` gives the aggregate score over
    the splits, higher is better, NaN if a split failed.

    The engine runs batches; this object alone writes payloads and ledger, in
    the calling process, so workers may be anywhere. A batch is written while
    the next is computed; all are on disk when a call ends, by an error or
    Ctrl-C too.
    """

    def __init__(
        self,
        work: InnerWork,
        folder: Path,
        *,
        digest: str,
        n_assets: int,
        engine: Engine | None = None,
        reporter: Reporter | None = None,
        listeners: Sequence[Listener] = (),
    ) -> None:
        self._work, self._folder = work, folder
        self._listeners = listeners
        self._config, self._plan = work.config, work.plan
        self._engine = engine or make_engine(work.config.tuning)
        self._say = reporter or SilentReporter()
        self._limit = batch_limit(work.config, work.plan, n_assets)
        self.key = inner_key(digest, work.plan, work.config, work.prebuilt, work.hooks)
        self.ledger = Ledger(folder)

    def __call__(self, candidate: str, values: Mapping[str, Any]) -> float:
        records = self.evaluate(candidate, values)
        return aggregate_score([record.score for record in records], self._config)

    def evaluate(self, candidate: str, values: Mapping[str, Any]) -> list[UnitRecord]:
        """One record per split of one candidate, as a plan of its own."""
        return self.evaluate_all({candidate: values})[candidate]

    def evaluate_all(
        self, candidates: Mapping[str, Mapping[str, Any]], splits: Sequence[int] | None = None
    ) -> dict[str, list[UnitRecord]]:
        """One record per split of every candidate, from the ledger or computed now.

        ``splits``: only these.
        """
        wanted = self._all_splits if splits is None else splits
        batches = self.batches(candidates, wanted)
        title = f"fold {self._plan.group}: fits"
        with self._say.task(title, sum(len(batch.units) for batch in batches)) as task:
            progress = Board(task, candidates, wanted, self._config, self._listeners)
            pending = []
            for batch in batches:
                known = self.finished(batch)
                if known is None:
                    pending.append(batch)
                else:
                    progress.add(known)

            def record(batch: Batch, results: Sequence[UnitResult]) -> None:
                progress.add(self.record(batch, results))

            if pending:
                with Behind() as behind:
                    self._engine.execute(self._work, pending, partial(behind.call, record))
        return self._by_candidate(candidates, wanted, batches)

    def batches(
        self, candidates: Mapping[str, Mapping[str, Any]], splits: Sequence[int] | None = None
    ) -> list[Batch]:
        """The batches of a candidate plan; the same whatever is finished already."""
        wanted = self._all_splits if splits is None else splits
        return plan_batches(candidates, wanted, self._limit, self.key)

    @property
    def _all_splits(self) -> Sequence[int]:
        return range(len(self._plan.inner))

    def finished(self, batch: Batch) -> list[UnitRecord] | None:
        """Records of a batch if all are there and intact; a damaged payload is named."""
        records = [self.ledger.record(batch.key_of(unit)) for unit in batch.units]
        damaged = [r.file for r in records if r is not None and not self.ledger.intact(r)]
        for name in damaged:
            self._say.say(f"Damaged payload {self._folder / str(name)}: computed again")
        present = [record for record in records if record is not None]
        return None if damaged or len(present) < len(records) else present

    def record(self, batch: Batch, results: Sequence[UnitResult]) -> list[UnitRecord]:
        """Write the payloads of a finished batch, then its missing lines in one go."""
        keys = [batch.key_of(result.unit) for result in results]
        with ThreadPoolExecutor(_WRITERS) as pool:  # the disk takes many at once
            records = list(pool.map(self._save, keys, results))
        missing = [
            record
            for record in records
            if (old := self.ledger.record(record.key)) is None or old.sha256 != record.sha256
        ]
        if missing:
            self.ledger.append(missing)
        return records

    def _save(self, key: str, result: UnitResult) -> UnitRecord:
        (candidate, split), name, digest = result.unit, None, None
        if result.payload is not None:
            name = f"candidates/candidate_{candidate}_split_{split}.pt"
            digest = save_payload(result.payload, self._folder / name)
        seconds = round(result.seconds, 6)
        return UnitRecord(key, candidate, split, result.score, name, digest, result.error, seconds)

    def _by_candidate(
        self, candidates: Mapping[str, Any], splits: Sequence[int], batches: Sequence[Batch]
    ) -> dict[str, list[UnitRecord]]:
        found: dict[Unit, UnitRecord] = {}
        for batch in batches:
            for unit in batch.units:
                record = self.ledger.record(batch.key_of(unit))
                assert record is not None  # the engine has called ``done`` for every batch
                found[unit] = record
        return {name: [found[Unit(name, split)] for split in splits] for name in candidates}


def make_inner_objective(
    dataset: Dataset,
    plan: OuterPlan,
    config: SimulationConfig,
    hooks: Hooks,
    folder: Path,
    prebuilt: Mapping[str, Any] | None = None,
) -> InnerObjective:
    """The objective of one outer fold, as tuning engines call it.

    Parameters
    ----------
    dataset : Dataset
    plan : OuterPlan
        The fold; only rows before its test group are read.
    config : SimulationConfig
    hooks : Hooks
    folder : Path
        Where payloads and the ledger go.
    prebuilt : mapping, optional
        Result of the prebuild hook, merged under every candidate.

    Returns
    -------
    InnerObjective
        ``objective(candidate_id, {path: value}) -> float``, higher is better.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import fastpanel as fp
    >>> times = np.datetime64("2020-01-03") + 7 * np.arange(60)
    >>> rng = np.random.default_rng(0)
    >>> panel = fp.Panel(rng.normal(size=(60, 2, 1)), times, ["A", "B"], ["f"],
    ...                  targets=0.01 * rng.normal(size=(60, 2)))
    >>> config = {"cv": {"warmup_len": 12, "group_len": 12, "q": 1},
    ...           "predictive": {"num_samples": 16}, "flags": {"simulation_mode": "stub"}}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     config["data"] = {"simulation_output_path": folder + "/run"}
    ...     result = fp.simulation.run(config, panel=panel, progress=False)
    >>> settings = fp.simulation.load_config(config)
    >>> hooks, fold = fp.simulation.default_hooks(settings), result.structure.outer[0]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     objective = make_inner_objective(result.dataset, fold, settings, hooks, Path(folder))
    ...     score = objective("0", {})
    >>> score < 0  # minus the mean squared error
    True
    """
    work = InnerWork(config, plan, prebuilt, hooks=hooks, dataset=dataset)
    return InnerObjective(work, folder, digest=dataset.digest, n_assets=dataset.X.shape[1])


def batch_limit(config: SimulationConfig, plan: OuterPlan, n_assets: int) -> int:
    """Units per batch: as configured, but no more payloads than fit in memory."""
    weeks = max(len(split.test) for split in plan.inner)
    payload = 4 * config.predictive.num_samples * weeks * n_assets
    return max(1, min(config.tuning.batch_units, _BATCH_BYTES // payload))
