"""Stochastic variational inference in Pyro, one optimiser step at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import pyro
import torch
from pyro import poutine
from pyro.infer import Trace_ELBO, TraceEnum_ELBO, TraceGraph_ELBO, TraceMeanField_ELBO
from pyro.infer.util import torch_item, zero_grads
from pyro.optim import LambdaLR
from pyro.optim.clipped_adam import ClippedAdam
from pyro.poutine.messenger import Messenger

from fastpanel.errors import ModelError, ParameterError
from fastpanel.models._contract import ModelBatch

_OPTIMIZERS = {"Adam": pyro.optim.Adam, "ClippedAdam": pyro.optim.ClippedAdam}
_LOSSES = {
    elbo.__name__: elbo
    for elbo in (Trace_ELBO, TraceEnum_ELBO, TraceGraph_ELBO, TraceMeanField_ELBO)
}
_TORCH = {"Adam": torch.optim.Adam, "ClippedAdam": ClippedAdam}


class Part(NamedTuple):
    """A batch of one optimiser step.

    ``likelihood`` scales the observed sites (N over this batch's entries),
    ``weight`` the whole loss.
    """

    batch: ModelBatch
    likelihood: float = 1.0
    weight: float = 1.0


class Likelihood(Messenger):  # type: ignore[misc]
    """Scale the observed sites and leave masked entries of ``obs`` out.

    A model whose ``obs`` is a distribution per entry need not look at the mask;
    one that is joint over assets (and rows) gets only fully masked parts left out
    and handles the rest itself.
    """

    def __init__(self, scale: float, mask: Any) -> None:
        super().__init__()
        self.scale = scale
        self.observed = None if mask is None else ~mask

    def _pyro_sample(self, msg: Any) -> None:
        if not msg["is_observed"]:
            return
        msg["scale"] = msg["scale"] * self.scale
        if msg["name"] == "obs" and self.observed is not None:
            joint = tuple(range(-msg["fn"].event_dim, 0))
            own = self.observed.any(joint) if joint else self.observed
            msg["mask"] = own if msg["mask"] is None else own & msg["mask"]


class LatentScale(Messenger):  # type: ignore[misc]
    """Scale the density of the latent sites: the weight of the KL terms."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = weight

    def _pyro_sample(self, msg: Any) -> None:
        if not msg["is_observed"]:
            msg["scale"] = msg["scale"] * self.weight


class SVITrainer:
    """Trains a guide by Adam on the negative ELBO; parameters live in Pyro's store.

    Parameters
    ----------
    model, guide
        Callables of one :class:`~fastpanel.models.ModelBatch`.
    optimizer
        ``"Adam"`` or ``"ClippedAdam"``.
    optim_args
        Arguments of the optimiser, or a callable of the parameter name that
        returns them. A parameter that appears during training gets an optimiser
        then.
    loss
        ``"Trace_ELBO"``, ``"TraceGraph_ELBO"`` (fewer terms per score-function
        gradient), ``"TraceMeanField_ELBO"`` (analytic KL) or ``"TraceEnum_ELBO"``
        (sites marked ``infer={"enumerate": "parallel"}`` are summed out).
    num_particles, vectorize_particles
        Draws per gradient, and whether they are drawn at once.
    schedule
        Factor of the learning rate at step 0, 1, ...; None: constant.

    Examples
    --------
    >>> import torch
    >>> from fastpanel.models import ModelBatch, default_guide_registry, default_model_registry
    >>> model = default_model_registry()["test_model"]({})
    >>> guide = default_guide_registry()["test_guide"]({})
    >>> trainer = SVITrainer(model, guide, optim_args={"lr": 0.01})
    >>> batch = ModelBatch(X=torch.zeros(5, 2, 3), y=torch.zeros(5, 2))
    >>> with pyro.get_param_store().scope():
    ...     loss = trainer.step(batch)
    >>> loss > 0
    True
    """

    def __init__(
        self,
        model: Callable[[ModelBatch], Any],
        guide: Callable[[ModelBatch], Any],
        *,
        optim_args: Mapping[str, Any] | Callable[[str], Mapping[str, Any]],
        optimizer: str = "ClippedAdam",
        loss: str = "Trace_ELBO",
        num_particles: int = 1,
        vectorize_particles: bool = False,
        schedule: Callable[[int], float] | None = None,
    ) -> None:
        for value, known, what in ((optimizer, _OPTIMIZERS, "optimizer"), (loss, _LOSSES, "loss")):
            if value not in known:
                raise ParameterError(f"{what} is {value!r}; choose one of {sorted(known)}")
        args = optim_args if callable(optim_args) else dict(optim_args)
        self.model, self.guide = model, guide
        if schedule is None:
            self.optim = _OPTIMIZERS[optimizer](args)
        else:
            self.optim = LambdaLR(
                {"optimizer": _TORCH[optimizer], "optim_args": args, "lr_lambda": schedule}
            )
        self.scheduled = schedule is not None
        self.loss = loss
        self.elbo = _LOSSES[loss](
            num_particles=num_particles, vectorize_particles=vectorize_particles
        )
        self.steps = 0

    def step(self, batch: ModelBatch | Iterable[Part], kl_weight: float = 1.0) -> float:
        """One optimiser step on a batch, or on several whose gradients add up.

        ``kl_weight`` scales the latent sites of model and guide.

        Raises
        ------
        ModelError
            The loss is not finite; names the step, counted from 0.
        """
        parts = [Part(batch)] if isinstance(batch, ModelBatch) else list(batch)
        with poutine.trace(param_only=True) as capture:
            loss = sum(self.elbo.loss_and_grads(*self._scaled(part, kl_weight)) for part in parts)
        value = float(torch_item(loss))
        if not math.isfinite(value):
            raise ModelError(
                f"loss is {value} at step {self.steps}; lower the learning rate "
                "or check the scale of X and y"
            )
        params = {site["value"].unconstrained() for site in capture.trace.nodes.values()}
        self.optim(params)
        zero_grads(params)
        if self.scheduled:
            self.optim.step()
        self.steps += 1
        return value

    def evaluate_loss(
        self, batch: ModelBatch, num_particles: int | None = None, kl_weight: float = 1.0
    ) -> float:
        """Negative ELBO of a batch; changes no parameter."""
        elbo = self.elbo if num_particles is None else _LOSSES[self.loss](num_particles)
        with torch.no_grad():
            return float(torch_item(elbo.loss(*self._scaled(Part(batch), kl_weight))))

    def _scaled(self, part: Part, kl_weight: float) -> tuple[Any, Any, ModelBatch]:
        model = Likelihood(part.likelihood, part.batch.M)(self.model)
        guide = self.guide
        if part.weight != 1.0:
            model = poutine.scale(model, scale=part.weight)
            guide = poutine.scale(guide, scale=part.weight)
        if kl_weight != 1.0:
            model, guide = LatentScale(kl_weight)(model), LatentScale(kl_weight)(guide)
        return model, guide, part.batch
