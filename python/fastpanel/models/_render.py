"""Look at a model before training: its graph as DOT text, and the shape of every site."""

from __future__ import annotations

import importlib
import shutil
import subprocess
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fastpanel._files import atomic_path, write_text
from fastpanel.errors import MissingExtraError, ParameterError
from fastpanel.models._config import parse_config
from fastpanel.models._contract import ModelBatch
from fastpanel.models._registries import (
    build_guide,
    build_model,
    default_guide_registry,
    default_model_registry,
    resolve_backend,
)

_TEXT, _DRAWN = (".dot", ".gv"), (".pdf", ".png", ".svg")
_FILL = {True: "gray", False: "white", None: "gray:white"}  # None: observed in some batches


def render_model(
    config: Mapping[str, Any],
    path: str | Path | None = None,
    *,
    batches: ModelBatch | Sequence[ModelBatch] | None = None,
    guide: bool = False,
    render_params: bool = False,
    render_distributions: bool = False,
    render_deterministic: bool = False,
    unflatten: int = 0,
) -> str:
    """Graph of a registered model or guide as DOT text: sites, plates, edges.

    Parameters
    ----------
    config
        As for :func:`fit`; only ``model`` is read.
    path
        File to write: ``.dot`` and ``.gv`` hold the text; ``.pdf``, ``.png`` and
        ``.svg`` are drawn by graphviz's program ``dot``. None: no file.
    batches
        What the model is traced on; default: 4 weeks, 3 assets, 2 features, with
        targets. With several batches (semi-supervised: some with ``y``, some
        without) a site that only some observe is drawn half gray.
    guide
        Draw the guide instead of the model.
    render_params, render_distributions, render_deterministic
        Add the parameters; a list of distributions and constraints; the
        deterministic sites, which are otherwise passed through.
    unflatten
        Stagger edges to leaves over up to this many ranks, as graphviz's
        ``unflatten -l`` does; 0: not.

    Returns
    -------
    str
        The DOT text. Observed sites are gray, deterministic ones dashed.
        Plates that overlap without nesting are drawn as several rectangles.

    Raises
    ------
    ParameterError
        An unknown suffix, or no batch.
    MissingExtraError
        ``dot`` is needed but not installed; the text formats need nothing.

    Examples
    --------
    >>> text = render_model({"model": {"backend": "pyro"}}, render_distributions=True)
    >>> '"beta" -> "obs"' in text
    True
    """
    target = None if path is None else Path(path)
    if target is not None and target.suffix not in _TEXT + _DRAWN:
        raise ParameterError(f"path is '{path}'; let it end with one of {list(_TEXT + _DRAWN)}")
    seen = [batches] if batches is None or isinstance(batches, ModelBatch) else list(batches)
    if not seen:
        raise ParameterError("batches is empty; give at least one ModelBatch")
    relations = [_relations(config, batch, guide) for batch in seen]
    text = _dot(relations, render_params, render_distributions, render_deterministic, unflatten)
    if target is None:
        return text
    if target.suffix in _TEXT:
        write_text(target, text)
        return text
    program = shutil.which("dot")
    if program is None:
        raise MissingExtraError(
            f"graphviz's program 'dot' is needed to draw '{path}' but is not on the PATH: install "
            "graphviz (apt-get install graphviz, brew install graphviz, conda install graphviz), "
            "or write .dot text"
        )
    with atomic_path(target) as temporary:
        command = [program, f"-T{target.suffix[1:]}", "-o", str(temporary)]
        subprocess.run(command, input=text.encode(), check=True)
    return text


def trace_shapes(
    config: Mapping[str, Any], batch: ModelBatch | None = None, *, guide: bool = False
) -> str:
    """Table of the shapes of every site of a model or guide, before training.

    Per site the shapes of distribution, value and log probability: batch
    dimensions (plates) left of the bar, event dimensions right of it.

    Parameters
    ----------
    config, batch, guide
        As for :func:`render_model`.

    Returns
    -------
    str

    Examples
    --------
    >>> print(trace_shapes({"model": {"model_name": "test_model", "backend": "pyro"}}))
    ... # doctest: +NORMALIZE_WHITESPACE
    Trace Shapes:
     Param Sites:
    Sample Sites:
     weights dist | 2
            value | 2
         log_prob |
       sigma dist |
            value |
         log_prob |
        time dist |
            value 4 |
         log_prob |
      assets dist |
            value 3 |
         log_prob |
         obs dist 4 3 |
            value 4 3 |
         log_prob 4 3 |
    """
    backend, traced, batch = _part(config, batch, guide)
    if backend == "pyro":
        import pyro
        from pyro import poutine

        with pyro.get_param_store().scope():
            trace = poutine.trace(traced).get_trace(batch)
            trace.compute_log_prob()
            return str(trace.format_shapes())
    from numpyro import handlers
    from numpyro.util import format_shapes

    nodes = handlers.trace(handlers.seed(traced, 0)).get_trace(batch)
    return str(format_shapes(nodes, compute_log_prob=True))


