"""Selection files against a recomputation, formula by formula, from the payload files alone."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import fastpanel as fp
from fastpanel.selection import select
from fastpanel.simulation._postprocess import select_globally
from tests.simulation.conftest import make_panel, stub_config

C, MAX_KEEP, ALPHA, DRAWS, SEED = 0.4, 3, 0.1, 200, 9
FACTORS = "model.params.num_factors"


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    config = stub_config(str(tmp_path_factory.mktemp("runs") / "run"))
    config["predictive"] = {"num_samples": 16}  # few draws: candidates differ by luck
    config["tuning"]["space"].append({"path": FACTORS, "type": "categorical", "values": [3, 1]})
    config["tuning"]["num_samples"] = 8
    config["model_selection"] = {
        "enable": True,
        "es_band": {"c": C, "max_keep": MAX_KEEP},
        "alpha_tail": ALPHA,
        "bootstrap": {"num_samples": DRAWS},
        "seed": SEED,
    }
    panel = make_panel()
    targets = np.array(panel.targets)
    targets[50, 1] = np.nan  # one missing target: a week without an energy score
    panel = fp.Panel(panel.values, panel.times, panel.assets, panel.features, targets=targets)
    return fp.simulation.run(config, panel=panel, progress=False)


def read(result, name):
    return json.loads((result.folder / name).read_text())


def payloads(result, group, candidate):
    torch = pytest.importorskip("torch")
    folder = result.folder / "inner" / f"outer_{group}" / "candidates"
    paths = sorted(folder.glob(f"candidate_{candidate}_split_*.pt"))
    loaded = [torch.load(path, weights_only=True) for path in paths]
    return [{k: v.numpy() if hasattr(v, "numpy") else v for k, v in p.items()} for p in loaded]


def energy(payload):
    """ES_t = (1/S) sum |u_s - u| - (1/(2 S^2)) sum sum |u_s - u_s'|, week by week."""
    out = []
    for t, truth in enumerate(payload["z_true"]):
        u = payload["whitener"] @ truth
        draws = np.array(
            [payload["whitener"] @ z for z in payload["z_samples"][:, t].astype(float)]
        )
        away = np.linalg.norm(draws - u, axis=1).mean()
        apart = sum(np.linalg.norm(draws - d, axis=1).sum() for d in draws)
        out.append(away - apart / (2 * len(draws) ** 2))
    return np.array(out)


def crps(payload):
    z, draws = payload["z_true"], payload["z_samples"].astype(float)
    apart = np.abs(draws[:, None] - draws[None]).sum(axis=(0, 1)) / (2 * len(draws) ** 2)
    return np.abs(draws - z).mean(axis=0) - apart


def tail(payload):
    error = payload["z_true"] - np.quantile(payload["z_samples"].astype(float), ALPHA, axis=0)
    return (ALPHA - (error < 0)) * error


def by_group(loaded, score):
    """Mean over the weeks of a group in a split, then over the splits: {group: score}."""
    found = {}
    for payload in loaded:
        weekly = score(payload)
        for group in np.unique(payload["test_groups"]):
            found.setdefault(group, []).append(
                np.nanmean(weekly[payload["test_groups"] == group], axis=0)
            )
    return {group: np.mean(parts, axis=0) for group, parts in sorted(found.items())}


def rank(values):
    return [1 + sum(x < y for x in values) + (sum(x == y for x in values) - 1) / 2 for y in values]


def decided(es, se, crps_of, ql_of, sizes):
    """Survivors and pick by the rules of the selection."""
    order = sorted(es, key=lambda m: (es[m], int(m)))
    best = order[0]
    survivors = [m for m in order if es[m] <= es[best] + C * se[best]][:MAX_KEEP]
    total = np.add(rank([crps_of[m] for m in survivors]), rank([ql_of[m] for m in survivors]))
    last = [m for m, score in zip(survivors, total, strict=True) if score == total.min()]
    return set(survivors), min(last, key=lambda m: (sizes[m], es[m], int(m)))


@pytest.mark.parametrize("group", [2, 3, 4, 5])
def test_fold_files_equal_a_recomputation_from_the_payloads(result, group):
    metrics = read(result, f"inner/outer_{group}/postprocessing/metrics.json")
    selection = read(result, f"inner/outer_{group}/postprocessing/selection.json")
    es, se, crps_of, ql_of = {}, {}, {}, {}
    for m in map(str, range(8)):
        loaded = payloads(result, group, m)
        assert len(loaded) == len(result.structure.outer[group - 2].inner)
        groups = by_group(loaded, energy)
        assert list(groups) == list(range(group))
        values = np.array(list(groups.values()))
        es[m] = np.median(values)
        rng = np.random.default_rng((SEED, group))
        draws = rng.integers(0, len(values), size=(DRAWS, len(values)))
        se[m] = np.std([np.median(values[d]) for d in draws], ddof=1)
        for store, score in ((crps_of, crps), (ql_of, tail)):
            store[m] = np.median(np.mean(list(by_group(loaded, score).values()), axis=0))
        assert metrics[m]["es_model"] == pytest.approx(es[m], rel=1e-9)
        assert metrics[m]["se_es"] == pytest.approx(se[m], rel=1e-9)
    sizes = {m: row["complexity"] for m, row in metrics.items()}
    survivors, pick = decided(es, se, crps_of, ql_of, sizes)
    for m, row in metrics.items():
        assert row["survivor"] == (m in survivors)
        for key, expected in (("crps_model", crps_of), ("ql_model", ql_of)):
            if m in survivors:
                assert row[key] == pytest.approx(expected[m], rel=1e-9)
            else:
                assert math.isnan(row[key])
    assert sorted(map(str, selection["survivors"])) == sorted(survivors)
    assert str(selection["pick"]) == pick == result.picks[group]
    assert [m for m, row in metrics.items() if row["pick"]] == [pick]
    splits = result.structure.outer[group - 2].inner
    holes = sum(50 in split.test for split in splits)  # the week with a missing target
    assert holes == (0 if group == 2 else group - 1)
    assert selection["n_missing"] == holes
    assert selection["n_weeks"] == sum(len(split.test) for split in splits) - holes


