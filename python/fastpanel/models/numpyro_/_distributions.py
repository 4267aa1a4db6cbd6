"""Observation distributions of the factor models, one row of assets per draw."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln
from numpyro.distributions import Distribution, constraints

from fastpanel.models._lowrank import quadratic

_LOG_2PI = math.log(2.0 * math.pi)


class FactorNormal(Distribution):  # type: ignore[misc]
    """``N(loc_t, B B' + diag(sigma^2))`` over assets, masked entries left out exactly.

    ``loc [T, A]``, ``loadings [A, K]`` or None, ``sigma [A]``, ``observed``
    bool ``[T, A]`` or None. Batch shape ``[T]``, event shape ``[A]``.
    """

    support = constraints.real_vector
    reparametrized_params = ("loc", "loadings", "sigma")
    pytree_data_fields: tuple[str, ...] = ("loc", "loadings", "sigma", "observed")

    def __init__(
        self,
        loc: Any,
        loadings: Any,
        sigma: Any,
        observed: Any = None,
        *,
        validate_args: bool | None = None,
    ) -> None:
        self.loc, self.loadings, self.sigma, self.observed = loc, loadings, sigma, observed
        super().__init__(loc.shape[:-1], loc.shape[-1:], validate_args=validate_args)

    @property
    def mean(self) -> Any:
        """``[T, A]``."""
        return self.loc

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        """Draws that are joint over assets."""
        return self.loc + self._noise(key, sample_shape)

    def log_prob(self, value: Any) -> Any:
        """Log density of the observed entries, ``[T]``."""
        count, log_det, distance = self._parts(value)
        return -0.5 * (count * _LOG_2PI + log_det + distance)

    def _noise(self, key: Any, sample_shape: tuple[int, ...]) -> Any:
        own, shared = jax.random.split(key)
        dtype = self.loc.dtype
        noise = self.sigma * jax.random.normal(own, sample_shape + self.loc.shape, dtype)
        if self.loadings is None:
            return noise
        shape = sample_shape + self.batch_shape + self.loadings.shape[-1:]
        factors = jax.random.normal(shared, shape, dtype)
        return noise + factors @ jnp.swapaxes(self.loadings, -1, -2)

    def _parts(self, value: Any) -> tuple[Any, Any, Any]:
        """Observed entries per row (a plain number without a mask), log det, distance."""
        residual, log_sigma = value - self.loc, jnp.log(self.sigma)
        if self.observed is None:
            return self.event_shape[0], *quadratic(jnp, residual, self.loadings, log_sigma, None)
        observed = self.observed.astype(self.loc.dtype)
        parts = quadratic(jnp, observed * residual, self.loadings, log_sigma, observed)
        return observed.sum(-1), *parts


class FactorStudentT(FactorNormal):
    """Multivariate t with scale matrix ``B B' + diag(sigma^2)`` and ``df`` > 2.

    One chi-square draw scales a whole week, so that tails are joint.
    """

    pytree_data_fields = ("df",)

    def __init__(
        self,
        df: Any,
        loc: Any,
        loadings: Any,
        sigma: Any,
        observed: Any = None,
        *,
        validate_args: bool | None = None,
    ) -> None:
        self.df = df
        super().__init__(loc, loadings, sigma, observed, validate_args=validate_args)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        """Draws that are joint over assets."""
        tail, noise = jax.random.split(key)
        shape = sample_shape + self.batch_shape
        # one key per row, so that a row's draw does not depend on how many rows there are
        rows = jax.random.split(tail, math.prod(shape))
        half = jnp.asarray(self.df, self.loc.dtype) / 2
        chi2 = 2.0 * jax.vmap(lambda row: jax.random.gamma(row, half))(rows).reshape(shape)
        return self.loc + self._noise(noise, sample_shape) * jnp.sqrt(self.df / chi2)[..., None]

    def log_prob(self, value: Any) -> Any:
        """Log density of the observed entries, ``[T]``."""
        count, log_det, distance = self._parts(value)
        # lgamma only at the A + 1 possible counts, not at every row
        possible = jnp.arange(self.event_shape[0] + 1, dtype=self.loc.dtype)
        table = gammaln(0.5 * (self.df + possible)) - gammaln(0.5 * self.df)
        table = table - 0.5 * possible * jnp.log(self.df * math.pi)
        tail = 0.5 * (self.df + count) * jnp.log1p(distance / self.df)
        return table[jnp.asarray(count, int)] - 0.5 * log_det - tail
