"""The outer walk-forward, week by week: frozen features, refitted scaler, warm start, order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fastpanel as fp
from fastpanel.simulation import build_structure, evaluate_outer_walk_forward, load_config
from fastpanel.simulation._dataset import dataset_from_panel
from fastpanel.simulation._hooks import stub_hooks
from fastpanel.simulation._outer import fit_fold_preprocessing
from fastpanel.simulation._splits import prepare_splits, preprocessor
from tests.simulation.conftest import make_panel

VALUES = {"training.svi.learning_rate": 0.01}


class Recorder:
    """Stub hooks that remember every call."""

    def __init__(self, config):
        self.calls = []
        stub = stub_hooks(config)

        def spy(name):
            def call(*args):
                result = getattr(stub, name)(*args)
                self.calls.append((name, args, result))
                return result

            return call

        names = ("fit_model", "predict", "allocate", "compute_pnl")
        self.hooks = replace(stub, **{name: spy(name) for name in names})

    def of(self, name):
        return [(args, result) for called, args, result in self.calls if called == name]


@pytest.fixture
def walk(config):
    def go(panel=None, **outer):
        settings = load_config({**config, "outer": outer})
        dataset = dataset_from_panel(panel or make_panel(), settings.data.dataset_params)
        plan = build_structure(len(dataset.times), settings).outer[1]
        recorder = Recorder(settings)
        result = evaluate_outer_walk_forward(dataset, plan, "0", VALUES, settings, recorder.hooks)
        return dataset, plan, settings, recorder, result

    return go


def test_each_week_fits_predicts_allocates_and_accounts(walk):
    *_, recorder, _ = walk()
    assert [name for name, *_ in recorder.calls] == [
        "fit_model",
        "predict",
        "allocate",
        "compute_pnl",
    ] * 14


def test_scaler_of_a_week_is_a_fit_on_all_rows_known_that_week(walk):
    dataset, plan, settings, recorder, _ = walk()
    frozen = fit_fold_preprocessing(dataset, plan, settings)
    for week, ((X_train, y_train, job, _), _) in enumerate(recorder.of("fit_model")):
        known = np.arange(plan.start + week)  # horizon 1: the label of the row before is known
        np.testing.assert_array_equal(job["train_index"], known)
        alone = preprocessor(settings).fit(
            dataset.X, list(dataset.features), rows=known, asset_names=list(dataset.assets)
        )
        assert alone.kept == frozen.kept  # this panel has no reason to drop a feature
        np.testing.assert_array_equal(X_train, alone.transform(dataset.X[known]))
        np.testing.assert_array_equal(y_train, dataset.y[known])
        (X_pred, *_), _ = recorder.of("predict")[week]
        now = slice(plan.start + week, plan.start + week + 1)
        np.testing.assert_array_equal(X_pred, alone.transform(dataset.X[now]))


def test_features_stay_as_cleaned_at_the_start_of_the_fold(walk):
    """A feature that later becomes constant, or a copy of another, stays; the scaler moves on."""
    panel = make_panel()
    _, plan, *_ = walk()
    values = np.array(panel.values)
    values[plan.start :, :, 1] = 0.0
    values[plan.start :, :, 2] = values[plan.start :, :, 0]
    changed = fp.Panel(values, panel.times, panel.assets, panel.features, targets=panel.targets)
    *_, recorder, _ = walk(changed)
    widths = {args[0].shape[-1] for args, _ in recorder.of("fit_model")}
    assert widths == {5}
    values = np.array(panel.values)
    values[: plan.start, :, 1] = 0.0  # constant in training: dropped for the whole fold
    changed = fp.Panel(values, panel.times, panel.assets, panel.features, targets=panel.targets)
    *_, recorder, _ = walk(changed)
    widths = {args[0].shape[-1] for args, _ in recorder.of("fit_model")}
    assert widths == {4}


def test_warm_start_hands_over_the_state_of_the_week_before(walk):
    fits = walk(warm_start=True)[3].of("fit_model")
    assert fits[0][0][3] is None
    assert all(fits[i][0][3] is fits[i - 1][1] for i in range(1, 14))
    assert all(args[3] is None for args, _ in walk(warm_start=False)[3].of("fit_model"))


def test_update_steps_shorten_warm_fits_only(walk):
    def steps(**outer):
        fits = walk(**outer)[3].of("fit_model")
        return [args[2]["training"]["svi"]["num_steps"] for args, _ in fits]

    assert steps(update_steps=7) == [1000] + [7] * 13
    assert steps(update_steps=7, warm_start=False) == [1000] * 14
    assert steps() == [1000] * 14


def test_refit_every_skips_fits_but_never_the_scaler(walk):
    *_, recorder, _ = walk(refit_every=5)
    assert len(recorder.of("fit_model")) == 3  # weeks 0, 5 and 10
    assert len(recorder.of("predict")) == 14
    states = [args[1] for args, _ in recorder.of("predict")]
    assert [states[i] is states[i - 1] for i in range(1, 14)] == [
        week % 5 != 0 for week in range(1, 14)
    ]
    every = [args[0] for args, _ in walk()[3].of("predict")]
    seldom = [args[0] for args, _ in recorder.of("predict")]
    for a, b in zip(every, seldom, strict=True):
        np.testing.assert_array_equal(a, b)


def test_weekly_seeds_differ_and_belong_to_the_place(walk):
    def seeds(name, at):
        return [args[at]["seed"] for args, _ in walk()[3].of(name)]

    fits, draws = seeds("fit_model", 2), seeds("predict", 2)
    assert len({*fits, *draws}) == 28
    assert fits == seeds("fit_model", 2)


def test_candidate_reaches_the_hooks(walk):
    *_, recorder, result = walk()
    assert result.candidate == "0"
    for args, _ in recorder.of("fit_model"):
        assert args[2]["training"]["svi"]["learning_rate"] == 0.01


def test_sections_reach_predict_allocate_and_the_books(walk):
    dataset, _, settings, recorder, result = walk()
    for week, ((pred, spec), weights) in enumerate(recorder.of("allocate")):
        assert recorder.of("predict")[week][0][2]["predict_index"] == [result.rows[week]]
        assert recorder.of("predict")[week][0][3] == 64
        np.testing.assert_allclose(
            pred["samples"] * dataset.target_scale, result.samples[:, week], rtol=1e-12
        )
        assert spec.method == "mean_over_vol"
        np.testing.assert_array_equal(weights, result.weights[week])
        (held, _, before, cost), _ = recorder.of("compute_pnl")[week]
        assert cost == settings.cost
        np.testing.assert_array_equal(held, weights)
        if week:
            np.testing.assert_array_equal(before, result.weights[week - 1])
        else:
            assert before is None


def test_an_absent_asset_is_neither_forecast_nor_held(config):
    panel = make_panel()
    values, targets = np.array(panel.values), np.array(panel.targets)
    values[86:89, 2], targets[86:89, 2] = np.nan, np.nan
    gap = fp.Panel(values, panel.times, panel.assets, panel.features, targets=targets)
    (last,) = fp.simulation.run(
        config | {"outer": {"test_groups": "last"}}, panel=gap, progress=False
    ).outer
    away = np.zeros((len(last.rows), 4), dtype=bool)
    away[np.isin(last.rows, [86, 87, 88]), 2] = True
    assert away.sum() == 3
    np.testing.assert_array_equal(np.isnan(last.samples).all(axis=0), away)
    np.testing.assert_array_equal(np.isnan(last.samples).any(axis=0), away)
    assert (last.weights[away] == 0.0).all()
    assert (last.weights[~away] != 0.0).any()


def test_late_listers_do_not_cost_their_universe_its_features(config):
    """Two of four assets list late: of the weeks in which an asset is there, nothing is missing."""
    panel = make_panel()
    values, targets = np.array(panel.values), np.array(panel.targets)
    values[:30, 2:], targets[:30, 2:] = np.nan, np.nan
    values[30:, 2:, 4] = np.nan  # and this feature the late assets never have
    late = fp.Panel(values, panel.times, panel.assets, panel.features, targets=targets)
    settings = load_config(config)
    dataset = dataset_from_panel(late, settings.data.dataset_params)
    widths = set()
    for plan in build_structure(len(dataset.times), settings).outer[:2]:
        assert (1 - dataset.mask[: plan.start, :, 0].mean()) < 0.8  # the default limit
        kept = fit_fold_preprocessing(dataset, plan, settings).kept
        assert kept[:4] == ("f0", "f1", "f2", "f3")
        assert len(kept) == expected_width(dataset, np.arange(plan.start))
        widths.add(len(kept))
        for split in prepare_splits(dataset, plan, settings):
            assert split.Z_train.shape[-1] == expected_width(dataset, split.rows)
    assert widths == {4, 5}


def expected_width(dataset, rows):
    """f4 stays while the early assets, which have it, are at least 80 % of what is there."""
    there = ~dataset.absent[rows]
    return 5 if there[:, :2].sum() >= 0.8 * there.sum() else 4
