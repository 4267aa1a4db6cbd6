"""The outer walk-forward: one test group, week by week, with what was known each week."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastpanel import portfolio
from fastpanel.errors import ModelError
from fastpanel.preprocess import PreprocessState
from fastpanel.progress import Reporter, SilentReporter
from fastpanel.simulation._candidate import FitConfig, fit_config
from fastpanel.simulation._config import SimulationConfig
from fastpanel.simulation._dataset import Dataset
from fastpanel.simulation._hooks import Hooks, Prediction, State
from fastpanel.simulation._seeds import unit_seed
from fastpanel.simulation._space import ScoreSpace
from fastpanel.simulation._splits import largest_fit, preprocessor
from fastpanel.simulation._structure import OuterPlan
from fastpanel.typing import FloatArray, IntArray


@dataclass(frozen=True)
class OuterResult:
    """Forecasts, weights and PnL of one outer test group.

    Attributes
    ----------
    rows : int64 [N]
        Test rows; the forecast of a row uses what was known after its week.
    samples : float64 [S, N, A]
        Predictive draws in the unit of y; NaN for an asset absent that week.
    weights : float64 [N, A]
        Decided at the row's week, held over the following one.
    pnl : float64 [N]
        Simple return of the portfolio after costs.
    """

    group: int
    candidate: str
    rows: IntArray
    samples: FloatArray
    weights: FloatArray
    pnl: FloatArray


def training_rows(plan: OuterPlan, row: int, config: SimulationConfig) -> IntArray:
    """Rows whose label is known when the forecast of ``row`` is made."""
    since = np.arange(plan.start - config.cv.horizon + 1, row - config.cv.horizon + 1)
    return np.concatenate([plan.fold.train, since]).astype(np.int64)


def decide(
    dataset: Dataset, draws: FloatArray, config: SimulationConfig, hooks: Hooks
) -> FloatArray:
    """Weights ``[A]`` from one week's draws ``[S, A]`` in the unit of y."""
    return hooks.allocate({"samples": dataset.to_returns(draws)}, config.allocation)


def replay(
    dataset: Dataset, results: Sequence[OuterResult], config: SimulationConfig, hooks: Hooks
) -> tuple[OuterResult, ...]:
    """The same forecasts under another ``allocation`` or ``cost``, all groups in one book."""
    weights = [
        np.stack([decide(dataset, r.samples[:, i], config, hooks) for i in range(len(r.rows))])
        for r in results
    ]
    rows = np.concatenate([r.rows for r in results])
    pnl = account_rows(dataset, rows, np.concatenate(weights), config, hooks)
    pieces = np.split(pnl, np.cumsum([len(r.rows) for r in results])[:-1])
    return tuple(
        replace(r, weights=own, pnl=piece)
        for r, own, piece in zip(results, weights, pieces, strict=True)
    )


def account_rows(
    dataset: Dataset, rows: IntArray, weights: FloatArray, config: SimulationConfig, hooks: Hooks
) -> FloatArray:
    """PnL ``[N]`` of weights ``[N, A]`` decided after the weeks ``rows``; gaps start from cash."""
    delay = config.data.dataset_params.target_shift
    bars = np.full((delay + len(dataset.y), weights.shape[1]), np.nan)
    bars[delay:] = dataset.to_returns(dataset.y)  # y[t] is the return of bar t + delay
    decided = portfolio.Decisions(rows, weights)
    same_bar = config.allocation.execution == "same_bar"
    positions = decided.at_same_bar() if same_bar else decided.at_next_bar(delay)
    return portfolio.account(positions, bars, config.cost, rule=hooks.compute_pnl)


def earning_row(row: int, config: SimulationConfig) -> int:
    """Row of y whose return the weights decided after week ``row`` earn.

    ``y[row]`` is the return of the bar in which they are traded. Same-bar
    execution takes the return of the week that the decision has seen.
    """
    if config.allocation.execution == "same_bar":
        return row - config.data.dataset_params.target_shift
    return row


def fit_fold_preprocessing(
    dataset: Dataset, plan: OuterPlan, config: SimulationConfig
) -> PreprocessState:
    """Cleaning and scaling as of the start of the fold: its feature list stays frozen."""
    return preprocessor(config).fit(
        dataset.X[: plan.start],
        dataset.features,
        mask=dataset.mask[: plan.start],
        rows=training_rows(plan, plan.start, config),
        asset_names=list(dataset.assets),
        absent=dataset.absent[: plan.start],
    )


