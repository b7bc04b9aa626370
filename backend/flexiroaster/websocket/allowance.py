"""How many events of one kind a room may get in a second; the rest is counted, not sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from flexiroaster.engine.events import Event, EventType

LINES_PER_EVENT = 10


class ItemRation:
    """Lets through so many events of foreach items in a second and execution, ten times as many of their log lines,
    and every other event.

    Asked where events are published, so that a hundred thousand items do not even wake the event loop.
    """

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._second = 0
        self._used: dict[tuple[str, bool], int] = {}

    def lets(self, event: Event, now: float) -> bool:
        """`now` is in seconds of a monotonic clock."""
        if not event.index:
            return True
        if int(now) != self._second:
            self._second, self._used = int(now), {}
        is_line = event.type is EventType.LOG
        used = self._used[event.execution_id, is_line] = self._used.get((event.execution_id, is_line), 0) + 1
        return used <= (self._per_second * LINES_PER_EVENT if is_line else self._per_second)


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
