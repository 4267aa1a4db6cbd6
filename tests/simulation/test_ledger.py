from __future__ import annotations

import json
import multiprocessing

import pytest

from fastpanel._files import sha256
from fastpanel.errors import ArtifactError
from fastpanel.simulation._ledger import Ledger, UnitRecord


def record(key: str, **changes) -> UnitRecord:
    values = {
        "key": key, "candidate": "0", "split": 0, "score": -1.5, "file": None,
        "sha256": None, "error": "diverged", "seconds": 0.25,
    }  # fmt: skip
    return UnitRecord(**{**values, **changes})


def test_lines_are_read_back(tmp_path):
    records = [record("a"), record("b", split=1, score=float("nan"))]
    Ledger(tmp_path).append(records)
    assert len((tmp_path / "ledger.jsonl").read_text().splitlines()) == 2
    again = Ledger(tmp_path)
    assert again.record("a") == records[0]
    assert repr(again.record("b")) == repr(records[1])
    assert again.record("c") is None


def test_payload_is_checked_by_its_digest(tmp_path):
    (tmp_path / "payload").write_bytes(b"draws")
    line = record("a", file="payload", sha256=sha256(tmp_path / "payload"), error=None)
    ledger = Ledger(tmp_path)
    ledger.append([line])
    assert ledger.intact(line)
    (tmp_path / "payload").write_bytes(b"drawS")
    assert not ledger.intact(line)
    (tmp_path / "payload").unlink()
    assert not ledger.intact(line)


def test_torn_tail_is_ignored_and_then_overwritten(tmp_path):
    path = tmp_path / "ledger.jsonl"
    Ledger(tmp_path).append([record("a"), record("b")])
    path.write_bytes(path.read_bytes()[:-9])  # killed while writing the second line
    ledger = Ledger(tmp_path)
    assert ledger.record("a") is not None
    assert ledger.record("b") is None
    assert path.read_bytes()[-1:] != b"\n"  # reading changes nothing
    ledger.append([record("c")])
    keys = [json.loads(line)["key"] for line in path.read_text().splitlines()]
    assert keys == ["a", "c"]


def test_later_line_of_a_unit_counts(tmp_path):
    Ledger(tmp_path).append([record("a", score=1.0), record("a", score=2.0)])
    assert Ledger(tmp_path).record("a").score == 2.0


def test_damaged_line_is_an_error_that_names_it(tmp_path):
    (tmp_path / "ledger.jsonl").write_text('{"key": "a"}\n')
    with pytest.raises(ArtifactError, match=r"damaged line 1 in .*ledger\.jsonl"):
        Ledger(tmp_path)


def _append_many(folder, name):
    ledger = Ledger(folder)
    for i in range(40):
        ledger.append([record(f"{name}-{i}-{j}", error="x" * 500) for j in range(5)])


def test_several_processes_append_whole_lines(tmp_path):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_append_many, args=(tmp_path, n)) for n in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    ledger = Ledger(tmp_path)
    keys = [f"{n}-{i}-{j}" for n in "ab" for i in range(40) for j in range(5)]
    assert all(ledger.record(key) for key in keys)
