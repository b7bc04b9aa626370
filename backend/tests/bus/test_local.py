from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime

from flexiroaster.bus.local import LocalBus
from flexiroaster.bus.port import Bus
from flexiroaster.engine.events import Event, EventType


def event(seq: int) -> Event:
    return Event(EventType.STAGE_STARTED, "e1", "p1", seq, datetime(2026, 1, 1, tzinfo=UTC), "load", 0)


def test_every_listener_gets_the_events_in_order() -> None:
    bus: Bus = LocalBus()
    first: list[Event] = []
    second: list[Event] = []
    bus.subscribe(first.extend)
    bus.subscribe(second.extend)
    bus.publish([event(1), event(2)])
    bus.publish([event(3)])
    assert [e.seq for e in first] == [e.seq for e in second] == [1, 2, 3]


def test_a_failing_listener_hurts_neither_publisher_nor_neighbours() -> None:
    bus = LocalBus()
    seen: list[Event] = []

    def fails(events: Sequence[Event]) -> None:
        raise RuntimeError("boom")

    bus.subscribe(fails)
    bus.subscribe(seen.extend)
    bus.publish([event(1)])
    assert [e.seq for e in seen] == [1]


def test_unsubscribing_removes_one_subscription_and_may_be_repeated() -> None:
    bus = LocalBus()
    seen: list[Event] = []
    stop = bus.subscribe(seen.extend)
    bus.subscribe(seen.extend)
    stop()
    stop()
    bus.publish([event(1)])
    assert len(seen) == 1


def test_threads_may_publish_and_subscribe_at_once() -> None:
    bus = LocalBus()
    seen: list[Event] = []
    bus.subscribe(seen.extend)

    def publish() -> None:
        for seq in range(500):
            bus.publish([event(seq)])

    def churn() -> None:
        for _ in range(500):
            bus.subscribe(lambda events: None)()

    threads = [threading.Thread(target=work) for work in (publish, publish, churn, churn)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 1000
