"""Stored tensors: the same bytes for the same values, however the array lies in memory."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from fastpanel._tensors import load_tensors, save_tensors

VALUES = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
LAYOUTS = {
    "as it is": VALUES.copy(),
    "transposed": np.ascontiguousarray(VALUES.T).T,
    "a part of a larger array": np.pad(VALUES, ((1, 1), (0, 2), (3, 0)))[1:3, :3, 3:],
    "read-only": np.frombuffer(VALUES.tobytes(), np.float32).reshape(VALUES.shape),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_bytes_do_not_depend_on_the_layout(tmp_path, layout):
    save_tensors(tmp_path / "a.pt", {"x": VALUES.copy(), "n": 3})
    digest = save_tensors(tmp_path / "b.pt", {"x": LAYOUTS[layout], "n": 3})
    stored = (tmp_path / "b.pt").read_bytes()
    assert stored == (tmp_path / "a.pt").read_bytes()
    assert digest == hashlib.sha256(stored).hexdigest()
    back = load_tensors(tmp_path / "b.pt")
    np.testing.assert_array_equal(back["x"], VALUES)
    assert back["n"] == 3
