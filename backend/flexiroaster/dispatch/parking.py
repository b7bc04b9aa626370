"""Ready work that no worker could take now: each piece stands before the gate that is closed to it."""

from __future__ import annotations

import threading
from collections.abc import Hashable

from flexiroaster.dispatch.port import Ready, Work
from flexiroaster.dispatch.queue import ReadyQueue


class Parking:
    """Safe to use from any thread. What stands here is lost with the process: the database has it as queued."""

    def __init__(self) -> None:
        self._queues: dict[Hashable, ReadyQueue] = {}
        self._standing: dict[Hashable, set[Work]] = {}
        self._lock = threading.Lock()

    def park(self, gate: Hashable, ready: Ready) -> None:
        """What stands there already is not put there again."""
        with self._lock:
            standing = self._standing.setdefault(gate, set())
            if ready.work in standing:
                return
            standing.add(ready.work)
            self._queues.setdefault(gate, ReadyQueue()).push(ready)

    def release(self, gate: Hashable, most: int | None = None) -> list[Ready]:
        """Those whose turn it is, in the order of `ReadyQueue`; all of them without `most`."""
        with self._lock:
            queue = self._queues.get(gate)
            if queue is None:
                return []
            count = len(queue) if most is None else min(most, len(queue))
            released = [queue.pop() for _ in range(count)]
            if not queue:
                del self._queues[gate], self._standing[gate]
            else:
                self._standing[gate].difference_update(ready.work for ready in released)
            return released

    def waiting(self, gate: Hashable) -> int:
        with self._lock:
            return len(self._queues.get(gate, ()))
