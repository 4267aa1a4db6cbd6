"""Panels on disk: one file in the safetensors layout, memory-mapped when read.

The layout is eight bytes of header length, a JSON header with dtype, shape and
byte range per tensor, then the bytes. Reading and writing it takes NumPy only.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastpanel._files import atomic_path
from fastpanel.errors import ArtifactError
from fastpanel.typing import AnyArray

if TYPE_CHECKING:
    from fastpanel.data._panel import Panel

_FORMAT = "fastpanel.Panel/1"
_DTYPES = {"F64": np.dtype("<f8"), "I64": np.dtype("<i8"), "BOOL": np.dtype("?")}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}


def save(panel: Panel, path: Path) -> None:
    """Write ``panel`` to ``path``, whole or not at all."""
    if path.is_dir():
        raise ArtifactError(f"cannot write {path}: it is a folder; give a file name")
    # bools come last, so that every eight-byte tensor stays aligned
    tensors: dict[str, AnyArray] = {"times": panel.times.astype("<i8"), "values": panel.values}
    if panel.targets is not None:
        tensors["targets"] = panel.targets
    tensors["mask"] = panel.mask
    header: dict[str, Any] = {
        "__metadata__": {
            "format": _FORMAT,
            "assets": json.dumps(panel.assets),
            "features": json.dumps(panel.features),
        }
    }
    offset = 0
    for name, tensor in tensors.items():
        header[name] = {
            "dtype": _CODES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + tensor.nbytes],
        }
        offset += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)))
        stream.write(text)
        for tensor in tensors.values():
            np.ascontiguousarray(tensor).tofile(stream)


def load(path: Path) -> tuple[Any, ...]:
    """Parts of a panel, in the order of its fields."""
    try:
        return _load(path)
    except FileNotFoundError:
        raise ArtifactError(f"missing file: {path}") from None
    except IsADirectoryError:
        raise ArtifactError(f"cannot read {path}: it is a folder") from None
    except (struct.error, KeyError, TypeError, ValueError) as error:
        if isinstance(error, ArtifactError):
            raise
        raise ArtifactError(f"{path} is damaged or not a saved panel: {error}") from None


def _load(path: Path) -> tuple[Any, ...]:
    with path.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        if length > path.stat().st_size - 8:
            raise ValueError("the header is longer than the file")
        header = json.loads(stream.read(length))
    meta = header.pop("__metadata__")
    if meta.get("format") != _FORMAT:
        raise ValueError(f"format is {meta.get('format')!r}, expected {_FORMAT!r}")
    tensors = {name: _mapped(path, entry, 8 + length) for name, entry in header.items()}
    assets, features = (tuple(json.loads(meta[axis])) for axis in ("assets", "features"))
    times = tensors["times"].view("datetime64[ns]")
    shape = (len(times), len(assets), len(features))
    targets = tensors.get("targets")
    fits = tensors["values"].shape == shape == tensors["mask"].shape
    if not fits or (targets is not None and targets.shape != shape[:2]):
        raise ValueError("the tensors do not fit together")
    return tensors["values"], times, assets, features, tensors["mask"], targets


def _mapped(path: Path, entry: Any, base: int) -> AnyArray:
    dtype, shape = _DTYPES[entry["dtype"]], tuple(entry["shape"])
    begin, end = entry["data_offsets"]
    if end - begin != dtype.itemsize * int(np.prod(shape, dtype=np.int64)):
        raise ValueError("a byte range does not fit its shape")
    if begin == end:
        return np.zeros(shape, dtype)
    return np.asarray(np.memmap(path, dtype, mode="r", offset=base + begin, shape=shape))
