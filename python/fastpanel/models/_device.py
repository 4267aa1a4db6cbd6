"""The device that a fit or a prediction runs on."""

from __future__ import annotations

import os
import re
import warnings

from fastpanel.errors import ConfigError

_VARIABLE = "TORCH_DEVICE"


def wanted_device(use_gpu: bool) -> str:
    """``"cpu"``, ``"cuda"`` or ``"cuda:<n>"``, for either back end.

    ``flags.use_gpu`` decides whether CUDA may be used at all; the environment
    variable ``TORCH_DEVICE`` then names the concrete device.

    Raises
    ------
    ConfigError
        The variable names something else.

    Examples
    --------
    >>> wanted_device(False)
    'cpu'
    """
    named = os.environ.get(_VARIABLE, "").strip().lower()
    if named and not re.fullmatch(r"cpu|cuda(:\d+)?", named):
        raise ConfigError(f"{_VARIABLE} is {named!r}; use 'cpu', 'cuda' or 'cuda:<number>'")
    return (named or "cuda") if use_gpu else "cpu"


def index_of(device: str) -> int:
    """Position among the CUDA devices, 0 where none is named."""
    return int(device.partition(":")[2] or 0)


def warn_absent(device: str, library: str, found: int) -> None:
    """Say that the device is not there and the CPU does the work."""
    seen = "no CUDA device" if found == 0 else f"{found} CUDA device{'s' if found > 1 else ''}"
    warnings.warn(
        f"flags.use_gpu asks for {device!r}, but {library} sees {seen}; running on the CPU",
        RuntimeWarning,
        stacklevel=3,
    )
