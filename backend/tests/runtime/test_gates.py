"""Pools, rate limits and queue timeouts of stages, on real databases."""

from __future__ import annotations

import itertools
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from flexiroaster.engine.errors import StageFailed
from flexiroaster.stages.base import StageContext
from flexiroaster.store.database import Database
from flexiroaster.store.gates import all_pools
from flexiroaster.store.tables import rate_limits, stage_runs
from tests.runtime.engine import Gate, TestEngine, running


class Counter:
    """How many run at the same time, at most."""

    def __init__(self) -> None:
        self.most = self._now = 0
        self._lock = threading.Lock()

    def __call__(self, _: StageContext) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        with self._lock:
            self._now -= 1


def act(engine: TestEngine, doing: Any, *needs: str, **rest: Any) -> dict[str, Any]:
    return {"type": "act", "needs": list(needs), "config": engine.act(doing), **rest}


def set_slots(engine: TestEngine, **slots: int) -> None:
    for name, count in slots.items():
        engine.embedded.pools.set(name, count)


def reason(engine: TestEngine, execution: str, stage: str) -> tuple[str, str | None]:
    row = engine.stage(execution, stage)
    return row["status"], row["reason"]


# Pools


def test_pool_limits_what_runs_at_the_same_time_across_pipelines(engine: TestEngine) -> None:
    counter = Counter()
    set_slots(engine, cpu=2)
    stages = {f"s{number}": act(engine, counter, pool="cpu") for number in range(6)}
    started = [engine.execute(stages) for _ in range(3)]
    assert [engine.wait_end(one) for one in started] == ["success"] * 3
    assert counter.most <= 2


def test_who_finds_no_slot_says_which_pool_it_waits_for(engine: TestEngine) -> None:
    gate = Gate()
    set_slots(engine, cpu=1)
    execution = engine.execute({"a": act(engine, gate, pool="cpu"), "b": act(engine, gate, pool="cpu")})
    gate.wait_entered()
    waiting = engine.wait_for("stage_waiting", "b")
    assert waiting.payload == {"status": "queued", "reason": "waiting for pool cpu 1/1"}
    assert reason(engine, execution, "b") == ("queued", "waiting for pool cpu 1/1")
    with engine.database.read() as connection:
        (pool,) = all_pools(connection)
    assert (pool.slots, pool.used, pool.waiting) == (1, 1, 1)
    gate.open.set()
    assert engine.wait_end(execution) == "success"
    assert reason(engine, execution, "b") == ("success", None)


def test_patterns_17_and_40_interleaved_routing(engine: TestEngine) -> None:
    """Stages in any order, never two at the same time: a pool of one slot."""
    counter = Counter()
    set_slots(engine, one=1)
    stages = {"start": []} | {name: act(engine, counter, "start", pool="one") for name in "abcdef"}
    execution = engine.execute(stages)
    assert engine.wait_end(execution) == "success"
    assert counter.most == 1
    rows = sorted((engine.stage(execution, name) for name in "abcdef"), key=lambda row: row["started_at"])
    for earlier, later in itertools.pairwise(rows):
        assert earlier["ended_at"] <= later["started_at"]


def test_pattern_39_critical_section(engine: TestEngine) -> None:
    """The same section of several executions and pipelines: a pool of one slot that all of them name."""
    counter = Counter()
    set_slots(engine, ledger=1)
    pipelines = [
        engine.add({"before": [], "section": act(engine, counter, "before", pool="ledger"), "after": ["section"]})
        for _ in range(2)
    ]
    started = [engine.executions.start(pipeline) for pipeline in pipelines * 4]
    assert [engine.wait_end(one) for one in started] == ["success"] * 8
    assert counter.most == 1


def test_pool_that_nobody_defined_has_one_slot_and_says_so(engine: TestEngine) -> None:
    gate = Gate()
    execution = engine.execute({"a": act(engine, gate, pool="typo"), "b": act(engine, gate, pool="typo")})
    gate.wait_entered()
    engine.wait_for("stage_waiting", "b")
    text = "waiting for pool typo 1/1: nobody defined it, so it has one slot"
    assert reason(engine, execution, "b") == ("queued", text)
    gate.open.set()
    assert engine.wait_end(execution) == "success"


def test_more_slots_let_in_who_waits(engine: TestEngine) -> None:
    gate = Gate()
    set_slots(engine, cpu=1)
    execution = engine.execute({"a": act(engine, gate, pool="cpu"), "b": act(engine, gate, pool="cpu")})
    gate.wait_entered()
    engine.wait_for("stage_waiting", "b")
    set_slots(engine, cpu=2)
    gate.wait_entered()  # the second, while the first still holds its slot
    gate.open.set()
    assert engine.wait_end(execution) == "success"


