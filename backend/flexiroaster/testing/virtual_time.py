"""Time that stands still until it is told to go on."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime

Callback = Callable[[], None]

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
"""A Monday morning: where a test does not say when it is."""


class VirtualTime:
    """The clock and the timers of an engine that is driven by hand."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now.astimezone(UTC)
        self._heap: list[tuple[datetime, int, Callback]] = []
        self._count = itertools.count()

    def clock(self) -> datetime:
        return self.now

    def at(self, moment: datetime, callback: Callback) -> object:
        heapq.heappush(self._heap, (moment, next(self._count), callback))
        return callback

    def start(self) -> None:
        """Nothing runs by itself."""

    def stop(self) -> None:
        self._heap.clear()

    @property
    def next_moment(self) -> datetime | None:
        """When the next call is due."""
        return self._heap[0][0] if self._heap else None

    def next_due(self, until: datetime) -> Callback | None:
        """The next call that is due by then: the clock is at its moment when it is answered."""
        if not self._heap or self._heap[0][0] > until:
            return None
        moment, _, callback = heapq.heappop(self._heap)
        self.now = max(self.now, moment)
        return callback
