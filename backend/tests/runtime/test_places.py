"""`concurrency` and paused pipelines, on real databases."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from flexiroaster.engine.errors import Conflict, NotFound, StageFailed
from flexiroaster.services.starting import Started
from flexiroaster.stages.base import StageContext
from flexiroaster.store.database import Database
from flexiroaster.store.tables import executions, logs
from tests.runtime.engine import PATIENCE, Gate, TestEngine, running


def gated(engine: TestEngine, gate: Gate, **concurrency: Any) -> str:
    """A pipeline of one stage that runs until its gate opens."""
    return engine.add(
        {"a": {"type": "act", "needs": [], "config": engine.act(gate)}}, concurrency={"limit": 1, **concurrency}
    )


def state(engine: TestEngine, started: Started) -> tuple[str, str | None]:
    row = engine.row(started.execution_id)
    return row["status"], row["reason"]


def test_one_more_waits_and_begins_when_a_place_is_free(engine: TestEngine) -> None:
    gate = Gate()
    pipeline = gated(engine, gate)
    first, second = engine.executions.start(pipeline), engine.executions.start(pipeline)
    gate.wait_entered()
    assert state(engine, second) == ("queued", "waiting for a place: 1/1 run")
    assert engine.stage(second.execution_id, "a")["status"] == "pending"
    gate.open.set()
    assert engine.wait_end(first) == "success"
    assert engine.wait_end(second) == "success"
    assert engine.row(second.execution_id)["started_at"] >= engine.row(first.execution_id)["ended_at"]
    assert [row["type"] for row in engine.events(second.execution_id)][:3] == [
        "execution_queued",
        "execution_admitted",
        "execution_started",
    ]


def test_each_key_has_places_of_its_own(engine: TestEngine) -> None:
    gate = Gate()
    pipeline = engine.add(
        {"a": {"type": "act", "needs": [], "config": engine.act(gate)}},
        inputs={"region": {"type": "string"}},
        concurrency={"limit": 1, "key": "${{ inputs.region }}"},
    )
    started = [engine.executions.start(pipeline, inputs={"region": region}) for region in ("eu", "us", "eu")]
    gate.wait_entered()
    gate.wait_entered()
    assert state(engine, started[2]) == ("queued", "waiting for a place: 1/1 run for eu")
    gate.open.set()
    assert [engine.wait_end(one) for one in started] == ["success"] * 3


def test_highest_priority_is_admitted_first_then_the_oldest(engine: TestEngine) -> None:
    gate = Gate()
    pipeline = gated(engine, gate)
    started = [engine.executions.start(pipeline, priority=priority) for priority in (0, 0, 5, 0)]
    gate.open.set()
    for one in started:
        engine.wait_end(one)
    begun = [event.payload["number"] for event in engine.seen if event.type.value == "execution_started"]
    assert begun == [1, 3, 2, 4]


def test_more_than_max_queued_are_refused(engine: TestEngine) -> None:
    gate = Gate()
    pipeline = gated(engine, gate, max_queued=1)
    started = [engine.executions.start(pipeline) for _ in range(2)]
    with pytest.raises(Conflict, match=r"1 execution waits already, and concurrency\.max_queued is 1") as refused:
        engine.executions.start(pipeline)
    assert refused.value.code == "queue_full"
    gate.open.set()
    assert [engine.wait_end(one) for one in started] == ["success"] * 2
    with engine.database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(executions)) == 2


def test_skip_keeps_one_that_did_not_run(engine: TestEngine) -> None:
    gate = Gate()
    pipeline = gated(engine, gate, when_full="skip")
    first, second = engine.executions.start(pipeline), engine.executions.start(pipeline)
    assert engine.wait_end(second) == "cancelled"
    assert state(engine, second)[1] == "not run: 1/1 run, and concurrency.when_full is skip"
    assert engine.stage(second.execution_id, "a")["status"] == "cancelled"
    gate.open.set()
    assert engine.wait_end(first) == "success"
    assert engine.wait_end(engine.executions.start(pipeline)) == "success"


def test_fail_keeps_one_that_failed(engine: TestEngine) -> None:
    gate = Gate()
    pipeline = gated(engine, gate, when_full="fail")
    first, second = engine.executions.start(pipeline), engine.executions.start(pipeline)
    assert engine.wait_end(second) == "failed"
    assert engine.row(second.execution_id)["error"]["code"] == "concurrency_full"
    gate.open.set()
    assert engine.wait_end(first) == "success"


def test_cancel_oldest_lets_only_the_newest_go_on(engine: TestEngine) -> None:
    begun, let = threading.Event(), threading.Event()

    def hold(context: StageContext) -> None:
        """Though it is told to stop: the second must not get its place before the third has come."""
        begun.set()
        assert let.wait(PATIENCE)
        if context.cancelled.is_set():
            raise StageFailed("interrupted")

    pipeline = engine.add(
        {"a": {"type": "act", "needs": [], "config": engine.act(hold)}},
        concurrency={"limit": 1, "when_full": "cancel_oldest"},
    )
    first = engine.executions.start(pipeline)
    assert begun.wait(PATIENCE)
    second, third = engine.executions.start(pipeline), engine.executions.start(pipeline)
    assert engine.wait_end(second) == "cancelled"
    let.set()
    assert engine.wait_end(first) == "cancelled"
    assert state(engine, first)[1] == "cancelled because #2 takes its place"
    assert state(engine, second)[1] == "cancelled because #3 takes its place"
    assert engine.wait_end(third) == "success"


def test_starting_from_many_threads_never_exceeds_the_limit(engine: TestEngine) -> None:
    most, now, lock = 0, 0, threading.Lock()

    def count(_: StageContext) -> None:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        with lock:
            now -= 1

    pipeline = engine.add({"a": {"type": "act", "needs": [], "config": engine.act(count)}}, concurrency={"limit": 2})
    with ThreadPoolExecutor(8) as threads:
        started = list(threads.map(lambda _: engine.executions.start(pipeline), range(40)))
    assert {engine.wait_end(one) for one in started} == {"success"}
    assert most <= 2
    assert most_at_once([engine.row(one.execution_id) for one in started]) <= 2


def most_at_once(rows: list[Any]) -> int:
    """How many executions were under way at the same time, by their own records."""
    steps = sorted([(row["started_at"], 1) for row in rows] + [(row["ended_at"], -1) for row in rows])
    now = most = 0
    for _, step in steps:
        now += step
        most = max(most, now)
    return most


def test_a_cancelled_one_gives_its_turn_away(engine: TestEngine) -> None:
    gate = Gate()
    pipeline = gated(engine, gate)
    first, second, third = (engine.executions.start(pipeline) for _ in range(3))
    engine.executions.cancel(second.execution_id, "ada")
    assert engine.wait_end(second) == "cancelled"
    gate.open.set()
    assert [engine.wait_end(first), engine.wait_end(third)] == ["success", "success"]


def test_who_waits_longer_than_the_queue_timeout_is_timed_out(engine: TestEngine) -> None:
    gate = Gate()
    pipeline = engine.add(
        {"a": {"type": "act", "needs": [], "config": engine.act(gate)}}, concurrency={"limit": 1}, queue_timeout="20ms"
    )
    first, second = engine.executions.start(pipeline), engine.executions.start(pipeline)
    assert engine.wait_end(second) == "timed_out"
    row = engine.row(second.execution_id)
    assert row["error"]["message"] == ("Not run: its queue_timeout of 20ms passed while waiting for a place: 1/1 run.")
    gate.open.set()
    assert engine.wait_end(first) == "success"  # it had begun: the queue timeout is no longer its own


def test_a_retry_waits_for_a_place(engine: TestEngine) -> None:
    gate, fails = Gate(), [True]

    def act(context: StageContext) -> None:
        if fails.pop() if fails else False:
            raise StageFailed("broken")
        gate(context)

    pipeline = engine.add({"a": {"type": "act", "needs": [], "config": engine.act(act)}}, concurrency={"limit": 1})
    first = engine.executions.start(pipeline)
    assert engine.wait_end(first) == "failed"
    second = engine.executions.start(pipeline)
    gate.wait_entered()
    engine.executions.retry(first.execution_id)
    assert state(engine, first) == ("queued", "waiting for a place: 1/1 run")
    gate.open.set()
    assert engine.wait_end(second) == "success"
    assert engine.wait_end(first, times=2) == "success"
    row = engine.row(first.execution_id)
    assert (row["retries"], row["waiting_since"]) == (1, None)


# Paused pipelines


def test_a_paused_pipeline_begins_nothing_and_finishes_what_runs(engine: TestEngine) -> None:
    gate = Gate()
    pipeline = engine.add({"a": {"type": "act", "needs": [], "config": engine.act(gate)}, "b": ["a"]})
    first = engine.executions.start(pipeline)
    gate.wait_entered()
    engine.embedded.admission.pause(pipeline, "ada")
    engine.embedded.admission.pause(pipeline, "ada")  # again: no harm
    second, third = engine.executions.start(pipeline), engine.executions.start(pipeline, priority=1)
    gate.open.set()
    assert engine.wait_end(first) == "success"
    assert state(engine, second) == ("queued", "the pipeline is paused")
    assert engine.embedded.admission.resume(pipeline, "ada") == 2
    assert [engine.wait_end(second), engine.wait_end(third)] == ["success", "success"]
    begun = [event.payload["number"] for event in engine.seen if event.type.value == "execution_admitted"]
    assert begun == [3, 2]
    with engine.database.read() as connection:
        told = list(connection.scalars(sa.select(logs.c.message).where(logs.c.execution_id.is_(None))))
    assert told == ["pipeline paused by ada", "pipeline resumed by ada"]
    announced = [(event.type.value, event.payload["enabled"]) for event in engine.seen if not event.execution_id]
    assert announced == [("pipeline_paused", False), ("pipeline_resumed", True)]


def test_resuming_admits_no_more_than_there_are_places(engine: TestEngine) -> None:
    gate = Gate()
    pipeline = gated(engine, gate)
    engine.embedded.admission.pause(pipeline)
    started = [engine.executions.start(pipeline) for _ in range(3)]
    assert engine.embedded.admission.resume(pipeline) == 1
    gate.wait_entered()
    assert state(engine, started[1])[0] == "queued"
    gate.open.set()
    assert [engine.wait_end(one) for one in started] == ["success"] * 3


def test_who_waits_says_so_of_a_pause_while_it_lasts_and_no_longer(engine: TestEngine) -> None:
    gate = Gate()
    pipeline = engine.add(
        {"a": {"type": "act", "needs": [], "config": engine.act(gate)}},
        inputs={"region": {"type": "string"}},
        concurrency={"limit": 1, "key": "${{ inputs.region }}"},
    )
    started = [engine.executions.start(pipeline, inputs={"region": region}) for region in ("eu", "eu", "us", "us")]
    gate.wait_entered()
    engine.embedded.admission.pause(pipeline)
    started.append(engine.executions.start(pipeline, inputs={"region": "us"}))
    waiting = [started[1], *started[3:]]
    assert [state(engine, one) for one in waiting] == [("queued", "the pipeline is paused")] * 3
    assert engine.embedded.admission.resume(pipeline) == 0
    reasons = [f"waiting for a place: 1/1 run for {region}" for region in ("eu", "us", "us")]
    assert [state(engine, one) for one in waiting] == [("queued", reason) for reason in reasons]
    gate.open.set()
    assert [engine.wait_end(one) for one in started] == ["success"] * 5


def test_a_pipeline_that_is_not_there_cannot_be_paused(engine: TestEngine) -> None:
    with pytest.raises(NotFound):
        engine.embedded.admission.pause("nothing")


# The process ends


def test_who_waits_is_admitted_after_a_restart(database: Database, tmp_path: Path) -> None:
    """The process dies with one execution under way, one that waits, and one whose pipeline is paused."""
    before = TestEngine(database, tmp_path)
    pipeline = before.add({"a": [], "b": ["a"]}, concurrency={"limit": 1})
    paused = before.add({"a": []})
    first, second = before.executions.start(pipeline), before.executions.start(pipeline)
    before.embedded.admission.pause(paused)
    third = before.executions.start(paused)
    before.embedded.stage_runs.claim_next()
    with running(database, tmp_path) as after:
        assert [after.wait_end(first), after.wait_end(second)] == ["success", "success"]
        assert most_at_once([after.row(one.execution_id) for one in (first, second)]) == 1
        assert state(after, third) == ("queued", "the pipeline is paused")
        after.embedded.admission.resume(paused)
        assert after.wait_end(third) == "success"


def test_a_place_that_nobody_gave_away_is_given_away_at_the_start(database: Database, tmp_path: Path) -> None:
    """An execution that cannot be read is ended without its plan, and with it nobody was admitted."""
    before = TestEngine(database, tmp_path)
    pipeline = before.add({"a": []}, concurrency={"limit": 1})
    first, second = before.executions.start(pipeline), before.executions.start(pipeline)
    ended = sa.update(executions).where(executions.c.id == first.execution_id)
    now = before.row(first.execution_id)["created_at"]
    database.write(lambda tx: tx.sa.execute(ended.values(status="failed", ended_at=now)))
    with running(database, tmp_path) as after:
        assert after.wait_end(second) == "success"


def test_a_queue_timeout_that_passed_meanwhile_ends_it_at_the_start(database: Database, tmp_path: Path) -> None:
    before = TestEngine(database, tmp_path)
    paused = before.add({"a": []}, queue_timeout="1h")
    before.embedded.admission.pause(paused)
    started = before.executions.start(paused)
    row = sa.update(executions).where(executions.c.id == started.execution_id)
    past = before.row(started.execution_id)["created_at"] - timedelta(seconds=1)
    database.write(lambda tx: tx.sa.execute(row.values(timeout_at=past)))
    with running(database, tmp_path) as after:
        assert after.wait_end(started) == "timed_out"
        assert state(after, started)[1] == "not run: its queue_timeout of 1h passed while the pipeline is paused"
