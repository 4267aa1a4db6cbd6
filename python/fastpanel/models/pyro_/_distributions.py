"""Observation distributions of the factor models, one row of assets per draw."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution, constraints

from fastpanel.models._lowrank import quadratic

_LOG_2PI = math.log(2.0 * math.pi)


class FactorNormal(TorchDistribution):  # type: ignore[misc]
    """``N(loc_t, B B' + diag(sigma^2))`` over assets, masked entries left out exactly.

    ``loc [..., T, A]``, ``loadings [..., A, K]`` or None, ``sigma [..., A]``,
    ``observed`` bool ``[T, A]`` or None. Batch shape ``[..., T]``, event shape
    ``[A]``. Leading dimensions are plates of draws or particles.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.real_vector
    has_rsample = True

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
        """``[..., T, A]``."""
        return self.loc

    def rsample(self, sample_shape: Any = ()) -> Any:
        """Draws that are joint over assets."""
        return self.loc + self._noise(torch.Size(sample_shape))

    def log_prob(self, value: Any) -> Any:
        """Log density of the observed entries, ``[T]``."""
        count, log_det, distance = self._parts(value)
        return -0.5 * (count * _LOG_2PI + log_det + distance)

    def _noise(self, sample_shape: Any) -> Any:
        shape = sample_shape + self.loc.shape
        noise = self.sigma * torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        if self.loadings is None:
            return noise
        shape = (*shape[:-1], 1, self.loadings.shape[-1])
        factors = torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        return noise + (factors * self.loadings).sum(-1)

    def _parts(self, value: Any) -> tuple[Any, Any, Any]:
        """Observed entries per row (a plain number without a mask), log det, distance."""
        residual, loadings, sigma = value - self.loc, self.loadings, self.sigma
        if self.loc.dim() > 2:  # a plate of particles keeps a place for the rows
            sigma = sigma.squeeze(-2)
            loadings = None if loadings is None else loadings.squeeze(-3)
        log_sigma = torch.log(sigma)
        if self.observed is None:
            return self.event_shape[0], *quadratic(torch, residual, loadings, log_sigma, None)
        observed = self.observed.to(self.loc.dtype)
        parts = quadratic(torch, observed * residual, loadings, log_sigma, observed)
        return observed.sum(-1), *parts


class FactorStudentT(FactorNormal):
    """Multivariate t with scale matrix ``B B' + diag(sigma^2)`` and ``df`` > 2.

    One chi-square draw scales a whole week, so that tails are joint.
    """

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
        self.df = torch.as_tensor(df, dtype=loc.dtype, device=loc.device)
        super().__init__(loc, loadings, sigma, observed, validate_args=validate_args)

    def rsample(self, sample_shape: Any = ()) -> Any:
        """Draws that are joint over assets."""
        shape = torch.Size(sample_shape)
        df = self.df.expand(self.batch_shape)
        chi2 = torch.distributions.Chi2(df, validate_args=False).rsample(shape)
        return self.loc + self._noise(shape) * torch.sqrt(df / chi2)[..., None]

    def log_prob(self, value: Any) -> Any:
        """Log density of the observed entries, ``[T]``."""
        count, log_det, distance = self._parts(value)
        # lgamma only at the A + 1 possible counts, not at every row
        possible = torch.arange(self.event_shape[0] + 1, dtype=self.df.dtype, device=self.df.device)
        table = torch.lgamma(0.5 * (self.df + possible)) - torch.lgamma(0.5 * self.df)
        table = table - 0.5 * possible * torch.log(self.df * math.pi)
        tail = 0.5 * (self.df + count) * torch.log1p(distance / self.df)
        return table[torch.as_tensor(count, device=table.device).long()] - 0.5 * log_det - tail
