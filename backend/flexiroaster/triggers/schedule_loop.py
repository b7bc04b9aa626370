"""Comes to every instant of a schedule in time: a server has one, and a fleet any number."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta

import structlog

from flexiroaster.bus.port import Bus
from flexiroaster.engine.events import Event, EventType
from flexiroaster.services.triggers import Triggers
from flexiroaster.store.database import StoreUnavailable

log = structlog.get_logger(__name__)

LONGEST_SLEEP = timedelta(seconds=5)
"""Bounds how long a change at another server, or of the clock, goes unnoticed."""
PAUSE_SECONDS = 1.0
"""Until the next look where the database takes nothing now."""
CHANGES = frozenset(
    {
        EventType.PIPELINE_CREATED,
        EventType.PIPELINE_UPDATED,
        EventType.PIPELINE_RESUMED,
        EventType.TRIGGER_CHANGED,
    }
)


class ScheduleLoop:
    """`start` once; `stop` may be called twice, and waits for the look that is under way."""

    def __init__(self, triggers: Triggers, bus: Bus) -> None:
        self._triggers = triggers
        self._bus = bus
        self._changed = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None
        self._unsubscribe: Callable[[], None] = lambda: None

    def start(self) -> None:
        self._unsubscribe = self._bus.subscribe(self._hear, wanted=lambda: False)
        self._thread = threading.Thread(target=self._loop, name="schedules", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped = True
        self._changed.set()
        self._unsubscribe()
        if self._thread is not None:
            self._thread.join()

    def _hear(self, events: Sequence[Event]) -> None:
        if any(event.type in CHANGES for event in events):
            self._changed.set()

    def _loop(self) -> None:
        while not self._stopped:
            self._changed.clear()
            self._changed.wait(self._look())

    def _look(self) -> float:
        """Seconds until the next look."""
        try:
            return min(self._triggers.fire_due(), LONGEST_SLEEP).total_seconds()
        except StoreUnavailable as failure:
            log.warning("schedules.put_off", error=str(failure), next_try_seconds=PAUSE_SECONDS)
        except Exception:  # whatever it is: the next look begins anew
            log.exception("schedules.failed")
        return PAUSE_SECONDS
