"""Looks after what nobody else does: leases that ran out, times that passed unheard, work that no server comes to.

Every server has one. It sleeps until another tells it of work, and looks by itself every few seconds, because messages
may be lost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from flexiroaster.runtime.presence import Presence
from flexiroaster.services.rescue import TELLING_LASTS, Rescue

log = structlog.get_logger(__name__)

SHORTEST_PAUSE = 0.01
LONGEST_PAUSE = 0.25
"""Seconds between two looks for more, while there is more to do than others come to."""
SOON_QUIET = timedelta(seconds=1)
"""How long nothing may have happened in an execution for it to be one that a server has left behind."""
GONE_SECONDS = 10.0
"""After another server has gone: how long what it may have left behind is looked for."""
RARELY = 2
"""Looks between two of those that walk over all open executions."""


class Rescuer:
    """`start` once; `stop` may be called twice. `is_idle` says whether this process could take more work."""

    def __init__(
        self,
        rescue: Rescue,
        presence: Presence,
        lease: timedelta,
        is_idle: Callable[[], bool],
        most: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._rescue = rescue
        self._presence = presence
        self._is_idle = is_idle
        self._most = most
        self._clock = clock
        self._look_seconds = lease.total_seconds() / 6
        self._soon = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._next_look = 0.0
        self._looks = 0
        self._missed_since: datetime | None = None
        self._found: list[str] = []
        self._gone_until = float("-inf")
        self._pause = self._look_seconds
        self._polled = False

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop, name="rescuer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._soon.set()
        if self._thread is not None:
            self._thread.join()

    def has_polled(self) -> bool:
        """Whether it has looked with success since this was last asked."""
        polled, self._polled = self._polled, False
        return polled

    def look_soon(self) -> None:
        """There is more to do than another server comes to."""
        self._found = []
        self._soon.set()

    def one_has_gone(self) -> None:
        """Another server has stopped, or is dead: what only it knew of is anybody's."""
        self._gone_until = time.monotonic() + GONE_SECONDS
        self.look_soon()

    def missed_something(self) -> None:
        """The database was away: what was committed at the last moment may be known to nobody."""
        self._presence.troubled()
        self._gone_until = time.monotonic() + GONE_SECONDS
        if self._missed_since is None:
            self._missed_since = self._clock()
        self._looks = 0

    def _loop(self) -> None:
        while True:
            self._soon.wait(self._pause)
            self._soon.clear()  # before the look: what comes from now on sets it again
            if self._stopped.is_set():
                return
            try:
                if time.monotonic() >= self._next_look:
                    self._next_look = time.monotonic() + self._look_seconds
                    self._look()
                    self._polled = True
                self._share()
            except Exception as failure:  # whatever it is: the next look begins anew
                log.warning("rescuer.look_failed", error=f"{type(failure).__name__}: {failure}")
                self._pause = self._look_seconds

    def _look(self) -> None:
        self._rescue.wake_overdue()
        if not self._presence.may_judge:
            return
        judge = self._rescue.judge()
        rarely = self._looks % RARELY == 0
        self._looks += 1
        if rarely or judge.dead():
            self._rescue.take_over()
            self._rescue.note_deaths(judge)
            if judge.dead():
                self.one_has_gone()
        if rarely:
            self._rescue.take_up_forgotten()
            self._tell_missed()

    def _tell_missed(self) -> None:
        since = self._missed_since
        if since is not None and self._clock() - since > 2 * TELLING_LASTS:
            self._missed_since = None
            self._rescue.tell_since(since)

    def _share(self) -> None:
        """Take work that waits, as long as there is some that was not seen a moment ago."""
        if not self._is_idle():
            self._pause = min(self._pause * 2, LONGEST_PAUSE if self._found else self._look_seconds)
            return
        gone = time.monotonic() < self._gone_until
        found = self._rescue.hand_out(self._most, SOON_QUIET if gone else None)
        is_new = bool(set(found) - set(self._found))
        self._found = found
        self._pause = SHORTEST_PAUSE if is_new else LONGEST_PAUSE if gone else self._look_seconds
