"""What has not ended by its time is late: told once, also after a restart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from flexiroaster.engine.deadline import next_time
from flexiroaster.services.deadlines import Deadlines
from flexiroaster.store.database import Database
from flexiroaster.store.deadlines import WHOLE_EXECUTION
from flexiroaster.store.tables import deadlines
from tests.runtime.engine import Gate, TestEngine, running

BY = {"by": "06:00", "timezone": "Europe/Paris"}


def act(engine: TestEngine, doing: Any, **more: Any) -> dict[str, Any]:
    return {"type": "act", "config": engine.act(doing), **more}


def due(engine: TestEngine, execution: str) -> dict[int, datetime]:
    return {row["position"]: row["due_at"] for row in engine.rows(deadlines, execution)}


def missed(engine: TestEngine, execution: str) -> list[str | None]:
    return [row["stage"] for row in engine.events(execution) if row["type"] == "deadline_missed"]


def make_late(engine: TestEngine, execution: str) -> None:
    """As if its time had passed: what the timer then calls is called."""
    past = datetime.now(UTC) - timedelta(minutes=1)
    mine = sa.update(deadlines).where(deadlines.c.execution_id == execution)
    engine.database.write(lambda tx: tx.sa.execute(mine.values(due_at=past)))
    for position in due(engine, execution):
        watching(engine)._miss(execution, position)


def watching(engine: TestEngine) -> Deadlines:
    return engine.embedded.executions._deadlines


def test_the_deadline_is_the_next_such_time_of_day(engine: TestEngine) -> None:
    execution = engine.execute({"a": {"needs": [], "deadline": {"by": "23:59"}}}, deadline=BY)
    created = engine.row(execution)["created_at"]
    assert due(engine, execution) == {
        WHOLE_EXECUTION: next_time("06:00", "Europe/Paris", created),
        0: next_time("23:59", "UTC", created),
    }


def test_what_has_not_ended_by_then_is_late_and_goes_on(engine: TestEngine) -> None:
    gate = Gate()
    execution = engine.execute({"a": act(engine, gate, deadline=BY), "b": ["a"]}, deadline=BY)
    gate.wait_entered()
    make_late(engine, execution)
    assert sorted(missed(engine, execution), key=str) == [None, "a"]
    for position in due(engine, execution):  # asked again, it is not told again
        watching(engine)._miss(execution, position)
    assert len(missed(engine, execution)) == 2
    messages = engine.messages(execution)
    assert "execution #1 is late: it was to have ended by 06:00 Europe/Paris" in messages
    assert "a is late: it was to have ended by 06:00 Europe/Paris" in messages
    gate.open.set()
    assert engine.wait_end(execution) == "success"


def test_what_ended_in_time_is_not_late(engine: TestEngine) -> None:
    gate = Gate()
    execution = engine.execute({"a": {"needs": [], "deadline": BY}, "b": act(engine, gate, needs=["a"])}, deadline=BY)
    gate.wait_entered()
    make_late(engine, execution)
    assert missed(engine, execution) == [None]
    gate.open.set()
    engine.wait_end(execution)
    ended = engine.execute({"a": []}, deadline=BY)
    engine.wait_end(ended)
    make_late(engine, ended)
    assert missed(engine, ended) == []


def test_a_deadline_still_to_come_is_not_missed(engine: TestEngine) -> None:
    gate = Gate()
    execution = engine.execute({"a": act(engine, gate)}, deadline=BY)
    gate.wait_entered()
    watching(engine)._miss(execution, WHOLE_EXECUTION)
    assert missed(engine, execution) == []
    gate.open.set()
    engine.wait_end(execution)


def test_a_pipeline_without_deadlines_keeps_no_rows(engine: TestEngine) -> None:
    execution = engine.execute({"a": []})
    engine.wait_end(execution)
    assert due(engine, execution) == {}


@pytest.mark.parametrize("told_before", [False, True])
def test_a_restart_tells_what_was_missed_once(database: Database, tmp_path: Path, told_before: bool) -> None:
    dead = TestEngine(database, tmp_path)
    waiting = {"type": "wait", "config": {"event": "paid"}, "deadline": BY}
    execution = dead.execute({"a": waiting}, deadline=BY)
    dead.work_by_hand()
    if told_before:
        make_late(dead, execution)
    else:
        past = datetime.now(UTC) - timedelta(minutes=1)
        database.write(lambda tx: tx.sa.execute(sa.update(deadlines).values(due_at=past)))
    with running(database, tmp_path) as engine:
        engine.wait(lambda: len(missed(engine, execution)) == 2)
        engine.embedded.signals.send(execution, "paid")
        assert engine.wait_end(execution) == "success"
        assert len(missed(engine, execution)) == 2


def test_a_retry_after_the_time_is_late_at_once(engine: TestEngine) -> None:
    fails = iter([True, False])
    gate = Gate()

    def doing(context: Any) -> None:
        if next(fails):
            raise RuntimeError("it broke")
        gate(context)

    execution = engine.execute({"a": act(engine, doing)}, deadline=BY)
    assert engine.wait_end(execution) == "failed"
    past = datetime.now(UTC) - timedelta(minutes=1)
    engine.database.write(lambda tx: tx.sa.execute(sa.update(deadlines).values(due_at=past)))
    engine.executions.retry(execution)
    engine.wait_for("deadline_missed")
    gate.open.set()
    assert engine.wait_end(execution, times=2) == "success"
