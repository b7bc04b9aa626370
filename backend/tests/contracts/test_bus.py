"""What every bus keeps: in one process, and between two servers of a PostgreSQL database, with Redis and without."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from flexiroaster.bus.local import LocalBus
from flexiroaster.bus.port import Bus
from flexiroaster.composition import make_bus
from flexiroaster.engine.events import Event, EventType, of_pipeline
from flexiroaster.several_servers import link_of
from flexiroaster.store import progress
from flexiroaster.store.database import Database
from flexiroaster.store.progress import LogEntry
from flexiroaster.store.tables import events, executions, pipeline_versions, pipelines

PATIENCE = 30.0
NOW = datetime.now(UTC) + timedelta(days=1)


class Ear:
    """A listener of which a test waits for what it hears."""

    def __init__(self, bus: Bus, *, is_for_hello: bool = False) -> None:
        self._is_for_hello = is_for_hello
        self.heard: list[Event] = []
        self._changed = threading.Condition()
        self.leave = bus.subscribe(self._hear)

    def _hear(self, told: Sequence[Event]) -> None:
        with self._changed:
            self.heard.extend(one for one in told if one.pipeline_id != "hello" or self._is_for_hello)
            self._changed.notify_all()

    def wait(self, count: int) -> list[Event]:
        """Until it has heard so many."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.heard) >= count, PATIENCE), self.heard
            return list(self.heard)


@dataclass
class Pair:
    """What is published on one is heard on the other, which may be the same."""

    here: Bus
    there: Bus
    keep: Callable[[Sequence[Event]], None]
    """Commit events before they are published."""

    def publish(self, *told: Event, on: Bus | None = None) -> None:
        self.keep([event for event in told if event.seq])
        (on or self.here).publish(told)


def event(seq: int, execution: str = "e1") -> Event:
    return Event(EventType.STAGE_STARTED, execution, "p1", seq, NOW + timedelta(seconds=seq), "load", 0, {"n": seq})


TWO = ["postgresql, two servers", "redis, two servers"]


@pytest.fixture(params=["local", "postgresql, one server", *TWO])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    if request.param == "local":
        bus = LocalBus()
        yield Pair(bus, bus, lambda told: None)
        return
    url = request.getfixturevalue("postgres_url")
    databases = [Database.open(url) for _ in range(1 + ("two" in request.param))]
    prepare(databases[0])
    redis_url = request.getfixturevalue("redis_server").url if "redis" in request.param else None
    links = [link_of(redis_url, url, "secret") if redis_url else None for _ in databases]
    made = [make_bus(database, link) for database, link in zip(databases, links, strict=True)]
    for bus, notices in made:
        assert notices is not None
        notices.others, notices.expected = len(databases) > 1, len(databases) - 1
        notices.start()
        bus.start()
    if len(databases) > 1:
        connect(made[0][0], made[-1][0])
    yield Pair(made[0][0], made[-1][0], lambda told: insert(databases[0], told))
    for bus, notices in made:
        assert notices is not None
        notices.stop()
        bus.stop()
        bus.stop()
    for database in databases:
        database.close()


def prepare(database: Database) -> None:
    pipeline = {"id": "p1", "name": "P", "labels": {}, "version": 1, "created_at": NOW, "updated_at": NOW}
    version = {"pipeline_id": "p1", "version": 1, "document": {}, "source": "", "source_format": "json"}
    with database.engine.begin() as connection:
        connection.execute(pipelines.insert().values(**pipeline))
        connection.execute(pipeline_versions.insert().values(**version, digest="", created_at=NOW, published_at=NOW))
        for number, id in enumerate(("e1", "e2"), 1):
            times = {"logical_date": NOW, "created_at": NOW}
            connection.execute(
                executions.insert().values(
                    id=id, pipeline_id="p1", version=1, number=number, status="running", trigger="manual", inputs={},
                    stages_total=1, **times,
                )
            )  # fmt: skip


def insert(database: Database, told: Sequence[Event]) -> None:
    rows = [
        {"execution_id": one.execution_id, "seq": one.seq, "at": one.at, "type": one.type.value, "stage": one.stage,
         "idx": one.index, "payload": one.payload}
        for one in told
    ]  # fmt: skip
    if rows:
        with database.engine.begin() as connection:
            connection.execute(events.insert(), rows)


def connect(here: Bus, there: Bus) -> None:
    """A listener takes a moment to connect: what was told before, it does not hear."""
    buses = {"here": here, "there": there}
    ears = {name: Ear(bus, is_for_hello=True) for name, bus in buses.items()}
    end = datetime.now(UTC) + timedelta(seconds=PATIENCE)
    while any({hello.payload["by"] for hello in ear.heard} != set(buses) for ear in ears.values()):
        for name, bus in buses.items():  # who says it hears it too
            bus.publish([of_pipeline(EventType.PIPELINE_UPDATED, "hello", NOW, by=name)])
        assert datetime.now(UTC) < end
        threading.Event().wait(0.02)
    for ear in ears.values():
        ear.leave()


