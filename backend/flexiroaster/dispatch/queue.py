"""Which of the ready stage runs is next: a value without locks, threads or a clock."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from heapq import heappop, heappush

from flexiroaster.dispatch.port import Ready

TURN = 32
"""Instant stage runs of one execution that go out before the next execution has its turn: as many as share a
transaction. They take microseconds, and taking turns after each would give every execution a transaction of its own.
"""


class ReadyQueue:
    """The highest priority first; within it executions take turns; within an execution what is instant, since nobody
    waits for that, then the longest remaining path.

    Who is equal in all of this goes in the order of arrival.
    """

    __slots__ = ("_arrivals", "_levels", "_priorities", "_size")

    def __init__(self) -> None:
        self._levels: dict[int, _Level] = {}
        self._priorities: list[int] = []  # of the levels, ascending
        self._arrivals = 0
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def push(self, ready: Ready) -> None:
        level = self._levels.get(ready.priority)
        if level is None:
            level = self._levels[ready.priority] = _Level()
            insort(self._priorities, ready.priority)
        self._arrivals += 1
        self._size += 1
        level.push(ready, self._arrivals)

    @property
    def priority(self) -> int | None:
        """The highest of what is queued."""
        return self._priorities[-1] if self._priorities else None

    def peek(self) -> Ready | None:
        """What `pop` would answer."""
        return self._levels[self._priorities[-1]].first if self._size else None

    def pop(self) -> Ready:
        """Raises IndexError when nothing is queued."""
        priority = self._priorities[-1]
        level = self._levels[priority]
        ready = level.pop()
        self._size -= 1
        if not level.turns:
            del self._levels[priority]
            del self._priorities[bisect_left(self._priorities, priority)]
        return ready


class _Level:
    """What has the same priority. `turns` are the executions, the next one first."""

    __slots__ = ("_heaps", "_taken", "turns")

    def __init__(self) -> None:
        self.turns: deque[str] = deque()
        self._heaps: dict[str, list[tuple[bool, float, int, Ready]]] = {}
        self._taken = 0

    @property
    def first(self) -> Ready:
        return self._heaps[self.turns[0]][0][3]

    def push(self, ready: Ready, arrival: int) -> None:
        execution_id = ready.work.execution_id
        heap = self._heaps.get(execution_id)
        if heap is None:
            heap = self._heaps[execution_id] = []
            self.turns.append(execution_id)
        heappush(heap, (not ready.instant, -ready.tail, arrival, ready))

    def pop(self) -> Ready:
        execution_id = self.turns[0]
        heap = self._heaps[execution_id]
        ready = heappop(heap)[3]
        self._taken += 1
        if not heap:
            del self._heaps[execution_id]
            self.turns.popleft()
            self._taken = 0
        elif not ready.instant or self._taken >= TURN:
            self.turns.rotate(-1)
            self._taken = 0
        return ready
