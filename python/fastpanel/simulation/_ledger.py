"""What has been computed: one line per unit, checked before it is believed."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fastpanel._files import sha256
from fastpanel.errors import ArtifactError


@dataclass(frozen=True)
class UnitRecord:
    """One finished unit: candidate ``candidate`` on inner split ``split``.

    Attributes
    ----------
    key : str
        Content key: data, code, configuration, seed, batch.
    score : float
        The inner metric, NaN if it failed.
    file, sha256 : str or None
        The payload's name in the ledger's folder and its digest; None if the
        unit failed.
    error : str or None
        Why it failed.
    seconds : float
        Its share of the wall time of its batch.
    """

    key: str
    candidate: str
    split: int
    score: float
    file: str | None
    sha256: str | None
    error: str | None
    seconds: float


class Ledger:
    """``ledger.jsonl`` of one outer fold: append-only, one whole line per unit.

    Lines are written after the payloads they name are on disk, all lines of a
    batch in one write, under a lock, so several processes may append. A torn
    last line (the writer was killed) is ignored and overwritten by the next
    writer; of two lines with one key the later one counts.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ledger.jsonl"
        self._folder = folder
        self._records = self._read()

    def record(self, key: str) -> UnitRecord | None:
        """The record of a unit, whether or not its payload is intact."""
        return self._records.get(key)

    def newest(self) -> list[UnitRecord]:
        """The last record of every candidate and split, in that order."""
        last = {(record.candidate, record.split): record for record in self._records.values()}
        return [last[place] for place in sorted(last)]

    def intact(self, record: UnitRecord) -> bool:
        """Whether the payload of a record is there and as it was written."""
        if record.file is None:
            return True
        path = self._folder / record.file
        return path.is_file() and sha256(path) == record.sha256

    def append(self, records: list[UnitRecord]) -> None:
        """Record finished units durably, in one write."""
        text = "".join(f"{json.dumps(asdict(record), sort_keys=True)}\n" for record in records)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._path.open("a+b") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX)
                _drop_torn_tail(stream)
                stream.write(text.encode())
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise ArtifactError(f"cannot write {self._path}: {error.strerror or error}") from error
        for record in records:
            self._records[record.key] = record

    def _read(self) -> dict[str, UnitRecord]:
        if not self._path.is_file():
            return {}
        text = self._path.read_bytes()
        whole = text[: text.rfind(b"\n") + 1]
        records: dict[str, UnitRecord] = {}
        for number, row in enumerate(whole.splitlines(), start=1):
            try:
                values: Mapping[str, Any] = json.loads(row)
                record = UnitRecord(**values)
            except (ValueError, TypeError) as error:
                raise ArtifactError(f"damaged line {number} in {self._path}: {error}") from None
            records[record.key] = record
        return records


def _drop_torn_tail(stream: Any) -> None:
    """Cut the file after its last newline; the caller holds the lock."""
    stream.seek(0)
    content = stream.read()
    whole = content.rfind(b"\n") + 1
    if whole != len(content):
        stream.truncate(whole)
    stream.seek(0, os.SEEK_END)
