"""Rules for the sites of a model and its guide, the same for both back ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastpanel.errors import ModelError


@dataclass(frozen=True)
class Site:
    """One sample site of an executed model or guide."""

    shape: tuple[int, ...]
    observed: bool
    auxiliary: bool = False


def check_observed(sites: Mapping[str, Site], model_name: str, expected: tuple[int, ...]) -> None:
    """Refuse a model that does not observe ``batch.y`` at a site named ``obs``."""
    if "obs" not in sites:
        raise ModelError(
            f"model '{model_name}' has no observation site named 'obs'; its sites are "
            f"{sorted(sites)}. Name the site that gets obs=batch.y 'obs'"
        )
    if not sites["obs"].observed:
        raise ModelError(
            f"model '{model_name}': site 'obs' is not observed; pass obs=batch.y to it"
        )
    if sites["obs"].shape != tuple(expected):
        raise ModelError(
            f"model '{model_name}': site 'obs' has shape {sites['obs'].shape}, "
            f"but the targets have {tuple(expected)}"
        )


def check_guide(
    model: Mapping[str, Site], guide: Mapping[str, Site], model_name: str, guide_name: str
) -> None:
    """Refuse a guide whose sites are not the model's latent sites, shape by shape."""
    latent = {name: site for name, site in model.items() if not site.observed}
    for name, site in guide.items():
        if site.observed:
            raise ModelError(f"guide '{guide_name}' observes site '{name}'; a guide must not")
        if name not in latent and not site.auxiliary:
            raise ModelError(
                f"guide '{guide_name}' samples site '{name}', which model '{model_name}' does "
                f"not have; its latent sites are {sorted(latent)}"
            )
    for name, site in latent.items():
        if name not in guide:
            raise ModelError(
                f"guide '{guide_name}' lacks site '{name}' of model '{model_name}'; "
                f"the guide's sites are {sorted(guide)}"
            )
        if guide[name].shape != site.shape:
            raise ModelError(
                f"site '{name}' has shape {site.shape} in model '{model_name}' but "
                f"{guide[name].shape} in guide '{guide_name}'"
            )


def check_fixed_shapes(
    shapes: Mapping[str, tuple[int, ...]], with_another_row: Mapping[str, tuple[int, ...]]
) -> None:
    """Refuse parameters that grow with the number of rows: they cannot predict a new one."""
    for name, shape in shapes.items():
        if with_another_row.get(name) != shape:
            raise ModelError(
                f"parameter '{name}' has shape {shape}, which changes with the number of weeks; "
                "integrate per-week latents out, or amortise them in the guide"
            )