def test_survivors_are_some_but_not_all_and_the_guardrail_bites(result):
    """Otherwise the recomputation above could not tell a wrong band from a right one."""
    counts = [len(selection.survivors) for selection in result.selections.values()]
    assert set(counts) <= {1, 2, 3}
    assert max(counts) == MAX_KEEP
    assert len(set(result.picks.values())) > 1


def test_complexity_grows_with_the_number_of_factors(result):
    table = read(result, "outer/metrics.json")
    sizes = {result.candidates[m][FACTORS]: row["complexity"] for m, row in table.items()}
    assert sizes[3] > sizes[1] > 0


def test_payload_weeks_belong_to_their_groups_and_samples_are_not_whitened(result):
    groups = result.structure.groups
    split = result.structure.outer[1].inner[0]
    payload = payloads(result, 3, "0")[0]
    np.testing.assert_array_equal(payload["test_idx"], split.test)
    for row, group in zip(payload["test_idx"], payload["test_groups"], strict=True):
        start, stop = groups[group]
        assert start <= row < stop
    y = result.dataset.y
    train = y[split.train]
    scale = np.nanmedian(np.abs(train - np.nanmedian(train, axis=0)), axis=0)
    np.testing.assert_allclose(payload["scale"], scale, rtol=1e-9)
    np.testing.assert_allclose(payload["z_true"], y[split.test] / scale, rtol=1e-9)
    # a draw of the stub is a training week, here in units of the MAD
    weeks = (train / scale).astype(np.float32)
    assert (np.abs(weeks - payload["z_samples"][0, 0]).max(axis=1) < 1e-5).any()
    assert (payload["n_eff"], payload["lambda"]) == (np.isfinite(train).all(axis=1).sum(), 0.30)


def test_global_files_are_medians_over_folds(result):
    folds = [read(result, f"inner/outer_{k}/postprocessing/metrics.json") for k in (2, 3, 4, 5)]
    table = read(result, "outer/metrics.json")
    never = 0
    for m, row in table.items():
        for key in ("es_model", "se_es"):
            assert row[key] == pytest.approx(np.median([fold[m][key] for fold in folds]))
        for key in ("crps_model", "ql_model"):
            survived = [fold[m][key] for fold in folds if not math.isnan(fold[m][key])]
            assert row[key] == pytest.approx(
                np.median(survived) if survived else math.nan, nan_ok=True
            )
        never += not survived
    assert 0 < never < len(table)
    selection = read(result, "outer/selection.json")
    assert str(selection["pick"]) == result.summary["global_pick"]


def test_each_fold_is_forecast_with_its_own_pick(result):
    for fold in result.outer:
        own = read(result, f"inner/outer_{fold.group}/postprocessing/selection.json")
        assert fold.candidate == str(own["pick"])


@pytest.mark.parametrize("name", ["outer", "inner/outer_3"])
def test_best_config_is_the_base_with_the_values_of_the_pick(result, name):
    best = read(result, f"{name}/best_config.json")
    base = read(result, "run_manifest.json")["config"]
    values = result.candidates[best["candidate"]]
    assert best["candidate"] == (result.summary["global_pick"] if name == "outer" else
                                 result.picks[3])  # fmt: skip
    expected = {"model": base["model"], "training": base["training"]}
    expected["model"]["params"] = {"num_factors": values[FACTORS]}
    expected["training"]["svi"]["learning_rate"] = values["training.svi.learning_rate"]
    assert {key: best[key] for key in expected} == expected


def test_without_selection_the_best_mean_score_wins_and_no_selection_file_is_written(config, panel):
    config["model_selection"] = {"enable": False}
    result = fp.simulation.run(config, panel=panel, progress=False)
    assert not list(result.folder.rglob("postprocessing"))
    assert not (result.folder / "outer" / "selection.json").exists()
    for group, records in result.records.items():
        means = {m: np.mean([unit.score for unit in units]) for m, units in records.items()}
        assert result.picks[group] == max(means, key=means.get)


def test_the_band_of_the_configuration_holds_over_all_folds_too(config):
    even = select(np.ones((3, 1, 2)), [[0, 1]])
    config["model_selection"]["es_band"] = {"max_keep": 2}
    settings = fp.simulation.load_config(config)
    assert even.survivors == (0, 1, 2)
    assert select_globally([even, even], settings).survivors == (0, 1)
