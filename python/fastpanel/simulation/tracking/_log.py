"""``tracking.jsonl``: every fact of a run, in the order in which it became known."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from fastpanel.errors import ArtifactError
from fastpanel.progress import Reporter
from fastpanel.simulation._ledger import UnitRecord
from fastpanel.simulation.tracking._config import TrackingConfig
from fastpanel.simulation.tracking._facts import Fact

FILE = "tracking.jsonl"


class Sink(Protocol):
    """Where facts go besides the file."""

    def log(self, fact: Fact) -> None:
        """Record a fact; the same fact a second time changes nothing.

        Raises
        ------
        ArtifactError
            It cannot be recorded.
        """

    def close(self, status: str) -> None:
        """End the run there with ``status``."""


class TrackingLog:
    """Facts of one run; a rerun adds only what is new.

    The file is the record. The sink is told by a thread of its own, so that a
    slow server holds nothing up, and ``close`` waits for it. A sink that fails
    is reported and left alone from then on: a tracking server that is down
    never stops a run, and what it missed it gets when the run is started again.
    """

    def __init__(
        self, folder: Path, reporter: Reporter, open_sink: Callable[[str], Sink] | None
    ) -> None:
        self._path, self._say = folder / FILE, reporter
        self.study, self._facts = self._read()
        self._sink: Sink | None = None
        self._teller = ThreadPoolExecutor(1, "tracking")
        self._told: list[Future[None]] = []
        if open_sink is not None:
            self._safely(lambda: self._open(open_sink))

    def add(self, fact: Fact) -> None:
        """Record a fact, unless it has been recorded as it is."""
        known = self._facts.get(fact.key)
        if known is not None and known.digest == fact.digest:
            return
        self._facts[fact.key] = fact
        self._append({"study": self.study, **fact.to_dict()})
        self._tell(lambda sink: sink.log(fact))

    def candidates_of(self, fold: int) -> Callable[..., None]:
        """A listener for the inner objective of one fold."""

        def listen(
            candidate: str, values: Mapping[str, Any], records: Sequence[UnitRecord]
        ) -> None:
            scores = [record.score for record in records]
            failed = sum(record.error is not None for record in records)
            self.add(
                Fact(
                    "candidate",
                    fold,
                    candidate,
                    params=dict(values),
                    metrics={"score": sum(scores) / len(scores), "failed_splits": float(failed)},
                    series={"split_score": scores},
                    seconds=round(sum(record.seconds for record in records), 3),
                )
            )

        return listen

    def close(self, status: str) -> None:
        """Tell the sink how the run ended, after all that it has not heard yet."""
        self._tell(lambda sink: sink.close(status))
        self._teller.shutdown()
        for told in self._told:
            told.result()

    def _open(self, open_sink: Callable[[str], Sink]) -> None:
        self._sink = open_sink(self.study)
        for fact in list(self._facts.values()):
            self._sink.log(fact)

    def _tell(self, step: Callable[[Sink], None]) -> None:
        def tell() -> None:
            sink = self._sink
            if sink is not None:
                self._safely(lambda: step(sink))

        self._told.append(self._teller.submit(tell))

    def _safely(self, step: Callable[[], None]) -> None:
        try:
            step()
        except ArtifactError as error:
            self._sink = None
            self._say.say(f"Tracking stops here, the run goes on: {error}")

    def _append(self, record: Mapping[str, Any]) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(record, sort_keys=True) + "\n")
        except OSError as error:
            raise ArtifactError(f"cannot write {self._path}: {error.strerror or error}") from error

    def _read(self) -> tuple[str, dict[str, Fact]]:
        """Identity and facts of an earlier start; a torn last line is dropped."""
        study = uuid.uuid4().hex
        facts: dict[str, Fact] = {}
        if not self._path.is_file():
            return study, facts
        text = self._path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            self._path.write_text(whole, encoding="utf-8")
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                record = json.loads(line)
                study = record.pop("study")
                fact = Fact.from_dict(record)
            except (ValueError, KeyError, TypeError) as error:
                raise ArtifactError(f"damaged line {number} in {self._path}: {error}") from None
            facts[fact.key] = fact
        return study, facts


def open_log(config: TrackingConfig, folder: Path, reporter: Reporter) -> TrackingLog:
    """The log of the run in ``folder``, with MLflow behind it where the configuration says so.

    Raises
    ------
    MissingExtraError
        MLflow is asked for and not installed.
    """
    if config.mlflow.uri is None:
        return TrackingLog(folder, reporter, None)
    from fastpanel.simulation.tracking._mlflow import MlflowSink, require_mlflow

    require_mlflow()
    return TrackingLog(
        folder, reporter, lambda study: MlflowSink(config.mlflow, study=study, folder=folder)
    )
