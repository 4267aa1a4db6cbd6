"""What a newcomer gets wrong, stage by stage: one error of fastpanel that says what to do."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import polars as pl
import pytest

import fastpanel as fp
from fastpanel.errors import FastPanelError

FIT = {"training": {"svi": {"num_steps": 3}}}
RUN = {"data": {"simulation_output_path": "wrong"}}


@cache
def bars():
    return fp.data.simulated_market(n_assets=3, years=2, bar="1d", late_listers=0)


@cache
def clean():
    return fp.clean_bars(bars())


@cache
def panel():
    return fp.features.compute(clean(), ["breakout"])


@cache
def train():
    """Scaled features and returns of 60 weeks."""
    scaler = fp.preprocess.PanelPreprocessor(min_usable_ratio=0.0, min_variance=0.0)
    state = scaler.fit(panel(), panel().features)
    return state.transform(panel())[30:90], clean().returns.values[30:90]


@cache
def state():
    return fp.models.fit(*train(), FIT)


def draws():
    return np.zeros((20, 60, 3))


def changed(column, value, row=5):
    first = pl.int_range(pl.len()) == row
    return bars().with_columns(pl.when(first).then(value).otherwise(pl.col(column)).alias(column))


def fitted(**changes):
    arguments = {"X": panel(), "feature_names": panel().features, **changes}
    return fp.preprocess.PanelPreprocessor().fit(**arguments)


WRONG = {
    "bars: another column name": (
        lambda: fp.read_bars(bars().rename({"close": "clos"})),
        "no column 'close'; found",
    ),
    "bars: no frame": (lambda: fp.read_bars({"close": [1.0]}), "frame of type dict; give a polars"),
    "bars: no file": (
        lambda: fp.read_bars("nowhere/*.parquet"),
        "no Parquet or CSV file at nowhere",
    ),
    "bars: a row twice": (
        lambda: fp.read_bars(pl.concat([bars(), bars().head(1)])),
        "'SIM00' at 2016-01-04 .* occurs twice",
    ),
    "bars: a price is text": (
        lambda: fp.read_bars(bars().with_columns(pl.lit("1,5").alias("close"))),
        "column 'close' holds '1,5', no number",
    ),
    "bars: a time is text": (
        lambda: fp.read_bars(bars().with_columns(pl.lit("monday").alias("timestamp"))),
        "row 0: column 'timestamp' holds 'monday', no ISO time",
    ),
    "bars: times are numbers": (
        lambda: fp.read_bars(bars().with_columns(pl.col("timestamp").dt.epoch("s"))),
        "'timestamp' is Int64; give datetimes, dates or ISO text",
    ),
    "bars: a price is NaN": (
        lambda: fp.read_bars(changed("close", float("nan"))),
        "'SIM00' at 2016-01-11 .*: close nan is missing",
    ),
    "bars: a negative price": (
        lambda: fp.read_bars(changed("low", -1.0)),
        "'SIM00' at 2016-01-11 .*: low -1.0 is not positive",
    ),
    "bars: no asset": (lambda: fp.read_bars(changed("asset", None)), "row 5 has no asset"),
    "clean: no bars": (lambda: fp.clean_bars(bars().head(0)), "no bars between"),
    "clean: one bar": (lambda: fp.clean_bars(bars().head(1)), "the history is too short"),
    "clean: unknown asset": (
        lambda: fp.clean_bars(bars(), assets=["X"]),
        r"unknown asset 'X'; the bars have \['SIM00'",
    ),
    "clean: an asset, no list": (
        lambda: fp.clean_bars(bars(), assets="SIM00"),
        "assets must be a sequence of names, got 'SIM00'",
    ),
    "clean: no time": (lambda: fp.clean_bars(bars(), start="soon"), "start: 'soon' is not a time"),
    "clean: no zone": (
        lambda: fp.clean_bars(bars(), time_zone="Mars"),
        "'Mars' is no IANA time zone",
    ),
    "features: bars that are not clean": (
        lambda: fp.features.compute(bars()),
        r"clean is a DataFrame; give fp.clean_bars\(bars\)",
    ),
    "features: unknown group": (
        lambda: fp.features.compute(clean(), "momentun"),
        "'momentun'; did you mean 'momentum'",
    ),
    "features: no group": (
        lambda: fp.features.compute(clean(), None),
        "no feature group is chosen",
    ),
    "features: negative eps": (
        lambda: fp.features.compute(clean(), eps=-1.0),
        "eps must be positive, got -1.0",
    ),
    "panel: unknown asset": (lambda: panel().sel(assets="ZZ"), "unknown asset 'ZZ'; the panel has"),
    "panel: a float row": (lambda: panel()[1.5], "rows must be an integer, a slice"),
    "panel: two rows of one asset": (
        lambda: fp.Panel.from_frame(pl.concat([panel().to_frame()] * 2)),
        "'SIM00' has two rows at",
    ),
    "panel: a column of text": (
        lambda: fp.Panel.from_frame(panel().to_frame().with_columns(z=pl.lit("a"))),
        "column 'z' is String, expected numbers",
    ),
    "splits: groups too long": (
        lambda: fp.splits.build_equal_groups(10, 52, 52),
        "no group of group_len=52 .*; shorten the warm-up or the groups",
    ),
    "splits: horizon is text": (
        lambda: fp.splits.make_cpcv_splits([(0, 5), (5, 9)], q=1, horizon="1", embargo_len=0),
        "horizon must be a whole number of rows, got '1'",
    ),
    "splits: embargo is a share": (
        lambda: fp.splits.CombinatorialPurgedCV(n_blocks=5, n_test_blocks=2, embargo_size=0.01),
        "embargo_size must be a whole number of rows, got 0.01",
    ),
    "splits: a float horizon": (
        lambda: fp.splits.PurgedWalkForward(n_splits=2, horizon=1.5),
        "horizon must be a whole number of rows, got 1.5",
    ),
    "splits: blocks are no number": (
        lambda: fp.splits.CombinatorialPurgedCV(n_blocks="5", n_test_blocks=2),
        "n_blocks must be a whole number of rows, got '5'",
    ),
    "splits: no data": (
        lambda: list(fp.splits.CombinatorialPurgedCV(n_blocks=5, n_test_blocks=2).split()),
        "split needs X or y",
    ),
    "splits: an audit of nothing": (
        lambda: fp.splits.audit([]),
        "folds is empty .*nothing was checked",
    ),
    "splits: an audit of numbers": (
        lambda: fp.splits.audit([1, 2]),
        r"fold 0 is 1; give a Fold or a",
    ),
    "scaler: unknown setting": (
        lambda: fp.preprocess.PanelPreprocessor(winsor=0.01),
        "winsor: unknown key; did you mean 'winsor_low_q'",
    ),
    "scaler: two settings that clash": (
        lambda: fp.preprocess.PanelPreprocessor(winsor_low_q=0.9, winsor_high_q=0.1),
        r"  - winsor_low_q = 0.9 must be below winsor_high_q = 0.1$",
    ),
    "scaler: two axes": (
        lambda: fitted(X=np.zeros((9, 2))),
        r"X must have 3 axes, got shape \(9, 2\)",
    ),
    "scaler: names that are one text": (
        lambda: fitted(feature_names="abcd"),
        "feature_names must be a sequence of names, got 'abcd'",
    ),
    "scaler: a row that is not there": (lambda: fitted(rows=[999]), "rows holds position 999"),
    "scaler: no rows": (lambda: fitted(rows=[]), "rows is empty: nothing to fit on"),
    "scaler: infinity": (
        lambda: fitted(X=np.where(np.isnan(panel()), np.inf, panel())),
        "is inf in training row 0; mark it as missing",
    ),
    "fit: features that are missing": (
        lambda: fp.models.fit(panel(), clean().returns.values, FIT),
        "X_train is nan at row 0, asset 0, feature 0.*; impute it",
    ),
    "fit: rows that do not match": (
        lambda: fp.models.fit(train()[0], train()[1][1:], FIT),
        r"y_train has shape \(59, 3\), but X_train \(60, 3, \d\): give y_train as \(60, 3\)",
    ),
    "fit: targets are text": (
        lambda: fp.models.fit(train()[0], train()[1].astype(str), FIT),
        "y_train must hold real numbers, got dtype <U",
    ),
    "fit: no configuration": (
        lambda: fp.models.fit(*train(), None),
        "config is None; give a mapping",
    ),
    "fit: a misspelt section": (
        lambda: fp.models.fit(*train(), {"traning": {}}),
        "traning: unknown key; did you mean 'training'",
    ),
    "fit: an unknown parameter": (
        lambda: fp.models.fit(*train(), {"model": {"params": {"num_factor": 1}}}),
        "model.params.num_factor: unknown key; did you mean 'num_factors'",
    ),
    "fit: an unknown model": (
        lambda: fp.models.fit(*train(), {"model": {"model_name": "arima"}}),
        "'arima'. Available: .*factor_model_v1",
    ),
    "predict: arguments the other way round": (
        lambda: fp.models.predict(state(), train()[0], FIT, 10),
        "state is a ndarray; give what fit returned",
    ),
    "predict: draws are text": (
        lambda: fp.models.predict(train()[0], state(), FIT, "10"),
        "num_samples is '10'; give a whole number",
    ),
    "predict: other assets": (
        lambda: fp.models.predict(train()[0][:, :2], state(), FIT, 10),
        r"but the state was fitted on \[T, 3, \d\]",
    ),
    "load: a pickle": (lambda: fp.models.load("model.pkl"), "pickled files can run code"),
    "score: a forgotten axis": (
        lambda: fp.scoring.energy_score(train()[1], draws()),
        r"without its member axis 1 or broadcast to it, got \(60, 3\)",
    ),
    "score: another estimator": (
        lambda: fp.scoring.energy_score(train()[1], draws(), m_axis=0, estimator="mc"),
        r"estimator must be one of \('nrg', 'fair'\), got 'mc'",
    ),
    "score: a percentage": (
        lambda: fp.scoring.coverage(train()[1], draws(), [90], m_axis=0),
        r"levels must be numbers in \[0, 1\], got \[90\]",
    ),
    "score: one week": (lambda: fp.scoring.Whitener.fit(train()[1][0]), "y_train must have 2 axes"),
    "select: groups of another shape": (
        lambda: fp.selection.select(np.ones((2, 3, 4)), np.zeros((2, 4), int)),
        r"groups must be \[K, T\] = \(3, 4\)",
    ),
    "weights: draws without a name": (
        lambda: fp.portfolio.allocate(draws()[:, 0]),
        "pred is a ndarray; give {'samples': draws}",
    ),
    "weights: several weeks": (
        lambda: fp.portfolio.allocate({"samples": draws()}),
        r"holds 60 periods, .*; allocate takes one",
    ),
    "weights: unknown rule": (
        lambda: fp.portfolio.allocate({"samples": draws()[:, 0]}, {"method": "mean_vol"}),
        "no allocator of this name; did you mean 'mean_over_vol'",
    ),
    "profit: text": (lambda: fp.portfolio.compute_pnl(["a"], [0.1]), "w must hold real numbers"),
    "profit: a NaN weight": (
        lambda: fp.portfolio.compute_pnl([np.nan], [0.1]),
        r"w\[0\] is nan; an absent",
    ),
    "Sharpe: text": (lambda: fp.portfolio.sharpe_report(["a"]), "pnl must hold real numbers"),
    "Sharpe: nothing": (lambda: fp.portfolio.sharpe_report([]), "pnl has no return"),
    "candidates: no power of two": (
        lambda: fp.tuning.sample_candidates(
            [{"path": "model.x", "type": "float", "bounds": [0, 1]}], 3, 1
        ),
        "Sobol points need a power of two",
    ),
    "run: all mistakes at once": (
        lambda: fp.simulation.load_config({"cv": {"warmup": 1, "q": "x"}, "modle": {}}),
        r"3 mistakes(.|\n)*cv.q:(.|\n)*did you mean 'warmup_len'(.|\n)*did you mean 'model'",
    ),
    "run: a number": (lambda: fp.simulation.load_config(3), "a int; give a path or a mapping"),
    "run: an argument of the simulated market": (
        lambda: fp.simulation.load_config({"data": {"dataset_params": {"simulated": {"n": 3}}}}),
        "dataset_params.simulated: no argument 'n'; there are bar, gap_rate",
    ),
    "run: an array for a panel": (
        lambda: fp.simulation.run(RUN, panel=train()[0], progress=False),
        "panel is a ndarray; give an fp.Panel with targets",
    ),
    "run: a panel without targets": (
        lambda: fp.simulation.run(RUN, panel=panel(), progress=False),
        r"the panel has no targets: give panel.with_targets\(returns\)",
    ),
    "replay: no run": (lambda: fp.simulation.backtest("nowhere"), "nowhere holds no run"),
    "audit: nothing there": (lambda: fp.audit("nowhere"), "at nowhere"),
    "window: zero": (
        lambda: fp.rolling.mean([1.0], 0),
        "window must be a whole number of at least 1",
    ),
    "window: a percentage": (
        lambda: fp.rolling.quantile([1.0], 1, 95),
        "q must lie between 0 and 1",
    ),
    "window: text": (
        lambda: fp.rolling.mean([["a"]], 1),
        "x must hold real numbers, got dtype <U1",
    ),
    "window: never enough values": (
        lambda: fp.rolling.mean([1.0, 2.0], 1, min_periods=2),
        "min_periods must be at most window = 1, got 2",
    ),
    "market: the seed is text": (
        lambda: fp.data.simulated_market(seed="abc"),
        "seed must be a whole number of at least 0, got 'abc'",
    ),
    "splits: the seed is a list": (
        lambda: fp.splits.CombinatorialPurgedCV(n_blocks=3, n_test_blocks=1, random_state=[1]),
        r"random_state must be a whole number of at least 0, got \[1\]",
    ),
    "select: the seed is text": (
        lambda: fp.selection.select(np.ones((2, 1, 2)), [[0, 1]], seed="abc"),
        "seed must be a whole number of at least 0, got 'abc'",
    ),
    "select: one of two seeds is negative": (
        lambda: fp.selection.select(np.ones((2, 1, 2)), [[0, 1]], seed=(1, -2)),
        "seed must be a whole number of at least 0, got -2",
    ),
    "Sharpe: the seed has a fraction": (
        lambda: fp.portfolio.sharpe_report([0.1, 0.2, 0.0], seed=1.5),
        "seed must be a whole number of at least 0, got 1.5",
    ),
    "candidates: no seed": (
        lambda: fp.tuning.sample_candidates(
            [{"path": "model.x", "type": "float", "bounds": [0, 1]}], 2, None
        ),
        "seed must be a whole number of at least 0, got None",
    ),
    "audit: the seed is an answer": (
        lambda: fp.audit(clean(), groups=["breakout"], cuts=1, seed=True),
        "seed must be a whole number of at least 0, got True",
    ),
    "fit: the seed is text": (
        lambda: fp.models.fit(*train(), {**FIT, "seed": "abc"}),
        "seed: .*integer",
    ),
    "threads: text": (lambda: fp.set_num_threads("a"), "at least 1 or None, got 'a'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_it_is_one_clear_error(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SIMULATION_SOURCE", raising=False)
    call, message = WRONG[case]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(FastPanelError, match=message):
            call()
    assert list(tmp_path.iterdir()) == []  # and nothing is left behind


RIGHT = {
    "an unsorted frame": lambda: fp.read_bars(bars().sample(fraction=1, shuffle=True, seed=0)),
    "another time zone": lambda: fp.read_bars(
        bars().with_columns(pl.col("timestamp").dt.convert_time_zone("America/New_York"))
    ),
    "prices as text": lambda: fp.read_bars(bars().with_columns(pl.col("close").cast(pl.String))),
    "days as text": lambda: fp.read_bars(
        bars().with_columns(pl.col("timestamp").dt.strftime("%Y-%m-%d"))
    ),
    "pandas with a named index": lambda: fp.read_bars(
        bars().to_pandas().set_index(["timestamp", "asset"])
    ),
    "other names": lambda: fp.read_bars(
        bars().rename({"timestamp": "Date", "asset": "Ticker", "close": "CLOSE"})
    ),
}


@pytest.mark.parametrize("case", RIGHT)
def test_other_forms_of_the_same_bars_are_the_same_bars(case):
    expected, got = fp.read_bars(bars()), RIGHT[case]()
    columns = ["timestamp", "asset", "open", "high", "low", "close"]
    assert got.select(columns).equals(expected.select(columns))


def test_what_a_splitter_yields_can_be_scaled_and_lists_and_tuples_are_arrays():
    pre = fp.preprocess.PanelPreprocessor(min_usable_ratio=0.0, min_variance=0.0)
    cv = fp.splits.CombinatorialPurgedCV(n_blocks=4, n_test_blocks=1, purge_window=1)
    pairs, folds = list(cv.split(panel())), cv.folds(len(panel()))
    of_pairs = pre.fit_splits(panel(), panel().features, pairs)
    of_folds = pre.fit_splits(panel(), panel().features, folds)
    for pair, fold in zip(of_pairs, of_folds, strict=True):
        np.testing.assert_array_equal(pair.median, fold.median)
        np.testing.assert_array_equal(pair.train_intervals, fold.train_intervals)
    as_lists = fp.models.fit(train()[0].tolist(), tuple(map(tuple, train()[1])), FIT)
    np.testing.assert_array_equal(as_lists.params["alpha_loc"], state().params["alpha_loc"])
