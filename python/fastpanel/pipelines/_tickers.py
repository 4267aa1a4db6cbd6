"""The ticker file: which bars are downloaded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import yaml
from pydantic import Field, field_validator, model_validator

from fastpanel.config import StrictModel, parse
from fastpanel.data.history import BAR_SIZES
from fastpanel.errors import ConfigError

DEFAULT_TICKERS = Path("config/tickers.yml")
# an asset names a folder
_ASSET = r"[A-Za-z0-9][A-Za-z0-9._=^-]*"
_DURATION = re.compile(r"([1-9]\d*) ([DWMY])")


class Ticker(StrictModel):
    """One asset, and what a provider has to know to find it."""

    asset: Annotated[str, Field(pattern=f"^{_ASSET}$")]
    contract: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_name_or_mapping(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"asset": value, "contract": {"symbol": value}}
        if isinstance(value, Mapping) and "contract" not in value:
            contract = {key: part for key, part in value.items() if key != "asset"}
            return {"asset": value.get("asset", value.get("symbol")), "contract": contract}
        return value


class TickerFile(StrictModel):
    """Content of ``config/tickers.yml``."""

    tickers: Annotated[tuple[Ticker, ...], Field(min_length=1)]
    duration: str
    """How far to go back from ``end``: ``30 D``, ``8 W``, ``6 M``, ``2 Y``; whole months are
    fetched."""
    bar_size: str
    what_to_show: Annotated[str, Field(min_length=1)]
    end: date | None = None
    """Last day; null: now."""
    provider_options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("tickers")
    @classmethod
    def _once(cls, tickers: tuple[Ticker, ...]) -> tuple[Ticker, ...]:
        names = [ticker.asset for ticker in tickers]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"'{twice[0]}' occurs twice")
        return tickers

    @field_validator("duration")
    @classmethod
    def _is_duration(cls, text: str) -> str:
        if not _DURATION.fullmatch(text):
            raise ValueError("give a number and D, W, M or Y, such as '2 Y'")
        return text

    @field_validator("bar_size")
    @classmethod
    def _is_bar_size(cls, text: str) -> str:
        if text not in BAR_SIZES:
            raise ValueError(f"choose one of {list(BAR_SIZES)}")
        return text

    def limits(self, now: datetime) -> tuple[np.datetime64, np.datetime64]:
        """First month, and the instant after the newest bar that is complete."""
        instant = now.astimezone(UTC).replace(tzinfo=None)
        if self.end is not None:
            instant = min(
                instant, datetime.combine(self.end + timedelta(days=1), datetime.min.time())
            )
        match = _DURATION.fullmatch(self.duration)
        assert match is not None  # the validator saw to it
        number, unit = int(match[1]), match[2]
        if unit in "DW":
            first = instant - timedelta(days=number * (7 if unit == "W" else 1))
            month = np.datetime64(first, "M")
        else:
            last = np.datetime64(instant - timedelta(microseconds=1), "M")
            month = last - number * (12 if unit == "Y" else 1) + 1
        return month, np.datetime64(instant, "ns")


def load_tickers(source: str | Path | Mapping[str, Any] | TickerFile) -> TickerFile:
    """Read a ticker file.

    Raises
    ------
    ConfigError
        The file is missing or no YAML mapping, or it has mistakes; all of them
        are listed.
    """
    if isinstance(source, TickerFile):
        return source
    if isinstance(source, Mapping):
        return parse(TickerFile, source, source="tickers")
    path = Path(source)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"missing file: {path}; copy config/tickers.example.yml there and edit it"
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(values, Mapping):
        raise ConfigError(f"{path} must hold a mapping, not {type(values).__name__}")
    return parse(TickerFile, values, source=str(path))
