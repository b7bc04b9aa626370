"""Calls that are due later: one thread, one heap. What is due is in the database too; this only wakes in time."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from flexiroaster.store.database import StoreUnavailable

log = structlog.get_logger(__name__)

Callback = Callable[[], None]

LONGEST_SLEEP = 3600.0
"""Seconds; bounds how long a jump of the machine's clock goes unnoticed."""
STORE_PAUSE = 1.0
"""Seconds until a call is repeated that the database did not take."""


class Timer:
    """A call to come; `cancel` forgets it."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callback) -> None:
        self.callback: Callback | None = callback

    def cancel(self) -> None:
        self.callback = None


class Timers:
    """`start` before the first is due, `stop` may be called twice; callbacks run one after the other.

    A callback that meets a database that takes no writes now is called again until it does: nothing else would wake
    what it was to wake.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._count = itertools.count()
        self._changed = threading.Condition()
        self._stopped = False
        self._thread: threading.Thread | None = None

    def at(self, moment: datetime, callback: Callback) -> Timer:
        """A moment in the past is due at once."""
        timer = Timer(callback)
        self._push(moment.timestamp(), timer)
        return timer

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop, name="timers", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _push(self, due: float, timer: Timer) -> None:
        with self._changed:
            first = not self._heap or due < self._heap[0][0]
            heapq.heappush(self._heap, (due, next(self._count), timer))
            if first:
                self._changed.notify()

    def _loop(self) -> None:
        while (due := self._next()) is not None:
            callback = due.callback
            if callback is None:
                continue
            try:
                callback()
            except StoreUnavailable as failure:
                log.warning("timer.put_off", error=str(failure), next_try_seconds=STORE_PAUSE)
                self._push(datetime.now(UTC).timestamp() + STORE_PAUSE, due)
            except Exception:  # one failing call must not silence the others
                log.exception("timer.failed", callback=repr(callback))

    def _next(self) -> Timer | None:
        """Sleep until a call is due; None once stopped."""
        with self._changed:
            while not self._stopped:
                while self._heap and self._heap[0][2].callback is None:
                    heapq.heappop(self._heap)
                now = datetime.now(UTC).timestamp()
                if self._heap and self._heap[0][0] <= now:
                    return heapq.heappop(self._heap)[2]
                left = self._heap[0][0] - now if self._heap else LONGEST_SLEEP
                self._changed.wait(min(left, LONGEST_SLEEP))
            return None
