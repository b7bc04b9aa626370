"""The newest values of a key, fair to executions with many runs of one stage.

Items of one execution that start together end in the order of their durations. Whoever keeps simply the newest values
keeps the slow ones; here every execution leaves a random sample.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class Batch(Generic[T]):
    execution: str
    values: list[T] = field(default_factory=list)
    seen: int = 0


class Window(Generic[T]):
    """At most about `size` values, at most half of them from one execution."""

    __slots__ = ("_batches", "_chance", "_count", "_half", "_size")
    _chance: int
    """State of a congruential generator (Knuth's MMIX): thousands of windows have no room for a larger one each."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._half = max(size // 2, 1)
        self._count = 0
        self._batches: deque[Batch[T]] = deque()
        self._chance = 0

    def __len__(self) -> int:
        return self._count

    def add(self, value: T, execution: str) -> list[T]:
        """What is no longer kept: mostly one value, which may be the new one."""
        if not self._batches or self._batches[-1].execution != execution:
            self._batches.append(Batch(execution))
        batch = self._batches[-1]
        batch.seen += 1
        if len(batch.values) < self._half:
            batch.values.append(value)
            self._count += 1
            return [self._drop()] if self._count > self._size else []
        # Reservoir sampling: every run of the execution has the same chance to stay.
        place = self._draw(batch.seen)
        if place >= self._half:
            return [value]
        gone, batch.values[place] = batch.values[place], value
        return [gone]

    def values(self) -> list[T]:
        """The oldest first."""
        return [value for batch in self._batches for value in batch.values]

    def _draw(self, below: int) -> int:
        self._chance = (6364136223846793005 * self._chance + 1442695040888963407) % 2**64
        return (self._chance >> 33) % below

    def _drop(self) -> T:
        gone = self._batches[0].values.pop(0)
        self._count -= 1
        if not self._batches[0].values:
            self._batches.popleft()
        return gone
