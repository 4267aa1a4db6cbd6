"""The flow of a run in stub mode: stages, artefacts, resuming, refusals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import fastpanel as fp
from fastpanel.errors import ArtifactError, ConfigError, ModelError, RunLockedError
from fastpanel.simulation import load_config
from fastpanel.simulation._hooks import stub_hooks
from tests.simulation.conftest import make_panel


def run(config, panel, **kwargs):
    return fp.simulation.run(config, panel=panel, progress=False, **kwargs)


def files(folder: Path) -> dict[str, bytes]:
    timed = {"run_manifest.json", "ledger.jsonl", "tracking.jsonl", "finished.json"}
    skip = {*timed, ".lock", "report.html"}
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in skip and path.suffix != ".png"
    }


def with_flags(config, **flags):
    return {**config, "flags": {**config["flags"], **flags}}


def test_all_artefacts_are_there(config, panel):
    result = run(config, panel)
    folder = result.folder
    # 95 labelled weeks, warm-up 11: groups of 14 end on the newest; 2 = 3 earlier groups with q = 2
    assert [plan.group for plan in result.structure.outer] == [2, 3, 4, 5]
    assert [len(plan.inner) for plan in result.structure.outer] == [1, 3, 6, 10]
    for group, splits in zip((2, 3, 4, 5), (1, 3, 6, 10), strict=True):
        inner = folder / "inner" / f"outer_{group}"
        assert len(list((inner / "candidates").glob("*.pt"))) == 2 * splits
        for name in ("metrics.json", "selection.json", "metadata.json"):
            assert (inner / "postprocessing" / name).is_file()
        assert (inner / "best_config.json").is_file()
        assert (folder / "preprocessing" / f"outer_{group}.json").is_file()
        weights = pl.read_csv(folder / "outer" / f"outer_{group}" / "weights.csv")
        assert weights.height == 14
    for name in ("metrics.json", "selection.json", "best_config.json"):
        assert (folder / "outer" / name).is_file()
    assert pl.read_csv(folder / "cv" / "timestamps_cv.csv").height == 95
    assert json.loads((folder / "cv" / "candidates.json").read_text()) == result.candidates
    assert json.loads((folder / "run_manifest.json").read_text())["status"] == "finished"
    assert result.report is not None


def test_score_recomputed_from_a_payload_equals_the_recorded_one(config, panel):
    result = run(with_flags(config, stop_after="inner"), panel)
    import torch

    record = result.records[3]["1"][2]
    path = result.folder / "inner" / "outer_3" / record.file
    payload = torch.load(path, weights_only=True)
    z, draws = payload["z_true"].numpy(), payload["z_samples"].numpy().astype(float)
    u, v = z @ payload["whitener"].numpy().T, draws @ payload["whitener"].numpy().T
    truth_term = np.linalg.norm(v - u, axis=2).mean(axis=0)
    pairs = np.linalg.norm(v[:, None] - v[None], axis=3).mean(axis=(0, 1))
    np.testing.assert_allclose(payload["es"].numpy(), truth_term - 0.5 * pairs, rtol=1e-9)
    assert record.score == -payload["es"].numpy().mean()


def test_unknown_names_are_found_before_any_work(config, panel, tmp_path):
    config["flags"] = {"simulation_mode": "full"}
    config["scoring"]["spec"]["metric_name"] = "energy_scare"
    config["model"] = {
        "model_name": "factor_model_v0",
        "guide_name": "no_guide",
        "prebuild": {"enabled": True, "name": "no_hook"},
    }
    with pytest.raises(ConfigError) as caught:
        run(config, panel)
    lines = str(caught.value).splitlines()
    assert lines[0] == "config: 4 unknown names"
    keys = ("scoring.spec.metric_name", "model.prebuild.name", "model.model_name")
    for key in (*keys, "model.guide_name"):
        assert sum(f"{key}: Unknown registry key" in line for line in lines) == 1
    assert "'energy_score'" in lines[1] and "'neg_mse'" in lines[1]
    assert not (tmp_path / "runs").exists()


def test_same_seed_same_bytes_in_two_folders(config, panel):
    first = files(run(config, panel).folder)
    config["data"] = {"simulation_output_path": "again"}
    assert files(run(config, panel).folder) == first


def test_no_two_fits_of_a_run_share_a_seed(config, panel):
    stub, inner, outer = stub_hooks(load_config(config)), [], []

    def fit(X, y, job, state):
        (inner if "predict_index" in job else outer).append(job["seed"])
        return stub.fit_model(X, y, job, state)

    structure = run(config, panel, hooks=replace(stub, fit_model=fit)).structure
    assert len(structure.outer) > 1
    assert len(inner) == 2 * sum(len(fold.inner) for fold in structure.outer)
    assert len(outer) == sum(fold.stop - fold.start for fold in structure.outer)
    assert len({*inner, *outer}) == len(inner) + len(outer)


def test_stopped_run_goes_on_where_it_stopped(config, panel):
    whole = files(run(config, panel).folder)
    config["data"] = {"simulation_output_path": "resumed"}
    settings = load_config(config)
    stub, calls = stub_hooks(settings), []

    def fit_and_stop(X, y, job, state):
        calls.append(job["seed"])
        if len(calls) == 9:
            raise KeyboardInterrupt
        return stub.fit_model(X, y, job, state)

    with pytest.raises(KeyboardInterrupt):
        run(config, panel, hooks=replace(stub, fit_model=fit_and_stop))
    folder = Path(os.environ["SIMULATION_SOURCE"]) / "resumed"
    assert json.loads((folder / "run_manifest.json").read_text())["status"] == "interrupted"
    before = set(calls[:2])  # both candidates of the first fold, one split each, were finished

    def fit_and_count(X, y, job, state):
        calls.append(job["seed"])
        return stub.fit_model(X, y, job, state)

    calls.clear()
    run(config, panel, hooks=replace(stub, fit_model=fit_and_count))
    assert not before & set(calls)
    assert files(folder) == whole
    calls.clear()
    run(config, panel, hooks=replace(stub, fit_model=fit_and_count))
    assert calls == []  # a finished run computes nothing again


def test_damaged_payload_is_computed_again(config, panel):
    folder = run(config, panel).folder
    whole = files(folder)
    path = folder / "inner" / "outer_3" / "candidates" / "candidate_1_split_0.pt"
    path.write_bytes(path.read_bytes()[:-7] + b"damaged")
    run(config, panel)
    assert files(folder) == whole


@pytest.mark.parametrize("name", ["result.npz", "weights.csv", "finished.json"])
def test_damaged_outer_result_is_named_and_computed_again(config, panel, name, capsys):
    folder = run(config, panel).folder
    whole = files(folder)
    path = folder / "outer" / "outer_3" / name
    path.write_bytes(path.read_bytes()[:-7] + b"damaged")
    fp.simulation.run(config, panel=panel, progress=fp.progress.PlainReporter(sys.stdout))
    assert f"Damaged file {path}: the fold is computed again" in capsys.readouterr().out
    assert files(folder) == whole


def test_torn_ledger_line_is_forgotten(config, panel):
    folder = run(config, panel).folder
    whole = files(folder)
    ledger = folder / "inner" / "outer_3" / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes()[:-20])
    run(config, panel)
    assert files(folder) == whole


def test_other_configuration_in_the_folder_is_refused_with_the_difference(config, panel):
    run(config, panel)
    config["cv"] = {**config["cv"], "embargo_len": 3}
    with pytest.raises(ConfigError, match=r"cv\.embargo_len: 2 before, 3 now"):
        run(config, panel)


def test_other_panel_in_the_folder_is_refused_with_the_place(config, panel):
    run(config, panel)
    values = np.array(panel.values)
    values[5, 1, 2] += 1.0
    other = fp.Panel(values, panel.times, panel.assets, panel.features, targets=panel.targets)
    with pytest.raises(ConfigError, match=r"first at 2020-02-07.*A1, f2"):
        run(config, other)


def test_folder_without_a_panel_is_refused(config, panel, tmp_path):
    (tmp_path / "runs" / "run").mkdir(parents=True)
    with pytest.raises(ArtifactError, match=r"panel_tensor\.pt is missing"):
        run(config, panel)


def test_panel_file_that_was_altered_is_refused(config, panel):
    path = run(with_flags(config, stop_after="inputs"), panel).folder / "inputs/panel_tensor.pt"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ArtifactError, match=r"panel_tensor\.pt"):
        run(with_flags(config, stop_after="inputs"), panel)


def test_second_run_in_the_same_folder_is_refused(config, panel, tmp_path):
    folder = run(with_flags(config, stop_after="cv"), panel).folder
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(
                f"""
                import pathlib, sys
                from fastpanel.simulation._lock import run_lock
                with run_lock(pathlib.Path({str(folder)!r})):
                    print("held", flush=True)
                    sys.stdin.read()
                """
            ),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunLockedError, match=f"in use by process {holder.pid}"):
            run(with_flags(config, stop_after="cv"), panel)
    finally:
        holder.communicate("")
    run(with_flags(config, stop_after="cv"), panel)  # free again


def test_full_disk_gives_one_error_and_leaves_nothing_half_written(config, panel, tmp_path):
    code = textwrap.dedent(
        """
        import resource, signal, sys
        import fastpanel as fp
        from tests.simulation.conftest import make_panel
        import json
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # no file may grow beyond
        try:
            fp.simulation.run(json.loads(sys.argv[1]), panel=make_panel(), progress=False)
        except fp.errors.ArtifactError as error:
            print(error)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(config)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": "python:."},
    )
    assert done.stdout.startswith("cannot write")
    left = {p.name for p in (tmp_path / "runs" / "run").rglob("*") if p.is_file()}
    assert left <= {".lock", "run_manifest.json"}


