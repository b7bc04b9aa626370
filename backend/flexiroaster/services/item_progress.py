"""How far the items of foreach stages are, told a few times a second however fast they end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from flexiroaster.bus.port import Bus
from flexiroaster.engine.draft import Draft
from flexiroaster.engine.events import Event, EventType

PAUSE = timedelta(milliseconds=250)


class Timers(Protocol):
    def at(self, moment: datetime, callback: Callable[[], None]) -> object: ...


class ItemProgress:
    """The last change is always told, at most `PAUSE` later. Nothing of it is kept: the counts are in the database."""

    def __init__(self, bus: Bus, timers: Timers) -> None:
        self._bus = bus
        self._timers = timers
        self._lock = threading.Lock()
        self._untold: dict[tuple[str, int], Draft] = {}

    def changed(self, draft: Draft) -> None:
        """After the commit of a draft with groups."""
        with self._lock:
            first = not self._untold
            for position in draft.groups:
                self._untold[draft.execution.id, position] = draft
        if first:
            self._timers.at(draft.now + PAUSE, self._tell)

    def _tell(self) -> None:
        with self._lock:
            untold, self._untold = self._untold, {}
        self._bus.publish([_event(draft, position) for (_, position), draft in untold.items()])


def _event(draft: Draft, position: int) -> Event:
    """`through` is the number of the newest event that the counts include."""
    execution, stage = draft.execution, draft.plan.stages[position]
    payload = {"items": draft.groups[position].counts(), "through": draft.seq}
    return Event(EventType.STAGE_PROGRESS, execution.id, execution.pipeline_id, 0, draft.now, stage.id, 0, payload)
