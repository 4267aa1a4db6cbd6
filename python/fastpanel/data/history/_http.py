"""A small HTTP client for market data: JSON over GET, with retries that keep a server's limits."""

from __future__ import annotations

import http.client
import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from fastpanel.errors import ConfigError, DataError

_TRIES = 5
_RETRIED = (429, 500, 502, 503, 504)
_DENIED = (401, 403)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Another address would get the credentials: a redirection is an error."""

    def redirect_request(self, *arguments: Any) -> None:
        return None


class JsonClient:
    """GET requests that return JSON.

    Called from several threads at once; requests begin at least ``60 /
    per_minute`` seconds apart. ``429`` and server errors are tried again after
    the server's ``Retry-After``, or 1, 2, 4, ... seconds; a body that ends early
    or is no JSON is tried again too, and is never taken for an answer.

    Parameters
    ----------
    name : str
        Vendor, for messages.
    base : str
        Address without query. Nothing else is ever contacted.
    headers : mapping
    per_minute : float
    timeout : float
        Seconds per request.
    secrets : tuple of str
        Texts that no message may hold.
    """

    def __init__(
        self,
        name: str,
        base: str,
        headers: Mapping[str, str],
        *,
        per_minute: float,
        timeout: float = 30.0,
        secrets: tuple[str, ...] = (),
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not base.startswith(("https://", "http://")):
            raise ConfigError(f"provider_options.base_url must begin with https://, got {base!r}")
        self._name, self._base, self._headers = name, base.rstrip("/"), dict(headers)
        self._opener = urllib.request.build_opener(_NoRedirect)
        self._pause, self._timeout = 60.0 / per_minute, timeout
        self._secrets = secrets
        self._sleep, self._clock = sleep, clock
        self._turn, self._next = threading.Lock(), 0.0

    def get(self, path: str, query: Mapping[str, str]) -> Any:
        """Return the JSON of ``base + path?query``.

        Raises
        ------
        ConfigError
            The vendor refuses the credentials.
        DataError
            Another refusal, or no whole answer after several tries.
        """
        url = f"{self._base}{path}?{urllib.parse.urlencode(query)}"
        reason = ""
        for attempt in range(_TRIES):
            self._wait_for_turn()
            pause = 2.0**attempt
            try:
                return self._once(url)
            except urllib.error.HTTPError as error:
                reason = f"{error.code} {error.reason}: {self._body(error)}"
                if error.code in _DENIED:
                    raise ConfigError(
                        self._safe(f"{self._name} refuses access ({reason})")
                    ) from None
                if error.code not in _RETRIED:
                    raise DataError(self._safe(f"{self._name}: {reason}")) from None
                pause = _retry_after(error.headers.get("Retry-After"), pause)
            except (OSError, http.client.HTTPException, ValueError) as error:
                reason = f"{type(error).__name__}: {error}"
            if attempt + 1 < _TRIES:
                self._sleep(pause)
        raise DataError(
            self._safe(f"{self._name}: no answer after {_TRIES} tries; the last: {reason}")
        )

    def _once(self, url: str) -> Any:
        request = urllib.request.Request(url, headers=self._headers)
        with self._opener.open(request, timeout=self._timeout) as answer:
            return json.loads(answer.read())

    @staticmethod
    def _body(error: urllib.error.HTTPError) -> str:
        return " ".join(error.read(300).decode("utf-8", "replace").split())

    def _wait_for_turn(self) -> None:
        with self._turn:
            now = self._clock()
            pause = self._next - now
            self._next = max(now, self._next) + self._pause
        if pause > 0:
            self._sleep(pause)

    def _safe(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def _retry_after(text: str | None, default: float) -> float:
    try:
        return max(0.0, float(text or ""))
    except ValueError:
        return default
