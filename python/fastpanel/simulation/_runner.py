"""A run from configuration to report, stage by stage, resumable at every unit."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fastpanel._files import write_json
from fastpanel.data import Panel
from fastpanel.errors import ModelError
from fastpanel.progress import Reporter, reporter
from fastpanel.selection import Selection
from fastpanel.simulation import _manifest
from fastpanel.simulation._board import Listener, aggregate_score
from fastpanel.simulation._candidate import check_space, fit_config
from fastpanel.simulation._compare import score_outer, score_table
from fastpanel.simulation._config import SimulationConfig, load_config
from fastpanel.simulation._dataset import (
    Dataset,
    build_dataset,
    dataset_from_panel,
    save_dataset,
)
from fastpanel.simulation._hooks import Hooks, check_portable, mode_hooks
from fastpanel.simulation._inner import InnerObjective
from fastpanel.simulation._keys import outer_key
from fastpanel.simulation._ledger import UnitRecord
from fastpanel.simulation._lock import run_lock
from fastpanel.simulation._manifest import Manifest
from fastpanel.simulation._open import PANEL, claim, run_folder, stored_dataset, sweep
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
from fastpanel.simulation._search import Found, PlanStudy, open_study, search, unscored
from fastpanel.simulation._structure import CVStructure, OuterPlan, build_structure, write_structure
from fastpanel.simulation._summary import summarise
from fastpanel.simulation._work import InnerWork
from fastpanel.tuning import Engine, make_engine, sample_candidates
from fastpanel.typing import FloatArray


def run(
    config: SimulationConfig | Mapping[str, Any] | str | Path,
    *,
    hooks: Hooks | None = None,
    panel: Panel | None = None,
    progress: bool | Reporter = True,
) -> SimulationResult:
    """Run the nested-CV simulation.

    Bars become features and targets; an outer walk-forward holds out one group
    of weeks after the other; before each, an inner CPCV on earlier weeks scores
    every candidate and selects one; that one forecasts the held-out weeks, with
    scaler and model refitted on what was known each week.

    Parameters
    ----------
    config : SimulationConfig, mapping or path of a YAML file
    hooks : Hooks, optional
        Replaces fitting, prediction, scoring, allocation or accounting.
    panel : Panel, optional
        Use this panel; ``targets[t]`` is the return realised after row ``t``.
        Default: built as ``data.dataset_params`` says.
    progress : bool or Reporter
        Bars on a terminal, plain lines elsewhere; ``False`` is silent.

    Returns
    -------
    SimulationResult

    Raises
    ------
    ConfigError
        Mistakes in the configuration (all of them), or a folder that holds a
        run with another one.
    DataError
        Input that breaks the contract, naming asset and time.
    RunLockedError
        Another run works in the folder.
    ArtifactError
        A file cannot be written, or a stored one is damaged.

    Notes
    -----
    Artefacts go to ``SIMULATION_SOURCE/<label>`` (``runs/<label>`` if the
    variable is not set). Every file is written whole or not at all. A run that
    was stopped, by Ctrl-C or by a crash, goes on where it stopped when it is
    started again with the same configuration; finished candidates and folds
    are not computed again. The same seed gives the same results.
    """
    settings = load_config(config)
    settings.import_extensions()
    say = reporter(progress)
    params = settings.data.dataset_params
    given = None if panel is None else dataset_from_panel(panel, params)
    if given is None and settings.data.simulation_output_path is None:
        given = build_dataset(params)
    folder = run_folder(settings, given)
    claim(folder)
    with run_lock(folder):
        sweep(folder)
        _manifest.refuse_other_config(folder, settings)
        dataset = stored_dataset(settings, folder, given)
        manifest = Manifest(folder, settings)
        manifest.write()
        try:
            if dataset is None:
                dataset = given or build_dataset(params)
                save_dataset(dataset, folder / PANEL)
            result = _Run(settings, dataset, folder, hooks, say, manifest).go()
        except KeyboardInterrupt:
            manifest.end("interrupted")
            say.say(f"Stopped. Start again with the same configuration to go on in {folder}")
            raise
        except BaseException as error:
            manifest.end("failed", error=str(error))
            raise
        manifest.end("finished")
    return result


class _Run:
    """The stages of one run, in order."""

    def __init__(
        self,
        config: SimulationConfig,
        dataset: Dataset,
        folder: Path,
        hooks: Hooks | None,
        say: Reporter,
        manifest: Manifest,
    ) -> None:
        self.config, self.dataset, self.folder = config, dataset, folder
        self.say, self.manifest = say, manifest
        self.digest = dataset.digest
        self.last = self._last_stage()
        self.hooks = hooks
        self.sampled = config.tuning.optuna.sampler != "plan"

    def go(self) -> SimulationResult:
        done = SimulationResult(self.folder, self.dataset)
        t, a, f = self.dataset.X.shape
        self.say.say(f"Panel: {t} weeks x {a} assets x {f} features -> {self.folder}")
        self.manifest.stage("inputs", data_hash=self.digest, shape=[t, a, f])
        if self.last == "inputs":
            return done
        structure, candidates = self._plan()
        done = replace(done, structure=structure, candidates=candidates)
        if self.last == "cv":
            return done
        with closing(self._engine()) as engine:
            return self._folds(done, structure, engine)

    def _folds(
        self, done: SimulationResult, structure: CVStructure, engine: Engine
    ) -> SimulationResult:
        candidates = done.candidates
        hooks = self.hooks or mode_hooks(self.config)
        prebuilt = run_prebuild(self.dataset, structure, self.config, self.folder)
        found = None
        if self.sampled:
            found = self._search(structure.outer[0], prebuilt, engine)
            candidates = found.candidates
            write_json(self.folder / "cv" / "candidates.json", candidates)
            done = replace(done, candidates=candidates)
        records: dict[int, dict[str, list[UnitRecord]]] = {}
        picks: dict[int, str] = {}
        selections: dict[int, Selection] = {}
        outer: list[OuterResult] = []
        for plan in structure.outer:
            fold = self._inner_folder(plan)
            if found is None:
                listeners = self._listeners(plan, candidates)
                objective = self._inner(plan, prebuilt, engine, listeners)
                records[plan.group] = objective.evaluate_all(candidates)
            elif plan is structure.outer[0]:
                records[plan.group] = found.records
            else:
                records[plan.group] = self._judge(found, plan, structure, prebuilt, engine)
            picks[plan.group] = self._pick(plan, records[plan.group], candidates, fold, selections)
            self._write_best(fold, picks[plan.group], candidates, prebuilt)
            if self.last != "inner":
                held = _held_before(plan, outer)
                outer.append(
                    self._outer(plan, picks[plan.group], candidates, hooks, prebuilt, held)
                )
        self.manifest.stage("inner", picks={str(k): v for k, v in picks.items()})
        done = replace(
            done, records=records, picks=picks, selections=selections, outer=tuple(outer)
        )
        if self.last == "inner":
            return done
        self.manifest.stage("outer", weeks=int(sum(len(result.rows) for result in outer)))
        if self.last == "outer":
            return done
        return self._results(done, prebuilt)

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

    def _inner_folder(self, plan: OuterPlan) -> Path:
        return self.folder / "inner" / f"outer_{plan.group}"

    def _listeners(
        self, plan: OuterPlan, candidates: dict[str, dict[str, Any]]
    ) -> tuple[Listener, ...]:
        if self.config.tuning.engine != "optuna":
            return ()
        return (PlanStudy(open_study(self.config, plan, self.folder), self.config, candidates),)

    def _search(
        self, first: OuterPlan, prebuilt: Mapping[str, Any] | None, engine: Engine
    ) -> Found:
        """Candidates of a sampler, found on the earliest fold: nothing later can steer them."""
        study = open_study(self.config, first, self.folder, fresh=True)
        return search(self._inner(first, prebuilt, engine), study, self.config, len(first.inner))

    def _judge(
        self,
        found: Found,
        plan: OuterPlan,
        structure: CVStructure,
        prebuilt: Mapping[str, Any] | None,
        engine: Engine,
    ) -> dict[str, list[UnitRecord]]:
        """Score on a later fold what the search has left."""
        kept = {name: v for name, v in found.candidates.items() if name not in found.pruned}
        scored = self._inner(plan, prebuilt, engine, self._listeners(plan, kept)).evaluate_all(kept)
        reason = f"pruned on outer fold {structure.outer[0].group}"
        scored |= unscored(found.pruned, len(plan.inner), reason)
        return {name: scored[name] for name in found.candidates}

    def _inner(
        self,
        plan: OuterPlan,
        prebuilt: Mapping[str, Any] | None,
        engine: Engine,
        listeners: Sequence[Listener] = (),
    ) -> InnerObjective:
        work = InnerWork(
            self.config,
            plan,
            prebuilt,
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

    def _plan(self) -> tuple[CVStructure, dict[str, dict[str, Any]]]:
        tuning = self.config.tuning
        structure = build_structure(len(self.dataset.times), self.config)
        candidates: dict[str, dict[str, Any]] = {}
        write_structure(structure, self.dataset.times, self.folder / "cv")
        if not self.sampled:
            candidates = sample_candidates(tuning.space, tuning.num_samples, tuning.seed)
            check_space(self.config, candidates)
            write_json(self.folder / "cv" / "candidates.json", candidates)
        folds, count = len(structure.outer), len(candidates) or tuning.num_samples
        splits = sum(len(plan.inner) for plan in structure.outer)
        self.say.say(
            f"Plan: {folds} outer folds, {splits} inner splits, {count} candidates = "
            f"{splits * count} fits"
        )
        self.manifest.stage("cv", outer_folds=folds, inner_splits=splits)
        return structure, candidates

    def _pick(
        self,
        plan: OuterPlan,
        records: Mapping[str, list[UnitRecord]],
        candidates: Mapping[str, Mapping[str, Any]],
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
        shape = self.dataset.X.shape[1:]
        selection = select_for_fold(
            records, candidates, plan, fold, self.config, (shape[0], shape[1])
        )
        selections[plan.group] = selection
        return list(candidates)[selection.pick]

    def _write_best(
        self,
        folder: Path,
        candidate: str,
        candidates: Mapping[str, Mapping[str, Any]],
        prebuilt: Mapping[str, Any] | None,
    ) -> None:
        write_json(
            folder / "best_config.json",
            {
                "candidate": candidate,
                "values": candidates[candidate],
                **fit_config(self.config, candidates[candidate], prebuilt),
            },
        )

    def _outer(
        self,
        plan: OuterPlan,
        candidate: str,
        candidates: Mapping[str, Mapping[str, Any]],
        hooks: Hooks,
        prebuilt: Mapping[str, Any] | None,
        held: FloatArray | None,
    ) -> OuterResult:
        folder = self.folder / "outer" / f"outer_{plan.group}"
        values = candidates[candidate]
        key = outer_key(self.digest, plan, self.config, prebuilt, candidate, values, held)
        stored = load_outer(folder, key, self.say)
        if stored is not None:
            return stored
        frozen = fit_fold_preprocessing(self.dataset, plan, self.config)
        write_json(self.folder / "preprocessing" / f"outer_{plan.group}.json", frozen.to_dict())
        result = evaluate_outer_walk_forward(
            self.dataset,
            plan,
            candidate,
            candidates[candidate],
            self.config,
            hooks,
            prebuilt=prebuilt,
            reporter=self.say,
            held=held,
        )
        save_outer(result, self.dataset, folder, key)
        return result

    def _results(
        self, done: SimulationResult, prebuilt: Mapping[str, Any] | None
    ) -> SimulationResult:
        assert done.structure is not None
        scores = score_outer(self.dataset, done.structure.outer, done.outer, self.config)
        overall = None
        if done.selections:
            overall = select_globally(list(done.selections.values()), self.config)
            best = list(done.candidates)[overall.pick]
            write_json(self.folder / "outer" / "metrics.json", overall.metrics())
            write_json(self.folder / "outer" / "selection.json", overall.to_dict())
            self._write_best(self.folder / "outer", best, done.candidates, prebuilt)
        summary = summarise(done, score_table(scores), overall, self.config)
        write_json(self.folder / "cv" / "summary.json", summary)
        done = replace(done, scores=scores, summary=summary)
        report = write_run_report(done, overall, self.config)
        self.manifest.stage("results", report=report.name)
        self.say.say(f"Report: {report}")
        return done


def _held_before(plan: OuterPlan, earlier: Sequence[OuterResult]) -> FloatArray | None:
    """Last weights of the group before, if this one begins where it ended."""
    if not earlier or int(earlier[-1].rows[-1]) + 1 != plan.start:
        return None
    held: FloatArray = earlier[-1].weights[-1]
    return held
