"""Regimes use what was known at the week; thresholds come from training rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fastpanel.simulation._config import load_config
from fastpanel.simulation._dataset import dataset_from_panel
from fastpanel.simulation._regimes import regimes, volatility_index
from fastpanel.simulation._structure import build_structure
from tests.simulation.conftest import make_panel, stub_config


def prepared(change=None):
    config = load_config(stub_config())
    dataset = dataset_from_panel(make_panel(), config.data.dataset_params)
    if change is not None:
        y = np.array(dataset.y)
        change(y)
        dataset = replace(dataset, y=y)
    return dataset, build_structure(len(dataset.times), config).outer, config


def test_a_storm_is_stressed_from_the_week_in_which_it_is_seen():
    _, plans, _ = prepared()
    row = plans[1].start + 5

    def storm(y):
        y[row : row + 3] *= 30.0

    calm, storming = (regimes(*args) for args in (prepared(), prepared(storm)))
    at = row - plans[0].start
    assert (calm[: at + 1] == storming[: at + 1]).all()  # y[row] is realised after week row + 1
    assert (storming[at + 1 : at + 4] == 2).all()
    assert set(np.unique(calm)) <= {0, 1, 2}


def test_index_by_hand():
    dataset, plans, _ = prepared()
    train = np.arange(plans[0].start)
    y = dataset.y
    scale = np.median(np.abs(y[train] - np.median(y[train], axis=0)), axis=0)
    squares = ((y / scale) ** 2).mean(axis=1)
    weights = 0.94 ** np.arange(20)[::-1]
    index = volatility_index(dataset, train, 1)
    np.testing.assert_allclose(index[20], weights @ squares[:20] / weights.sum())
    assert np.isnan(index[0])


def test_scale_and_thresholds_come_from_training_rows():
    _, plans, _ = prepared()
    plan = plans[0]

    def later(y):
        y[plan.start + 6 :] = 1e9

    a, b = regimes(*prepared()), regimes(*prepared(later))
    cut = 6
    assert (a[: cut + 1] == b[: cut + 1]).all()
    assert not (a == b).all()
