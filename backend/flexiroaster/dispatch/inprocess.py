"""Work inside one process: a queue that its worker threads take from."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable

from flexiroaster.dispatch.port import Work


class InProcessDispatch:
    """First come, first served. Threads that find nothing sleep until something is announced."""

    def __init__(self) -> None:
        self._queue: deque[Work] = deque()
        self._arrived = threading.Condition(threading.Lock())
        self._idle = 0
        self._closed = False
        self._stop_callbacks: list[Callable[[Work], None]] = []

    def announce(self, work: Iterable[Work]) -> None:
        self._queue.extend(work)
        if self._idle:
            with self._arrived:
                self._arrived.notify(len(self._queue))

    def put_back(self, work: Iterable[Work]) -> None:
        """What was taken but could not be claimed because the transaction failed; at the end, so that an execution
        that cannot be read does not hold up all others.
        """
        self._queue.extend(work)

    @property
    def waiting(self) -> bool:
        """Whether anything is queued."""
        return bool(self._queue)

    def take(self) -> Work | None:
        try:
            return self._queue.popleft()
        except IndexError:
            return None

    def wait(self) -> bool:
        """Sleep until there may be work; False once closed."""
        with self._arrived:
            self._idle += 1
            try:
                # `_idle` is raised before the queue is looked at: an announcement cannot fall between the two.
                while not self._queue and not self._closed:
                    self._arrived.wait()
            finally:
                self._idle -= 1
            return not self._closed

    def close(self) -> None:
        with self._arrived:
            self._closed = True
            self._arrived.notify_all()

    def stop(self, work: Iterable[Work]) -> None:
        for item in work:
            for callback in self._stop_callbacks:
                callback(item)

    def on_stop(self, callback: Callable[[Work], None]) -> None:
        self._stop_callbacks.append(callback)
