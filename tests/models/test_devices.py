from __future__ import annotations

import numpy as np
import pytest

import fastpanel as fp
from fastpanel import models
from fastpanel.errors import ConfigError
from fastpanel.models._device import index_of, wanted_device


def has_cuda(library):
    if library == "numpyro":
        import jax

        try:
            return bool(jax.devices("cuda"))
        except RuntimeError:
            return False
    import torch

    return torch.cuda.is_available()


def require_cuda(library):
    if not has_cuda(library):
        pytest.skip(f"no CUDA device that {library} can use")


@pytest.mark.parametrize(
    ("use_gpu", "named", "expected"),
    [
        (False, None, "cpu"),
        (False, "cuda:1", "cpu"),  # the flag decides whether CUDA may be used
        (True, None, "cuda"),
        (True, "cpu", "cpu"),
        (True, " CUDA:2 ", "cuda:2"),
    ],
)
def test_the_flag_allows_and_the_variable_names(monkeypatch, use_gpu, named, expected):
    monkeypatch.delenv("TORCH_DEVICE", raising=False)
    if named is not None:
        monkeypatch.setenv("TORCH_DEVICE", named)
    assert wanted_device(use_gpu) == expected


def test_an_unknown_device_is_refused(monkeypatch):
    monkeypatch.setenv("TORCH_DEVICE", "tpu")
    with pytest.raises(ConfigError, match="TORCH_DEVICE is 'tpu'"):
        wanted_device(True)
    assert index_of("cuda:3") == 3
    assert index_of("cuda") == 0


def test_without_cuda_the_cpu_does_it_and_says_so(simulate, config, backend, monkeypatch):
    if has_cuda(backend):
        pytest.skip("there is a CUDA device")
    monkeypatch.delenv("TORCH_DEVICE", raising=False)
    p = simulate(T=40, F=2)
    plain = models.fit(p.X, p.y, config(backend, steps=3))
    with pytest.warns(RuntimeWarning, match="no CUDA device; running on the CPU"):
        asked = models.fit(p.X, p.y, config(backend, steps=3, use_gpu=True))
    np.testing.assert_array_equal(plain.losses, asked.losses)
    monkeypatch.setenv("TORCH_DEVICE", "cpu")  # asked for by name: nothing to warn about
    models.predict(p.X[:2], asked, config(backend, steps=3, use_gpu=True), 4)


@pytest.mark.gpu
def test_fit_and_predict_on_cuda_agree_with_the_cpu(simulate, config, backend, monkeypatch):
    require_cuda(backend)
    monkeypatch.delenv("TORCH_DEVICE", raising=False)
    p = simulate(T=160, F=4)
    p.y[:50, 1] = np.nan  # a partly masked stretch
    for name in ("factor_model_v1", "factor_student_t"):
        settings = config(backend, steps=400, model={"model_name": name})
        on_cpu = models.fit(p.X, p.y, settings)
        on_gpu = models.fit(p.X, p.y, settings | {"use_gpu": True})
        np.testing.assert_allclose(
            on_gpu.losses[-50:].mean(), on_cpu.losses[-50:].mean(), atol=0.02
        )
        np.testing.assert_allclose(on_gpu.params["beta_loc"], on_cpu.params["beta_loc"], atol=0.03)
        many = settings | {"use_gpu": True}
        drawn = models.predict(p.X[:5], on_cpu, many, 4000)
        expected = models.predict(p.X[:5], on_cpu, settings, 4000)
        np.testing.assert_allclose(drawn["mean"], expected["mean"], atol=0.05)
        np.testing.assert_allclose(drawn["samples"].std(0), expected["samples"].std(0), rtol=0.12)


@pytest.mark.gpu
def test_cuda_leaves_the_random_state_and_results_repeat(simulate, config, backend, monkeypatch):
    require_cuda(backend)
    monkeypatch.delenv("TORCH_DEVICE", raising=False)
    p = simulate(T=60, F=2)
    settings = config(backend, steps=30, use_gpu=True)
    one, other = (models.fit(p.X, p.y, settings) for _ in range(2))
    np.testing.assert_allclose(one.losses, other.losses, rtol=1e-5)
    a, b = (models.predict(p.X[:3], one, settings, 16)["samples"] for _ in range(2))
    np.testing.assert_allclose(a, b, rtol=1e-5)


@pytest.mark.gpu
def test_many_jobs_share_a_program_on_cuda(simulate, config, monkeypatch):
    require_cuda("numpyro")
    monkeypatch.delenv("TORCH_DEVICE", raising=False)
    panels = [simulate(T=60, F=2, seed=s) for s in range(3)]
    jobs = [
        models.FitJob(p.X, p.y, config("numpyro", steps=40, seed=c, use_gpu=True))
        for p in panels
        for c in range(3)
    ]
    together = models.fit_many(jobs)
    for position in (0, 4, 8):
        alone = models.fit_many([jobs[position]])[0]
        np.testing.assert_allclose(together[position].losses, alone.losses, rtol=1e-3)


@pytest.mark.gpu
@pytest.mark.parametrize("library", ["torch", "jax"])
def test_scores_of_cuda_arrays_agree_with_the_core(library):
    rng = np.random.default_rng(0)
    obs, draws = rng.normal(size=(7, 6)), rng.normal(size=(7, 50, 6))
    if library == "torch":
        require_cuda("pyro")
        import torch

        args = [torch.as_tensor(a, device="cuda") for a in (obs, draws)]
        score = fp.scoring.energy_score(*args)
        assert score.device.type == "cuda"
        loss = fp.scoring.energy_loss(*args)
        assert loss.device.type == "cuda"
        np.testing.assert_allclose(float(loss), fp.scoring.energy_score(obs, draws).mean())
        tolerance, score = 1e-10, score.cpu().numpy()
    else:
        require_cuda("numpyro")
        import jax

        device = jax.devices("cuda")[0]
        args = [jax.device_put(a.astype(np.float32), device) for a in (obs, draws)]
        score = fp.scoring.energy_score(*args)
        assert score.devices() == {device}
        tolerance = 1e-3
    np.testing.assert_allclose(np.asarray(score), fp.scoring.energy_score(obs, draws), tolerance)
