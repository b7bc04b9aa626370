"""The bus of several servers on one PostgreSQL database.

Its own listeners hear at once what this server publishes. The others are told numbers only, and read the events from
the database: messages between servers are short, and one that is lost is made good by the next. What is kept nowhere
(how far items are, what happened to a pipeline) travels whole.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import structlog

from flexiroaster.bus.local import LocalBus
from flexiroaster.bus.port import Listener, Missed, Unsubscribe, Wanted
from flexiroaster.engine.events import Event, EventType

log = structlog.get_logger(__name__)

UNDER_WAY = timedelta(seconds=10)
"""How long before it is told of an event may have happened, generously: a commit may have to wait."""
REMEMBERED = 20_000
"""Executions of which it is known up to which event they were told."""
READ_AGAIN_SECONDS = 1.0

ReadEvents = Callable[[Sequence[tuple[str, int, int, int]], datetime], list[Event]]
"""Execution, first number, that from which on all are wanted, last number → what is kept of these; of those before the
second one what has happened since a moment. Each execution's in the order of their numbers."""
ReadLines = Callable[[Sequence[tuple[str, datetime, datetime]]], list[Event]]
"""Execution, first and last moment → the log lines between."""


class Wire(Protocol):
    """What carries short messages to the other servers. `others`: whether there may be any."""

    others: bool

    def tell(self, kind: str, items: Sequence[Any] = ()) -> None: ...

    def hear(self, kind: str, callback: Callable[[list[Any]], None]) -> None: ...


