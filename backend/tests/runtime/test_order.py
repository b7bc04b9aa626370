"""Who goes first when workers are short."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from flexiroaster.dispatch.queue import TURN
from flexiroaster.services.stage_runs import MOST_AT_ONCE
from flexiroaster.store.database import Database
from flexiroaster.store.tables import stage_runs
from tests.runtime.engine import Gate, TestEngine, running


@pytest.fixture
def engine(database: Database, tmp_path: Path) -> Iterator[TestEngine]:
    """With one worker only."""
    with running(database, tmp_path, concurrency=1) as started:
        yield started


def order_of(engine: TestEngine) -> list[str]:
    """Stages in the order in which they started."""
    return [event.stage for event in engine.seen if event.type.value == "stage_started" and event.stage]


def act(engine: TestEngine, *needs: str, **rest: Any) -> dict[str, Any]:
    return {"type": "act", "needs": list(needs), "config": engine.act(lambda _: None), **rest}


def test_longest_remaining_path_goes_first(engine: TestEngine) -> None:
    stages = {
        "start": act(engine),
        "short": act(engine, "start"),
        "long": act(engine, "start"),
        "longer": act(engine, "long"),
    }
    assert engine.run(stages) == "success"
    assert order_of(engine)[:2] == ["start", "long"]


def test_past_durations_tell_which_path_is_the_longest(database: Database, tmp_path: Path) -> None:
    """Two stages of the same depth: the one that took long before goes first from then on."""
    with running(database, tmp_path, concurrency=1) as before:
        pipeline = before.add({"start": act(before), "quick": act(before, "start"), "slow": act(before, "start")})
        first = before.executions.start(pipeline)
        before.wait_end(first)
        assert order_of(before) == ["start", "quick", "slow"]
    slow = (stage_runs.c.execution_id == first.execution_id) & (stage_runs.c.stage == "slow")
    an_hour_later = before.stage(first.execution_id, "slow")["started_at"] + timedelta(hours=1)
    database.write(lambda tx: tx.sa.execute(sa.update(stage_runs).where(slow).values(ended_at=an_hour_later)))
    with running(database, tmp_path, concurrency=1) as after:
        after.wait_end(after.executions.start(pipeline))
        assert order_of(after) == ["start", "slow", "quick"]


def test_priority_of_an_execution_goes_first(engine: TestEngine) -> None:
    gate = Gate()
    blocker = engine.execute({"blocker": {"type": "act", "config": engine.act(gate), "needs": []}})
    gate.wait_entered()
    usual = engine.add({"usual": act(engine)})
    urgent = engine.add({"urgent": act(engine)})
    waiting = [engine.executions.start(usual), engine.executions.start(urgent, priority=5)]
    gate.open.set()
    for started in waiting:
        engine.wait_end(started)
    assert engine.wait_end(blocker) == "success"
    assert order_of(engine) == ["blocker", "urgent", "usual"]
    assert engine.row(waiting[1].execution_id)["priority"] == 5


def test_priority_of_a_stage_goes_first(engine: TestEngine) -> None:
    stages = {
        "start": act(engine),
        "long": act(engine, "start"),
        "end": act(engine, "long"),
        "urgent": act(engine, "start", priority=1),
    }
    assert engine.run(stages) == "success"
    assert order_of(engine) == ["start", "urgent", "long", "end"]


def test_executions_take_turns(engine: TestEngine) -> None:
    gate = Gate()
    engine.execute({"blocker": {"type": "act", "config": engine.act(gate), "needs": []}})
    gate.wait_entered()
    many = engine.add({f"many{number}": act(engine) for number in range(5)})
    one = engine.add({"one": act(engine)})
    waiting = [engine.executions.start(many), engine.executions.start(one)]
    gate.open.set()
    for started in waiting:
        engine.wait_end(started)
    assert order_of(engine)[:3] == ["blocker", "many0", "one"]


def test_priority_survives_a_restart(database: Database, tmp_path: Path) -> None:
    """Two executions wait when the process ends; the next one begins with the urgent one."""
    before = TestEngine(database, tmp_path, concurrency=1)
    waiting = [
        before.executions.start(before.add({"usual": act(before)})),
        before.executions.start(before.add({"urgent": act(before)}), priority=1),
    ]
    with running(database, tmp_path, concurrency=1) as after:
        for started in waiting:
            assert after.wait_end(started) == "success"
        assert order_of(after) == ["urgent", "usual"]


def instant(length: int) -> dict[str, Any]:
    """A chain of stages that take microseconds."""
    return {f"s{n}": {"type": "noop", "needs": [f"s{n - 1}"] if n else []} for n in range(length)}


def starts(engine: TestEngine, *execution_ids: str) -> list[str]:
    """Which of these executions each stage that started was of, in their order."""
    return [
        event.execution_id
        for event in engine.seen
        if event.type.value == "stage_started" and event.execution_id in execution_ids
    ]


def started_together(engine: TestEngine, *lengths: int) -> list[str]:
    """Executions of instant stages that begin when the only worker is free."""
    gate = Gate()
    blocker = engine.execute({"blocker": {"type": "act", "config": engine.act(gate), "needs": []}})
    gate.wait_entered()
    waiting = [engine.executions.start(engine.add(instant(length))) for length in lengths]
    gate.open.set()
    for started in waiting:
        engine.wait_end(started)
    engine.wait_end(blocker)
    return [started.execution_id for started in waiting]


def test_instant_executions_are_done_in_few_transactions(engine: TestEngine) -> None:
    """As many as share a transaction go on together: none of them waits behind those that have not begun."""
    ids = started_together(engine, *[3] * (2 * MOST_AT_ONCE))
    first, second = set(ids[:MOST_AT_ONCE]), set(ids[MOST_AT_ONCE:])
    order = starts(engine, *ids)
    assert set(order[: 3 * MOST_AT_ONCE]) == first
    assert set(order[3 * MOST_AT_ONCE :]) == second


def test_a_long_chain_of_instant_stages_lets_others_pass(engine: TestEngine) -> None:
    long, *others = started_together(engine, 2 * TURN, *[1] * MOST_AT_ONCE)
    order = starts(engine, long, *others)
    last = max(order.index(other) for other in others)
    assert order[: last + 1].count(long) <= TURN
    assert order.count(long) == 2 * TURN
