"""Joining and leaving rooms, and catching up with what was missed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from flexiroaster.auth.permissions import may
from flexiroaster.engine.events import Event
from flexiroaster.websocket.limits import SocketLimits
from flexiroaster.websocket.packets import payload_of
from flexiroaster.websocket.rooms import ROOM_OPERATIONS, Connection, HeldBack, Room, Rooms, room_named

LARGEST_SEQ = 2**31 - 1


class History(Protocol):
    def __call__(self, execution_id: str, after: int, limit: int, /) -> Sequence[Event]:
        """The committed events of an execution with `seq > after`, ascending, at most `limit`."""
        ...


class Exists(Protocol):
    def __call__(self, kind: str, id: str, /) -> bool:
        """Whether there is such a "pipeline" or "execution"."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client's `subscribe` and `unsubscribe` are acknowledged with.

    `events` are those it missed, `seq` is the number up to which it has every one (None when it did not ask). With
    `more` it has not joined yet: it asks again from `seq`.
    """

    ok: bool
    room: str | None = None
    seq: int | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    more: bool = False
    error: str | None = None
    code: str | None = None

    def to_ack(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


class Subscriptions:
    def __init__(self, rooms: Rooms, history: History, exists: Exists, limits: SocketLimits) -> None:
        self._rooms = rooms
        self._history = history
        self._exists = exists
        self._limits = limits

    async def subscribe(self, connection: Connection, request: object) -> Answer:
        room, after = _read(request)
        if isinstance(room, Answer):
            return room
        if not may(connection.caller.role, ROOM_OPERATIONS[room.kind]):
            return _refused("forbidden", f"Your role {connection.caller.role} does not allow {room.name}.", room)
        async with connection.busy:
            if room.name not in connection.rooms and len(connection.rooms) >= self._limits.rooms_per_socket:
                limit = self._limits.rooms_per_socket
                return _refused("too_many_rooms", f"A connection may be in {limit} rooms: leave one first.", room)
            if room.id and not await asyncio.to_thread(self._exists, room.kind, room.id):
                return _refused("not_found", f"There is no {room.kind} {room.id!r}.", room)
            if not connection.open:
                return _refused("closed", "The connection has ended.", room)
            if after is None or room.kind != "execution":
                self._rooms.join(connection, room)
                return Answer(True, room.name)
            return await self._resume(connection, room, after)

    async def unsubscribe(self, connection: Connection, request: object) -> Answer:
        room, _ = _read(request)
        if isinstance(room, Answer):
            return room
        async with connection.busy:
            self._rooms.leave(connection, room)
        return Answer(True, room.name)

    async def _resume(self, connection: Connection, room: Room, after: int) -> Answer:
        """Join first and hold new events back, then read the history: nothing can fall between the two."""
        held = connection.held_back[room.id] = HeldBack()
        self._rooms.join(connection, room)
        try:
            past = await asyncio.to_thread(self._history, room.id, after, self._limits.history_events)
        except BaseException:
            self._rooms.leave(connection, room)
            raise
        if not connection.open:
            return _refused("closed", "The connection has ended.", room)
        events, seq = self._fitting(past, after)
        if len(events) < len(past) or len(past) >= self._limits.history_events or held.overflowed:
            self._rooms.leave(connection, room)
            return Answer(True, room.name, seq, events, more=True)
        # No await from here to the answer: it is queued before the next event is.
        events += [_named(event) for event in held.events if event.seq == 0 or event.seq > seq]
        connection.has_up_to[room.id] = seq
        del connection.held_back[room.id]
        return Answer(True, room.name, seq, events)

    def _fitting(self, past: Sequence[Event], after: int) -> tuple[list[dict[str, Any]], int]:
        """As many as one packet should carry, at least one."""
        events: list[dict[str, Any]] = []
        seq, size = after, 0
        for event in past:
            named = _named(event)
            size += len(orjson.dumps(named, default=str))
            if events and size > self._limits.history_bytes:
                break
            events.append(named)
            seq = event.seq
        return events, seq


def _read(request: object) -> tuple[Room | Answer, int | None]:
    """The room and where to go on from, or the answer that says what is wrong with the request."""
    if not isinstance(request, dict):
        return _refused("invalid_request", 'Send an object such as {"room": "execution:…", "after": 0}.'), None
    name, after = request.get("room"), request.get("after")
    room = room_named(name)
    if room is None:
        shown = repr(name)[:100]
        return (
            _refused("forbidden", f"There is no room {shown}: join dashboard, pipeline:ID or execution:ID."),
            None,
        )
    if after is not None and (type(after) is not int or not 0 <= after <= LARGEST_SEQ):
        return _refused(
            "invalid_request", f"after is {after!r:.50}: send the last seq you have, 0 for all.", room
        ), None
    return room, after


def _refused(code: str, error: str, room: Room | None = None) -> Answer:
    return Answer(False, room.name if room else None, error=error, code=code)


def _named(event: Event) -> dict[str, Any]:
    """As it is emitted, with its name, which the emitted one carries outside."""
    return {"type": event.type.value, **payload_of(event)}
