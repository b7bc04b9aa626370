"""When to look for attempts that run too long: one thread that sleeps until the soonest deadline."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Look = Callable[[], datetime | None]
"""Stops what is late; answers the soonest deadline of the rest."""

LONGEST_SLEEP = timedelta(minutes=1)
"""Bounds how long a jump of the machine's clock goes unnoticed."""


class Deadlines:
    """An attempt costs a comparison here, not a timer: nearly all end long before they are due."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._changed = threading.Condition()
        self._next_look: datetime | None = None
        self._stopped = False
        self._thread: threading.Thread | None = None

    def watch(self, deadline: datetime | None) -> None:
        """An attempt has begun; call it when `look` can see it."""
        if deadline is None:
            return
        next_look = self._next_look
        if next_look is None or deadline < next_look:
            with self._changed:
                self._changed.notify()

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop, name="deadlines", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _loop(self) -> None:
        with self._changed:
            while not self._stopped:
                # What begins while the look goes on finds no time of the next one, and so wakes this thread again.
                self._next_look = None
                soonest = self._look()
                now = datetime.now(UTC)
                latest = now + LONGEST_SLEEP
                self._next_look = latest if soonest is None else min(soonest, latest)
                self._changed.wait(max((self._next_look - now).total_seconds(), 0.001))