class PostgresBus:
    """While there are no others it is a `LocalBus`."""

    def __init__(self, wire: Wire, read_events: ReadEvents, read_lines: ReadLines) -> None:
        self._wire = wire
        self._read_events = read_events
        self._read_lines = read_lines
        self._local = LocalBus()
        self._telling = threading.RLock()
        """Held while listeners are called: what they hear of an execution is in order."""
        self._heard: OrderedDict[str, int] = OrderedDict()
        self._lines_heard: OrderedDict[int, None] = OrderedDict()
        self._lock = threading.Lock()
        self._to_read: dict[str, tuple[int, int]] = {}
        self._lines_to_read: dict[str, tuple[datetime, datetime]] = {}
        self._whole: list[Event] = []
        self._something = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._wanted: list[Wanted] = []
        self._on_missed: list[Missed] = []
        self._since: datetime | None = None
        """Since when it keeps account of what its listeners have heard."""
        wire.hear("events", self._hear_events)
        wire.hear("lines", self._hear_lines)
        wire.hear("whole", self._hear_whole)
        for kind in ("gap", "trouble"):
            wire.hear(kind, self._hear_of_gap)

    def publish(self, events: Sequence[Event]) -> None:
        if not self._wire.others:
            self._forget()
            self._local.publish(events)
            return
        self._tell_others(events)
        if self._is_wanted():
            with self._telling:
                self._keep_account()
                self._local.publish([event for event in events if self._is_next(event)])
        else:
            self._forget()

    def subscribe(
        self, listener: Listener, *, wanted: Wanted | None = None, missed: Missed | None = None
    ) -> Unsubscribe:
        wants, on_missed = wanted or _always, missed or _nothing
        unsubscribe = self._local.subscribe(listener)
        with self._lock:
            self._wanted.append(wants)
            self._on_missed.append(on_missed)
        left = threading.Lock()

        def leave() -> None:
            unsubscribe()
            if left.acquire(blocking=False):
                with self._lock:
                    self._wanted.remove(wants)
                    self._on_missed.remove(on_missed)

        return leave

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop, name="bus", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._something.set()
        if self._thread is not None:
            self._thread.join()

    # What happens here, for the others

    def _tell_others(self, events: Sequence[Event]) -> None:
        numbers: dict[str, tuple[int, int]] = {}
        lines: dict[str, tuple[datetime, datetime]] = {}
        whole: list[list[Any]] = []
        for event in events:
            if event.seq:
                _widen(numbers, event.execution_id, event.seq, event.seq)
            elif event.type is EventType.LOG:
                _widen(lines, event.execution_id, event.at, event.at)
            else:  # kept nowhere
                whole.append(_as_items(event))
        if numbers:
            self._wire.tell("events", [[id, *span] for id, span in numbers.items()])
        if lines:
            self._wire.tell("lines", [[id, *(moment.isoformat() for moment in span)] for id, span in lines.items()])
        if whole:
            self._wire.tell("whole", whole)

    def _is_next(self, event: Event) -> bool:
        """Whether it may be told now. When another server's come before it, it is read again with those."""
        if not event.seq:
            return event.type is not EventType.LOG or self._is_new_line(event)
        if event.seq > self._heard.get(event.execution_id, 0) + 1:
            self._read_soon(event.execution_id, event.seq, event.seq)
            return False
        return self._is_news(event)

    def _is_news(self, event: Event) -> bool:
        if event.seq <= self._heard.get(event.execution_id, 0):
            return False
        self._heard[event.execution_id] = event.seq
        self._heard.move_to_end(event.execution_id)
        if len(self._heard) > REMEMBERED:
            self._heard.popitem(last=False)
        return True

    # What happens elsewhere, for those who listen here

    def _hear_events(self, items: list[Any]) -> None:
        if not self._is_wanted():
            self._forget()
            return
        with self._telling:
            self._keep_account()
        for execution_id, first, last in items:
            self._read_soon(execution_id, first, last)

    def _hear_lines(self, items: list[Any]) -> None:
        if not self._is_wanted():
            return
        with self._lock:
            for execution_id, first, last in items:
                span = datetime.fromisoformat(first), datetime.fromisoformat(last)
                _widen(self._lines_to_read, execution_id, *span)
        self._something.set()

    def _hear_whole(self, items: list[Any]) -> None:
        if not self._is_wanted():
            return
        with self._lock:
            self._whole += [_from_items(item) for item in items]
        self._something.set()

    def _hear_of_gap(self, _items: list[Any]) -> None:
        for missed in tuple(self._on_missed):
            try:
                missed()
            except Exception:
                log.exception("bus.listener_failed", listener=repr(missed))

    def _read_soon(self, execution_id: str, first: int, last: int) -> None:
        with self._lock:
            _widen(self._to_read, execution_id, first, last)
        self._something.set()

    def _loop(self) -> None:
        while not self._stopping.is_set():
            self._something.wait()
            self._something.clear()  # before they are taken: what comes from now on sets it again
            with self._lock:
                numbers, self._to_read = self._to_read, {}
                lines, self._lines_to_read = self._lines_to_read, {}
                whole, self._whole = self._whole, []
            try:
                self._read(numbers, lines, whole)
            except Exception as failure:  # the database is away
                log.warning("bus.read_failed", error=type(failure).__name__, next_try_seconds=READ_AGAIN_SECONDS)
                self._put_back(numbers, lines, whole)
                self._stopping.wait(READ_AGAIN_SECONDS)

    def _put_back(
        self, numbers: dict[str, tuple[int, int]], lines: dict[str, tuple[datetime, datetime]], whole: list[Event]
    ) -> None:
        with self._lock:
            for id, span in numbers.items():
                _widen(self._to_read, id, *span)
            for id, times in lines.items():
                _widen(self._lines_to_read, id, *times)
            self._whole = [*whole, *self._whole]
        self._something.set()

    def _read(
        self, numbers: dict[str, tuple[int, int]], lines: dict[str, tuple[datetime, datetime]], whole: list[Event]
    ) -> None:
        # From where the listeners were told: so that one server's events come after those of another that it has not
        # heard of yet, and a message that was lost is made good.
        wanted = [self._wanted_of(id, *span) for id, span in numbers.items()]
        since = self._since or datetime.now(UTC)
        found = self._read_events(wanted, since) if wanted else []
        spans = [(id, first, last) for id, (first, last) in lines.items()]
        told = self._read_lines(spans) if spans else []
        with self._telling:
            self._local.publish([*filter(self._is_news, found), *whole, *filter(self._is_new_line, told)])

    def _wanted_of(self, id: str, told: int, last: int) -> tuple[str, int, int, int]:
        known = self._heard.get(id)
        return (id, 1, told, last) if known is None else (id, known + 1, known + 1, last)

    def _is_new_line(self, line: Event) -> bool:
        """Spans of time overlap."""
        name = hash((line.execution_id, line.at, line.stage, line.index, line.payload.get("message")))
        if name in self._lines_heard:
            return False
        self._lines_heard[name] = None
        if len(self._lines_heard) > REMEMBERED:
            self._lines_heard.popitem(last=False)
        return True

    def _is_wanted(self) -> bool:
        return any(wants() for wants in tuple(self._wanted))

    def _keep_account(self) -> None:
        if self._since is None:
            self._since = datetime.now(UTC) - UNDER_WAY

    def _forget(self) -> None:
        """Nobody listens, or there is nobody else: who comes begins with what happens then."""
        if self._since is not None:
            with self._telling:
                self._since = None
                self._heard.clear()


def _always() -> bool:
    return True


def _nothing() -> None:
    pass


def _widen(spans: dict[str, tuple[Any, Any]], id: str, first: Any, last: Any) -> None:
    known = spans.get(id)
    spans[id] = (first, last) if known is None else (min(known[0], first), max(known[1], last))


def _as_items(event: Event) -> list[Any]:
    return [
        event.type.value,
        event.execution_id,
        event.pipeline_id,
        event.at.isoformat(),
        event.stage,
        event.index,
        event.payload,
    ]


def _from_items(item: list[Any]) -> Event:
    type, execution_id, pipeline_id, at, stage, index, payload = item
    return Event(EventType(type), execution_id, pipeline_id, 0, datetime.fromisoformat(at), stage, index, payload)
