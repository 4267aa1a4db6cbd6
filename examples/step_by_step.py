"""Every stage by hand: bars, features, splits, scaling, model, scores, report.

    python examples/step_by_step.py                          # the simulated market
    python examples/step_by_step.py "prices/*.parquet"       # bars of yours

Nothing here is hidden in a configuration; ``fp.simulation.run`` does the same with tuning,
selection and an outer walk-forward on top.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

import fastpanel as fp
from fastpanel import diagnostics

CONFIG = {
    "model": {"model_name": "factor_model_v1", "params": {"num_factors": 2}},
    "training": {"svi": {"num_steps": 2 if "CI" in os.environ else 600, "learning_rate": 0.02}},
    "seed": 1,
}
DRAWS = 500


def main(source: str | None = None, folder: str = "step_by_step") -> None:
    """Print one line per fold and write ``report.html``."""
    out = Path(folder)
    market = fp.data.simulated_market(years=8, seed=3)
    clean = fp.clean_bars(market if source is None else fp.read_bars(source))
    panel = fp.features.compute(clean, ["momentum", "volatility"], allow_ragged=True)
    panel = panel.with_targets(clean.returns)[52:-1]  # a year of look-back; the last label is open

    folds = fp.splits.PurgedWalkForward(n_splits=4, horizon=1, min_train_size=104).folds(len(panel))
    fp.splits.audit(folds, horizon=1)
    absent = panel.mask.all(axis=2)  # assets that are not listed yet teach nothing
    y = np.where(absent, np.nan, panel.targets)
    pre = fp.preprocess.PanelPreprocessor()
    scalers = pre.fit_splits(panel, panel.features, folds, absent=absent)

    jobs = [
        fp.models.FitJob(scaler.transform(panel[fold.train]), y[fold.train], CONFIG)
        for fold, scaler in zip(folds, scalers, strict=True)
    ]
    states = fp.models.fit_many(jobs)

    draws, rng = [], np.random.default_rng(0)
    for fold, scaler, state in zip(folds, scalers, states, strict=True):
        X = scaler.transform(panel[fold.test])
        samples = fp.models.predict(X, state, CONFIG, DRAWS)["samples"]  # [S, T, A]
        past = fp.simulation.climatology(y[fold.train], DRAWS, rng)  # whole weeks, [S, A]
        seen = np.isfinite(y[fold.train]).sum(axis=0) >= 52
        scale = np.nanmedian(np.abs(y[fold.train][:, seen]), axis=0)
        truth = y[fold.test][:, seen] / scale
        model, history = (
            np.nanmean(fp.scoring.crps_ensemble(truth, x[..., seen] / scale, m_axis=0))
            for x in (samples, np.broadcast_to(past[:, None], samples.shape))
        )
        first = str(panel.times[fold.test[0]])[:10]
        print(f"from {first}: CRPS {model:.3f}, of past weeks {history:.3f}")
        draws.append(samples)

    test = np.concatenate([fold.test for fold in folds])
    forecasts = diagnostics.Forecasts(
        np.concatenate(draws, axis=1), y[test], panel.times[test], panel.assets
    )
    spec = diagnostics.FanChartSpec(enable=True)
    pictures = diagnostics.write_calibration(out, forecasts, spec)
    section = diagnostics.Section("Calibration", tuple(pictures))
    report = diagnostics.Report("Step by step", sections=(section,))
    print(diagnostics.write_report(out / "report.html", report))


if __name__ == "__main__":
    main(*sys.argv[1:])
