"""What the automatic guides have in common, in NumPyro."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpyro import handlers
from numpyro.infer import initialization

from fastpanel.models._contract import ModelBatch


class AutoGuide:
    """A guide that one of NumPyro's automatic guides carries out."""

    guide: Any

    def __call__(self, batch: ModelBatch) -> Any:
        """Sample every latent site of the model."""
        return self.guide(batch)


def continuous(model: Any) -> Any:
    """The model without its enumerated sites, which no automatic guide can hold."""
    return handlers.block(model, hide_fn=lambda site: "enumerate" in site.get("infer", {}))


def starts(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of an automatic guide from checked ``guide_params``."""
    strategies = {
        "median": initialization.init_to_median(num_samples=5),
        "mean": initialization.init_to_mean,
        "sample": initialization.init_to_sample,
        "feasible": initialization.init_to_feasible,
        "uniform": initialization.init_to_uniform,
    }
    rest = {name: value for name, value in settings.items() if name != "init_loc"}
    return {"init_loc_fn": strategies[settings["init_loc"]], **rest}
