from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import tracemalloc

import numpy as np
import pytest

import fastpanel as fp
from fastpanel import models
from fastpanel.errors import ParameterError

MIB = 1 << 20


@pytest.fixture(scope="module")
def fitted(simulate, config):
    p = simulate(T=160, A=40, F=2)
    settings = config("numpyro", steps=60)
    return p, settings, models.fit(p.X[:80], p.y[:80], settings)


def test_one_chunk_is_predict(fitted):
    p, settings, state = fitted
    [(rows, forecast)] = models.predict_chunks(p.X[80:96], state, settings, 32)
    assert rows == slice(0, 16)
    whole = models.predict(p.X[80:96], state, settings, 32)
    np.testing.assert_array_equal(forecast["samples"], whole["samples"])


def test_chunks_cover_the_weeks_in_bounded_memory(fitted):
    p, settings, state = fitted
    X, y, draws, limit = p.X[80:], p.y[80:], 400, 4
    scores, means = np.full(80, np.nan), np.empty((80, 40))
    widths = set()

    def stream():
        for rows, forecast in models.predict_chunks(X, state, settings, draws, max_mib=limit):
            samples = forecast["samples"]
            scores[rows] = fp.scoring.energy_score(y[rows], samples, m_axis=0)
            means[rows] = forecast["mean"]
            widths.add(rows.stop - rows.start)

    stream()  # compiles
    tracemalloc.start()
    stream()
    streamed = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    whole = models.predict(X, state, settings, draws)
    at_once = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert max(widths) == limit * MIB // (48 * draws * 40)
    assert streamed < limit * MIB < at_once
    # one law, other draws: equal within Monte Carlo error
    direct = fp.scoring.energy_score(y, whole["samples"], m_axis=0)
    assert abs((scores - direct).mean()) < 0.01 * direct.mean()
    np.testing.assert_allclose(means, whole["mean"], atol=0.05)


def test_chunks_do_not_repeat_each_others_noise(fitted):
    p, settings, state = fitted
    X = np.repeat(p.X[80:81], 4, axis=0)  # the same week four times
    week = [f["samples"] for _, f in models.predict_chunks(X, state, settings, 20971, max_mib=32)]
    assert len(week) == 4
    assert abs(np.corrcoef(week[0][:, 0, 0], week[1][:, 0, 0])[0, 1]) < 0.05


def test_a_bound_below_one_is_refused(fitted):
    p, settings, state = fitted
    with pytest.raises(ParameterError, match="max_mib is 0"):
        next(models.predict_chunks(p.X[80:], state, settings, 8, max_mib=0))


def test_streamed_scores_are_those_of_all_draws_together(fitted):
    p, settings, state = fitted
    X, y = p.X[80:], p.y[80:]
    y = np.where(np.arange(y.size).reshape(y.shape) % 37 == 0, np.nan, y)  # masked entries too
    energy, crps, parts = np.empty(80), np.empty((80, 40)), []
    for rows, forecast in models.predict_chunks(X, state, settings, 300, max_mib=4):
        samples, missing = forecast["samples"], np.isnan(y[rows])
        energy[rows] = fp.scoring.energy_score(y[rows], samples, m_axis=0, mask=missing)
        crps[rows] = fp.scoring.crps_ensemble(y[rows], samples, m_axis=0, mask=missing)
        parts.append(samples)
    assert len(parts) > 5
    whole = np.concatenate(parts, axis=1)
    assert whole.shape == (300, 80, 40)
    together = fp.scoring.energy_score(y, whole, m_axis=0, mask=np.isnan(y))
    np.testing.assert_allclose(energy, together, rtol=1e-12)
    together = fp.scoring.crps_ensemble(y, whole, m_axis=0, mask=np.isnan(y))
    np.testing.assert_allclose(crps, together, rtol=1e-12)
    assert np.isfinite(energy).all()
    assert np.isfinite(crps).sum() == np.isfinite(y).sum()


MANY_DRAWS = """
    import json
    from pathlib import Path

    import numpy as np
    import fastpanel as fp

    def memory(field):
        text = Path("/proc/self/status").read_text()
        return 1024 * int(text.split(f"{field}:")[1].split()[0])

    assets, weeks, draws = 250, 130, 1000
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60 + weeks, assets, 2))
    y = rng.standard_normal((60 + weeks, assets))
    config = {"model": {"backend": "numpyro"}, "training": {"svi": {"num_steps": 5}}}
    state = fp.models.fit(X[:60], y[:60], config)
    energy, crps = np.zeros(weeks), np.zeros((weeks, assets))
    before = memory("VmRSS")
    for rows, forecast in fp.models.predict_chunks(X[60:], state, config, draws, max_mib=64):
        samples, truth = forecast["samples"], y[60:][rows]
        energy[rows] = fp.scoring.energy_score(truth, samples, m_axis=0)
        crps[rows] = fp.scoring.crps_ensemble(truth, samples, m_axis=0)
    good = bool((energy > 0).all() and (crps > 0).all())
    print(json.dumps({"grown": memory("VmHWM") - before, "good": good}))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_many_assets_and_years_stay_within_the_bound():
    # a process of its own, as its highest resident memory is what counts; the draws at
    # once make it grow by 745 MiB
    code = textwrap.dedent(MANY_DRAWS)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["good"]
    # the bound of the draws, and room for the compiled program and the scores
    assert found["grown"] < (64 + 96) * MIB