def test_fewer_slots_stop_nothing_and_let_nobody_in(engine: TestEngine) -> None:
    gate = Gate()
    set_slots(engine, cpu=2)
    execution = engine.execute({name: act(engine, gate, pool="cpu") for name in "abc"})
    gate.wait_entered()
    gate.wait_entered()
    set_slots(engine, cpu=1)
    engine.wait(lambda: any(event.type.value == "stage_waiting" for event in engine.seen))
    gate.open.set()
    assert engine.wait_end(execution) == "success"


def test_slot_is_free_after_failure_retry_and_cancel(engine: TestEngine) -> None:
    set_slots(engine, cpu=1)

    def flaky(context: StageContext) -> None:
        if context.attempt < 3:
            raise StageFailed("busy", kind="transient")

    retry = {"max_attempts": 3, "delay": "1ms"}
    assert engine.run(
        {"a": act(engine, flaky, pool="cpu", retry=retry), "b": act(engine, flaky, pool="cpu", retry=retry)}
    ) == ("success")
    gate = Gate()
    cancelled = engine.execute({"a": act(engine, gate, pool="cpu"), "b": act(engine, gate, pool="cpu")})
    gate.wait_entered()
    engine.wait_for("stage_waiting", "b")
    other = engine.execute({"c": act(engine, lambda _: None, pool="cpu")})
    engine.executions.cancel(cancelled)
    assert engine.wait_end(cancelled) == "cancelled"
    assert engine.wait_end(other) == "success"  # `b` was let in first, and is not there any more


def test_a_waiting_stage_holds_no_slot(engine: TestEngine) -> None:
    set_slots(engine, cpu=1)
    stages = {
        "wait": {"type": "wait", "needs": [], "config": {"event": "go"}, "pool": "cpu"},
        "other": act(engine, lambda _: None, pool="cpu"),
    }
    execution = engine.execute(stages)
    engine.wait_for("stage_completed", "other")
    engine.wait(lambda: engine.stage(execution, "wait")["status"] == "waiting")
    engine.executions.cancel(execution)
    assert engine.wait_end(execution) == "cancelled"


def test_items_take_slots_and_their_stage_does_not(engine: TestEngine) -> None:
    counter = Counter()
    set_slots(engine, cpu=2)
    items = act(engine, counter, pool="cpu", foreach={"items": list(range(20)), "max_parallel": 10})
    execution = engine.execute({"a": items})
    assert engine.wait_end(execution) == "success"
    assert counter.most <= 2
    with engine.database.read() as connection:
        assert [(pool.used, pool.waiting) for pool in all_pools(connection)] == [(0, 0)]


def test_slots_of_a_dead_process_are_free(database: Database, tmp_path: Path) -> None:
    """It dies while it holds the only slot and another stage run waits for it."""
    before = TestEngine(database, tmp_path)
    set_slots(before, cpu=1)
    execution = before.execute(
        {"a": act(before, lambda _: None, pool="cpu"), "b": act(before, lambda _: None, pool="cpu")}
    )
    (claimed,) = before.embedded.stage_runs.claim_next()
    assert before.embedded.stage_runs.claim_next() == []
    assert before.stage(execution, "b")["reason"] == "waiting for pool cpu 1/1"
    assert claimed.key.position == 0
    with running(database, tmp_path) as after:
        assert after.wait_end(execution) == "success"


# Rate limits


def test_rate_limit_holds_back_until_it_may_start(engine: TestEngine) -> None:
    limit = {"key": "shop", "limit": 2, "per": "1s"}
    execution = engine.execute({name: act(engine, lambda _: None, rate_limit=limit) for name in "abcd"})
    assert engine.wait_end(execution) == "success"
    starts = sorted(engine.stage(execution, name)["started_at"] for name in "abcd")
    assert starts[2] - starts[0] >= timedelta(milliseconds=499)
    assert starts[3] - starts[0] >= timedelta(milliseconds=999)
    held = [event for event in engine.seen if event.type.value == "stage_waiting"]
    assert {event.payload["reason"] for event in held} == {"waiting for rate limit shop: 2 per 1s"}


def test_rate_limit_is_one_for_all_that_name_it(engine: TestEngine) -> None:
    limit = {"key": "shop", "limit": 1, "per": "100ms"}
    pipelines = [engine.add({"a": act(engine, lambda _: None, rate_limit=limit)}) for _ in range(3)]
    started = [engine.executions.start(pipeline) for pipeline in pipelines]
    assert [engine.wait_end(one) for one in started] == ["success"] * 3
    starts = sorted(engine.stage(one.execution_id, "a")["started_at"] for one in started)
    assert starts[1] - starts[0] >= timedelta(milliseconds=99)
    assert starts[2] - starts[1] >= timedelta(milliseconds=99)


def test_rate_limit_survives_a_restart(database: Database, tmp_path: Path) -> None:
    limit = {"key": "shop", "limit": 1, "per": "1h"}
    with running(database, tmp_path) as before:
        assert before.run({"a": act(before, lambda _: None, rate_limit=limit)}) == "success"
    with running(database, tmp_path) as after:
        execution = after.execute({"b": act(after, lambda _: None, rate_limit=limit)})
        after.wait_for("stage_waiting", "b")
        assert reason(after, execution, "b") == ("queued", "waiting for rate limit shop: 1 per 1h")
        after.executions.cancel(execution)
    with database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(rate_limits)) == 1


