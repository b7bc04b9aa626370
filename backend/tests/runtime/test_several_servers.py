"""Two servers on one PostgreSQL database: they share the work, and see and undo what the other does."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import sqlalchemy as sa

from flexiroaster.engine.errors import ConfigurationError, Conflict
from flexiroaster.engine.runs import Key
from flexiroaster.runtime.attempt import Attempt
from flexiroaster.runtime.embedded import Seat
from flexiroaster.services.hints import Hints
from flexiroaster.stages.base import StageContext
from flexiroaster.store import workers
from flexiroaster.store.database import Database
from flexiroaster.store.tables import attempts, stage_runs
from flexiroaster.store.tables import workers as worker_rows
from tests.runtime.engine import PATIENCE, Gate, TestEngine
from tests.runtime.test_executions import act

LEASE = timedelta(seconds=2)
"""Where somebody dies; elsewhere it is the usual one, which a busy machine does not miss."""


class Servers:
    """As many engines on one database as a test starts, each with connections of its own."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._folder = folder
        self._stack = ExitStack()

    def __enter__(self) -> Servers:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def database(self) -> Database:
        database = Database.open(self._url)
        self._stack.callback(database.close)
        return database

    def new(self, name: str, **options: Any) -> TestEngine:
        """Not started."""
        return TestEngine(self.database(), self._folder, name=name, **options)

    def start(self, name: str, **options: Any) -> TestEngine:
        engine = self.new(name, **options)
        engine.embedded.start()
        self._stack.callback(engine.embedded.stop, grace_seconds=0)
        return engine

    def two(self, **options: Any) -> tuple[TestEngine, TestEngine]:
        """They know of each other."""
        first, second = self.start("first", **options), self.start("second", **options)
        until(lambda: first.embedded.has_others and second.embedded.has_others)
        return first, second


@pytest.fixture
def servers(postgres_url: str, tmp_path: Path) -> Iterator[Servers]:
    with Servers(postgres_url, tmp_path) as found:
        yield found


def until(condition: Callable[[], bool]) -> None:
    """What a server knows of others is told by nothing but asking it."""
    end = datetime.now(UTC) + timedelta(seconds=PATIENCE)
    while not condition():
        assert datetime.now(UTC) < end


def name_of(context: StageContext) -> str:
    """Of the server that a stage runs on."""
    return cast("Attempt", context)._world.scratch_root.name


def ended(engine: TestEngine, execution: str) -> Callable[[], bool]:
    return lambda: engine.row(execution)["ended_at"] is not None


