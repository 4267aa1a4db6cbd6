"""The public surface that scripts rely on: names and argument order do not change unnoticed."""

from __future__ import annotations

import inspect
from operator import attrgetter

import pytest

import fastpanel as fp

SURFACE = """
rolling.mean(x, window, *, min_periods, axis)
rolling.sum(x, window, *, min_periods, axis)
rolling.var(x, window, *, min_periods, axis, ddof)
rolling.std(x, window, *, min_periods, axis, ddof)
rolling.min(x, window, *, min_periods, axis)
rolling.max(x, window, *, min_periods, axis)
rolling.median(x, window, *, min_periods, axis)
rolling.mad(x, window, *, min_periods, axis)
rolling.skew(x, window, *, min_periods, axis)
rolling.kurt(x, window, *, min_periods, axis)
rolling.rank(x, window, *, min_periods, axis)
rolling.quantile(x, window, q, *, min_periods, axis)
rolling.ewm_mean(x, *, span, halflife, alpha, adjust, min_periods)
rolling.ewm_std(x, *, span, halflife, alpha, adjust, min_periods, bias)
rolling.corr_mean(x, window, *, min_periods)
rolling.pc1_share(x, window, *, min_periods)
rolling.true_range(high, low, close)
rolling.atr(high, low, close, window, method)
rolling.rsi(close, window, method)
rolling.apply(x, window, func, *, min_periods, axis)
cross_section.rank(x, axis)
cross_section.zscore(x, axis)
cross_section.demean(x, axis)
cross_section.mad_dispersion(x, axis)
cross_section.apply(x, func)
clean_bars(bars, *, return_type, start, end, assets)
Panel(values, times, assets, features, mask, targets)
Panel.from_frame(frame, time, asset)
Panel.sel(self, times, assets, features)
Panel.save(self, path)
Panel.load(path)
features.compute(clean, groups, features, *, allow_ragged)
splits.build_equal_groups(n_samples, warmup_len, group_len)
splits.make_outer_folds(groups, *, warmup_len, horizon, exclude_warmup, test_groups, q)
splits.make_cpcv_splits(groups, *, q, horizon, embargo_len, n_samples, warmup_len, exclude_warmup, \
max_inner_combos, label_end)
splits.CombinatorialPurgedCV(*, n_blocks, n_test_blocks, purge_window, embargo_size, label_end, \
max_splits, shuffle_splits, random_state)
splits.CombinatorialPurgedCV.split(self, X, y, groups)
splits.PurgedWalkForward(*, n_splits, test_size, horizon, embargo_size, min_train_size, \
max_train_size, label_end)
splits.audit(folds, *, horizon, embargo_len, label_end)
preprocess.PanelPreprocessor.fit(self, X, feature_names, mask, rows, asset_names)
preprocess.PanelPreprocessor.fit_splits(self, X, feature_names, folds, mask)
preprocess.PreprocessState.transform(self, X, mask)
scoring.energy_score(obs, fct, m_axis, v_axis, *, estimator, ens_w, mask)
scoring.es_ensemble(obs, fct, m_axis, v_axis, *, estimator, ens_w, mask)
scoring.crps_ensemble(obs, fct, m_axis, *, estimator, mask)
scoring.quantile_score(obs, fct_quantile, alpha)
scoring.variogram_score(obs, fct, m_axis, v_axis, *, p)
scoring.pit(obs, fct, m_axis)
scoring.coverage(obs, fct, levels, m_axis)
scoring.kernel_score(obs, fct, kernel, m_axis, v_axis)
scoring.energy_loss(obs, samples)
scoring.Whitener.fit(y_train, *, mad_eps, eps, var_floor, shrinkage)
scoring.Whitener.transform(self, array)
models.fit(X_train, y_train, config, init_state)
models.predict(X_pred, state, config, num_samples)
models.register_metric(name, scope)
models.ModelBatch(X, y, M)
models.default_model_registry()
models.default_guide_registry()
tuning.sample_candidates(space, num_samples, seed)
simulation.load_config(source)
simulation.run(config, *, hooks, panel, progress)
simulation.Hooks(fit_model, predict, score, allocate, compute_pnl)
selection.select(es, groups, *, crps, ql, complexity, c, min_keep, max_keep, num_samples, seed)
portfolio.allocate(pred, alloc_spec)
portfolio.compute_pnl(w, y_t, w_prev, cost_spec)
portfolio.sharpe_report(pnl, *, n_trials)
set_num_threads(n)
""".strip().splitlines()


def positional(callable_) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(callable_).parameters.values()
    return [p.name for p in parameters if p.kind in kinds]


@pytest.mark.parametrize("line", SURFACE, ids=[line.partition("(")[0] for line in SURFACE])
def test_names_and_order_of_arguments(line):
    name, _, rest = line.removesuffix(")").partition("(")
    fixed, _, keywords = rest.partition("*")
    found = attrgetter(name)(fp)
    expected = fixed.replace(",", " ").split()
    assert positional(found)[: len(expected)] == expected
    allowed = set(inspect.signature(found).parameters)
    assert set(keywords.replace(",", " ").split()) <= allowed


def test_keyword_only_stays_keyword_only():
    for line in SURFACE:
        name, _, rest = line.removesuffix(")").partition("(")
        if "*" not in rest:
            continue
        keywords = rest.partition("*")[2]
        loose = set(positional(attrgetter(name)(fp))) & set(keywords.replace(",", " ").split())
        assert not loose, f"{name}: {loose} can be given by position"
