"""What has been computed: one line per candidate and fold, checked before it is believed."""

from __future__ import annotations

import hashlib
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

    ``score`` is the inner metric (NaN if it failed), ``error`` the reason,
    ``file`` the payload's name in the ledger's folder, ``sha256`` its digest.
    """

    candidate: str
    split: int
    score: float
    file: str | None
    sha256: str | None
    error: str | None = None


class Ledger:
    """An append-only file of finished candidates of one outer fold.

    A line is written, whole, after all payloads of a candidate are on disk.
    A torn last line (the process was killed while writing) is ignored.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self._path = folder / "ledger.jsonl"
        self._folder = folder
        self._key = key
        self._lines = self._read()

    def finished(self, candidate: str) -> list[UnitRecord] | None:
        """Records of ``candidate`` if all its payloads are intact, else None."""
        line = self._lines.get(candidate)
        if line is None:
            return None
        records = [UnitRecord(**record) for record in line["units"]]
        damaged = [record.file for record in records if not self._intact(record)]
        return None if damaged else records

    def damaged(self, candidate: str) -> list[str]:
        """Payloads of a recorded candidate that are missing or altered."""
        line = self._lines.get(candidate)
        records = [UnitRecord(**record) for record in line["units"]] if line else []
        return [str(record.file) for record in records if not self._intact(record)]

    def append(self, candidate: str, records: list[UnitRecord]) -> None:
        """Record a finished candidate durably."""
        line = {
            "key": self._key,
            "candidate": candidate,
            "units": [asdict(record) for record in records],
        }
        text = json.dumps(line, sort_keys=True)
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(f"{text}\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise ArtifactError(f"cannot write {self._path}: {error.strerror or error}") from error
        self._lines[candidate] = json.loads(text)

    def _intact(self, record: UnitRecord) -> bool:
        if record.file is None:
            return True
        path = self._folder / record.file
        return path.is_file() and sha256(path) == record.sha256

    def _read(self) -> dict[str, dict[str, Any]]:
        if not self._path.is_file():
            return {}
        text = self._path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        if whole != text:  # drop the torn tail, so that the next line starts afresh
            with self._path.open("w", encoding="utf-8") as stream:
                stream.write(whole)
        lines: dict[str, dict[str, Any]] = {}
        for number, row in enumerate(whole.splitlines(), start=1):
            try:
                line = json.loads(row)
            except json.JSONDecodeError as error:
                raise ArtifactError(f"damaged line {number} in {self._path}: {error}") from None
            if line["key"] == self._key:
                lines[line["candidate"]] = line
        return lines


def content_key(parts: Mapping[str, Any]) -> str:
    """SHA-256 of everything that a result depends on."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
