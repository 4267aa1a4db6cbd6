"""Rules for the sites of a model and its guide, the same for both back ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastpanel.errors import ModelError

_SUPPORTS = {
    "real": "all numbers",
    "positive": "positive numbers",
    "nonnegative": "positive numbers",
    "unitinterval": "the unit interval",
    "simplex": "a simplex",
}


_BOUNDED: dict[tuple[Any, ...], str] = {(0, None): "positive", (0, 1): "unitinterval"}


@dataclass(frozen=True)
class Site:
    """One sample site of an executed model or guide."""

    shape: tuple[int, ...]
    observed: bool
    auxiliary: bool = False
    enumerated: bool = False
    support: str = ""


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
    latent = {
        name: site for name, site in model.items() if not site.observed and not site.enumerated
    }
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
        supports = (site.support, guide[name].support)
        if all(supports) and supports[0] != supports[1]:
            raise ModelError(
                f"site '{name}' lives on {supports[0]} in model '{model_name}' but on "
                f"{supports[1]} in guide '{guide_name}'; take a guide distribution of the same "
                "support"
            )


def support_name(fn: Any) -> str:
    """Name of a distribution's support, "" where it cannot be compared."""
    while type(fn).__name__ in {"Independent", "ExpandedDistribution", "MaskedDistribution"}:
        fn = fn.base_dist
    if type(fn).__name__ == "Delta":
        return ""
    support: Any = getattr(fn, "support", None)
    while hasattr(support, "base_constraint"):
        support = support.base_constraint
    kind = type(support).__name__.strip("_").lower()
    bounds = tuple(getattr(support, f"{side}_bound", None) for side in ("lower", "upper"))
    if kind in {"greaterthan", "greaterthaneq", "interval"}:
        # bounds may be arrays; what is not a plain number is not compared
        plain = all(bound is None or isinstance(bound, int | float) for bound in bounds)
        kind = _BOUNDED.get(bounds, "") if plain else ""
    return _SUPPORTS.get(kind, "")


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
