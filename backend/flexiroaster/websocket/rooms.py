"""Who hears what: rooms by name, and for each connection how far it has caught up.

A connection that resumes an execution asks the history for what it missed while new events keep coming. Until the
history has answered they are held back; afterwards those the history held are not sent again. So it gets each event
once, whatever order the two arrive in.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from flexiroaster.auth.identity import Caller
from flexiroaster.engine.events import Event, EventType

Kind = Literal["dashboard", "pipeline", "execution"]

DASHBOARD = "dashboard"
DASHBOARD_STAGE_EVENTS = frozenset(
    {EventType.STAGE_STARTED, EventType.STAGE_COMPLETED, EventType.APPROVAL_REQUESTED, EventType.APPROVAL_DECIDED}
)
HELD_BACK_LIMIT = 10_000

ROOM_OPERATIONS: dict[Kind, str] = {
    "dashboard": "metrics:read",
    "pipeline": "pipelines:read",
    "execution": "executions:read",
}
"""What a role must be allowed to do, to hear of it."""

_ROOM = re.compile(r"(?:(?P<dashboard>dashboard)|(?P<kind>pipeline|execution):(?P<id>[A-Za-z0-9_.-]{1,80}))")


@dataclass(frozen=True, slots=True)
class Room:
    kind: Kind
    id: str = ""

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.id}" if self.id else self.kind


def room_named(name: object) -> Room | None:
    """None for every name but those of the three kinds: Socket.IO itself has a room for each connection."""
    found = _ROOM.fullmatch(name) if isinstance(name, str) else None
    if found is None:
        return None
    if found["dashboard"]:
        return Room("dashboard")
    return Room("pipeline" if found["kind"] == "pipeline" else "execution", found["id"])


@dataclass(slots=True)
class HeldBack:
    """Events of an execution that came while its history was read."""

    events: list[Event] = field(default_factory=list)
    overflowed: bool = False

    def add(self, event: Event) -> None:
        if len(self.events) < HELD_BACK_LIMIT:
            self.events.append(event)
        else:
            self.overflowed = True


@dataclass(slots=True, eq=False)
class Connection:
    """`sid` names it in Socket.IO, `transport_sid` below that, in Engine.IO."""

    sid: str
    transport_sid: str
    caller: Caller
    requests_per_second: float
    open: bool = True
    ending: asyncio.TimerHandle | None = None
    """When its token expires."""
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while it joins or leaves: one after the other."""
    rooms: set[str] = field(default_factory=set)
    held_back: dict[str, HeldBack] = field(default_factory=dict)
    """By execution: what came while its history was read."""
    has_up_to: dict[str, int] = field(default_factory=dict)
    """By execution: events up to this number came with its history."""
    _asked: float = 0.0

    def may_ask(self, now: float) -> bool:
        """Whether it keeps to its rate; twice as many at once are let through. `now` is monotonic seconds."""
        start = max(self._asked, now - 2.0)
        if start > now - 1.0 / self.requests_per_second:
            return False
        self._asked = start + 1.0 / self.requests_per_second
        return True

    def takes(self, event: Event) -> bool:
        held = self.held_back.get(event.execution_id)
        if held is not None:
            held.add(event)
            return False
        return event.seq == 0 or event.seq > self.has_up_to.get(event.execution_id, 0)


class Rooms:
    """Used on the event loop only."""

    def __init__(self) -> None:
        self._members: dict[str, set[Connection]] = {}

    def join(self, connection: Connection, room: Room) -> None:
        connection.rooms.add(room.name)
        self._members.setdefault(room.name, set()).add(connection)

    def leave(self, connection: Connection, room: Room) -> None:
        connection.rooms.discard(room.name)
        if room.kind == "execution":
            connection.has_up_to.pop(room.id, None)
            connection.held_back.pop(room.id, None)
        self._forget(connection, room.name)

    def leave_all(self, connection: Connection) -> None:
        for name in connection.rooms:
            self._forget(connection, name)
        connection.rooms.clear()
        connection.has_up_to.clear()
        connection.held_back.clear()

    def members(self, name: str) -> frozenset[Connection]:
        return frozenset(self._members.get(name, ()))

    def has_members(self, name: str) -> bool:
        return name in self._members

    def listeners(self, event: Event, *, dashboard: bool) -> list[Connection]:
        """Each connection once, in however many of the event's rooms it is. Call it once per event: those that are
        still catching up keep it."""
        found: set[Connection] = set()
        for name in _rooms_of(event, dashboard=dashboard):
            found |= self._members.get(name, _NOBODY)
        return [connection for connection in found if connection.takes(event)]

    def _forget(self, connection: Connection, name: str) -> None:
        members = self._members.get(name)
        if members is not None:
            members.discard(connection)
            if not members:
                del self._members[name]


_NOBODY: set[Connection] = set()


_TOLD_TO_DASHBOARD = ("execution_", "pipeline_", "trigger_", "insight_", "suggestion_", "model_")


def is_for_dashboard(event: Event) -> bool:
    return not event.index and (event.type in DASHBOARD_STAGE_EVENTS or event.type.startswith(_TOLD_TO_DASHBOARD))


def _rooms_of(event: Event, *, dashboard: bool) -> Iterable[str]:
    if event.execution_id:
        yield f"execution:{event.execution_id}"
    if event.type != EventType.LOG and not event.index:  # of items only their execution is told
        yield f"pipeline:{event.pipeline_id}"
    if dashboard and is_for_dashboard(event):
        yield DASHBOARD