def test_failing_candidate_is_recorded_and_never_wins(config, panel):

    stub = stub_hooks(load_config(config))

    def fit(X, y, job, state):
        if job["training"]["svi"]["learning_rate"] > 0.01:
            raise ModelError("loss became NaN at step 3")
        return stub.fit_model(X, y, job, state)

    result = run(config, panel, hooks=replace(stub, fit_model=fit))
    rates = {c: v["training.svi.learning_rate"] for c, v in result.candidates.items()}
    (good,) = [c for c, rate in rates.items() if rate <= 0.01]
    (bad,) = set(rates) - {good}
    assert set(result.picks.values()) == {good}
    assert result.records[3][bad][0].error == "loss became NaN at step 3"


def test_all_candidates_failing_is_an_error_with_the_reason(config, panel):

    def fit(X, y, job, state):
        raise ModelError("no such luck")

    with pytest.raises(ModelError, match="no such luck"):
        run(config, panel, hooks=replace(stub_hooks(load_config(config)), fit_model=fit))
    folder = Path(os.environ["SIMULATION_SOURCE"]) / "run"
    assert json.loads((folder / "run_manifest.json").read_text())["status"] == "failed"


def test_too_short_a_history_says_what_to_change(config):
    with pytest.raises(ConfigError, match=r"39 labelled weeks give 2 groups of 14"):
        run(config, make_panel(n_weeks=40))


