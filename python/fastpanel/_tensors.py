"""``.pt`` files: tensors and plain containers, the same bytes for the same content."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fastpanel._extras import require
from fastpanel._files import atomic_path
from fastpanel.errors import ArtifactError
from fastpanel.typing import AnyArray


def save_tensors(path: Path, content: Mapping[str, Any] | AnyArray) -> str:
    """Write ``content``, named values or a single array, atomically; arrays become tensors.

    Returns the SHA-256 of the file, taken as the bytes go by: nothing is copied or read
    again. torch gets a stream, because in a file it opened itself the archive would carry
    the name of the temporary file.
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
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        stream = _Hashed(file)
        torch.save(tensors, stream)
        if stream.failure is not None:
            raise stream.failure
    return stream.digest.hexdigest()


class _Hashed:
    """What torch writes to: a file, and the digest of its bytes.

    A failure waits in ``failure`` and nothing more is written. Raised inside torch's
    writer, a full disk or Ctrl-C would come out as an error about positions.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.failure: BaseException | None = None

    def write(self, chunk: memoryview) -> None:
        if self.failure is not None:
            return
        try:
            self.digest.update(chunk)
            self._file.write(chunk)
        except BaseException as failure:
            self.failure = failure

    def flush(self) -> None:
        """Torch calls it at the end; leaving the file does it."""


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