def evaluate_outer_walk_forward(
    dataset: Dataset,
    plan: OuterPlan,
    candidate: str,
    values: Mapping[str, Any],
    config: SimulationConfig,
    hooks: Hooks,
    *,
    prebuilt: Mapping[str, Any] | None = None,
    reporter: Reporter | None = None,
    held: FloatArray | None = None,
) -> OuterResult:
    """Forecast, allocate and account week by week over one test group.

    Each week the scaler is refitted on the expanding training rows, the model
    is refitted (warm-started where the configuration says so), and weights are
    set from the predictive draws; the feature list stays as cleaned at the
    start of the fold.

    Parameters
    ----------
    dataset, plan, config, hooks
        As in :func:`make_inner_objective`.
    candidate, values
        The candidate chosen for this fold on earlier data.
    prebuilt : mapping, optional
    reporter : Reporter, optional
    held : float64 [A], optional
        Weights before the first week, of the group before if it touches this
        one; None = cash.

    Returns
    -------
    OuterResult

    Raises
    ------
    ModelError
        A refit failed or misses ``training.require``; names fold, week and candidate.

    Examples
    --------
    >>> import tempfile
    >>> import fastpanel as fp
    >>> times = np.datetime64("2020-01-03") + 7 * np.arange(60)
    >>> rng = np.random.default_rng(0)
    >>> panel = fp.Panel(rng.normal(size=(60, 2, 1)), times, ["A", "B"], ["f"],
    ...                  targets=0.01 * rng.normal(size=(60, 2)))
    >>> config = {"cv": {"warmup_len": 12, "group_len": 12, "q": 1},
    ...           "predictive": {"num_samples": 16}, "flags": {"simulation_mode": "stub"}}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     config["data"] = {"simulation_output_path": folder + "/run"}
    ...     result = fp.simulation.run(config, panel=panel, progress=False)
    >>> settings = fp.simulation.load_config(config)
    >>> fold, hooks = result.structure.outer[0], fp.simulation.default_hooks(settings)
    >>> again = evaluate_outer_walk_forward(result.dataset, fold, "0", {}, settings, hooks)
    >>> bool((again.samples == result.outer[0].samples).all())
    True
    """
    base = fit_config(config, values, prebuilt)
    base["pad_to"] = largest_fit(dataset, config)
    frozen = fit_fold_preprocessing(dataset, plan, config)
    rows = np.arange(plan.start, plan.stop, dtype=np.int64)
    known = [training_rows(plan, int(row), config) for row in rows]
    scalers = preprocessor(config).refit_splits(
        frozen,
        dataset.X[: plan.stop],
        known,
        mask=dataset.mask[: plan.stop],
        asset_names=dataset.assets,
    )
    shape = (config.predictive.num_samples, len(rows), len(dataset.assets))
    samples, weights, pnl = np.empty(shape), np.zeros(shape[1:]), np.empty(len(rows))
    state: State = None
    book = portfolio.Book(config.cost, rule=hooks.compute_pnl, held=held)
    with (reporter or SilentReporter()).task(f"fold {plan.group}: weeks", len(rows)) as task:
        for i, row in enumerate(rows):
            train, scaler = known[i], scalers[i]
            if state is None or i % config.outer.refit_every == 0:
                week = _week_config(base, config, plan, i, train, warm=state is not None)
                Z = scaler.transform(dataset.X[train], dataset.mask[train])
                start = state if config.outer.warm_start else None
                try:
                    state = hooks.fit_model(Z, dataset.y[train], week, start)
                except ModelError as error:
                    label = str(dataset.times[row])[:10]
                    raise ModelError(
                        f"outer fold {plan.group}, refit for week {label} of candidate "
                        f"{candidate}: {error}"
                    ) from error
            now = slice(int(row), int(row) + 1)
            Z_now = scaler.transform(dataset.X[now], dataset.mask[now])
            week = {**base, "seed": _week_seed(config, plan, i, 1), "predict_index": [int(row)]}
            pred = hooks.predict(Z_now, state, week, config.predictive.num_samples)
            samples[:, i] = _present_only(pred, dataset, int(row))
            weights[i] = decide(dataset, samples[:, i], config, hooks)
            earned = dataset.to_returns(dataset.y[earning_row(int(row), config)])
            pnl[i] = book.hold(weights[i], earned)
            task.advance()
    return OuterResult(plan.group, candidate, rows, samples, weights, pnl)


def score_space_of_fold(dataset: Dataset, plan: OuterPlan, config: SimulationConfig) -> ScoreSpace:
    """The scoring space of a whole test group: fitted on what was known at its start."""
    y_train = dataset.y[training_rows(plan, plan.start, config)]
    return ScoreSpace.fit(y_train, config.scoring.spec, f"outer fold {plan.group}")


def _week_config(
    base: FitConfig,
    config: SimulationConfig,
    plan: OuterPlan,
    week: int,
    train: IntArray,
    *,
    warm: bool,
) -> FitConfig:
    out: FitConfig = {**base, "seed": _week_seed(config, plan, week, 0), "train_index": train}
    if warm and config.outer.warm_start and config.outer.update_steps is not None:
        svi = {**base["training"]["svi"], "num_steps": config.outer.update_steps}
        out["training"] = {**base["training"], "svi": svi}
    return out


def _week_seed(config: SimulationConfig, plan: OuterPlan, week: int, use: int) -> int:
    outer_units = 1_000_000_007  # keeps weekly seeds apart from those of inner units
    return unit_seed(config.cv.seed, outer_units, plan.group, week, use)


def _present_only(pred: Prediction, dataset: Dataset, row: int) -> FloatArray:
    draws = np.array(pred["samples"][:, 0], dtype=np.float64)
    draws[:, dataset.absent[row]] = np.nan
    return draws