def test_each_attempt_counts(engine: TestEngine) -> None:
    def flaky(context: StageContext) -> None:
        if context.attempt < 2:
            raise StageFailed("busy", kind="transient")

    limit = {"key": "shop", "limit": 1, "per": "100ms"}
    retry = {"max_attempts": 2, "delay": "1ms"}
    execution = engine.execute({"a": act(engine, flaky, rate_limit=limit, retry=retry)})
    assert engine.wait_end(execution) == "success"
    starts = [event.at for event in engine.seen if event.type.value == "stage_started"]
    assert starts[1] - starts[0] >= timedelta(milliseconds=99)


# Queue timeouts


def test_who_gets_no_slot_in_time_is_timed_out(engine: TestEngine) -> None:
    gate = Gate()
    set_slots(engine, cpu=1)
    holder = engine.execute({"a": act(engine, gate, pool="cpu")})
    gate.wait_entered()
    late = engine.execute({"b": act(engine, gate, pool="cpu", queue_timeout="2s"), "c": ["b"]})
    assert engine.wait_end(late) == "failed"
    assert engine.stage(late, "b")["status"] == "timed_out"
    assert engine.row(late)["error"]["message"] == (
        "It did not start within its queue_timeout of 2s: it was waiting for pool cpu 1/1."
    )
    gate.open.set()
    assert engine.wait_end(holder) == "success"


def test_who_gets_no_worker_in_time_is_timed_out(database: Database, tmp_path: Path) -> None:
    gate = Gate()
    with running(database, tmp_path, concurrency=1) as engine:
        holder = engine.execute({"a": act(engine, gate)})
        gate.wait_entered()
        late = engine.execute({"b": act(engine, gate, queue_timeout="20ms")})
        assert engine.wait_end(late) == "failed"
        assert engine.row(late)["error"]["message"].endswith("it was waiting for a worker.")
        gate.open.set()
        assert engine.wait_end(holder) == "success"


def test_queue_timeout_counts_on_over_a_restart(database: Database, tmp_path: Path) -> None:
    before = TestEngine(database, tmp_path)
    execution = before.execute({"a": act(before, lambda _: None, queue_timeout="1h")})
    run = stage_runs.c.execution_id == execution
    past = before.row(execution)["created_at"]
    database.write(lambda tx: tx.sa.execute(sa.update(stage_runs).where(run).values(due_at=past)))
    with running(database, tmp_path, concurrency=0) as after:
        assert after.wait_end(execution) == "failed"
        assert after.stage(execution, "a")["status"] == "timed_out"


def each(engine: TestEngine, doing: Any) -> dict[str, Any]:
    foreach = {"items": [1, 2, 3, 4], "max_parallel": 3, "on_error": "continue", "min_success": 0}
    return act(engine, doing, queue_timeout="50ms", foreach=foreach)


def test_items_that_get_no_slot_in_time_are_timed_out(engine: TestEngine) -> None:
    """The fourth has its turn when the others have ended."""
    gate = Gate()
    set_slots(engine, cpu=1)
    holder = engine.execute({"a": act(engine, gate, pool="cpu")})
    gate.wait_entered()
    late = engine.execute({"a": each(engine, gate) | {"pool": "cpu"}})
    assert engine.wait_end(late) == "success"
    found = {row["idx"]: row for row in engine.rows(stage_runs, late) if row["idx"]}
    assert [found[index]["status"] for index in (1, 2, 3, 4)] == ["timed_out"] * 4
    assert found[4]["error"]["message"].startswith(
        "It did not start within its queue_timeout of 50ms: it was waiting for"
    )
    gate.open.set()
    assert engine.wait_end(holder) == "success"


def test_the_queue_timeout_of_an_item_counts_on_over_a_restart(database: Database, tmp_path: Path) -> None:
    before = TestEngine(database, tmp_path)
    execution = before.execute({"a": each(before, lambda _: None) | {"queue_timeout": "1h"}})
    before.record_by_hand(before.run_by_hand(before.claim_by_hand()))
    runs = stage_runs.c.execution_id == execution
    past = before.row(execution)["created_at"]
    assert sum(row["due_at"] is not None for row in before.rows(stage_runs, execution)) == 3
    handed_out = runs & stage_runs.c.due_at.is_not(None)
    database.write(lambda tx: tx.sa.execute(sa.update(stage_runs).where(handed_out).values(due_at=past)))
    with running(database, tmp_path, concurrency=0) as after:
        after.wait(lambda: sum(event.type.value == "stage_failed" and bool(event.index) for event in after.seen) == 3)
    states = [row["status"] for row in before.rows(stage_runs, execution) if row["idx"]]
    assert sorted(states) == ["queued", "timed_out", "timed_out", "timed_out"]
