"""Run NUTS on a prepared fit."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
from numpyro import handlers
from numpyro.diagnostics import summary
from numpyro.infer import MCMC, NUTS, init_to_median, init_to_value

from fastpanel.models._config import FitConfig
from fastpanel.models._contract import ModelBatch
from fastpanel.models._guides import nuts_settings
from fastpanel.models._prepare import Prepared
from fastpanel.models._registries import build_model, default_model_registry
from fastpanel.models._report import FitReport
from fastpanel.models._windows import burn_in_rows
from fastpanel.models.numpyro_._program import Likelihood
from fastpanel.typing import FloatArray


def sample(prepared: Prepared, config: FitConfig) -> tuple[dict[str, FloatArray], FitReport]:
    """Posterior draws ``<site>_draws [N, ...]`` and what the chains say of themselves.

    All training rows are seen; rows of ``tbptt_burn_in_len`` after each gap stay
    out of the likelihood. Double precision, chains vectorised.
    """
    section = config.model
    settings = nuts_settings(section.guide_params)
    factory = default_model_registry("numpyro")[section.model_name]
    model = build_model(factory, section.model_name, section.params)
    with jax.enable_x64(True):
        kernel = NUTS(
            _joint(model, prepared),
            target_accept_prob=settings["target_accept"],
            max_tree_depth=settings["max_tree_depth"],
            init_strategy=_start(model, *prepared.X.shape[1:]),
        )
        chains = MCMC(
            kernel,
            num_warmup=settings["num_warmup"],
            num_samples=settings["num_samples"],
            num_chains=settings["num_chains"],
            chain_method="vectorized",
            progress_bar=False,
        )
        data = np.random.SeedSequence((config.seed,)).generate_state(2, np.uint32)
        key = jax.random.wrap_key_data(jnp.asarray(data), impl="threefry2x32")
        chains.run(key, extra_fields=("diverging",))
        by_chain = chains.get_samples(group_by_chain=True)
        divergences = int(chains.get_extra_fields()["diverging"].sum())
    draws = {name: np.asarray(value, dtype=np.float64) for name, value in by_chain.items()}
    params = {f"{name}_draws": value.reshape(-1, *value.shape[2:]) for name, value in draws.items()}
    return params, _report(draws, divergences)


def _report(draws: dict[str, FloatArray], divergences: int) -> FitReport:
    table = summary(draws)
    worst = {name: float(np.max(row["r_hat"])) for name, row in table.items()}
    site = max(worst, key=lambda name: worst[name])
    least = min(float(np.min(row["n_eff"])) for row in table.values())
    return FitReport(
        "nuts",
        max_rhat=worst[site],
        min_ess=least,
        divergences=divergences,
        worst_site=site,
    )


def _joint(model: Any, prepared: Prepared) -> Any:
    """The model with one latent draw behind every contiguous stretch of rows."""
    skipped = burn_in_rows(len(prepared.y), prepared.windows)[:, None]
    missing = prepared.missing | skipped
    stretches = prepared.stretches
    if getattr(model, "independent_rows", False):
        stretches = [(0, len(prepared.y))]
    batches = [
        ModelBatch(*(jnp.asarray(a[start:stop]) for a in (prepared.X, prepared.y, missing)))
        for start, stop in stretches
    ]

    def joint() -> None:
        first = handlers.trace(Likelihood(model, 1.0, batches[0].M)).get_trace(batches[0])
        latent = {
            name: site["value"]
            for name, site in first.items()
            if site["type"] == "sample" and not site["is_observed"]
        }
        for number, batch in enumerate(batches[1:], start=1):
            with handlers.block(), handlers.trace() as seen:
                handlers.substitute(Likelihood(model, 1.0, batch.M), data=latent)(batch)
            site = seen["obs"]
            numpyro.factor(f"obs_{number}", site["fn"].log_prob(site["value"]).sum())

    return joint


def _start(model: Any, n_assets: int, n_features: int) -> Any:
    """Start where the hand-written guide does: that fixes the signs of the factors."""
    if not hasattr(model, "latents"):
        return init_to_median(num_samples=15)
    values = {
        latent.name: jnp.broadcast_to(
            latent.center if latent.init_loc is None else latent.init_loc, latent.shape
        )
        + 0.0
        for latent in model.latents(n_assets, n_features)
    }
    return init_to_value(values=values)
