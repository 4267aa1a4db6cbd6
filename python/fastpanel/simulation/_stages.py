"""The stages of one run, in order."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fastpanel._files import write_json
from fastpanel.errors import ModelError
from fastpanel.models import MemoryEstimate, estimate_memory
from fastpanel.progress import Reporter
from fastpanel.selection import Selection
from fastpanel.simulation._board import Listener, aggregate_score
from fastpanel.simulation._candidate import fit_config
from fastpanel.simulation._compare import score_outer, score_table
from fastpanel.simulation._config import SimulationConfig
from fastpanel.simulation._dataset import (
    Dataset,
    built_differently,
)
from fastpanel.simulation._hooks import Hooks, check_portable, default_hooks
from fastpanel.simulation._inner import InnerObjective
from fastpanel.simulation._keys import outer_key
from fastpanel.simulation._ledger import UnitRecord
from fastpanel.simulation._manifest import Manifest
from fastpanel.simulation._open import PANEL
from fastpanel.simulation._outer import (
    OuterResult,
    evaluate_outer_walk_forward,
    fit_fold_preprocessing,
)
from fastpanel.simulation._outer_store import load_outer, save_outer
from fastpanel.simulation._postprocess import select_for_fold, select_globally
from fastpanel.simulation._prebuild import run_prebuild
from fastpanel.simulation._report import write_run_report
from fastpanel.simulation._result import SimulationResult
from fastpanel.simulation._splits import largest_fit
from fastpanel.simulation._structure import CVStructure, OuterPlan, build_structure, write_structure
from fastpanel.simulation._summary import summarise
from fastpanel.simulation._telling import fold_fact, result_fact, run_fact
from fastpanel.simulation._trials import search_cost
from fastpanel.simulation._tuners import make_tuner
from fastpanel.simulation._work import InnerWork
from fastpanel.simulation.tracking import TrackingLog
from fastpanel.tuning import Engine, make_engine
from fastpanel.typing import FloatArray


class Stages:
    """The stages of one run, in order; what is finished already is read."""

    def __init__(
        self,
        config: SimulationConfig,
        dataset: Dataset,
        folder: Path,
        hooks: Hooks | None,
        say: Reporter,
        manifest: Manifest,
        log: TrackingLog,
    ) -> None:
        self.config, self.dataset, self.folder = config, dataset, folder
        self.hooks, self.say, self.manifest, self.log = hooks, say, manifest, log
        self.digest = dataset.digest
        self.last = self._last_stage()
        self.tuner = make_tuner(config, folder)
        self.prebuilt: Mapping[str, Any] | None = None

    @property
    def candidates(self) -> dict[str, dict[str, Any]]:
        return self.tuner.candidates

    def go(self) -> SimulationResult:
        fan_charts = self.config.diagnostics.fan_charts
        if fan_charts.enable:
            fan_charts.select(self.dataset.assets)  # an unknown asset ends the run here, not last
        done = SimulationResult(self.folder, self.dataset)
        t, a, f = self.dataset.X.shape
        self.say.say(f"Panel: {t} weeks x {a} assets x {f} features -> {self.folder}")
        changed = built_differently(self.dataset, self.config.data.dataset_params)
        self.manifest.stage(
            "inputs", data_hash=self.digest, shape=[t, a, f], built_with_other_values_of=changed
        )
        self.log.add(run_fact(self.config, self.dataset))
        if self.last == "inputs":
            return done
        with self.manifest.clock("cv"):
            structure = self._plan()
        done = replace(done, structure=structure, candidates=self.candidates)
        if self.last == "cv":
            return done
        with closing(self._engine()) as engine:
            return self._folds(done, structure, engine)

    def _folds(
        self, done: SimulationResult, structure: CVStructure, engine: Engine
    ) -> SimulationResult:
        self.prebuilt = run_prebuild(self.dataset, structure, self.config, self.folder)

        def objective(plan: OuterPlan, listeners: Sequence[Listener]) -> InnerObjective:
            heard = [*listeners, self.log.candidates_of(plan.group)]
            return self._objective(plan, engine, heard)

        records: dict[int, dict[str, list[UnitRecord]]] = {}
        picks: dict[int, str] = {}
        selections: dict[int, Selection] = {}
        outer: list[OuterResult] = []
        for plan in structure.outer:
            with self.manifest.clock("inner"):
                fold = self._inner_folder(plan)
                records[plan.group] = self.tuner.records(plan, objective)
                self._write_candidates()
                pick = self._pick(plan, records[plan.group], fold, selections)
                picks[plan.group] = pick
                self._write_best(fold, pick)
            if self.last != "inner":
                with self.manifest.clock("outer"):
                    outer.append(self._outer(plan, pick, _held_before(plan, outer)))
            latest = outer[-1] if outer else None
            self.log.add(fold_fact(plan.group, pick, records[plan.group], latest, self.config))
        self.manifest.stage("inner", picks={str(k): v for k, v in picks.items()})
        done = replace(
            done,
            candidates=self.candidates,
            records=records,
            picks=picks,
            selections=selections,
            outer=tuple(outer),
        )
        if self.last == "inner":
            return done
        self.manifest.stage("outer", weeks=int(sum(len(result.rows) for result in outer)))
        if self.last == "outer":
            return done
        with self.manifest.clock("results"):
            done = self._results(done)
        self.log.add(result_fact(done))
        self.manifest.stage("results", report=None if done.report is None else done.report.name)
        self.say.say(f"Report: {done.report}")
        return done

    def _last_stage(self) -> str:
        flags = self.config.flags
        if flags.stop_after is not None:
            if flags.simulation_mode == "dry_run" and flags.stop_after not in {"inputs", "cv"}:
                warnings.warn(
                    f"dry_run with stop_after '{flags.stop_after}' runs with stub hooks",
                    stacklevel=4,
                )
            return flags.stop_after
        return "cv" if flags.simulation_mode == "dry_run" else "results"

    def _engine(self) -> Engine:
        engine = make_engine(self.config.tuning, use_gpu=self.config.flags.use_gpu)
        if self.hooks is not None and not engine.in_process:
            check_portable(self.hooks, self.config.tuning.engine)
        return engine

    def _plan(self) -> CVStructure:
        tuning = self.config.tuning
        structure = build_structure(len(self.dataset.times), self.config)
        write_structure(structure, self.dataset.times, self.folder / "cv")
        self._write_candidates()
        folds, count = len(structure.outer), len(self.candidates) or tuning.num_samples
        splits = sum(len(plan.inner) for plan in structure.outer)
        self.say.say(
            f"Plan: {folds} outer folds, {splits} inner splits, {count} candidates = "
            f"{splits * count} fits"
        )
        if self.hooks is None and self.config.flags.simulation_mode == "full":
            memory = self._memory(structure, count)
            self.say.say(
                f"Memory: about {memory.total / 2**20:,.0f} MiB of arrays at a time, "
                f"{memory.program / 2**20:,.0f} of them in one program"
            )
        self.manifest.stage("cv", outer_folds=folds, inner_splits=splits)
        return structure

    def _memory(self, structure: CVStructure, candidates: int) -> MemoryEstimate:
        rows, features = largest_fit(self.dataset, self.config)
        inner = [split for plan in structure.outer for split in plan.inner]
        missing = np.isnan(self.dataset.y)
        return estimate_memory(
            fit_config(self.config, {}),
            rows=rows,
            assets=len(self.dataset.assets),
            features=features,
            candidates=min(candidates, self.config.tuning.batch_units),
            splits=max((len(plan.inner) for plan in structure.outer), default=1) or 1,
            test_rows=max((len(split.test) for split in inner), default=0),
            num_samples=self.config.predictive.num_samples,
            complete=not (missing.any(1) & ~missing.all(1)).any(),
        )

    def _write_candidates(self) -> None:
        """Once they are known: a sampler's after the earliest fold."""
        path = self.folder / "cv" / "candidates.json"
        if self.candidates:
            write_json(path, self.candidates)

    def _inner_folder(self, plan: OuterPlan) -> Path:
        return self.folder / "inner" / f"outer_{plan.group}"

    def _objective(
        self, plan: OuterPlan, engine: Engine, listeners: Sequence[Listener]
    ) -> InnerObjective:
        work = InnerWork(
            self.config,
            plan,
            self.prebuilt,
            panel=(self.folder / PANEL).absolute(),
            hooks=self.hooks,
            dataset=self.dataset,
        )
        return InnerObjective(
            work,
            self._inner_folder(plan),
            digest=self.digest,
            n_assets=self.dataset.X.shape[1],
            engine=engine,
            reporter=self.say,
            listeners=listeners,
        )

    def _pick(
        self,
        plan: OuterPlan,
        records: Mapping[str, list[UnitRecord]],
        fold: Path,
        selections: dict[int, Selection],
    ) -> str:
        scores = {
            candidate: aggregate_score([unit.score for unit in units], self.config)
            for candidate, units in records.items()
        }
        if not np.isfinite(list(scores.values())).any():
            reasons = {u.error for units in records.values() for u in units if u.error}
            raise ModelError(
                f"outer fold {plan.group}: every candidate failed; a reason: "
                f"{min(reasons) if reasons else 'the score is NaN'}"
            )
        if not self.config.model_selection.enable:
            return max(scores, key=lambda c: scores[c] if np.isfinite(scores[c]) else -np.inf)
        _, n_assets, n_features = self.dataset.X.shape
        selection = select_for_fold(
            records, self.candidates, plan, fold, self.config, (n_assets, n_features)
        )
        selections[plan.group] = selection
        return list(self.candidates)[selection.pick]

    def _write_best(self, folder: Path, candidate: str) -> None:
        values = self.candidates[candidate]
        write_json(
            folder / "best_config.json",
            {
                "candidate": candidate,
                "values": values,
                **fit_config(self.config, values, self.prebuilt),
            },
        )

    def _outer(self, plan: OuterPlan, candidate: str, held: FloatArray | None) -> OuterResult:
        folder = self.folder / "outer" / f"outer_{plan.group}"
        values = self.candidates[candidate]
        key = outer_key(
            self.digest, plan, self.config, self.prebuilt, self.hooks, candidate, values, held
        )
        stored = load_outer(folder, key, self.say)
        if stored is not None:
            return stored
        frozen = fit_fold_preprocessing(self.dataset, plan, self.config)
        write_json(self.folder / "preprocessing" / f"outer_{plan.group}.json", frozen.to_dict())
        result = evaluate_outer_walk_forward(
            self.dataset,
            plan,
            candidate,
            values,
            self.config,
            self.hooks or default_hooks(self.config),
            prebuilt=self.prebuilt,
            reporter=self.say,
            held=held,
        )
        save_outer(result, self.dataset, folder, key)
        return result

    def _results(self, done: SimulationResult) -> SimulationResult:
        assert done.structure is not None
        scores = score_outer(self.dataset, done.structure.outer, done.outer, self.config)
        done = replace(done, scores=scores)
        overall = None
        if done.selections:
            overall = select_globally(list(done.selections.values()), self.config)
            write_json(self.folder / "outer" / "metrics.json", overall.metrics())
            write_json(self.folder / "outer" / "selection.json", overall.to_dict())
            self._write_best(self.folder / "outer", list(done.candidates)[overall.pick])
        assert done.structure is not None
        newest = done.structure.outer[-1]
        search = search_cost(
            self.dataset,
            newest,
            done.records[newest.group],
            self._inner_folder(newest),
            self.config,
            default_hooks(self.config),
        )
        table = score_table(scores)
        summary = {**summarise(done, table, overall, self.config), "search": search}
        write_json(self.folder / "cv" / "summary.json", summary)
        done = replace(done, summary=summary)
        write_run_report(done, overall, self.config)
        return done


def _held_before(plan: OuterPlan, earlier: Sequence[OuterResult]) -> FloatArray | None:
    """Last weights of the group before, if this one begins where it ended."""
    if not earlier or int(earlier[-1].rows[-1]) + 1 != plan.start:
        return None
    held: FloatArray = earlier[-1].weights[-1]
    return held
