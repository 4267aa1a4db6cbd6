from __future__ import annotations

from pathlib import Path

import pytest

from fastpanel.errors import ConfigError
from fastpanel.simulation import load_config

EXAMPLES = sorted(p for p in Path("examples").rglob("*.yml") if "tickers" not in p.name)


def test_three_mistakes_come_in_one_message():
    with pytest.raises(ConfigError) as caught:
        load_config({"cv": {"q": 0}, "training": {"svi": {"learning_rte": 0.1}}, "modle": {}})
    text = str(caught.value)
    assert "3 mistakes" in text
    assert "cv.q" in text
    assert "training.svi.learning_rte: unknown key; did you mean 'learning_rate'?" in text
    assert "modle: unknown key; did you mean 'model'?" in text


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cv.warmup_len", -1),
        ("cv.group_len", 0),
        ("cv.group_len", -52),
        ("cv.horizon", 0),
        ("cv.embargo_len", -1),
        ("cv.q", 0),
        ("cv.max_inner_combos", 0),
        ("predictive.num_samples", 1),
        ("preprocessing.winsor_high_q", 1.5),
        ("training.svi.num_steps", -1),
        ("tuning.engine", "grid"),
        ("outer.test_groups", "some"),
        ("outer.refit_every", 0),
        ("model_selection.es_band.max_keep", 0),
        ("model_selection.alpha_tail", 0.0),
        ("diagnostics.fan_charts.quantiles", [0.0, 0.5]),
        ("diagnostics.fan_charts.coverage_levels", [0.5, 1.0]),
    ],
)
def test_values_outside_their_domain_name_the_key(key, value):
    config = value
    for part in reversed(key.split(".")):
        config = {part: config}
    with pytest.raises(ConfigError, match=key.replace(".", r"\.")):
        load_config(config)


def test_documented_snippets_load_as_written():
    config = load_config(
        {
            "model": {
                "model_name": "factor_model_v1",
                "guide_name": "factor_guide_v1",
                "params": {},
                "guide_params": {},
                "prebuild": {"enabled": True, "name": "factor_prior_init", "params": {}},
            },
            "data": {
                "simulation_output_path": "run_a",
                "dataset_params": {
                    "groups": ["momentum", "volatility"],
                    "target_shift": 1,
                    "target_scale": 1_000_000,
                },
            },
            "cv": {
                "warmup_len": 52,
                "group_len": 52,
                "horizon": 1,
                "embargo_len": 4,
                "q": 2,
                "max_inner_combos": None,
                "seed": 123,
                "exclude_warmup": False,
            },
        }
    )
    assert config.data.dataset_params.groups == ("momentum", "volatility")
    assert config.cv.max_inner_combos is None
    assert config.model.prebuild.name == "factor_prior_init"


def test_modes_are_accepted_at_the_top_level():
    config = load_config({"simulation_mode": "dry_run", "stop_after": "cv"})
    assert (config.flags.simulation_mode, config.flags.stop_after) == ("dry_run", "cv")


def test_horizon_below_target_shift_is_refused():
    with pytest.raises(ConfigError, match=r"horizon \(1\) must be at least"):
        load_config({"data": {"dataset_params": {"target_shift": 2}}})


@pytest.mark.parametrize(
    ("study", "runs"),
    [
        ("postgresql://me@host/db", "postgresql+psycopg2://me@host/db"),
        ("sqlite:///runs.db", "sqlite:///runs.db"),
    ],
)
def test_a_study_and_mlflow_need_a_database_each(study, runs):
    sections = {"tuning": {"engine": "optuna", "optuna": {"storage": study}}}
    with pytest.raises(ConfigError, match="give each a database of its own"):
        load_config({**sections, "tracking": {"mlflow": {"uri": runs}}})
    load_config({**sections, "tracking": {"mlflow": {"uri": f"{runs}2"}}})


@pytest.mark.parametrize("path", ["cv.q", "preprocessing.clip_min", "data.simulation_output_path"])
def test_only_model_and_training_can_be_tuned(path):
    entry = {"path": path, "type": "float", "bounds": [0, 1]}
    with pytest.raises(ConfigError, match="only model"):
        load_config({"tuning": {"space": [entry]}})


def test_missing_file_and_wrong_yaml_name_the_file(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.yml"):
        load_config(tmp_path / "nowhere.yml")
    (tmp_path / "list.yml").write_text("- a\n- b\n")
    with pytest.raises(ConfigError, match="mapping of sections, not list"):
        load_config(tmp_path / "list.yml")
    (tmp_path / "broken.yml").write_text("cv: {q: 1\n")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_config(tmp_path / "broken.yml")


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_shipped_configurations_load(path):
    assert load_config(path).model_selection.enable


def test_examples_exist():
    assert EXAMPLES
