from __future__ import annotations

import numpy as np
import pytest

from fastpanel import models
from fastpanel.errors import ParameterError
from fastpanel.models.numpyro_ import _engine


class AnalysedError(Exception):
    """The program is compiled; nobody wants to run it."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "factors", "masked", "candidates"),
    [
        ("factor_model_v1", 1, False, 8),
        ("factor_model_v1", 8, True, 8),
        ("factor_model_v1", 8, False, 8),
        ("factor_regime", 2, True, 4),
    ],
)
def test_the_estimate_bounds_what_the_compiler_reserves(
    simulate, config, monkeypatch, model, factors, masked, candidates
):
    """Oracle: XLA's own account of the program's temporary and argument buffers."""
    reserved = []
    build = _engine._fit_program

    def spying(plan, many_packs, many_candidates):
        program = build(plan, many_packs, many_candidates)

        def analyse(*arguments):
            analysis = program.lower(*arguments).compile().memory_analysis()
            reserved.append(analysis.temp_size_in_bytes + analysis.argument_size_in_bytes)
            raise AnalysedError

        return analyse

    monkeypatch.setattr(_engine, "_fit_program", spying)
    p = simulate(T=400, A=20, F=45)
    if masked:
        p.y[::7, 3] = np.nan
    named = {"model_name": model}
    settings = config("numpyro", steps=2, model=named, params={"num_factors": factors})
    with pytest.raises(AnalysedError):
        models.fit_many(
            [models.FitJob(p.X, p.y, settings | {"seed": s}) for s in range(candidates)]
        )
    shape = {"rows": 400, "assets": 20, "features": 45}
    expected = models.estimate_memory(settings, **shape, candidates=candidates, complete=not masked)
    assert 1.0 <= expected.program / reserved[0] < 2.1


def test_a_batch_is_split_at_the_bound_and_gives_the_same_bits_again(simulate, config, monkeypatch):
    p = simulate(T=90, A=5, F=3)
    widths = []
    run = _engine._run_chunk

    def counting(plan, shape, chunk):
        widths.append(len(chunk[0]))
        return run(plan, shape, chunk)

    monkeypatch.setattr(_engine, "_run_chunk", counting)
    wide = simulate(T=90, A=300, F=3)
    settings = [config("numpyro", steps=3, seed=s, training={"program_mib": 4}) for s in range(4)]
    jobs = [models.FitJob(wide.X, wide.y, c) for c in settings]
    first, second = models.fit_many(jobs), models.fit_many(jobs)
    # one job takes 96 x 300 entries x 8 arrays x 4 bytes = 0.9 MiB, its data (8 features) 1.8:
    # two fit into 4 MiB
    assert widths == [2, 2, 2, 2]
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.losses, other.losses)
        for name, value in one.params.items():
            np.testing.assert_array_equal(value, other.params[name])
    widths.clear()
    models.fit_many([models.FitJob(p.X, p.y, config("numpyro", steps=3, seed=s)) for s in range(4)])
    assert widths == [4]


def test_more_of_anything_takes_more():
    base = {"rows": 400, "assets": 20, "features": 45, "test_rows": 52, "num_samples": 100}
    small = models.estimate_memory({}, **base)
    for name in ("rows", "assets", "features", "test_rows", "num_samples"):
        assert models.estimate_memory({}, **base | {name: 2 * base[name]}).total > small.total
    assert small.draws == 48 * 52 * 100 * 20  # 48 bytes a draw
    with pytest.raises(ParameterError, match="rows is 0"):
        models.estimate_memory({}, **base | {"rows": 0})
