"""torch and JAX arrays: the same scores, on their device, differentiable."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fastpanel import scoring
from fastpanel.errors import ParameterError, ShapeError

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
jnp = pytest.importorskip("jax.numpy")
_torch = pytest.importorskip("fastpanel.scoring._torch")
_jax = pytest.importorskip("fastpanel.scoring._jax")

RNG = np.random.default_rng(0)
TRUTH, SAMPLES = RNG.normal(size=(6, 5)), RNG.normal(size=(17, 6, 5))  # [T, A], [S, T, A]
MASK = RNG.random((6, 5)) < 0.3
MASK[1] = True
WEIGHTS = RNG.uniform(0.1, 1, size=17)
PAIRS = RNG.uniform(0.1, 1, size=(5, 5))
TRAIN = RNG.normal(size=(90, 5))


@pytest.fixture(params=["torch", "torch formulas", "jax", "jax formulas"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Conversion to an array library with 64-bit floats, and the type that must come back.

    Tensors in the memory of the CPU are scored by the core; "formulas" takes the way of all
    other devices.
    """
    if request.param.endswith("formulas"):
        for device in (_torch.DEVICE, _jax.DEVICE):
            monkeypatch.setattr(type(device), "on_host", lambda self, x: False)
    if request.param.startswith("torch"):
        yield torch.tensor, torch.Tensor
    else:
        with jax.enable_x64(True):
            yield jnp.asarray, jax.Array


