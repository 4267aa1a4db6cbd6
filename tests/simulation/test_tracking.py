"""A run as JSON lines and as nested MLflow runs; a rerun tells nothing twice."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import fastpanel as fp
from fastpanel.errors import ArtifactError
from fastpanel.progress import SilentReporter
from fastpanel.simulation.tracking import Fact, TrackingLog
from tests.simulation.services import free_port

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of MLflow's own use of SQLAlchemy
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Heard(SilentReporter):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def lines(result) -> list[dict]:
    text = (result.folder / "tracking.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def simulate(config, panel, **more):
    return fp.simulation.run({**config, **more}, panel=panel, progress=False)


def test_json_lines_hold_the_run_its_candidates_folds_and_result(config, panel):
    result = simulate(config, panel)
    told = lines(result)
    assert told[0]["kind"] == "run"
    assert told[0]["params"]["cv.embargo_len"] == 2
    assert told[0]["params"]["panel.digest"] == result.dataset.digest
    assert told[-1]["kind"] == "result"
    assert told[-1]["metrics"]["model.energy_score"] == result.summary["scores"][0]["energy_score"]
    for group, records in result.records.items():
        own = {t["candidate"]: t for t in told if t["kind"] == "candidate" and t["fold"] == group}
        assert own.keys() == records.keys()
        for name, units in records.items():
            scores = [unit.score for unit in units]
            assert own[name]["series"]["split_score"] == scores
            assert own[name]["metrics"]["score"] == pytest.approx(np.mean(scores), rel=1e-12)
            assert own[name]["params"] == result.candidates[name]
        (fold,) = [t for t in told if t["kind"] == "fold" and t["fold"] == group]
        assert fold["params"] == {"pick": result.picks[group]}
    assert len({line["study"] for line in told}) == 1


def test_a_rerun_adds_no_line_and_a_torn_line_is_written_again(config, panel):
    result = simulate(config, panel)
    path = result.folder / "tracking.jsonl"
    before = path.read_text()
    simulate(config, panel)
    assert path.read_text() == before
    path.write_text(before[:-20])
    simulate(config, panel)
    assert path.read_text() == before


def test_a_damaged_line_is_named(tmp_path):
    (tmp_path / "tracking.jsonl").write_text('{"study": "a"}\n')
    with pytest.raises(ArtifactError, match=r"damaged line 1 in .*tracking\.jsonl"):
        TrackingLog(tmp_path, SilentReporter(), None)


def test_a_sink_that_fails_is_left_alone_and_hears_all_when_it_is_back(tmp_path):
    heard: list[Fact] = []

    class Sink:
        broken = True

        def log(self, fact):
            if self.broken and fact.kind == "fold":
                raise ArtifactError("the server is down")
            heard.append(fact)

        def close(self, status):
            raise AssertionError("a sink that failed is not called again")

    said, sink = Heard(), Sink()
    log = TrackingLog(tmp_path, said, lambda study: sink)
    facts = [Fact("run"), Fact("fold", 1, metrics={"x": 1.0}), Fact("fold", 2)]
    for fact in facts:
        log.add(fact)
    log.close("finished")
    assert heard == facts[:1]
    assert said.lines == ["Tracking stops here, the run goes on: the server is down"]
    sink.broken = False
    again = TrackingLog(tmp_path, said, lambda study: sink)
    assert heard[1:] == facts
    assert again.study == log.study


def with_mlflow(config, uri, tmp_path, label="run"):
    place = (tmp_path / "artifacts").as_uri()
    tracking = {"mlflow": {"uri": uri, "artifacts": place}}
    return {**config, "data": {"simulation_output_path": label}, "tracking": tracking}


def check_mlflow(config, panel, uri, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="needs the extra 'mlflow'")
    monkeypatch.chdir(tmp_path)
    settings = with_mlflow(config, uri, tmp_path)
    result = simulate(settings, panel)
    client = mlflow.MlflowClient(tracking_uri=uri.replace("postgresql:", "postgresql+psycopg:"))
    experiment = client.get_experiment_by_name("fastpanel")

    def runs():
        return client.search_runs([experiment.experiment_id], max_results=1000)

    by_key = {run.data.tags["fastpanel.key"]: run for run in runs()}
    groups = result.records
    expected = {"run", *(f"fold/{g}" for g in groups)}
    expected |= {f"candidate/{g}/{c}" for g in groups for c in result.candidates}
    assert by_key.keys() == expected
    assert {run.info.status for run in by_key.values()} == {"FINISHED"}
    outermost = by_key["run"]
    group = max(groups)
    fold, candidate = by_key[f"fold/{group}"], by_key[f"candidate/{group}/1"]
    assert candidate.data.tags["mlflow.parentRunId"] == fold.info.run_id
    assert fold.data.tags["mlflow.parentRunId"] == outermost.info.run_id
    assert fold.data.params["pick"] == result.picks[group]
    lr = result.candidates["1"]["training.svi.learning_rate"]
    assert candidate.data.params == {"training.svi.learning_rate": str(lr)}
    history = client.get_metric_history(candidate.info.run_id, "split_score")
    scores = [unit.score for unit in groups[group]["1"]]
    assert [point.value for point in sorted(history, key=lambda p: p.step)] == scores
    row = result.summary["scores"][0]
    assert outermost.data.metrics["model.energy_score"] == row["energy_score"]
    files = {item.path for item in client.list_artifacts(outermost.info.run_id)}
    assert files == {"report.html", "cv", "outer"}
    stored = [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]
    assert {path.suffix for path in stored} <= {".html", ".json", ".csv", ".png"}
    simulate(settings, panel)
    assert len(runs()) == len(by_key)  # a rerun tells nothing twice


@pytest.mark.slow
def test_mlflow_on_sqlite(config, panel, tmp_path, monkeypatch):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    check_mlflow(config, panel, uri, tmp_path, monkeypatch)


@pytest.mark.slow
def test_mlflow_on_postgresql(config, panel, tmp_path, monkeypatch, postgres):
    check_mlflow(config, panel, postgres, tmp_path, monkeypatch)


@pytest.mark.slow
def test_a_tracking_server_that_is_down_does_not_stop_a_run(config, panel, tmp_path):
    pytest.importorskip("mlflow", reason="needs the extra 'mlflow'")
    said = Heard()
    settings = with_mlflow(config, f"postgresql://me@127.0.0.1:{free_port()}/db", tmp_path)
    result = fp.simulation.run(settings, panel=panel, progress=said)
    assert result.report is not None
    (line,) = [text for text in said.lines if "Tracking" in text]
    assert "the run goes on: MLflow at postgresql+psycopg://me@127.0.0.1:" in line
    assert "ConnectionRefusedError" in line
    assert lines(result)[-1]["kind"] == "result"


def test_without_a_uri_mlflow_is_not_imported(tmp_path):
    code = (
        "import sys; from fastpanel.simulation.tracking import TrackingConfig, open_log;"
        "from fastpanel.progress import SilentReporter; from pathlib import Path;"
        f"open_log(TrackingConfig(), Path({str(tmp_path)!r}), SilentReporter());"
        "print('mlflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
