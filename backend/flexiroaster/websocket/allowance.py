"""How many events of one kind a room may get in a second; the rest is counted, not sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Allowance:
    """`omitted` is called once a second at most, with how many were left out."""

    def __init__(self, per_second: int, omitted: Callable[[int], Awaitable[None]]) -> None:
        self._per_second = per_second
        self._omitted = omitted
        self._since = 0.0
        self._used = 0
        self._left_out = 0
        self._telling: asyncio.Task[None] | None = None

    def take(self) -> bool:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if now - self._since >= 1.0:
            self._since, self._used = now, 0
        if self._used < self._per_second:
            self._used += 1
            return True
        self._left_out += 1
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell(self._since + 1.0 - now))
        return False

    async def _tell(self, delay_seconds: float) -> None:
        await asyncio.sleep(delay_seconds)
        self._telling = None
        count, self._left_out = self._left_out, 0
        await self._omitted(count)

    def stop(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