class Meeting:
    """A stage's doing that goes on once it runs on two servers."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._met = threading.Event()

    def __call__(self, context: StageContext) -> None:
        self.names.append(name_of(context))
        if len(set(self.names)) > 1:
            self._met.set()
        assert self._met.wait(PATIENCE)


def test_two_servers_share_200_executions(servers: Servers) -> None:
    first, _ = servers.two()
    meeting = Meeting()
    pipeline = first.add({"a": act(first.act(meeting)), "b": ["a"], "c": act(first.act(meeting), needs=["b"])})
    started = [first.executions.start(pipeline).execution_id for _ in range(200)]
    until(lambda: all(ended(first, execution)() for execution in started))
    for execution in started:
        assert first.row(execution)["status"] == "success"
        events = first.events(execution)
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        assert Counter(event["stage"] for event in events if event["type"] == "stage_completed") == Counter("abc")
        assert first.rows(attempts, execution) == []
    assert len(meeting.names) == 400, "a stage ran twice"
    assert set(meeting.names) == {"first", "second"}


def test_work_for_which_a_server_has_no_thread_goes_to_the_other(servers: Servers) -> None:
    first, _ = servers.two(concurrency=1)
    meeting = Meeting()
    execution = first.execute({"a": act(first.act(meeting)), "b": act(first.act(meeting))})
    assert first.wait_end(execution) == "success"
    assert sorted(meeting.names) == ["first", "second"]


def test_cancel_through_one_server_stops_what_runs_on_the_other(servers: Servers) -> None:
    first, second = servers.two()
    gate = Gate()
    execution = first.execute({"a": act(first.act(gate)), "b": ["a"]})
    gate.wait_entered()
    second.executions.cancel(execution)
    assert second.wait_end(execution) == "cancelled"
    assert first.stage(execution, "b")["status"] == "cancelled"
    assert gate.open.is_set(), "the stage was not told"


@pytest.mark.parametrize("way", ["told", "found"])
def test_stage_that_another_server_has_woken_is_taken_up(servers: Servers, way: str) -> None:
    """That it is ready again has no event: who knows the newest one may still take it to be waiting."""
    first, second = servers.new("first"), servers.new("second")
    for one in (first, second):
        assert one.embedded._notices is not None
        one.embedded._notices.others = True
    execution = first.execute({"a": {"type": "wait", "config": {"seconds": 0.05}}})
    first.record_by_hand(first.run_by_hand(first.claim_by_hand()))
    known = second.embedded.stage_runs._changes
    known.change(execution, lambda live, draft: None)
    assert first.stage(execution, "a")["status"] == "waiting"

    def woken() -> bool:
        first.embedded.stage_runs._changes.wake(execution, Key(0))
        return bool(first.stage(execution, "a")["status"] == "queued")

    until(woken)
    if way == "told":
        Hints(known, second.embedded.stage_runs).take(execution, [Key(0)])
    else:
        assert second.embedded._rescue.hand_out(9, timedelta(microseconds=1)) == [execution]
    second.work_by_hand()
    assert second.row(execution)["status"] == "success"


def test_one_stage_or_item_is_cancelled_through_another_server(servers: Servers) -> None:
    """One that runs, and one that waits in the store for its turn."""
    first, second = servers.two()
    gate = Gate()
    each = act(first.act(gate)) | {"foreach": {"items": [1, 2, 3], "max_parallel": 1, "on_error": "continue"}}
    execution = first.execute({"each": each, "b": {"needs": ["each"], "join": "all_done"}})
    gate.wait_entered()
    second.executions.cancel_stage(execution, "each", 3, "ada")
    second.executions.cancel_stage(execution, "each", actor="ada")
    assert second.wait_end(execution) == "cancelled"
    assert gate.open.is_set(), "the item was not told"
    assert first.stage(execution, "b")["status"] == "success"
    states = {row["idx"]: row["status"] for row in first.rows(stage_runs, execution) if row["idx"]}
    assert states == {1: "success", 2: "cancelled", 3: "cancelled"}  # the gate answers although it was told to stop


def test_cancel_arrives_though_its_message_is_lost(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = servers.two(lease=LEASE)
    monkeypatch.setattr(second.embedded._fleet, "stop", lambda work: None)
    gate = Gate()
    execution = first.execute({"a": act(first.act(gate))})
    gate.wait_entered()
    second.executions.cancel(execution)
    assert first.wait_end(execution) == "cancelled"


def test_decisions_are_made_by_what_the_other_server_has_done(servers: Servers) -> None:
    """Each has the execution in memory, and what it remembers is not what is."""
    first, second = servers.two()
    gate = Gate()
    execution = first.execute({"a": act(first.act(gate)), "b": ["a"]})
    gate.wait_entered()
    for _ in range(2):
        first.executions.pause(execution)
        assert second.row(execution)["status"] == "paused"
        second.executions.resume(execution)
        assert first.row(execution)["status"] == "running"
    gate.open.set()
    first.wait_end(execution)
    with pytest.raises(Conflict, match="already ended as success"):
        second.executions.cancel(execution)


def test_what_one_server_decides_about_many_it_has_in_memory_is_current(servers: Servers) -> None:
    first, second = servers.two()
    gate = Gate()
    execution = first.execute({"a": act(first.act(gate))})
    gate.wait_entered()
    second.executions.cancel(execution)
    second.wait_end(execution)
    first.wait_end(execution)
    second.executions.retry(execution)
    assert second.wait_end(execution, times=2) == "success"
    with pytest.raises(Conflict, match="success"):
        first.executions.retry(execution)


def test_every_server_hears_of_every_event_once_and_in_order(servers: Servers) -> None:
    first, second = servers.two()
    meeting = Meeting()

    def say(context: StageContext) -> None:
        context.log("info", f"on {name_of(context)}")
        meeting(context)

    stages = {f"s{n}": act(first.act(say)) for n in range(8)}
    execution = first.execute({**stages, "last": list(stages)})
    for engine in (first, second):
        engine.wait_end(execution)
        numbers = [event.seq for event in engine.seen if event.execution_id == execution and event.seq]
        assert numbers == list(range(1, len(first.events(execution)) + 1))

    def lines(engine: TestEngine) -> list[str]:
        return sorted(event.payload["message"] for event in engine.seen if event.type.value == "log")

    first.wait(lambda: sum(line.startswith("on ") for line in lines(first)) == 8)
    second.wait(lambda: sum(line.startswith("on ") for line in lines(second)) == 8)


def test_slot_that_one_server_frees_lets_in_what_the_other_has_parked(servers: Servers) -> None:
    first, second = servers.two()
    first.embedded.pools.set("cpu", 1)
    gate = Gate()
    holder = first.execute({"a": act(first.act(gate), pool="cpu")})
    gate.wait_entered()
    parked = second.execute({"b": act(second.act(lambda _: None), pool="cpu")})
    second.wait_for("stage_waiting", "b")
    assert second.stage(parked, "b")["reason"] == "waiting for pool cpu 1/1"
    released = datetime.now(UTC)
    gate.open.set()
    second.wait_end(parked)
    assert datetime.now(UTC) - released < timedelta(seconds=10), "it waited for its own look"
    first.wait_end(holder)


def test_child_that_ends_on_another_server_lets_its_parent_go_on(servers: Servers) -> None:
    first, _ = servers.two(concurrency=1)
    meeting = Meeting()
    child = first.add({"a": act(first.act(meeting)), "b": act(first.act(meeting))})
    config = {"pipeline": child}
    parent = first.execute({"call": {"type": "pipeline", "config": config}, "after": ["call"]})
    assert first.wait_end(parent) == "success"


def test_server_that_stops_leaves_its_work_to_the_other(servers: Servers) -> None:
    first = servers.new("first", concurrency=1)
    first.embedded.start()
    gate = Gate()
    execution = first.execute({"a": act(first.act(lambda c: gate(c) or 1 / 0)), "b": []})
    gate.wait_entered()
    second = servers.start("second")
    until(lambda: first.embedded.has_others)
    gate.result = "done"
    first.embedded.stop(grace_seconds=0)
    assert second.wait_end(execution) == "success"
    assert second.stage(execution, "a")["lost"] == 0


# Death


@contextmanager
def dying(engine: TestEngine) -> Iterator[None]:
    """It is not heard of from here on, though its threads go on: its machine is cut off, say. In the end it is back."""
    presence = engine.embedded.presence
    beat, tell = presence._beat, engine.embedded._notices.tell  # type: ignore[union-attr]
    presence._beat = lambda: None  # type: ignore[method-assign]
    engine.embedded._notices.tell = lambda *_: None  # type: ignore[method-assign, union-attr]
    yield
    presence._beat = beat  # type: ignore[method-assign]
    engine.embedded._notices.tell = tell  # type: ignore[method-assign, union-attr]
    presence.look_soon()


def test_work_of_a_dead_server_is_done_by_the_other_after_its_lease(servers: Servers) -> None:
    first, second = servers.two(lease=LEASE)
    gate = Gate("late")
    tries: list[str] = []

    def stuck(context: StageContext) -> Any:
        tries.append(name_of(context))
        return gate(context) if context.attempt == 1 else "second"

    execution = first.execute({"a": act(first.act(stuck)), "b": ["a"]})
    gate.wait_entered()
    with dying(first):
        assert second.wait_end(execution) == "success"
        assert tries == ["first", "second"]
        assert second.stage(execution, "a")["lost"] == 1
        before = second.events(execution)
    assert gate.open.wait(PATIENCE), "who has lost its lease must stop what it runs"
    until(lambda: first.embedded.worker.running == 0)
    assert second.events(execution) == before
    assert second.results(execution)[0] == "second"
    told = [line for line in second.messages(execution) if "restarted after the server stopped (attempt 2)" in line]
    assert len(told) == 1


def test_stage_of_a_living_server_is_never_taken_over(servers: Servers) -> None:
    """It runs for several leases."""
    first, _ = servers.two(lease=LEASE)
    gate = Gate()
    execution = first.execute({"a": act(first.act(gate))})
    gate.wait_entered()
    begun = datetime.now(UTC)
    until(lambda: datetime.now(UTC) - begun > 3 * LEASE)
    gate.open.set()
    assert first.wait_end(execution) == "success"
    assert first.stage(execution, "a")["attempt"] == 1


def test_stage_that_loses_its_worker_three_times_fails(servers: Servers) -> None:
    """Whoever takes it over."""
    engine = servers.start("rescuer", concurrency=0, lease=timedelta(minutes=10))
    execution = engine.execute({"a": act(engine.act(lambda _: None))})
    for _ in range(3):
        dead = servers.new("dead")  # it claims and is never heard of again
        dead.embedded._rescue.hand_out(10)
        (claimed,) = dead.claim_by_hand()
        assert claimed.execution_id == execution
        engine.embedded._rescue.take_over()
    assert engine.wait_end(execution) == "failed"
    assert engine.row(execution)["error"]["code"] == "worker_lost"
    assert engine.stage(execution, "a")["lost"] == 3


def test_two_rescuers_at_once_rescue_each_lease_once(servers: Servers) -> None:
    first, second = servers.two(concurrency=0)
    dead = servers.new("dead")
    pipeline = dead.add({"a": act(dead.act(lambda _: None)), "b": act(dead.act(lambda _: None))})
    started = [dead.executions.start(pipeline).execution_id for _ in range(30)]
    claimed = [one for _ in range(60) for one in dead.claim_by_hand()]
    assert len(claimed) == 60
    together = threading.Barrier(2)
    counts: list[int] = []

    def rescue(engine: TestEngine) -> None:
        together.wait()
        counts.append(engine.embedded._rescue.take_over())

    threads = [threading.Thread(target=rescue, args=(engine,)) for engine in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for execution in started:
        rows = first.rows(stage_runs, execution)
        assert [(row["status"], row["attempt"], row["lost"]) for row in rows] == [("queued", 1, 1)] * 2
        assert len(first.rows(attempts, execution)) == 2


def test_rescuer_goes_through_more_than_a_page(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flexiroaster.services.rescue.PAGE", 3)
    engine = servers.start("rescuer", concurrency=0, lease=timedelta(minutes=10))
    dead = servers.new("dead")
    pipeline = dead.add({"a": act(dead.act(lambda _: None))})
    for _ in range(10):
        dead.executions.start(pipeline)
    while dead.claim_by_hand():
        pass
    assert engine.embedded._rescue.take_over() == 10
    assert engine.embedded._rescue.take_over() == 0


def test_two_timers_wake_a_due_wait_once(servers: Servers) -> None:
    first, second = servers.two(concurrency=0)
    dead = servers.new("dead")
    execution = dead.execute({"a": {"type": "wait", "config": {"seconds": 0.01}}, "b": ["a"]})
    dead.record_by_hand(dead.run_by_hand(dead.claim_by_hand()))
    assert first.stage(execution, "a")["status"] == "waiting"
    until(lambda: first.stage(execution, "a")["due_at"] < datetime.now(UTC))
    together = threading.Barrier(2)

    def wake(engine: TestEngine) -> None:
        together.wait()
        engine.embedded.executions._changes.wake(execution, Key(0))

    threads = [threading.Thread(target=wake, args=(engine,)) for engine in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = servers.start("last", lease=LEASE)
    assert last.wait_end(execution) == "success"
    assert Counter(event["type"] for event in last.events(execution))["stage_completed"] == 2


def test_wait_of_a_dead_server_is_woken_by_another(servers: Servers) -> None:
    living = servers.start("living", lease=LEASE)
    dead = servers.new("dead")
    execution = dead.execute({"a": {"type": "wait", "config": {"seconds": 0.01}}, "b": ["a"]})
    dead.record_by_hand(dead.run_by_hand(dead.claim_by_hand()))
    assert living.wait_end(execution) == "success"


def test_work_that_only_a_dead_server_knew_of_is_found(servers: Servers) -> None:
    living = servers.start("living", lease=LEASE)
    dead = servers.new("dead")
    pipeline = dead.add({"a": [], "b": ["a"]})
    started = [dead.executions.start(pipeline) for _ in range(20)]
    for one in started:
        assert living.wait_end(one) == "success"


def test_items_that_only_a_dead_server_knew_of_are_found(servers: Servers) -> None:
    living = servers.start("living", lease=LEASE)
    dead = servers.new("dead")
    items = act(dead.act(lambda _: None), foreach={"items": list(range(40)), "max_parallel": 5})
    execution = dead.execute({"a": items, "b": ["a"]})
    dead.record_by_hand(dead.run_by_hand(dead.claim_by_hand()))
    assert living.wait_end(execution) == "success"
    states = Counter(row["status"] for row in living.rows(stage_runs, execution))
    assert states == {"success": 42}


def test_start_beside_a_living_server_takes_only_what_belongs_to_dead_ones(servers: Servers) -> None:
    first = servers.start("first")
    gate = Gate()
    running = first.execute({"a": act(first.act(gate))})
    gate.wait_entered()
    dead = servers.new("dead")
    lost = dead.execute({"a": act(dead.act(lambda _: None))})
    dead.claim_by_hand()
    second = servers.start("second")
    assert second.wait_end(lost) == "success"
    assert second.stage(running, "a")["attempt"] == 1
    assert second.stage(running, "a")["status"] == "running"
    gate.open.set()
    assert first.wait_end(running) == "success"


# Who is there


def test_each_server_has_a_row_until_it_stops(servers: Servers) -> None:
    first, second = servers.two()
    with first.database.read() as connection:
        rows = workers.all_workers(connection)
    assert [row.id for row in rows] == [first.embedded.presence.me.id, second.embedded.presence.me.id]
    assert all(row.kind == "server" and row.concurrency == 4 and row.version == "test" for row in rows)
    second.embedded.stop(grace_seconds=0)
    with first.database.read() as connection:
        assert [row.id for row in workers.all_workers(connection)] == [first.embedded.presence.me.id]
    until(lambda: not first.embedded.has_others)


def test_server_in_the_data_folder_of_a_killed_one_need_not_wait_for_its_lease(servers: Servers) -> None:
    """One process has a folder at a time, so who had it before is dead."""
    hour = timedelta(hours=1)
    killed = servers.new("killed")
    seat = Seat("test", folder="folder", lease=hour)
    object.__setattr__(killed.embedded.presence.me, "folder", seat.folder)
    with killed.database.engine.begin() as connection:
        workers.register(connection, killed.embedded.presence.me, hour)
    execution = killed.execute({"a": act(killed.act(lambda _: None))})
    killed.claim_by_hand()
    after = servers.new("after", lease=hour)
    object.__setattr__(after.embedded.presence.me, "folder", seat.folder)
    after.embedded.start()
    try:
        assert after.wait_end(execution) == "success"
    finally:
        after.embedded.stop(grace_seconds=0)


def test_server_that_differs_in_what_must_be_the_same_does_not_start(servers: Servers) -> None:
    one, other = servers.new("one"), servers.new("other")
    for engine, digest in ((one, "a"), (other, "b")):
        object.__setattr__(engine.embedded.presence.me, "shares", {"FLEXIROASTER_SECRET_KEY": digest})
    one.embedded.start()
    try:
        with pytest.raises(ConfigurationError, match="with another FLEXIROASTER_SECRET_KEY: give all servers"):
            other.embedded.start()
        with one.database.read() as connection:
            assert connection.scalar(sa.select(sa.func.count()).select_from(worker_rows)) == 1
    finally:
        one.embedded.stop(grace_seconds=0)


def test_server_is_told_through_the_database_to_take_no_more_work(servers: Servers) -> None:
    first, second = servers.two(lease=LEASE)
    asked = threading.Event()
    first.embedded.presence.on_stop_asked = asked.set
    with second.database.engine.begin() as connection:
        assert workers.stop(connection, first.embedded.presence.me.id, workers.now(connection))
    assert asked.wait(PATIENCE)


def test_lines_whose_write_was_committed_unheard_are_told_once(servers: Servers) -> None:
    engine = servers.new("one")
    execution = engine.execute({"a": [], "b": ["a"]})
    engine.work_by_hand()
    journal = engine.embedded.journal
    untold = list(journal._untold)
    journal.flush()
    before = engine.messages(execution)
    journal._being_written = untold  # as it is when the answer to the commit was lost
    journal.put_back()
    journal.flush()
    assert engine.messages(execution) == before
    assert len(before) == 4
