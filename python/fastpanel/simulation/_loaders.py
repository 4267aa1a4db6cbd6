"""Dataset loaders by name: where the panel of a run comes from."""

from __future__ import annotations

from collections.abc import Callable

from fastpanel.data import Panel
from fastpanel.errors import DataError
from fastpanel.registry import Registry
from fastpanel.simulation._config import DatasetParams
from fastpanel.simulation._dataset import Dataset, build_dataset, dataset_from_panel

Loader = Callable[[DatasetParams], "Panel | Dataset"]

DATASET_REGISTRY: Registry[Loader] = Registry("dataset loader")
"""Name to loader; a loader takes ``data.dataset_params``."""

FEATURE_STORE_PANEL = "feature_store_panel"
"""The loader that configurations use: stored features and returns, or bars."""


def register_dataset(name: str) -> Callable[[Loader], Loader]:
    """Register a loader for ``fp.simulation.run(config, loader=name)``.

    It takes a :class:`DatasetParams` and returns a ``Panel`` whose
    ``targets[t]`` is the return to predict at row ``t``, or a ``Dataset``.

    Parameters
    ----------
    name : str

    Returns
    -------
    callable
        Decorator that gives the loader back.

    Raises
    ------
    DuplicateNameError
        The name is taken.

    Examples
    --------
    >>> import numpy as np
    >>> import fastpanel as fp
    >>> @register_dataset("doc_zeros")
    ... def zeros(params):
    ...     times = np.datetime64("2020-01-03") + 7 * np.arange(8)
    ...     return fp.Panel(np.zeros((8, 2, 1)), times, ["A", "B"], ["f"], targets=np.ones((8, 2)))
    >>> load_named("doc_zeros", fp.simulation.load_config({}).data.dataset_params).y[0]
    array([1000000., 1000000.])
    """
    return DATASET_REGISTRY.register(name)


def load_named(name: str, params: DatasetParams) -> Dataset:
    """The bundle that a registered loader makes.

    Raises
    ------
    UnknownNameError
        No loader of that name.
    DataError
        It returned something else than a Panel or a Dataset.
    """
    loaded = DATASET_REGISTRY[name](params)
    if isinstance(loaded, Dataset):
        return loaded
    if isinstance(loaded, Panel):
        return dataset_from_panel(loaded, params)
    raise DataError(
        f"dataset loader '{name}' returned {type(loaded).__name__}; return a Panel with targets"
    )


register_dataset(FEATURE_STORE_PANEL)(build_dataset)
