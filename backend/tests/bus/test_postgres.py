"""What the bus of several servers does by itself: with a wire that ends in the same process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from flexiroaster.bus import postgres
from flexiroaster.bus.postgres import PostgresBus
from flexiroaster.engine.events import Event, EventType

PATIENCE = 30.0


class Wire:
    """Notes what is told, and lets a test say what others tell."""

    def __init__(self) -> None:
        self.others = True
        self.told: list[tuple[str, list[Any]]] = []
        self._ears: dict[str, Callable[[list[Any]], None]] = {}

    def tell(self, kind: str, items: Sequence[Any] = ()) -> None:
        self.told.append((kind, list(items)))

    def hear(self, kind: str, callback: Callable[[list[Any]], None]) -> None:
        self._ears[kind] = callback

    def others_tell(self, kind: str, *items: Any) -> None:
        self._ears[kind](list(items))


class Kept:
    """Events of one execution as the database has them, and what was read of them."""

    def __init__(self) -> None:
        self.read: list[tuple[str, int, int, int]] = []
        self.fails = 0

    def __call__(self, wanted: Sequence[tuple[str, int, int, int]], since: datetime) -> list[Event]:
        if self.fails:
            self.fails -= 1
            raise ConnectionError("the database is away")
        self.read += wanted
        return [event(seq, id) for id, first, _, last in wanted for seq in range(first, last + 1)]


def event(seq: int, execution: str = "e1") -> Event:
    return Event(EventType.STAGE_STARTED, execution, "p1", seq, datetime.now(UTC), "load", 0)


class Bench:
    def __init__(self) -> None:
        self.wire = Wire()
        self.kept = Kept()
        self.bus = PostgresBus(self.wire, self.kept, lambda wanted: [])
        self.heard: list[int] = []
        self._changed = threading.Condition()

    def __enter__(self) -> Bench:
        self.bus.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bus.stop()

    def hear(self, events: Sequence[Event]) -> None:
        with self._changed:
            self.heard += [event.seq for event in events]
            self._changed.notify_all()

    def wait(self, expected: list[int]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.heard) >= len(expected), PATIENCE), self.heard
            assert self.heard == expected


def test_nothing_is_told_while_there_are_no_others() -> None:
    with Bench() as bench:
        bench.wire.others = False
        bench.bus.subscribe(bench.hear)
        bench.bus.publish([event(1), event(2)])
        assert (bench.heard, bench.wire.told) == ([1, 2], [])


def test_others_are_told_numbers_only() -> None:
    with Bench() as bench:
        bench.bus.publish([event(1), event(2), event(1, "e2")])
        assert bench.wire.told == [("events", [["e1", 1, 2], ["e2", 1, 1]])]


def test_what_nobody_here_wants_to_hear_is_not_read() -> None:
    with Bench() as bench:
        wanted = threading.Event()
        bench.bus.subscribe(bench.hear, wanted=wanted.is_set)
        bench.wire.others_tell("events", ["e1", 1, 1])
        wanted.set()
        bench.wire.others_tell("events", ["e2", 1, 1])
        bench.wait([1])
        assert bench.kept.read == [("e2", 1, 1, 1)]


def test_message_that_was_lost_is_made_good_by_the_next() -> None:
    with Bench() as bench:
        bench.bus.subscribe(bench.hear)
        bench.wire.others_tell("events", ["e1", 1, 1])
        bench.wait([1])
        bench.wire.others_tell("events", ["e1", 4, 5])
        bench.wait([1, 2, 3, 4, 5])


def test_own_event_waits_for_those_of_others_before_it() -> None:
    with Bench() as bench:
        bench.bus.subscribe(bench.hear)
        bench.bus.publish([event(1)])
        bench.bus.publish([event(4)])
        bench.wait([1, 2, 3, 4])
        bench.wire.others_tell("events", ["e1", 2, 3])
        bench.bus.publish([event(5)])
        bench.wait([1, 2, 3, 4, 5])


def test_doubled_message_is_heard_once() -> None:
    with Bench() as bench:
        bench.bus.subscribe(bench.hear)
        for _ in range(3):
            bench.wire.others_tell("events", ["e1", 1, 2])
        bench.wire.others_tell("events", ["e1", 3, 3])
        bench.wait([1, 2, 3])


def test_what_could_not_be_read_is_read_once_the_database_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "READ_AGAIN_SECONDS", 0.01)
    with Bench() as bench:
        bench.kept.fails = 3
        bench.bus.subscribe(bench.hear)
        bench.wire.others_tell("events", ["e1", 1, 2])
        bench.wait([1, 2])
        assert bench.kept.fails == 0


def test_listener_is_told_that_messages_were_lost() -> None:
    with Bench() as bench:
        missed: list[str] = []
        leave = bench.bus.subscribe(bench.hear, missed=lambda: missed.append("here"))
        bench.bus.subscribe(bench.hear)
        bench.wire.others_tell("gap")
        bench.wire.others_tell("trouble")
        leave()
        bench.wire.others_tell("gap")
        assert missed == ["here", "here"]


def test_what_it_is_told_of_is_read_whenever_it_happened_and_what_was_before_if_it_is_recent() -> None:
    """A commit may wait for seconds after its events were decided."""
    with Bench() as bench:
        bench.bus.subscribe(bench.hear)
        bench.wire.others_tell("events", ["e1", 5, 6])
        bench.wait([1, 2, 3, 4, 5, 6])
        bench.wire.others_tell("events", ["e1", 9, 9])
        bench.wait([1, 2, 3, 4, 5, 6, 7, 8, 9])
        bench.bus.publish([event(3, "e2")])
        bench.wait([*range(1, 10), 1, 2, 3])
        assert bench.kept.read == [("e1", 1, 5, 6), ("e1", 7, 7, 9), ("e2", 1, 3, 3)]