def test_weekly_order_of_hooks_and_warm_start(config, panel):

    events: list[tuple] = []
    stub = stub_hooks(load_config(config))

    def spy(name, hook):
        def call(*args):
            out = hook(*args)
            events.append((name, args, out))
            return out

        return call

    hooks = replace(
        stub,
        **{
            name: spy(name, getattr(stub, name))
            for name in ("fit_model", "predict", "score", "allocate", "compute_pnl")
        },
    )
    config["outer"] = {"test_groups": "last"}
    run(config, panel, hooks=hooks)
    names = [name for name, _, _ in events]
    inner = 2 * 10
    assert names[: 3 * inner : 1].count("score") == inner
    weekly = names[3 * inner :]
    assert weekly == ["fit_model", "predict", "allocate", "compute_pnl"] * 14
    fits = [event for event in events[3 * inner :] if event[0] == "fit_model"]
    assert fits[0][1][3] is None
    assert all(fit[1][3] is previous[2] for previous, fit in pairwise(fits))
    sizes = [len(fit[1][0]) for fit in fits]
    assert sizes == list(range(81, 95))  # one more training week every week


def test_cold_start_gives_no_state(config, panel):

    states = []
    stub = stub_hooks(load_config(config))

    def fit(X, y, job, state):
        states.append(state)
        return stub.fit_model(X, y, job, state)

    config["outer"] = {"test_groups": "last", "warm_start": False}
    run(config, panel, hooks=replace(stub, fit_model=fit))
    assert set(states) == {None}


def test_adjacent_folds_carry_their_weights_over(config, panel):
    """Only the first week of all is entered from cash; the books add up by hand."""
    config = {**config, "cost": {"bps": 30.0}, "allocation": {"max_weight": 0.3}}
    result = run(config, panel)
    weights = np.concatenate([fold.weights for fold in result.outer])
    rows = np.concatenate([fold.rows for fold in result.outer])
    assert (np.diff(rows) == 1).all()
    before = np.vstack([np.zeros_like(weights[:1]), weights[:-1]])
    earned = (weights * np.array(panel.targets)[rows]).sum(axis=1)
    by_hand = earned - 0.003 * np.abs(weights - before).sum(axis=1)
    pnl = np.concatenate([fold.pnl for fold in result.outer])
    np.testing.assert_allclose(pnl, by_hand, atol=1e-15)
    stored = [
        pl.read_csv(result.folder / "outer" / f"outer_{fold.group}" / "pnl.csv")["pnl"].to_numpy()
        for fold in result.outer
    ]
    np.testing.assert_array_equal(np.concatenate(stored), pnl)


def test_folds_that_do_not_touch_start_from_cash(config, panel):
    config = {**config, "cost": {"bps": 30.0}, "outer": {"test_groups": [2, 4]}}
    first, last = run(config, panel).outer
    targets = np.array(panel.targets)
    for fold in (first, last):
        earned = fold.weights[0] @ targets[fold.rows[0]]
        assert fold.pnl[0] == pytest.approx(earned - 0.003 * np.abs(fold.weights[0]).sum())


def test_same_bar_execution_earns_what_it_has_seen_and_marks_the_report(config, panel):
    config = {**config, "allocation": {"execution": "same_bar"}}
    result = run(config, panel)
    fold = result.outer[0]
    targets = np.array(panel.targets)
    np.testing.assert_allclose(fold.pnl, (fold.weights * targets[fold.rows - 1]).sum(axis=1))
    assert "same bar" in result.report.read_text()