def _part(
    config: Mapping[str, Any], batch: ModelBatch | None, guide: bool
) -> tuple[str, Any, ModelBatch]:
    section = parse_config(config).model
    backend = resolve_backend(section.backend, section.model_name, section.guide_name)
    model = build_model(
        default_model_registry(backend)[section.model_name], section.model_name, section.params
    )
    traced = model
    if guide:
        factory = default_guide_registry(backend)[section.guide_name]
        traced = build_guide(factory, section.guide_name, section.guide_params, model)
    if batch is None:
        batch = ModelBatch(np.zeros((4, 3, 2)), np.zeros((4, 3)))
    if backend == "pyro":
        import torch

        array: Any = partial(torch.as_tensor, dtype=torch.get_default_dtype())
    else:
        import jax.numpy as jnp

        array = jnp.asarray
    y = None if batch.y is None else array(batch.y)
    return backend, traced, ModelBatch(array(batch.X), y, batch.M)


def _relations(config: Mapping[str, Any], batch: ModelBatch | None, guide: bool) -> dict[str, Any]:
    backend, traced, batch = _part(config, batch, guide)
    inspect = importlib.import_module(f"{backend}.infer.inspect")
    if backend == "numpyro":
        return dict(inspect.get_model_relations(traced, (batch,)))
    import pyro

    with pyro.get_param_store().scope():
        return dict(inspect.get_model_relations(traced, (batch,), include_deterministic=True))


def _dot(
    relations: list[dict[str, Any]], params: bool, laws: bool, deterministic: bool, unflatten: int
) -> str:
    first = relations[0]
    law: dict[str, str] = {k: v for r in relations for k, v in r["sample_dist"].items()}
    hidden = {k for k, v in law.items() if v == "Deterministic" and not deterministic}
    edges: dict[tuple[str, str], None] = {}  # ordered
    for known in relations:
        upstream = {
            site: sites + (sorted(known["sample_param"][site]) if params else [])
            for site, sites in known["sample_sample"].items()
        }
        for site in upstream:
            if site not in hidden:
                edges |= {(u, site): None for u in _visible(site, upstream, hidden)}
    lines = ["digraph model {"]
    nodes = {}
    for site, family in law.items():
        if site in hidden:
            continue
        observed = {site in known["observed"] for known in relations}
        fill = _FILL[observed.pop() if len(observed) == 1 else None]
        style = "filled,dashed" if family == "Deterministic" else "filled"
        nodes[site] = f'{_quoted(site)} [style="{style}", fillcolor="{fill}"]'
    constraints = {k: v for r in relations for k, v in r["param_constraint"].items()}
    if params:
        nodes |= {name: f"{_quoted(name)} [shape=plain]" for name in constraints}
    plates = {k: [s for s in v if s in nodes] for k, v in first["plate_sample"].items()}
    lines += _nested(plates, nodes, "  ")
    stagger = _staggered(list(edges), unflatten) if unflatten else {}
    for edge in edges:
        length = f" [minlen={stagger[edge]}]" if edge in stagger else ""
        lines.append(f"  {_quoted(edge[0])} -> {_quoted(edge[1])}{length}")
    if laws:
        notes = [f"{site} ~ {law[site]}" for site in law if site in nodes]
        notes += [f"{name} : {of}" for name, of in constraints.items() if params and of]
        label = "".join(_quoted(note)[1:-1] + r"\l" for note in notes)
        lines.append(f'  "distributions" [shape=plaintext, label="{label}"]')
    return "\n".join([*lines, "}"]) + "\n"


def _visible(site: str, upstream: Mapping[str, list[str]], hidden: set[str]) -> list[str]:
    """Upstream sites, seen through the hidden ones."""
    found = []
    for one in upstream[site]:
        found += _visible(one, upstream, hidden) if one in hidden else [one]
    return found


def _nested(plates: dict[str, list[str]], nodes: dict[str, str], indent: str) -> list[str]:
    """Nodes and plates as nested clusters; a smaller plate lies in a larger one."""
    lines: list[str] = []
    left = dict(nodes)
    order = sorted(plates, key=lambda name: -len(plates[name]))
    done: set[str] = set()
    for plate in order:
        inside = {site: nodes[site] for site in plates[plate] if site in left}
        if plate in done or not inside:
            continue
        within = {
            q: v
            for q, v in plates.items()
            if q != plate and q not in done and set(v) <= set(inside)
        }
        done |= {plate, *within}
        label = plate.partition("__CLONE")[0]
        lines.append(f"{indent}subgraph {_quoted('cluster_' + plate)} {{")
        lines.append(f'{indent}  label={_quoted(label)}; labeljust="r"; labelloc="b"')
        lines += _nested(within, inside, indent + "  ")
        lines.append(f"{indent}}}")
        left = {site: text for site, text in left.items() if site not in inside}
    return [indent + text for text in left.values()] + lines


def _staggered(edges: list[tuple[str, str]], longest: int) -> dict[tuple[str, str], int]:
    """Lengths 1, 2, ..., ``longest``, 1, ... of the edges between a node and its leaves."""
    degree = Counter(end for edge in edges for end in edge)
    count: dict[Any, int] = defaultdict(int)
    lengths = {}
    for source, site in edges:
        for hub, leaf, side in ((site, source, "in"), (source, site, "out")):
            if degree[leaf] == 1 and degree[hub] > 1:
                lengths[source, site] = count[hub, side] % longest + 1
                count[hub, side] += 1
    return lengths


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
