"""Models and guides by name, one registry of each per back end."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from fastpanel import _extras
from fastpanel.errors import ModelError
from fastpanel.registry import Registry, one_of

T = TypeVar("T", bound=Callable[..., Any])

BACKENDS = ("pyro", "numpyro")

_MODELS = {backend: Registry[Callable[..., Any]](f"{backend} model") for backend in BACKENDS}
_GUIDES = {backend: Registry[Callable[..., Any]](f"{backend} guide") for backend in BACKENDS}

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
    return _MODELS[one_of(backend, BACKENDS, "backend")]


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
    return _GUIDES[one_of(backend, BACKENDS, "backend")]


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
        return one_of(backend, BACKENDS, "backend")
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
    one_of(backend, BACKENDS, "backend")
    _extras.require(backend, f"models of the {backend} back end")
    for name in names:
        importlib.import_module(f"fastpanel.models.{backend}_.{name}")
