"""A model's graph as DOT text, and the shapes of its sites."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from fastpanel import models
from fastpanel.errors import MissingExtraError, ParameterError
from fastpanel.models import ModelBatch


def edges(text):
    lines = [line.split(" [")[0] for line in text.splitlines() if " -> " in line]
    return {tuple(part.strip().strip('"') for part in line.split("->")) for line in lines}


def fill(text, site):
    (line,) = [line for line in text.splitlines() if line.strip().startswith(f'"{site}" [style')]
    return line.split('fillcolor="')[1].split('"')[0]


@pytest.fixture(scope="module")
def own():
    """A model with two crossed plates, a parameter and a deterministic site, in both back ends."""

    def build(backend):
        if backend == "pyro":
            import pyro as ppl
            import pyro.distributions as dist
            import torch as xp
        else:
            import jax.numpy as xp
            import numpyro as ppl
            import numpyro.distributions as dist

        def model(batch):
            T, A = batch.X.shape[:2]
            width = ppl.param("width", xp.ones(()), constraint=dist.constraints.positive)
            level = ppl.sample("level", dist.Normal(0.0, width))
            loc = ppl.deterministic("loc", 2 * level)
            time, assets = ppl.plate("time", T, dim=-2), ppl.plate("assets", A, dim=-1)
            with time:
                week = ppl.sample("week", dist.Normal(0.0, 1.0))
            with assets:
                asset = ppl.sample("asset", dist.Normal(0.0, 1.0))
            with time, assets:
                ppl.sample("obs", dist.Normal(loc + week + asset, 1.0), obs=batch.y)

        return model

    for backend in ("pyro", "numpyro"):
        if "crossed_plates" not in models.default_model_registry(backend):
            made = build(backend)
            models.register_model("crossed_plates", backend=backend)(lambda params, m=made: m)

    def config(backend):
        return {"model": {"backend": backend, "model_name": "crossed_plates"}}

    return config


def test_a_shipped_model_as_text(backend):
    text = models.render_model({"model": {"backend": backend}})
    sites = ("alpha", "beta", "sigma", "loadings")
    assert edges(text) == {(site, "obs") for site in sites}
    assert fill(text, "obs") == "gray"
    assert fill(text, "beta") == "white"
    assert "~" not in text
    inside = text.split('subgraph "cluster_time" {')[1].split("}")[0]
    assert 'label="time"' in inside
    assert '"obs" [' in inside
    assert '"beta" [' not in inside


def test_each_option_adds_its_nodes(own, backend):
    plain = models.render_model(own(backend))
    # the deterministic site is passed through: what it was made of reaches the observation
    assert edges(plain) == {("level", "obs"), ("week", "obs"), ("asset", "obs")}
    kept = models.render_model(own(backend), render_deterministic=True)
    assert {("level", "loc"), ("loc", "obs")} <= edges(kept)
    assert ("level", "obs") not in edges(kept)
    assert '"loc" [style="filled,dashed"' in kept
    params = models.render_model(own(backend), render_params=True, render_distributions=True)
    assert edges(params) - edges(plain) == {("width", "level")}
    assert '"width" [shape=plain]' in params
    assert r"level ~ Normal\l" in params
    assert r"width : " in params
    assert "loc ~" not in params


def test_plates_that_cross_are_several_rectangles(own, backend):
    text = models.render_model(own(backend))
    labels = [line.split('"')[1] for line in text.splitlines() if "label=" in line]
    assert sorted(labels) == ["assets", "assets", "time"]
    assert text.count("{") == text.count("}") == 4
    assert text.count('"obs" [') == text.count('"asset" [') == text.count('"week" [') == 1


def test_leaves_are_staggered():
    text = models.render_model({"model": {"backend": "pyro"}}, unflatten=3)
    lengths = [line.split("minlen=")[1][0] for line in text.splitlines() if "minlen" in line]
    assert lengths == ["1", "2", "3", "1"]


def test_a_semi_supervised_model_is_half_gray(own, backend):
    X = np.zeros((4, 3, 2))
    batches = [ModelBatch(X, np.zeros((4, 3))), ModelBatch(X)]
    assert fill(models.render_model(own(backend), batches=batches), "obs") == "gray:white"
    assert fill(models.render_model(own(backend), batches=batches[1]), "obs") == "white"


def test_files_by_suffix(tmp_path, monkeypatch):
    config = {"model": {"backend": "pyro"}}
    text = models.render_model(config, tmp_path / "model.dot")
    assert (tmp_path / "model.dot").read_text() == text
    with pytest.raises(ParameterError, match=r"model\.jpeg.*\.svg"):
        models.render_model(config, tmp_path / "model.jpeg")
    with pytest.raises(ParameterError, match="batches is empty"):
        models.render_model(config, batches=[])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingExtraError, match=r"install graphviz.*\.dot"):
        models.render_model(config, tmp_path / "model.svg")
    assert not (tmp_path / "model.svg").exists()
    # any program named dot that reads text and writes the file it is told to
    drawer = tmp_path / "dot"
    drawer.write_text('#!/bin/sh\n{ echo "$1"; /bin/cat; } > "$3"\n')
    drawer.chmod(0o755)
    models.render_model(config, tmp_path / "model.svg")
    assert (tmp_path / "model.svg").read_text() == "-Tsvg\n" + text


@pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz's dot is not installed")
@pytest.mark.parametrize("suffix", ["pdf", "png", "svg"])
def test_graphviz_draws(tmp_path, suffix):
    models.render_model({"model": {"backend": "pyro"}}, tmp_path / f"model.{suffix}")
    head = (tmp_path / f"model.{suffix}").read_bytes()[:5]
    assert head == {"pdf": b"%PDF-", "png": b"\x89PNG\r", "svg": b"<?xml"}[suffix]


def test_shapes_of_sites(backend):
    table = models.trace_shapes({"model": {"backend": backend}})
    rows = [line.split() for line in table.splitlines()]
    assert ["loadings", "dist", "|", "3", "1"] in rows  # no plate, event [A, K]
    assert ["obs", "dist", "4", "|", "3"] in rows  # weeks in a plate, event [A]
    table = models.trace_shapes({"model": {"backend": backend}}, guide=True)
    assert ["alpha_loc", "3"] in [line.split()[:2] for line in table.splitlines()]


@pytest.mark.parametrize("name", ["factor_regime", "factor_stochastic_vol"])
def test_weeks_that_depend_on_each_other_are_one_event_in_no_plate(name):
    table = models.trace_shapes({"model": {"backend": "pyro", "model_name": name}})
    assert ["obs", "dist", "|", "4", "3"] in [line.split() for line in table.splitlines()]
