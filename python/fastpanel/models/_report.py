"""How a fit went, in numbers that a caller can insist on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fastpanel.errors import ModelError
from fastpanel.models._config import RequireConfig
from fastpanel.typing import FloatArray


@dataclass(frozen=True)
class FitReport:
    """Diagnostics of one fit; what a method does not have is NaN (or -1).

    Attributes
    ----------
    method
        ``"svi"`` or ``"nuts"``.
    loss
        SVI: mean negative ELBO per observed entry over the last tenth of the steps.
    loss_change
        SVI: that, less the mean over the tenth before; near 0 at convergence.
    max_rhat, min_ess
        NUTS: worst split R-hat and effective sample size over all latent values.
    divergences
        NUTS: divergent transitions after warm-up.
    worst_site
        NUTS: the site with the worst R-hat.
    """

    method: str
    loss: float = math.nan
    loss_change: float = math.nan
    max_rhat: float = math.nan
    min_ess: float = math.nan
    divergences: int = -1
    worst_site: str = ""

    @classmethod
    def of_losses(cls, losses: FloatArray) -> FitReport:
        """Report of an SVI fit from its losses.

        Examples
        --------
        >>> import numpy as np
        >>> report = FitReport.of_losses(np.r_[np.full(180, 2.0), np.full(20, 1.5)])
        >>> report.loss, report.loss_change
        (1.5, -0.5)
        """
        tenth = len(losses) // 10
        if tenth == 0:
            return cls("svi", loss=float(losses[-1]) if len(losses) else math.nan)
        last, before = losses[-tenth:].mean(), losses[-2 * tenth : -tenth].mean()
        return cls("svi", loss=float(last), loss_change=float(last - before))

    def check(self, require: RequireConfig, what: str) -> None:
        """Raise ModelError where a limit of ``training.require`` is not met."""
        found = (
            ("max_rhat", self.max_rhat, require.max_rhat, 1),
            ("min_ess", self.min_ess, require.min_ess, -1),
            ("max_divergences", self.divergences, require.max_divergences, 1),
            ("max_loss_change", abs(self.loss_change), require.max_loss_change, 1),
        )
        for name, value, limit, sign in found:
            if limit is not None and not sign * value <= sign * limit:
                place = f" (worst site '{self.worst_site}')" if self.worst_site else ""
                raise ModelError(
                    f"{what}: {value:.4g} misses training.require.{name} = {limit:g}{place}; "
                    "take more steps or draws, or a simpler model"
                )

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON; NaN becomes None."""
        return {
            name: None if isinstance(value, float) and np.isnan(value) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FitReport:
        """Read what :meth:`to_dict` wrote."""
        filled: dict[str, Any] = {k: math.nan if v is None else v for k, v in data.items()}
        return cls(**filled)
