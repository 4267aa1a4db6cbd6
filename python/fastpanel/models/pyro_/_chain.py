"""Factor observations whose scale and location follow a hidden Markov chain, in Pyro."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution, constraints

from fastpanel.models._chain import CARRIED, CONTINUE, Carry, emission, fresh_rows
from fastpanel.models._markov import forward

_LOG_2PI = math.log(2.0 * math.pi)


class MarkovFactorNormal(TorchDistribution):  # type: ignore[misc]
    """All rows of a panel at once, the chain of states summed out exactly.

    In state g a row is ``N(loc_t + shift_g, factor_g^2 B B' + noise_g^2 diag(sigma^2))``.
    ``loc [..., T, A]``, ``shift [..., G, A]`` or None, ``loadings [..., A, K]`` or
    None, ``sigma [..., A]``, ``scales`` = (factor, noise) ``[..., G]``, ``chain`` =
    (initial ``[..., G]``, transition ``[..., G, G]``), ``observed`` bool ``[T, A]`` or
    None, ``carry`` or None. Event shape ``[T, A]``. Leading dimensions are
    plates of draws or particles.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.independent(constraints.real, 2)
    has_rsample = False

    def __init__(
        self,
        loc: Any,
        shift: Any,
        loadings: Any,
        sigma: Any,
        scales: tuple[Any, Any],
        chain: tuple[Any, Any],
        observed: Any = None,
        carry: Carry | None = None,
        *,
        validate_args: bool | None = None,
    ) -> None:
        self.loc, self.shift, self.loadings, self.sigma = loc, shift, loadings, sigma
        self.scales, self.chain, self.observed = scales, chain, observed
        self.carry = fresh_rows(torch, loc.shape[-2], chain[0]) if carry is None else carry
        super().__init__(loc.shape[:-2], loc.shape[-2:], validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """Return itself where nothing changes: a plate of draws asks for its own shape."""
        if torch.Size(batch_shape) == self.batch_shape:
            return self
        return super().expand(batch_shape, _instance)

    @property
    def mean(self) -> Any:
        """``[..., T, A]``."""
        return self.loc if self.shift is None else self.loc + self._paths()[1] @ self.shift

    def sample(self, sample_shape: Any = ()) -> Any:
        """Draws that are joint over assets and, by their path of states, over rows."""
        if sample_shape:
            raise NotImplementedError("draw one panel at a time")
        path = self._paths()[0]
        loc = self.loc if self.shift is None else self.loc + path @ self.shift
        factor, noise = ((path @ scale[..., None]) for scale in self.scales)
        dtype = self.loc.dtype
        value = loc + noise * self.sigma[..., None, :] * torch.randn(loc.shape, dtype=dtype)
        if self.loadings is None:
            return value
        factors = torch.randn((*loc.shape[:-1], self.loadings.shape[-1]), dtype=dtype)
        return value + factor * (factors @ self.loadings.transpose(-1, -2))

    def log_prob(self, value: Any) -> Any:
        """Log density of the observed entries."""
        return forward(torch, torch.detach, self.log_emission(value), *self.chain)[0]

    def filtered(self, value: Any) -> Any:
        """Law of the state after the last row, ``[..., G]``."""
        return forward(torch, torch.detach, self.log_emission(value), *self.chain)[1]

    def log_emission(self, value: Any) -> Any:
        """Log density of every row in every state, ``[..., T, G]``."""
        dtype = self.loc.dtype
        observed = torch.ones(self.event_shape, dtype=dtype)
        if self.observed is not None:
            observed = self.observed.to(dtype)
        return emission(
            torch,
            lambda count, log_det, distance: -0.5 * (count * _LOG_2PI + log_det + distance),
            value,
            self.loc,
            self.shift,
            self.loadings,
            self.sigma,
            self.scales,
            observed,
        )

    def _paths(self) -> tuple[Any, Any]:
        """One path of states as indicators, and the law of each row's state, ``[..., T, G]``."""
        initial, transition = self.chain
        initial = initial.expand(*self.batch_shape, initial.shape[-1])
        drawn, law, path, laws = initial, initial, [], []
        for filtered, start, steps in zip(*self.carry, strict=True):
            if start != CONTINUE:
                drawn = law = (
                    torch.as_tensor(filtered, dtype=initial.dtype).expand(initial.shape)
                    if start == CARRIED
                    else initial
                )
            for _ in range(int(steps)):
                drawn, law = ((p[..., None, :] @ transition)[..., 0, :] for p in (drawn, law))
            chosen = torch.distributions.Categorical(drawn, validate_args=False).sample()
            drawn = torch.nn.functional.one_hot(chosen, drawn.shape[-1]).to(initial.dtype)
            path.append(drawn)
            laws.append(law)
        return torch.stack(path, -2), torch.stack(laws, -2)
