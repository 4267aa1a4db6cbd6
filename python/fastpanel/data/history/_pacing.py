"""Waiting before requests, so that a server's limits are kept."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Hashable


class Pacing:
    """At most so many requests in a window, over all contracts and for each one.

    Parameters
    ----------
    limit, window : int, float
        Weighted requests over all contracts in any ``window`` seconds.
    contract_limit, contract_window : int, float
        Requests for one contract in any ``contract_window`` seconds.
    clock, sleep
        Time in seconds, and how to wait for it.
    """

    def __init__(
        self,
        limit: int = 60,
        window: float = 600.0,
        contract_limit: int = 5,
        contract_window: float = 2.0,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._limit, self._window = limit, window
        self._contract_limit, self._contract_window = contract_limit, contract_window
        self._clock, self._sleep = clock, sleep
        self._all: deque[float] = deque()
        self._each: dict[Hashable, deque[float]] = defaultdict(deque)
        self._turn = asyncio.Lock()

    async def admit(self, contract: Hashable, weight: int = 1) -> None:
        """Return when the next request for ``contract`` may go out; first come, first served."""
        async with self._turn:
            own = self._each[contract]
            while True:
                now = self._clock()
                pause = max(
                    _pause(self._all, self._limit - weight + 1, self._window, now),
                    _pause(own, self._contract_limit, self._contract_window, now),
                )
                if pause <= 0:
                    break
                await self._sleep(pause)
            self._all.extend([now] * weight)
            own.append(now)


def _pause(sent: deque[float], limit: int, window: float, now: float) -> float:
    """Seconds until fewer than ``limit`` requests lie within the window."""
    while sent and now - sent[0] >= window:
        sent.popleft()
    return sent[len(sent) - limit] + window - now if len(sent) >= limit else 0.0
