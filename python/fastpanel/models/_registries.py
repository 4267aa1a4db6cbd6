"""Registries of models, guides, prebuild hooks, metrics and complexity measures."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from fastpanel import _extras
from fastpanel.errors import ModelError, ParameterError
from fastpanel.models._contract import PrebuildContext, PrebuildResult
from fastpanel.registry import Registry

T = TypeVar("T", bound=Callable[..., Any])

BACKENDS = ("pyro", "numpyro")
SCOPES = ("inner", "outer")

_MODELS = {backend: Registry[Callable[..., Any]](f"{backend} model") for backend in BACKENDS}
_GUIDES = {backend: Registry[Callable[..., Any]](f"{backend} guide") for backend in BACKENDS}
_METRICS = {scope: Registry[Callable[..., Any]](f"{scope} metric") for scope in SCOPES}
_PREBUILDS = Registry[Callable[..., Any]]("prebuild hook")
_COMPLEXITY = Registry[Callable[..., float]]("complexity measure")

_BUILTIN_MODELS = (
    "factor_latent",
    "factor_model_v1",
    "factor_regime",
    "factor_stochastic_vol",
    "factor_student_t",
    "test_model",
)
_BUILTIN_GUIDES = (
    "auto_delta",
    "auto_low_rank",
    "auto_multivariate",
    "encoder_guide",
    "factor_guide_v1",
    "mean_field",
    "test_guide",
)
_NUMPYRO_GUIDES = ("nuts",)
_BUILTIN_PREBUILDS = ("factor_prior_init",)


def register_model(name: str, *, backend: str = "pyro") -> Callable[[T], T]:
    """Register a model: a class or factory, or the function ``model(batch)`` itself.

    A class or factory is called with ``model.params`` if it takes an argument,
    else without one, and must give a callable of one batch. A function whose
    first parameter is named ``batch`` is the model.

    Parameters
    ----------
    name
        What ``model.model_name`` refers to.
    backend
        ``"pyro"`` or ``"numpyro"``; the same name may exist in both.

    Returns
    -------
    callable
        Decorator that gives the model back.

    Raises
    ------
    ModelError
        The class has no ``__call__(self, batch)``.
    DuplicateNameError
        The name is taken.

    Examples
    --------
    >>> @register_model("doc_constant_model")
    ... class Constant:
    ...     def __init__(self, params):
    ...         self.params = params
    ...     def __call__(self, batch):
    ...         ...
    >>> model_registry("pyro")["doc_constant_model"] is Constant
    True
    """
    return _checked_adder(model_registry(backend), name, "model")


def register_guide(name: str, *, backend: str = "pyro") -> Callable[[T], T]:
    """Register a guide factory: called with ``model.guide_params``.

    A factory that accepts a second argument ``model`` is given the model too
    (as automatic guides need it). Rules and errors as in :func:`register_model`.

    Parameters
    ----------
    name : str
        What ``model.guide_name`` refers to.
    backend : {"pyro", "numpyro"}

    Returns
    -------
    callable
        Decorator that gives the factory back.

    Examples
    --------
    >>> @register_guide("doc_empty_guide")
    ... class Empty:
    ...     def __init__(self, params):
    ...         pass
    ...     def __call__(self, batch):
    ...         ...
    >>> guide_registry("pyro")["doc_empty_guide"] is Empty
    True
    """
    return _checked_adder(guide_registry(backend), name, "guide")


def register_prebuild(name: str) -> Callable[[T], T]:
    """Register a hook ``(PrebuildContext) -> PrebuildResult``.

    Parameters
    ----------
    name : str
        What ``model.prebuild.name`` refers to.

    Returns
    -------
    callable
        Decorator that gives the hook back.

    Examples
    --------
    >>> from fastpanel.models import PrebuildResult
    >>> @register_prebuild("doc_nothing")
    ... def nothing(context):
    ...     return PrebuildResult()
    >>> "doc_nothing" in default_prebuild_registry()
    True
    """
    return _adder(_PREBUILDS, name)


def register_metric(name: str, scope: str = "inner") -> Callable[[T], T]:
    """Register a metric builder.

    An inner builder receives the scoring spec and returns a callable
    ``(y_true, pred, score_spec) -> float``. Outer metrics live in a registry of
    their own, so one name may exist in both scopes.

    Parameters
    ----------
    name : str
        What ``scoring.spec.metric_name`` or ``outer.metrics`` refers to.
    scope : {"inner", "outer"}

    Returns
    -------
    callable
        Decorator that gives the builder back.

    Raises
    ------
    ParameterError
        ``scope`` is neither ``"inner"`` nor ``"outer"``.

    Examples
    --------
    >>> @register_metric("doc_bias")
    ... def build(spec):
    ...     return lambda y_true, pred, score_spec: float((pred["mean"] - y_true).mean())
    >>> metric_registry("inner")["doc_bias"] is build
    True
    """
    return _adder(metric_registry(scope), name)


def register_complexity(model_name: str) -> Callable[[T], T]:
    """Register ``(params, n_assets, n_features) -> float`` for a model name.

    The value is the effective number of free parameters; it breaks ties
    between candidates that forecast equally well.

    Parameters
    ----------
    model_name : str
        Name of the model, whether it is registered yet or not.

    Returns
    -------
    callable
        Decorator that gives the function back.

    Examples
    --------
    >>> @register_complexity("doc_flat_model")
    ... def size(params, n_assets, n_features):
    ...     return n_assets
    >>> complexity("doc_flat_model", {}, 4, 3)
    4.0
    """
    return _adder(_COMPLEXITY, model_name)


def complexity(model_name: str, params: Mapping[str, Any], n_assets: int, n_features: int) -> float:
    """Effective number of free parameters of a model with these parameters.

    Parameters
    ----------
    model_name : str
    params : mapping
        ``model.params``.
    n_assets, n_features : int
        A and F of the panel.

    Returns
    -------
    float
        It breaks ties between candidates that forecast equally well.

    Raises
    ------
    UnknownNameError
        No measure is registered for ``model_name``.

    Examples
    --------
    >>> small = complexity("factor_model_v1", {"num_factors": 0}, 4, 3)
    >>> large = complexity("factor_model_v1", {"num_factors": 2}, 4, 3)
    >>> small < large
    True
    """
    return float(_COMPLEXITY[model_name](params, n_assets, n_features))


def default_model_registry(backend: str = "pyro") -> Registry[Callable[..., Any]]:
    """Models of one back end, the built-in ones included.

    Parameters
    ----------
    backend : {"pyro", "numpyro"}

    Returns
    -------
    Registry
        Name to factory; an unknown name raises ``UnknownNameError``.

    Raises
    ------
    MissingExtraError
        The back end is not installed.

    Examples
    --------
    >>> "factor_model_v1" in default_model_registry("numpyro")
    True
    """
    _import_builtin(backend, _BUILTIN_MODELS)
    return model_registry(backend)


def default_guide_registry(backend: str = "pyro") -> Registry[Callable[..., Any]]:
    """Guides of one back end, the built-in ones included; errors as for models.

    Parameters
    ----------
    backend : {"pyro", "numpyro"}

    Returns
    -------
    Registry
        Name to factory; an unknown name raises ``UnknownNameError``.

    Examples
    --------
    >>> "factor_guide_v1" in default_guide_registry("numpyro")
    True
    """
    own = _NUMPYRO_GUIDES if backend == "numpyro" else ()
    _import_builtin(backend, _BUILTIN_GUIDES + own)
    return guide_registry(backend)


def default_prebuild_registry() -> Registry[Callable[..., Any]]:
    """Prebuild hooks, the built-in ones included.

    Returns
    -------
    Registry
        Name to hook; an unknown name raises ``UnknownNameError``.

    Examples
    --------
    >>> "factor_prior_init" in default_prebuild_registry()
    True
    """
    for name in _BUILTIN_PREBUILDS:
        importlib.import_module(f"fastpanel.models.prebuilds.{name}")
    return _PREBUILDS


def run_prebuild(name: str, context: PrebuildContext) -> PrebuildResult:
    """Run a registered hook on training rows.

    Parameters
    ----------
    name : str
    context : PrebuildContext
        Rows that every fold may train on.

    Returns
    -------
    PrebuildResult

    Raises
    ------
    UnknownNameError
        No hook of that name.
    ModelError
        The hook returned something else than a :class:`PrebuildResult`.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.random.default_rng(0).normal(size=(50, 2))
    >>> run_prebuild("factor_prior_init", PrebuildContext(X=np.zeros((50, 2, 1)), y=y)).metadata
    {'rows': 50, 'observed': 100}
    """
    result = default_prebuild_registry()[name](context)
    if not isinstance(result, PrebuildResult):
        raise ModelError(
            f"prebuild hook '{name}' returned {type(result).__name__}; "
            "return PrebuildResult(model_params, guide_params, metadata)"
        )
    return result


def model_registry(backend: str) -> Registry[Callable[..., Any]]:
    """Return the models of one back end, without importing the built-in ones.

    Parameters
    ----------
    backend : {"pyro", "numpyro"}

    Returns
    -------
    Registry
        Name to factory.

    Examples
    --------
    >>> "no_such_model" in model_registry("pyro")
    False
    """
    return _MODELS[_known(backend, BACKENDS, "backend")]


def guide_registry(backend: str) -> Registry[Callable[..., Any]]:
    """Return the guides of one back end, without importing the built-in ones.

    Parameters
    ----------
    backend : {"pyro", "numpyro"}

    Returns
    -------
    Registry
        Name to factory.

    Examples
    --------
    >>> "no_such_guide" in guide_registry("pyro")
    False
    """
    return _GUIDES[_known(backend, BACKENDS, "backend")]


def metric_registry(scope: str = "inner") -> Registry[Callable[..., Any]]:
    """Metric builders of one scope.

    Parameters
    ----------
    scope : {"inner", "outer"}

    Returns
    -------
    Registry
        Name to builder (inner) or function (outer).

    Examples
    --------
    >>> import fastpanel.simulation  # registers the built-in inner metrics
    >>> "energy_score" in metric_registry("inner")
    True
    """
    return _METRICS[_known(scope, SCOPES, "scope")]


def resolve_backend(backend: str, model_name: str, guide_name: str) -> str:
    """Turn ``auto`` into a back end: NumPyro where it has both names, else Pyro.

    Parameters
    ----------
    backend : {"auto", "pyro", "numpyro"}
    model_name, guide_name : str

    Returns
    -------
    str
        ``"pyro"`` or ``"numpyro"``.

    Examples
    --------
    >>> resolve_backend("auto", "factor_model_v1", "factor_guide_v1")
    'numpyro'
    """
    if backend != "auto":
        return _known(backend, BACKENDS, "backend")
    if importlib.util.find_spec("numpyro") is None:
        return "pyro"
    known = (default_model_registry("numpyro"), default_guide_registry("numpyro"))
    return "numpyro" if model_name in known[0] and guide_name in known[1] else "pyro"


def carries_state(backend: str, model_name: str) -> bool:
    """Whether a model declares a hidden chain whose state predictions start from."""
    return getattr(default_model_registry(backend)[model_name], "carries_state", False)


def guide_trait(backend: str, guide_name: str, trait: str, *, default: bool) -> bool:
    """What a guide declares of itself (``sampler``, ``portable``, ``local``)."""
    return getattr(default_guide_registry(backend)[guide_name], trait, default)


def build_model(factory: Callable[..., Any], name: str, params: Mapping[str, Any]) -> Any:
    """Build a model and check that it can be called with a batch."""
    return _callable(_built(factory, params), f"model '{name}'")


def build_guide(
    factory: Callable[..., Any], name: str, params: Mapping[str, Any], model: Any
) -> Any:
    """Build a guide, handing it the model where the factory accepts one."""
    wants_model = "model" in inspect.signature(factory).parameters
    guide = factory(params, model=model) if wants_model else _built(factory, params)
    return _callable(guide, f"guide '{name}'")


def _built(factory: Callable[..., Any], params: Mapping[str, Any]) -> Any:
    accepted = list(inspect.signature(factory).parameters)
    if accepted[:1] == ["batch"]:
        return factory
    return factory(params) if accepted else factory()


def _checked_adder(registry: Registry[Any], name: str, kind: str) -> Callable[[T], T]:
    def add(factory: T) -> T:
        if not callable(factory) or (isinstance(factory, type) and not _has_call(factory)):
            raise ModelError(
                f"{kind} '{name}': {factory!r} must be a class with __call__(self, batch) "
                f"or a function of params that returns {kind}(batch)"
            )
        registry.add(name, factory)
        return factory

    return add


def _adder(registry: Registry[Any], name: str) -> Callable[[T], T]:
    def add(item: T) -> T:
        registry.add(name, item)
        return item

    return add


def _has_call(cls: type) -> bool:
    return any("__call__" in vars(base) for base in cls.__mro__)


def _callable(built: Any, what: str) -> Any:
    if not callable(built):
        raise ModelError(
            f"{what}: the factory returned {type(built).__name__}, "
            "which cannot be called with a batch; define __call__(self, batch)"
        )
    return built


def _import_builtin(backend: str, names: tuple[str, ...]) -> None:
    _known(backend, BACKENDS, "backend")
    _extras.require(backend, f"models of the {backend} back end")
    for name in names:
        importlib.import_module(f"fastpanel.models.{backend}_.{name}")


def _known(value: str, domain: tuple[str, ...], what: str) -> str:
    if value not in domain:
        raise ParameterError(f"{what} is {value!r}; choose one of {', '.join(map(repr, domain))}")
    return value
