"""Facts as nested MLflow runs: the run, its folds, the candidates of each fold."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastpanel._extras import require
from fastpanel.errors import ArtifactError
from fastpanel.simulation.tracking._config import MlflowSpec
from fastpanel.simulation.tracking._facts import Fact
from fastpanel.tuning import database_url

_STUDY, _KEY, _DIGEST = "fastpanel.study", "fastpanel.key", "fastpanel.digest"
_RESULT, _OLD, _PARENT = "fastpanel.result", "fastpanel.superseded", "mlflow.parentRunId"
_PARAMS_AT_ONCE, _METRICS_AT_ONCE = 100, 1000
_LONGEST = 500


def require_mlflow() -> Any:
    """MLflow, or an error that says how to install it."""
    return require("mlflow", "tracking.mlflow.uri")


@contextmanager
def _named(uri: str) -> Iterator[None]:
    """Whatever MLflow or its database raises, with the address in the message."""
    try:
        yield
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0]
        raise ArtifactError(f"MLflow at {uri}: {type(error).__name__}: {reason}") from error


def _knock(uri: str) -> None:
    """Fail at once where no server answers; MLflow itself would try again for minutes."""
    address = urlsplit(uri)
    if address.hostname is None:
        return
    usual = {"http": 80, "https": 443}.get(address.scheme, 5432)
    with socket.create_connection((address.hostname, address.port or usual), timeout=10):
        pass


class MlflowSink:
    """One MLflow run per fact, found again by its tags.

    The schema of a database is created or upgraded here, in one process,
    before any worker starts. Only plain files are logged: reports, pictures,
    CSV and JSON.
    """

    def __init__(self, spec: MlflowSpec, *, study: str, folder: Path) -> None:
        self.uri = database_url(spec.uri or "")
        self._study, self._folder = study, folder
        self._runs: dict[str, str] = {}
        self._digests: dict[str, str] = {}
        with _named(self.uri):
            _knock(self.uri)
            self._entities = require("mlflow.entities", "tracking.mlflow.uri")
            self._client = require_mlflow().MlflowClient(tracking_uri=self.uri)
            self._experiment = self._open_experiment(spec)
            for run in self._mine():
                self._remember(run)
            if "run" in self._runs:
                self._client.update_run(self._runs["run"], status="RUNNING")

    def log(self, fact: Fact) -> None:
        """Create or complete the run of a fact; the result completes the outermost run."""
        if self._digests.get(fact.key) == fact.digest:
            return
        with _named(self.uri):
            run, tag = self._run_of(fact)
            *first, last = self._batches(fact)
            for batch in first:
                self._client.log_batch(run, **batch)
            for name in fact.artifacts:
                self._log_artifact(run, self._folder / name, Path(name))
            told = self._entities.RunTag(tag, fact.digest)
            self._client.log_batch(run, tags=[told], **last)
            if fact.kind in {"fold", "candidate"}:
                self._client.set_terminated(run)
        self._digests[fact.key] = fact.digest

    def close(self, status: str) -> None:
        """End the outermost run."""
        known = {"finished": "FINISHED", "interrupted": "KILLED"}
        if "run" in self._runs:
            with _named(self.uri):
                self._client.set_terminated(self._runs["run"], known.get(status, "FAILED"))

    def _remember(self, run: Any) -> None:
        tags = run.data.tags
        if _OLD in tags:
            return
        self._runs[tags[_KEY]] = run.info.run_id
        self._digests[tags[_KEY]] = tags.get(_DIGEST, "")
        if _RESULT in tags:
            self._digests["result"] = tags[_RESULT]

    def _run_of(self, fact: Fact) -> tuple[str, str]:
        """The run that a fact belongs to, and the tag that says what it has been told."""
        if fact.kind == "result":
            return self._runs["run"], _RESULT
        if self._digests.get(fact.key):  # what was set cannot be changed in MLflow
            self._client.set_tag(self._runs.pop(fact.key), _OLD, "true")
        return self._runs.get(fact.key) or self._create(fact), _DIGEST

    def _open_experiment(self, spec: MlflowSpec) -> str:
        found = self._client.get_experiment_by_name(spec.experiment)
        if found is not None:
            return str(found.experiment_id)
        place = spec.artifacts
        if place is None and not self.uri.startswith("http"):
            place = Path("mlartifacts").absolute().as_uri()
        return str(self._client.create_experiment(spec.experiment, artifact_location=place))

    def _mine(self) -> Iterator[Any]:
        """All runs of this study, page by page."""
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment],
                filter_string=f"tags.`{_STUDY}` = '{self._study}'",
                max_results=1000,
                page_token=token,
            )
            yield from page
            token = page.token
            if not token:
                return

    def _create(self, fact: Fact) -> str:
        tags = {_STUDY: self._study, _KEY: fact.key, "fastpanel.kind": fact.kind}
        parent = self._parent(fact)
        if parent:
            tags[_PARENT] = parent
        names = {"run": self._folder.name, "fold": f"fold {fact.fold}"}
        name = names.get(fact.kind, f"candidate {fact.candidate}")
        run = self._client.create_run(self._experiment, tags=tags, run_name=name)
        self._runs[fact.key] = run.info.run_id
        return str(run.info.run_id)

    def _parent(self, fact: Fact) -> str | None:
        if fact.kind == "run":
            return None
        if fact.kind == "fold":
            return self._runs["run"]
        fold = Fact("fold", fact.fold)
        return self._runs.get(fold.key) or self._create(fold)

    def _batches(self, fact: Fact) -> Iterator[Mapping[str, Any]]:
        now = int(time.time() * 1000)
        metrics = dict(fact.metrics)
        if fact.seconds is not None:
            metrics["seconds"] = fact.seconds
        points = [self._entities.Metric(k, v, now, 0) for k, v in metrics.items()]
        for name, values in fact.series.items():
            points += [self._entities.Metric(name, v, now, i) for i, v in enumerate(values)]
        params = [self._entities.Param(k, str(v)[:_LONGEST]) for k, v in fact.params.items()]
        remaining_params, remaining_points = iter(params), iter(points)
        for _ in range(
            max(1, -(-len(params) // _PARAMS_AT_ONCE), -(-len(points) // _METRICS_AT_ONCE))
        ):
            some_params = list(islice(remaining_params, _PARAMS_AT_ONCE))
            some_points = list(islice(remaining_points, _METRICS_AT_ONCE))
            yield {"params": some_params, "metrics": some_points}

    def _log_artifact(self, run: str, path: Path, name: Path) -> None:
        if path.is_dir():
            self._client.log_artifacts(run, str(path), str(name))
        elif path.is_file():
            parent = None if name.parent == Path() else str(name.parent)
            self._client.log_artifact(run, str(path), parent)
