"""The space in which forecasts are scored: fitted on training targets only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastpanel import scoring
from fastpanel.errors import DataError
from fastpanel.simulation._config import ScoreSpec
from fastpanel.typing import BoolArray, FloatArray, IntArray

_MIN_OBSERVED_SHARE = 0.5


@dataclass(frozen=True)
class ScoreSpace:
    """Scored assets and their whitener.

    An asset that is observed in fewer than half of the training weeks, or that
    never moved, is left out: its scale would be a guess. So is one that is not
    there in most of the weeks to be scored: it would leave none of them whole.
    The choice reads no target beyond the training rows, only whether there is
    one, and is the same for every candidate.

    Attributes
    ----------
    assets : int64 [K]
        Positions of the scored assets.
    whitener : Whitener
        Over those assets.
    """

    assets: IntArray
    whitener: scoring.Whitener

    @classmethod
    def fit(
        cls, y_train: FloatArray, spec: ScoreSpec, place: str, there: BoolArray | None = None
    ) -> ScoreSpace:
        """Fit on training targets ``[n, A]``.

        ``place`` names the split in errors; ``there [m, A]`` says which targets
        the weeks to be scored have.
        """
        share = np.isfinite(y_train).mean(axis=0)
        centre = np.nanmedian(np.where(share > 0, y_train, 0.0), axis=0)
        spread = np.nanmedian(np.abs(np.where(share > 0, y_train, 0.0) - centre), axis=0)
        usable = (share >= _MIN_OBSERVED_SHARE) & (spread > 0.0)
        if there is not None:
            usable &= there.mean(axis=0) > _MIN_OBSERVED_SHARE
        assets = np.flatnonzero(usable)
        complete = int(np.isfinite(y_train[:, assets]).all(axis=1).sum())
        if not assets.size or complete < 2:
            raise DataError(
                f"{place}: {len(y_train)} training weeks hold {complete} fully observed weeks of "
                f"{assets.size} usable assets; at least 2 weeks and 1 asset are needed to score"
            )
        whitener = scoring.Whitener.fit(
            y_train[:, assets], mad_eps=spec.mad_eps, eps=spec.eps, var_floor=spec.var_floor
        )
        return cls(assets.astype(np.int64), whitener)

    def transform(self, values: FloatArray) -> FloatArray:
        """Whiten ``[..., A]`` to ``[..., K]``; a week with a missing scored asset is NaN."""
        whitened: FloatArray = self.whitener.transform(values[..., self.assets])
        return whitened

    def scaled(self, values: FloatArray) -> FloatArray:
        """``[..., A]`` divided by the training MAD per asset; NaN for an unscored asset."""
        return values / self.scale(values.shape[-1])

    def scale(self, n_assets: int) -> FloatArray:
        """MAD scale per asset, ``[A]``; NaN for an unscored asset."""
        scale = np.full(n_assets, np.nan)
        scale[self.assets] = self.whitener.scale
        return scale

    def energy_score(self, y: FloatArray, samples: FloatArray, estimator: Any) -> FloatArray:
        """Energy score per week ``[T]`` of ``samples [S, T, A]`` in this space."""
        weekly: FloatArray = scoring.energy_score(
            self.transform(y), self.transform(samples), m_axis=0, estimator=estimator
        )
        return weekly
