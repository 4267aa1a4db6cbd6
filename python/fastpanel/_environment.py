"""Environment variables: the one place that reads those of the pipelines, and ``.env``.

``FASTPANEL_NUM_THREADS`` and ``FASTPANEL_SIMD`` set up the compiled core when it
is loaded and are read there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from fastpanel.errors import ConfigError

FOLDERS = {
    "DATA_SOURCE": "the root of raw historical bars",
    "DATA_LAKE_SOURCE": "the root of cleaned data",
    "FEATURE_STORE_SOURCE": "the root of processed data and features",
    "MODEL_STORE_SOURCE": "the root of model outputs",
    "SIMULATION_SOURCE": "the root of simulation outputs",
}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SINGLE = re.compile(r"'([^']*)'\s*(?:#.*)?")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"\s*(?:#.*)?')
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


class Environment:
    """Settings of a stage, by the names of environment variables.

    Parameters
    ----------
    values : mapping of str to str, optional
        By default the variables of the process. An empty value counts as
        not set.

    Examples
    --------
    >>> Environment({"IB_PORT": "4002"}).integer("IB_PORT", "Interactive Brokers")
    4002
    """

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = dict(os.environ if values is None else values)

    def get(self, name: str) -> str | None:
        """Value of a variable, or None where it is not set."""
        return self._values.get(name, "").strip() or None

    def require(self, name: str, purpose: str) -> str:
        """Value of a variable that a stage cannot do without."""
        value = self.get(name)
        if value is None:
            raise ConfigError(
                f"{name} is not set: it is {purpose}; set it in the environment or in .env"
            )
        return value

    def folder(self, name: str) -> Path:
        """Folder that one of the ``*_SOURCE`` variables names."""
        return Path(self.require(name, FOLDERS[name])).expanduser()

    def integer(self, name: str, purpose: str, *, default: int | None = None) -> int:
        """Whole number."""
        text = self.get(name)
        if text is None and default is not None:
            return default
        text = self.require(name, purpose)
        try:
            return int(text)
        except ValueError:
            raise ConfigError(f"{name} must be a whole number, got {text!r}") from None


def read_dotenv(path: Path) -> dict[str, str]:
    r"""Variables of a ``.env`` file; a missing file has none.

    Lines are ``NAME=value`` with an optional ``export`` before; values may be
    quoted, with ``\n`` and the like inside double quotes; ``#`` after a blank
    begins a comment. Nothing is expanded.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from None
    values = {}
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip().removeprefix("export ").lstrip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals or not _NAME.fullmatch(name):
            raise ConfigError(f"{path}, line {number}: expected NAME=value, got {raw.strip()!r}")
        values[name] = _value(value, f"{path}, line {number}")
    return values


def _value(text: str, where: str) -> str:
    if text[:1] == "'":
        quoted = _SINGLE.fullmatch(text)
    elif text[:1] == '"':
        quoted = _DOUBLE.fullmatch(text)
    else:
        return re.split(r"(?:^|\s)#", text, maxsplit=1)[0].rstrip()
    if quoted is None:
        raise ConfigError(f"{where}: the quote is not closed")
    if text[0] == "'":
        return quoted[1]
    return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), quoted[1])


@contextmanager
def dotenv(path: Path = Path(".env")) -> Iterator[None]:
    """Give the process the variables of a ``.env`` file that it does not have itself."""
    added = {name: text for name, text in read_dotenv(path).items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