def test_every_listener_hears_all_events_in_order(pair: Pair) -> None:
    first, second = Ear(pair.there), Ear(pair.there)
    pair.publish(event(1), event(2))
    pair.publish(event(3))
    for ear in (first, second):
        assert ear.wait(3) == [event(1), event(2), event(3)]


def test_events_of_several_executions_keep_their_order(pair: Pair) -> None:
    ear = Ear(pair.there)
    for seq in range(1, 51):
        pair.publish(event(seq), event(seq, "e2"))
    heard = ear.wait(100)
    for execution in ("e1", "e2"):
        assert [one.seq for one in heard if one.execution_id == execution] == list(range(1, 51))


def test_who_publishes_hears_it_too(pair: Pair) -> None:
    ear = Ear(pair.here)
    pair.publish(event(1))
    assert ear.wait(1) == [event(1)]


def test_what_both_publish_of_an_execution_is_heard_once_and_in_order(pair: Pair) -> None:
    ears = Ear(pair.here), Ear(pair.there)
    for seq in range(1, 101):
        pair.publish(event(seq), on=(pair.here, pair.there)[seq % 2])
    for ear in ears:
        assert [one.seq for one in ear.wait(100)] == list(range(1, 101))


def test_progress_and_what_happens_to_a_pipeline_is_heard_though_it_is_kept_nowhere(pair: Pair) -> None:
    ear = Ear(pair.there)
    counts = {"items": {"total": 3, "success": 1}, "through": 7}
    progress_event = Event(EventType.STAGE_PROGRESS, "e1", "p1", 0, NOW, "load", 0, counts)
    paused = of_pipeline(EventType.PIPELINE_PAUSED, "p1", NOW, by="Zoë")
    pair.publish(progress_event)
    pair.publish(paused)
    assert ear.wait(2) == [progress_event, paused]


def test_failing_listener_hurts_neither_publisher_nor_neighbours(pair: Pair) -> None:
    def fails(told: Sequence[Event]) -> None:
        raise RuntimeError("boom")

    pair.there.subscribe(fails)
    ear = Ear(pair.there)
    pair.publish(event(1))
    pair.publish(event(2))
    assert [one.seq for one in ear.wait(2)] == [1, 2]


def test_who_has_left_hears_no_more_and_may_leave_again(pair: Pair) -> None:
    gone, ear = Ear(pair.there), Ear(pair.there)
    gone.leave()
    gone.leave()
    pair.publish(event(1))
    ear.wait(1)
    assert gone.heard == []


def test_who_comes_later_begins_with_what_happens_then(pair: Pair) -> None:
    before = Ear(pair.there)
    pair.publish(event(1))
    before.wait(1)
    before.leave()
    pair.publish(event(2))
    ear = Ear(pair.there)
    pair.publish(event(3))
    last = ear.wait(1)
    while last[-1] != event(3):
        last = ear.wait(len(last) + 1)
    assert event(1) not in last


def test_threads_may_publish_and_subscribe_at_once(pair: Pair) -> None:
    ear = Ear(pair.there)
    pair.keep([event(seq, execution) for execution in ("e1", "e2") for seq in range(1, 201)])

    def publish(execution: str) -> None:
        for seq in range(1, 201):
            pair.here.publish([event(seq, execution)])

    def churn() -> None:
        for _ in range(200):
            pair.there.subscribe(lambda told: None)()

    threads = [threading.Thread(target=publish, args=(execution,)) for execution in ("e1", "e2")]
    threads += [threading.Thread(target=churn) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ear.wait(400)) == 400


@pytest.mark.parametrize("pair", TWO, indirect=True)
def test_log_lines_are_read_by_who_hears_of_them(pair: Pair, postgres_url: str) -> None:
    ear = Ear(pair.there)
    lines = [LogEntry(NOW + timedelta(seconds=n), "info", f"line {n}", "p1", "e1", "load", 0, 1) for n in range(3)]
    database = Database.open(postgres_url)
    database.write(lambda tx: progress.insert_logs(tx, lines))
    database.close()
    told = [
        Event(
            EventType.LOG, "e1", "p1", 0, line.at, "load", 0, {"level": "info", "message": line.message, "attempt": 1}
        )
        for line in lines
    ]
    pair.publish(*told[:2])
    pair.publish(*told[1:])
    assert ear.wait(3) == told


@pytest.mark.parametrize("pair", TWO, indirect=True)
def test_more_than_fits_into_a_message_arrives(pair: Pair) -> None:
    ear = Ear(pair.there)
    pair.publish(*(of_pipeline(EventType.PIPELINE_UPDATED, f"p{n}", NOW, by="x" * 200) for n in range(500)))
    assert [one.pipeline_id for one in ear.wait(500)] == [f"p{n}" for n in range(500)]


@pytest.mark.parametrize("pair", TWO, indirect=True)
def test_events_come_by_their_numbers_however_long_ago_they_were_decided(pair: Pair) -> None:
    ear = Ear(pair.there)
    past = datetime.now(UTC) - timedelta(hours=1)
    decided = [replace(event(1), at=past), event(2), replace(event(3), at=past), event(4)]
    pair.keep(decided)
    pair.here.publish(decided[:2])
    ear.wait(2)
    pair.here.publish(decided[2:])
    assert ear.wait(4) == decided