CASES: dict[str, Callable[[Any], Any]] = {
    "energy": lambda c: scoring.energy_score(c(TRUTH), c(SAMPLES), 0),
    "energy fair": lambda c: scoring.energy_score(c(TRUTH), c(SAMPLES), 0, estimator="fair"),
    "energy mask": lambda c: scoring.energy_score(c(TRUTH), c(SAMPLES), 0, mask=c(MASK)),
    "energy weights": lambda c: scoring.energy_score(c(TRUTH), c(SAMPLES), 0, ens_w=c(WEIGHTS)),
    "energy axes": lambda c: scoring.energy_score(
        c(TRUTH), c(SAMPLES.transpose(1, 2, 0)), 2, 1, mask=c(MASK)
    ),
    "energy broadcast": lambda c: scoring.energy_score(c(TRUTH), c(SAMPLES[:, 0])),
    "energy point": lambda c: scoring.energy_score(c(TRUTH[0]), c(SAMPLES[:, 0])),
    "crps": lambda c: scoring.crps_ensemble(c(TRUTH), c(SAMPLES), 0),
    "crps pwm mask": lambda c: scoring.crps_ensemble(
        c(TRUTH), c(SAMPLES), 0, estimator="pwm", mask=c(MASK)
    ),
    "variogram": lambda c: scoring.variogram_score(c(TRUTH), c(SAMPLES), 0),
    "variogram fair": lambda c: scoring.variogram_score(
        c(TRUTH), c(SAMPLES), 0, p=1.3, w=c(PAIRS), ens_w=c(WEIGHTS), estimator="fair"
    ),
    "pit": lambda c: scoring.pit(c(TRUTH), c(SAMPLES), 0),
    "coverage": lambda c: scoring.coverage(c(TRUTH), c(SAMPLES), [0.5, 0.9], 0),
    "coverage weekly": lambda c: scoring.coverage(c(TRUTH), c(SAMPLES), 0.5, 0, axis=-1),
    "quantile": lambda c: scoring.quantile_score(c(TRUTH), c(SAMPLES[0]), 0.3),
    "ensemble quantile": lambda c: scoring.ensemble_quantile(c(SAMPLES), [0.0, 0.4, 1.0], 0),
    "tail": lambda c: scoring.tail_quantile_loss(c(TRUTH), c(SAMPLES), 0.05, 0),
    "transform": lambda c: scoring.Whitener.fit(TRAIN).transform(c(SAMPLES)),
    "whitened": lambda c: scoring.Whitener.fit(TRAIN).energy_score(c(TRUTH), c(SAMPLES), 0),
    "whitened axes": lambda c: scoring.Whitener.fit(TRAIN).energy_score(
        c(TRUTH.T), c(SAMPLES.transpose(2, 0, 1)), 1, 0
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_the_core(name: str, library: Any) -> None:
    convert, kind = library
    want, got = CASES[name](np.asarray), CASES[name](convert)
    assert isinstance(got, kind)
    assert got.shape == np.shape(want)
    np.testing.assert_allclose(np.asarray(got), want, rtol=1e-12, atol=1e-14)


def test_missing_values_as_in_the_core(library: Any) -> None:
    convert, _ = library
    truth, samples = TRUTH.copy(), SAMPLES.copy()
    truth[1, 2] = np.nan
    samples[3, 4, 1] = np.nan
    whitener = scoring.Whitener.fit(TRAIN)
    for score in (
        lambda c: scoring.energy_score(c(truth), c(samples), 0),
        lambda c: scoring.crps_ensemble(c(truth), c(samples), 0),
        lambda c: scoring.pit(c(truth), c(samples), 0),
        lambda c: scoring.ensemble_quantile(c(samples), 0.2, 0),
        lambda c: scoring.coverage(c(truth), c(samples), 0.5, 0, axis=-1),
        lambda c: whitener.transform(c(truth)),
    ):
        np.testing.assert_allclose(np.asarray(score(convert)), score(np.asarray), rtol=1e-12)


def test_large_location(library: Any) -> None:
    convert, _ = library
    truth, samples = 1e6 + 1e-2 * TRUTH, 1e6 + 1e-2 * SAMPLES
    want = scoring.energy_score(truth, samples, 0)
    got = scoring.energy_score(convert(truth), convert(samples), 0)
    np.testing.assert_allclose(np.asarray(got), want, rtol=1e-12)


def test_numpy_joins_the_other_library(library: Any) -> None:
    convert, kind = library
    got = scoring.energy_score(TRUTH, convert(SAMPLES), 0)
    assert isinstance(got, kind)
    np.testing.assert_allclose(np.asarray(got), scoring.energy_score(TRUTH, SAMPLES, 0))


def test_single_precision_stays(library: Any) -> None:
    convert, _ = library
    got = scoring.energy_score(convert(TRUTH.astype("f4")), convert(SAMPLES.astype("f4")), 0)
    assert "float32" in str(got.dtype)
    np.testing.assert_allclose(np.asarray(got), scoring.energy_score(TRUTH, SAMPLES, 0), rtol=1e-5)


@pytest.mark.parametrize("at_once", [2 * 17**2, 5 * 17])  # 2 of 6 points, 5 of 17 members
def test_points_and_members_are_chunked(
    at_once: int, library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert, _ = library
    want = scoring.energy_score(TRUTH, SAMPLES, 0)
    for module in (_torch, _jax):
        monkeypatch.setattr(module, "_VALUES_AT_ONCE", at_once)
    got = scoring.energy_score(convert(TRUTH), convert(SAMPLES), 0)
    np.testing.assert_allclose(np.asarray(got), want, rtol=1e-12)
    loss = scoring.energy_loss(convert(TRUTH), convert(np.moveaxis(SAMPLES, 0, 1)))
    assert float(loss) == pytest.approx(want.mean(), rel=1e-12)


def test_loss_is_the_mean_score(library: Any) -> None:
    convert, _ = library
    samples = np.moveaxis(SAMPLES, 0, 1)
    want = scoring.energy_score(TRUTH, samples).mean()
    loss = scoring.energy_loss(convert(TRUTH), convert(samples))
    assert loss.shape == ()
    assert float(loss) == pytest.approx(want, rel=1e-13)
    assert scoring.energy_loss(TRUTH, samples) == pytest.approx(want, rel=1e-14)


def test_loss_passes_gradcheck() -> None:
    generator = torch.Generator().manual_seed(1)

    def make(*shape: int) -> Any:
        values = torch.randn(*shape, dtype=torch.float64, generator=generator)
        return values.requires_grad_()

    obs, samples = make(2, 3, 4), make(2, 3, 5, 4)
    assert torch.autograd.gradcheck(scoring.energy_loss, (obs, samples))
    # Broadcast leading axes: one truth for all.
    assert torch.autograd.gradcheck(scoring.energy_loss, (make(4), make(3, 5, 4)))
    # A gradient of the truth alone.
    assert torch.autograd.gradcheck(lambda y: scoring.energy_loss(y, samples.detach()), (obs,))


def test_loss_gradient_equals_that_of_the_score() -> None:
    obs = torch.tensor(TRUTH)
    samples = torch.tensor(np.moveaxis(SAMPLES, 0, 1).copy(), requires_grad=True)
    (direct,) = torch.autograd.grad(scoring.energy_score(obs, samples).mean(), samples)
    (custom,) = torch.autograd.grad(3 * scoring.energy_loss(obs, samples), samples)
    torch.testing.assert_close(custom, 3 * direct, rtol=1e-12, atol=1e-15)
    with jax.enable_x64(True):
        found = jax.grad(scoring.energy_loss, argnums=1)(TRUTH, jnp.asarray(samples.detach()))
    np.testing.assert_allclose(found, direct.numpy(), rtol=1e-11, atol=1e-14)


def test_gradient_is_finite_where_points_coincide() -> None:
    same = np.zeros((3, 4, 2))
    same[:, 2:] = 1.0
    samples = torch.tensor(same, requires_grad=True)
    scoring.energy_loss(torch.zeros(3, 2, dtype=torch.float64), samples).backward()
    assert torch.isfinite(samples.grad).all()
    assert samples.grad.abs().max() > 0
    with jax.enable_x64(True):
        found = jax.grad(scoring.energy_loss, argnums=1)(jnp.zeros((3, 2)), jnp.asarray(same))
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found, samples.grad.numpy(), atol=1e-15)


@pytest.mark.parametrize("location", [0.0, 1e8])
def test_distances_from_products_equal_those_from_differences(location: float) -> None:
    x = torch.tensor(np.moveaxis(SAMPLES, 0, 1) + np.array([location, 0, 0, 0, 0]))
    x[0, 3] = x[0, 8]  # they coincide
    x[1, 2, 1] = math.nan
    x[2, 5] = 1e6  # far away, and nobody else's digits go with it
    want = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
    got = _torch.by_products(x, x)
    finite = ~torch.isnan(want)
    assert got[0, 3, 8] == 0
    assert got[1, 2].isnan().all()
    torch.testing.assert_close(got[finite], want[finite], rtol=1e-12, atol=0)


def test_distances_from_products_pass_gradcheck() -> None:
    x = torch.tensor(np.moveaxis(SAMPLES, 0, 1)[:, :4].copy(), requires_grad=True)
    y = torch.tensor(np.moveaxis(SAMPLES, 0, 1)[:, 6:9].copy(), requires_grad=True)
    assert torch.autograd.gradcheck(_torch.by_products, (x, y))
    (gradient,) = torch.autograd.grad(_torch.by_products(x, x).sum(), x)
    (direct,) = torch.autograd.grad(torch.cdist(x, x).sum(), x)
    torch.testing.assert_close(gradient, direct)


def test_training_on_the_loss_finds_the_law() -> None:
    torch.manual_seed(2)
    truth = 1.5 + 0.5 * torch.randn(64, 2)
    location, scale = torch.zeros(2, requires_grad=True), torch.ones(2, requires_grad=True)
    optimiser = torch.optim.Adam([location, scale], lr=0.07)
    for _ in range(120):
        optimiser.zero_grad()
        scoring.energy_loss(truth, location + scale * torch.randn(64, 16, 2)).backward()
        optimiser.step()
    torch.testing.assert_close(location.detach(), truth.mean(0), atol=0.15, rtol=0)
    torch.testing.assert_close(scale.detach().abs(), truth.std(0), atol=0.15, rtol=0)


def test_core_scores_what_lies_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from fastpanel.scoring import _formulas

    y, x = torch.tensor(TRUTH), torch.tensor(SAMPLES)
    want = scoring.energy_score(y, x, 0)
    tracked = scoring.energy_score(y, x.requires_grad_(), 0)
    assert tracked.requires_grad
    torch.testing.assert_close(tracked.detach(), want)
    monkeypatch.delattr(_formulas, "energy_score")
    torch.testing.assert_close(scoring.energy_score(y, x.detach(), 0), want)
    with torch.no_grad():
        torch.testing.assert_close(scoring.energy_score(y, x, 0), want)
    assert scoring.energy_score(y.bfloat16(), x.detach().bfloat16(), 0).dtype == torch.bfloat16


def test_jax_traces() -> None:
    with jax.enable_x64(True):
        score = jax.jit(lambda y, x: scoring.energy_score(y, x, 0, estimator="fair"))
        want = scoring.energy_score(TRUTH, SAMPLES, 0, estimator="fair")
        np.testing.assert_allclose(score(TRUTH, jnp.asarray(SAMPLES)), want, rtol=1e-12)


def test_errors_name_what_is_wrong() -> None:
    y, x = torch.tensor(TRUTH), torch.tensor(SAMPLES)
    with pytest.raises(ShapeError, match=r"\(17, 6, 5\)"):
        scoring.energy_score(y[:4], x, 0)
    with pytest.raises(ParameterError, match="do not mix"):
        scoring.energy_score(jnp.asarray(TRUTH), x, 0)
    with pytest.raises(ParameterError, match="NumPy"):
        scoring.kernel_score(y, x, lambda a, b: 0.0, 0)
    with pytest.raises(ShapeError, match="at least one point"):
        scoring.energy_loss(y[:0], torch.zeros(0, 4, 5))
    with pytest.raises(ParameterError, match=r"\[0, 1\]"):
        scoring.quantile_score(y, y, 1.5)
