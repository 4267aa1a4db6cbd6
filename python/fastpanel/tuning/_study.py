"""One Optuna study: the candidates of one outer fold, proposed, scored and kept for people."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from fastpanel._extras import require
from fastpanel.errors import ArtifactError
from fastpanel.tuning._config import OptunaSpec
from fastpanel.tuning._space import ParameterSpec

_CANDIDATE, _FAILED = "candidate", "failed"
P = ParamSpec("P")
R = TypeVar("R")


def _quietly(function: Callable[P, R]) -> Callable[P, R]:
    """Optuna's news and warnings about experimental arguments stay out of a run's output."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with _quiet_optuna():
            return function(*args, **kwargs)

    return wrapper


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    log = require("optuna", "tuning.engine 'optuna'").logging
    before = log.get_verbosity()
    log.set_verbosity(log.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.set_verbosity(before)


class Study:
    """Candidates of one outer fold as trials; a higher value is better.

    Only the process that holds the run's lock opens it. So a trial that is
    found running was left by a process that has died: it is failed, and the
    candidate gets a new trial.

    Parameters
    ----------
    spec : OptunaSpec
    space : sequence of ParameterSpec
    name : str
        Of the study in the storage.
    seed : int
        Of the sampler.
    journal : Path
        Where the journal file goes when ``spec.storage`` is null.
    fresh : bool
        Forget what the storage holds under this name. A sampler that is asked
        and told the same things again proposes the same candidates again.

    Raises
    ------
    MissingExtraError
        Optuna is not installed.
    ArtifactError
        The storage cannot be opened.
    """

    @_quietly
    def __init__(
        self,
        spec: OptunaSpec,
        space: Sequence[ParameterSpec],
        *,
        name: str,
        seed: int,
        journal: Path,
        fresh: bool = False,
    ) -> None:
        import optuna

        self._optuna: Any = optuna
        self._space = tuple(space)
        self._trials: dict[str, Any] = {}
        storage = self._held = self._storage(spec.storage, journal)
        names = {study.study_name for study in self._optuna.get_all_study_summaries(storage)}
        if fresh and name in names:
            self._optuna.delete_study(study_name=name, storage=storage)
        self.study = self._optuna.create_study(
            storage=storage,
            sampler=self._sampler(spec.sampler, seed),
            pruner=self._pruner(spec.pruner),
            study_name=name,
            direction="maximize",
            load_if_exists=True,
        )
        self._drop_dead_trials()

    @_quietly
    def propose(self, count: int) -> dict[str, dict[str, Any]]:
        """Ask the sampler for ``count`` candidates: id to ``{path: value}``."""
        proposed = {}
        for _ in range(count):
            trial = self.study.ask()
            candidate = str(trial.number)
            trial.set_user_attr(_CANDIDATE, candidate)
            self._trials[candidate] = trial
            proposed[candidate] = self._values(trial)
        return proposed

    @_quietly
    def enqueue(self, candidates: Mapping[str, Mapping[str, Any]]) -> None:
        """Open a trial for every candidate of a plan that has none yet."""
        known = self._finished()
        for candidate, values in candidates.items():
            if candidate in known:
                continue
            self.study.enqueue_trial(dict(values), user_attrs={_CANDIDATE: candidate})
            trial = self.study.ask()
            self._values(trial)
            self._trials[candidate] = trial

    @_quietly
    def report(self, candidate: str, split: int, score: float) -> None:
        """Record the score of one split."""
        trial = self._trials.get(candidate)
        if trial is not None and math.isfinite(score):
            trial.report(score, split)

    @_quietly
    def should_prune(self, candidate: str) -> bool:
        """Whether the pruner gives the candidate up after what was reported."""
        return bool(self._trials[candidate].should_prune())

    @_quietly
    def finish(self, candidate: str, score: float, *, pruned: bool = False) -> None:
        """Close a trial: with its score, as failed (NaN) or as pruned."""
        trial = self._trials.pop(candidate, None)
        if trial is None:
            return  # finished in an earlier process
        states = self._optuna.trial.TrialState
        if pruned:
            self.study.tell(trial, state=states.PRUNED)
        elif math.isfinite(score):
            self.study.tell(trial, score)
        else:
            trial.set_user_attr(_FAILED, True)
            self.study.tell(trial, state=states.FAIL)

    def close(self) -> None:
        """Let go of the storage's connections."""
        engine = getattr(self._held, "engine", None)
        if engine is not None:
            self._held.remove_session()
            engine.dispose()

    def _values(self, trial: Any) -> dict[str, Any]:
        """Values of the active parameters, discrete ones first since others depend on them."""
        values: dict[str, Any] = {}
        waiting = [spec for spec in self._space if spec.is_discrete]
        while ready := [spec for spec in waiting if spec.active(values)]:
            for spec in ready:
                values[spec.path] = trial.suggest_categorical(spec.path, spec.choices)
            waiting = [spec for spec in waiting if spec not in ready]
        for spec in self._space:
            if spec.is_discrete or not spec.active(values):
                continue
            assert spec.bounds is not None
            log = spec.transform in {"log", "log10"}
            if spec.type == "int":
                low, high = (int(bound) for bound in spec.bounds)
                values[spec.path] = trial.suggest_int(spec.path, low, high, log=log)
            else:
                values[spec.path] = trial.suggest_float(spec.path, *spec.bounds, log=log)
        return {spec.path: values[spec.path] for spec in self._space if spec.path in values}

    def _finished(self) -> set[Any]:
        """Candidates with a score, or known to have none."""
        complete = self._optuna.trial.TrialState.COMPLETE
        return {
            trial.user_attrs.get(_CANDIDATE)
            for trial in self.study.get_trials(deepcopy=False)
            if trial.state == complete or trial.user_attrs.get(_FAILED)
        }

    def _drop_dead_trials(self) -> None:
        states = self._optuna.trial.TrialState
        while self.study.get_trials(deepcopy=False, states=(states.WAITING,)):
            self.study.ask()
        for trial in self.study.get_trials(deepcopy=False, states=(states.RUNNING,)):
            self.study.tell(trial.number, state=states.FAIL)

    def _storage(self, url: str | None, journal: Path) -> Any:
        storages = self._optuna.storages
        try:
            if url is None:
                journal.parent.mkdir(parents=True, exist_ok=True)
                backend = storages.journal.JournalFileBackend(str(journal))
                return storages.JournalStorage(backend)
            return storages.RDBStorage(database_url(url))
        except Exception as error:
            raise ArtifactError(
                f"cannot open the study storage {url or journal}: {type(error).__name__}: {error}"
            ) from error

    def _sampler(self, name: str, seed: int) -> Any:
        samplers = self._optuna.samplers
        if name == "tpe":
            conditional = any(spec.when for spec in self._space)
            return samplers.TPESampler(
                seed=seed, multivariate=True, group=conditional, constant_liar=True
            )
        if name == "gp":
            return samplers.GPSampler(seed=seed)
        if name == "qmc":
            return samplers.QMCSampler(seed=seed, scramble=True)
        return samplers.RandomSampler(seed=seed)

    def _pruner(self, name: str) -> Any:
        pruners = self._optuna.pruners
        if name == "median":
            return pruners.MedianPruner(n_startup_trials=4)
        if name == "successive_halving":
            return pruners.SuccessiveHalvingPruner()
        return pruners.NopPruner()


def database_url(url: str) -> str:
    """Name the PostgreSQL driver that the extras install where a URL leaves it open.

    Parameters
    ----------
    url : str
        Of SQLAlchemy's form.

    Returns
    -------
    str
        Other databases' URLs come back as they are.

    Examples
    --------
    >>> database_url("postgresql://user@host/db"), database_url("sqlite:///a.db")
    ('postgresql+psycopg://user@host/db', 'sqlite:///a.db')
    >>> database_url("postgresql+psycopg2://user@host/db")
    'postgresql+psycopg://user@host/db'
    """
    scheme, separator, rest = url.partition("://")
    if scheme in {"postgres", "postgresql", "postgresql+psycopg2"}:
        scheme = "postgresql+psycopg"
    return f"{scheme}{separator}{rest}"
