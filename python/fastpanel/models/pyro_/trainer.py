"""Stochastic variational inference in Pyro, one optimiser step at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import pyro
import torch
from pyro import poutine
from pyro.infer import Trace_ELBO, TraceMeanField_ELBO
from pyro.infer.util import torch_item, zero_grads
from pyro.poutine.messenger import Messenger

from fastpanel.errors import ModelError, ParameterError
from fastpanel.models._contract import ModelBatch

_OPTIMIZERS = {"Adam": pyro.optim.Adam, "ClippedAdam": pyro.optim.ClippedAdam}
_LOSSES = {"Trace_ELBO": Trace_ELBO, "TraceMeanField_ELBO": TraceMeanField_ELBO}


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
        ``"Trace_ELBO"`` or ``"TraceMeanField_ELBO"``.
    num_particles
        Draws per gradient.

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
    ) -> None:
        for value, known, what in ((optimizer, _OPTIMIZERS, "optimizer"), (loss, _LOSSES, "loss")):
            if value not in known:
                raise ParameterError(f"{what} is {value!r}; choose one of {sorted(known)}")
        args = optim_args if callable(optim_args) else dict(optim_args)
        self.model, self.guide = model, guide
        self.optim = _OPTIMIZERS[optimizer](args)
        self.loss = loss
        self.elbo = _LOSSES[loss](num_particles=num_particles)
        self.steps = 0

    def step(self, batch: ModelBatch | Iterable[Part]) -> float:
        """One optimiser step on a batch, or on several whose gradients add up.

        Raises
        ------
        ModelError
            The loss is not finite; names the step, counted from 0.
        """
        parts = [Part(batch)] if isinstance(batch, ModelBatch) else list(batch)
        with poutine.trace(param_only=True) as capture:
            loss = sum(self.elbo.loss_and_grads(*self._scaled(part)) for part in parts)
        value = float(torch_item(loss))
        if not math.isfinite(value):
            raise ModelError(
                f"loss is {value} at step {self.steps}; lower the learning rate "
                "or check the scale of X and y"
            )
        params = {site["value"].unconstrained() for site in capture.trace.nodes.values()}
        self.optim(params)
        zero_grads(params)
        self.steps += 1
        return value

    def evaluate_loss(self, batch: ModelBatch, num_particles: int | None = None) -> float:
        """Negative ELBO of a batch; changes no parameter."""
        elbo = self.elbo if num_particles is None else _LOSSES[self.loss](num_particles)
        with torch.no_grad():
            return float(torch_item(elbo.loss(*self._scaled(Part(batch)))))

    def _scaled(self, part: Part) -> tuple[Any, Any, ModelBatch]:
        model = Likelihood(part.likelihood, part.batch.M)(self.model)
        guide = self.guide
        if part.weight != 1.0:
            model = poutine.scale(model, scale=part.weight)
            guide = poutine.scale(guide, scale=part.weight)
        return model, guide, part.batch
