"""``.pt`` files: tensors and plain containers, the same bytes for the same content."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fastpanel._extras import require
from fastpanel._files import write_bytes
from fastpanel.errors import ArtifactError
from fastpanel.typing import AnyArray


def save_tensors(path: Path, content: Mapping[str, Any] | AnyArray) -> str:
    """Write ``content``, named values or a single array, atomically; arrays become tensors.

    Returns the SHA-256 of the file. It is serialised in memory first: written straight
    to a file, the archive would carry the name of the temporary file inside.
    """
    torch = require("torch", path.name)

    def plain(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        return torch.from_numpy(np.require(value, requirements=["C", "W"]))

    if isinstance(content, np.ndarray):
        tensors: Any = plain(content)
    else:
        tensors = {key: plain(value) for key, value in content.items()}
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    data = buffer.getbuffer()
    write_bytes(path, data)
    return hashlib.sha256(data).hexdigest()


def load_tensors(path: Path) -> dict[str, Any]:
    """Read the named values that :func:`save_tensors` wrote, tensors as arrays.

    Raises
    ------
    ArtifactError
        The file is missing, damaged, or holds anything but tensors and plain
        containers. No code in it is ever run.
    """
    torch = require("torch", path.name)
    if not path.is_file():
        raise ArtifactError(f"missing file: {path}")
    try:
        content = torch.load(io.BytesIO(path.read_bytes()), weights_only=True)
    except Exception as error:  # torch names no common base for what a bad file raises
        raise ArtifactError(f"damaged or foreign file {path}: {error}") from None
    if not isinstance(content, dict):
        raise ArtifactError(f"{path} does not hold named tensors")
    return {
        key: value.numpy() if isinstance(value, torch.Tensor) else value
        for key, value in content.items()
    }
