"""Stored tensors: the same bytes for the same values, however the array lies in memory."""

from __future__ import annotations

import hashlib
import io
import resource
import zipfile

import numpy as np
import pytest

from fastpanel._tensors import load_tensors, save_tensors
from fastpanel.errors import ArtifactError

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


def test_the_file_is_the_archive_that_torch_makes_and_any_reader_of_zip_files_checks(tmp_path):
    import torch

    save_tensors(tmp_path / "a.pt", {"x": VALUES, "n": 3})
    expected = io.BytesIO()
    torch.save({"x": torch.from_numpy(VALUES), "n": 3}, expected)
    assert (tmp_path / "a.pt").read_bytes() == expected.getvalue()
    with zipfile.ZipFile(tmp_path / "a.pt") as archive:
        assert archive.testzip() is None
        assert archive.read("archive/data/0") == VALUES.tobytes()


@pytest.mark.parametrize("room", [10, 1_000, 100_000])
def test_a_full_disk_is_named_and_leaves_the_old_file(tmp_path, room):
    path = tmp_path / "a.pt"
    save_tensors(path, {"x": VALUES})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(ArtifactError, match=r"cannot write .*a\.pt: File too large"):
            save_tensors(path, {"x": np.zeros(50_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    np.testing.assert_array_equal(load_tensors(path)["x"], VALUES)
    assert [file.name for file in tmp_path.iterdir()] == ["a.pt"]


def test_ctrl_c_while_writing_stays_ctrl_c(tmp_path, monkeypatch):
    class Stopped:
        def update(self, chunk):
            if len(chunk) == VALUES.nbytes:
                raise KeyboardInterrupt

    monkeypatch.setattr("fastpanel._tensors.hashlib.sha256", Stopped)
    with pytest.raises(KeyboardInterrupt):
        save_tensors(tmp_path / "a.pt", {"x": VALUES})
    assert list(tmp_path.iterdir()) == []
