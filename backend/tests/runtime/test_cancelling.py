"""One stage, or one item, is cancelled alone, in the real engine on both databases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from flexiroaster.engine.errors import Conflict, NotFound, StageFailed
from flexiroaster.engine.replay import replay
from flexiroaster.store.database import Database
from flexiroaster.store.tables import stage_runs
from tests.faults.record import Record
from tests.runtime.engine import Gate, TestEngine
from tests.runtime.test_children import calling, children


class Long(Gate):
    """Work that is not done when it is told to stop."""

    def __call__(self, context: Any) -> Any:
        result = super().__call__(context)
        if context.cancelled.is_set():
            raise StageFailed("stopped")
        return result


def act(engine: TestEngine, doing: Any, *needs: str, **more: Any) -> dict[str, Any]:
    return {"needs": list(needs), "type": "act", "config": engine.act(doing), **more}


def items(engine: TestEngine, execution: str) -> dict[int, tuple[str, str | None]]:
    query = sa.select(stage_runs.c.idx, stage_runs.c.status, stage_runs.c.reason).where(
        stage_runs.c.execution_id == execution, stage_runs.c.idx > 0
    )
    with engine.database.read() as connection:
        return {idx: (status, reason) for idx, status, reason in connection.execute(query)}


def test_pattern_19_cancel_task(engine: TestEngine) -> None:
    """The stage stops, the execution goes on with what can do without it."""
    hangs, other = Long(), Long()
    tidy = {"needs": ["hangs"], "join": "all_done"}
    execution = engine.execute(
        {"hangs": act(engine, hangs), "other": act(engine, other), "needs_it": ["hangs"], "tidy": tidy}
    )
    hangs.wait_entered()
    other.wait_entered()
    engine.executions.cancel_stage(execution, "hangs", actor="ada")
    engine.wait_for("stage_cancelled", "hangs")
    assert engine.row(execution)["status"] == "running"
    other.open.set()
    assert engine.wait_end(execution) == "cancelled"
    found = {stage: engine.stage(execution, stage) for stage in ("hangs", "other", "needs_it", "tidy")}
    assert {stage: row["status"] for stage, row in found.items()} == {
        "hangs": "cancelled",
        "other": "success",
        "needs_it": "skipped",
        "tidy": "success",
    }
    assert found["hangs"]["reason"] == "cancelled by ada"
    assert engine.row(execution)["reason"] == "hangs was cancelled by ada"
    told = engine.messages(execution)
    assert "told to stop: cancelled by ada" in told
    seen = [event for event in engine.seen if event.seq and event.execution_id == execution]
    assert replay(seen) == Record.of(engine.database, execution).replayed()


def test_it_is_run_again_by_a_retry(engine: TestEngine) -> None:
    first = Long()
    execution = engine.execute({"a": act(engine, first), "b": ["a"], "c": []})
    first.wait_entered()
    engine.executions.cancel_stage(execution, "a")
    assert engine.wait_end(execution) == "cancelled"
    assert engine.executions.retry_plan(execution).to_run == ["a", "b"]
    first.open.set()
    engine.executions.retry(execution)
    assert engine.wait_end(execution, 2) == "success"


def test_the_execution_that_it_waits_for_is_cancelled_too(engine: TestEngine) -> None:
    inner = Long()
    child = engine.add({"x": act(engine, inner)})
    execution = engine.execute({"sub": calling(child, needs=[]), "after": {"needs": ["sub"], "join": "all_done"}})
    inner.wait_entered()
    engine.executions.cancel_stage(execution, "sub")
    assert engine.wait_end(execution) == "cancelled"
    (started,) = children(engine, execution)
    assert engine.wait_end(started["id"]) == "cancelled"
    assert engine.stage(execution, "after")["status"] == "success"


def test_pattern_26_cancel_multiple_instance_activity(engine: TestEngine) -> None:
    """Cancelling a foreach stage ends its items, those that run, those handed out and those in the store."""
    gate = Long()
    each = act(engine, gate, foreach={"items": list(range(40)), "max_parallel": 2})
    execution = engine.execute({"each": each, "after": {"needs": ["each"], "join": "all_done"}})
    gate.wait_entered()
    gate.wait_entered()
    engine.executions.cancel_stage(execution, "each", actor="ada")
    assert engine.wait_end(execution) == "cancelled"
    assert set(items(engine, execution).values()) == {("cancelled", "cancelled by ada")}
    with pytest.raises(Conflict, match="has already ended as cancelled"):
        engine.executions.cancel_stage(execution, "each")


@pytest.mark.parametrize("index", [1, 2, 9], ids=["running", "next", "last"])
def test_one_item_is_cancelled_alone(engine: TestEngine, index: int) -> None:
    gates = [Long() for _ in range(10)]

    def doing(context: Any) -> Any:
        return gates[context.index](context)

    each = act(engine, doing, foreach={"items": list(range(9)), "max_parallel": 1, "on_error": "continue"})
    execution = engine.execute({"each": each | {"foreach": {**each["foreach"], "min_success": 8}}})
    gates[1].wait_entered()
    engine.executions.cancel_stage(execution, "each", index, "ada")
    engine.wait(lambda: any(event.type.value == "stage_cancelled" and event.index == index for event in engine.seen))
    engine.executions.cancel_stage(execution, "each", index, "bob")  # again: no harm
    for gate in gates:
        gate.open.set()
    assert engine.wait_end(execution) == "success"
    found = items(engine, execution)
    assert found.pop(index) == ("cancelled", "cancelled by ada")
    assert {status for status, _ in found.values()} == {"success"}
    assert engine.results(execution)[0]["succeeded"] == 8


def test_what_cannot_be_cancelled_alone(engine: TestEngine) -> None:
    gate = Long()
    each = {"needs": ["a"], "foreach": {"items": [1, 2]}}
    finally_ = {"finally": [{"id": "tidy", "type": "noop"}]}
    pipeline = engine.add({"a": [], "b": act(engine, gate, "a"), "each": each}, concurrency={"limit": 1}, **finally_)
    execution = engine.executions.start(pipeline).execution_id
    gate.wait_entered()
    engine.wait_for("stage_completed", "each")
    waits = engine.executions.start(pipeline).execution_id
    cancel = engine.executions.cancel_stage
    with pytest.raises(Conflict, match=r"^Stage run a has already ended as success\.$"):
        cancel(execution, "a")
    with pytest.raises(NotFound):
        cancel(execution, "nothing")
    with pytest.raises(NotFound):
        cancel("nothing", "a")
    with pytest.raises(Conflict, match=r"^Stage tidy is not under way: it belongs to what runs when"):
        cancel(execution, "tidy")
    with pytest.raises(Conflict, match=r"^The items of stage each are not under way\.$"):
        cancel(execution, "each", 1)
    with pytest.raises(Conflict, match=r"^The items of stage b are not under way\.$"):
        cancel(execution, "b", 1)
    with pytest.raises(Conflict, match=r"has not begun, it is .*: cancel it as a whole\.$"):
        cancel(waits, "a")
    gate.open.set()
    assert engine.wait_end(execution) == "success"
    assert engine.wait_end(waits) == "success"
    with pytest.raises(Conflict, match="has already ended as success"):
        cancel(execution, "b")


def test_an_item_that_there_is_none_of(engine: TestEngine) -> None:
    gate = Long()
    execution = engine.execute({"each": act(engine, gate, foreach={"items": [1, 2], "max_parallel": 1})})
    gate.wait_entered()
    with pytest.raises(NotFound, match=r"each\[3\]"):
        engine.executions.cancel_stage(execution, "each", 3)
    gate.open.set()
    assert engine.wait_end(execution) == "success"


def test_the_process_dies_while_it_stops(database: Database, tmp_path: Path) -> None:
    dead = TestEngine(database, tmp_path)
    execution = dead.execute({"a": act(dead, Long()), "b": {"needs": ["a"], "join": "all_done"}})
    dead.claim_by_hand()
    dead.executions.cancel_stage(execution, "a", actor="ada")
    assert dead.stage(execution, "a")["status"] == "cancelling"
    heir = TestEngine(database, tmp_path)
    heir.executions.recover()
    heir.work_by_hand()
    assert (heir.stage(execution, "a")["status"], heir.stage(execution, "b")["status"]) == ("cancelled", "success")
    assert heir.row(execution)["status"] == "cancelled"
    assert Record.of(database, execution).replayed().stages["a", 0].reason == "cancelled by ada"
