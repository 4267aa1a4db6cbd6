"""Factor observations whose scale and location follow a hidden Markov chain, in NumPyro."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from numpyro.distributions import Distribution, constraints

from fastpanel.models._chain import CARRIED, CONTINUE, Carry, emission, fresh_rows
from fastpanel.models._markov import forward

_LOG_2PI = math.log(2.0 * math.pi)


class MarkovFactorNormal(Distribution):  # type: ignore[misc]
    """All rows of a panel at once, the chain of states summed out exactly.

    In state g a row is ``N(loc_t + shift_g, factor_g^2 B B' + noise_g^2 diag(sigma^2))``.
    ``loc [T, A]``, ``shift [G, A]`` or None, ``loadings [A, K]`` or None, ``sigma
    [A]``, ``scales`` = (factor, noise) ``[G]``, ``chain`` = (initial ``[G]``,
    transition ``[G, G]``), ``observed`` bool ``[T, A]`` or None, ``carry`` or None.
    Event shape ``[T, A]``.
    """

    support = constraints.independent(constraints.real, 2)
    pytree_data_fields: tuple[str, ...] = (
        "loc",
        "shift",
        "loadings",
        "sigma",
        "scales",
        "chain",
        "observed",
        "carry",
    )

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
        self.carry = fresh_rows(jnp, loc.shape[-2], chain[0]) if carry is None else carry
        super().__init__(loc.shape[:-2], loc.shape[-2:], validate_args=validate_args)

    @property
    def mean(self) -> Any:
        """``[T, A]``."""
        if self.shift is None:
            return self.loc
        return self.loc + self._paths(jax.random.key(0))[1] @ self.shift

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        """Draws that are joint over assets and, by their path of states, over rows."""
        if sample_shape:
            keys = jax.random.split(key, sample_shape)
            one = self.sample
            for _ in sample_shape:
                one = jax.vmap(one)
            return one(keys)
        states, own, shared = jax.random.split(key, 3)
        path = self._paths(states)[0]
        loc = self.loc if self.shift is None else self.loc + path @ self.shift
        factor, noise = ((path @ scale)[..., None] for scale in self.scales)
        dtype = self.loc.dtype
        value = loc + noise * self.sigma * jax.random.normal(own, loc.shape, dtype)
        if self.loadings is None:
            return value
        shape = (loc.shape[0], self.loadings.shape[-1])
        return value + factor * (jax.random.normal(shared, shape, dtype) @ self.loadings.T)

    def log_prob(self, value: Any) -> Any:
        """Log density of the observed entries."""
        return forward(jnp, lax.stop_gradient, self.log_emission(value), *self.chain)[0]

    def filtered(self, value: Any) -> Any:
        """Law of the state after the last row, ``[G]``."""
        return forward(jnp, lax.stop_gradient, self.log_emission(value), *self.chain)[1]

    def log_emission(self, value: Any) -> Any:
        """Log density of every row in every state, ``[..., T, G]``."""
        dtype = self.loc.dtype
        observed = jnp.ones(self.event_shape, dtype)
        if self.observed is not None:
            observed = self.observed.astype(dtype)
        return emission(
            jnp,
            lambda count, log_det, distance: -0.5 * (count * _LOG_2PI + log_det + distance),
            value,
            self.loc,
            self.shift,
            self.loadings,
            self.sigma,
            self.scales,
            observed,
        )

    def _paths(self, key: Any) -> tuple[Any, Any]:
        """One path of states as indicators, and the law of each row's state, ``[T, G]``."""
        initial, transition = self.chain
        size = initial.shape[-1]

        def row(before: Any, now: Any) -> Any:
            number, filtered, start, steps = now
            fresh = jnp.where(start == CARRIED, filtered, initial)
            both = jnp.where(start == CONTINUE, before, fresh)
            both = lax.fori_loop(0, steps, lambda _, p: p @ transition, both)
            # a row's draw does not depend on how many rows there are
            own = jax.random.fold_in(key, number)
            chosen = jax.random.categorical(own, jnp.log(both[0]))
            drawn = jax.nn.one_hot(chosen, size, dtype=initial.dtype)
            return jnp.stack((drawn, both[1])), (drawn, both[1])

        start = jnp.stack((initial, initial))
        filtered, first, steps = (jnp.asarray(part) for part in self.carry)
        rows = (jnp.arange(len(first)), filtered.astype(initial.dtype), first, steps)
        paths: tuple[Any, Any] = lax.scan(row, start, rows)[1]
        return paths
