"""Waits for a condition and for events, in the real engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flexiroaster.engine.errors import Conflict, InvalidRequest, NotFound
from flexiroaster.store.database import Database
from tests.runtime.engine import Gate, TestEngine, running


def wait(**config: Any) -> dict[str, Any]:
    more: dict[str, Any] = {name: config.pop(name) for name in ("needs", "timeout", "foreach") if name in config}
    return {"type": "wait", "config": config, **more}


def act(engine: TestEngine, doing: Any, **more: Any) -> dict[str, Any]:
    return {"type": "act", "config": engine.act(doing), **more}


def test_pattern_18_milestone_reached_by_a_stage_beside_it(engine: TestEngine) -> None:
    """Pattern 18: `after` may run once `load` has, although it does not need it."""
    gate = Gate({"rows": 3})
    until = "${{ has(results.load) && results.load.rows > 0 }}"
    execution = engine.execute(
        {"load": act(engine, gate), "milestone": wait(until=until, every="1s", needs=[]), "after": ["milestone"]}
    )
    gate.wait_entered()
    engine.wait_for("stage_waiting", "milestone")
    assert engine.stage(execution, "after")["status"] == "pending"
    gate.open.set()
    assert engine.wait_end(execution) == "success"
    result = engine.results(execution)[1]
    assert (result["timed_out"], result["waited_seconds"] > 0) == (False, True)
    assert sum(row["type"] == "stage_waiting" for row in engine.events(execution)) == 1


def test_a_stage_without_a_result_is_a_milestone_too(engine: TestEngine) -> None:
    assert engine.run({"a": [], "b": wait(until="${{ has(results.a) }}", needs=["a"])}) == "success"


def test_pattern_18_milestone_told_from_outside(engine: TestEngine) -> None:
    """Pattern 18, the event: everything that waits for it goes on."""
    execution = engine.execute(
        {"a": wait(event="ready", needs=[]), "b": wait(event="ready", needs=[]), "c": wait(event="other", needs=[])}
    )
    engine.wait(lambda: sum(event.type.value == "stage_waiting" for event in engine.seen) == 3)
    sent = engine.embedded.signals.send(execution, "ready", {"n": 1}, "ada@example.com")
    assert sorted(sent.went_on) == [("a", 0), ("b", 0)]
    engine.wait_for("stage_completed", "a")
    engine.wait_for("stage_completed", "b")
    assert engine.stage(execution, "c")["reason"] == "waiting for the event other"
    engine.embedded.signals.send(execution, "other")
    assert engine.wait_end(execution) == "success"
    result = engine.results(execution)[0]
    assert (result["event"], result["data"], result["by"]) == ("ready", {"n": 1}, "ada@example.com")
    assert "told of ready by ada@example.com, a, b went on" in engine.messages(execution)


def test_pattern_24_persistent_trigger(engine: TestEngine) -> None:
    """Pattern 24: a signal that comes first is kept for who waits later; the newest counts."""
    gate = Gate()
    execution = engine.execute({"a": act(engine, gate), "b": wait(event="paid", needs=["a"])})
    gate.wait_entered()
    assert engine.embedded.signals.send(execution, "paid", 1).went_on == []
    engine.embedded.signals.send(execution, "paid", 2)
    gate.open.set()
    assert engine.wait_end(execution) == "success"
    assert engine.results(execution)[1]["data"] == 2


def test_pattern_16_deferred_choice_between_an_event_and_a_timeout(engine: TestEngine) -> None:
    """Pattern 16: what did not come in time is told, and the pipeline chooses."""
    stages = {
        "w": wait(event="paid", on_timeout="continue", timeout="100ms", needs=[]),
        "paid": {"needs": ["w"], "when": "${{ !results.w.timed_out }}"},
        "unpaid": {"needs": ["w"], "when": "${{ results.w.timed_out }}"},
    }
    execution = engine.execute(stages)
    assert engine.wait_end(execution) == "success"
    assert [engine.stage(execution, name)["status"] for name in ("paid", "unpaid")] == ["skipped", "success"]


def test_a_wait_that_lasts_too_long_has_timed_out(engine: TestEngine) -> None:
    execution = engine.execute({"w": wait(event="paid", timeout="100ms", needs=[])})
    assert engine.wait_end(execution) == "failed"
    assert engine.stage(execution, "w")["status"] == "timed_out"


def test_each_item_waits_for_its_own_event(engine: TestEngine) -> None:
    execution = engine.execute({"w": wait(event="paid-${{ item }}", foreach={"items": ["x", "y"]}, needs=[])})
    engine.wait(lambda: sum(event.type.value == "stage_waiting" and bool(event.index) for event in engine.seen) == 2)
    assert engine.embedded.signals.send(execution, "paid-y").went_on == [("w", 2)]
    assert engine.embedded.signals.send(execution, "paid-x").went_on == [("w", 1)]
    assert engine.wait_end(execution) == "success"


def test_only_what_still_goes_on_is_told(engine: TestEngine) -> None:
    execution = engine.execute({"a": []})
    engine.wait_end(execution)
    with pytest.raises(Conflict, match="has already ended as success"):
        engine.embedded.signals.send(execution, "paid")
    with pytest.raises(NotFound):
        engine.embedded.signals.send("no-such-execution", "paid")


def test_large_data_is_refused(engine: TestEngine) -> None:
    execution = engine.execute({"w": wait(event="paid", needs=[])})
    with pytest.raises(InvalidRequest, match="at most 64 kB"):
        engine.embedded.signals.send(execution, "paid", "x" * 70_000)


@pytest.mark.parametrize("died", ["waiting", "told", "claimed"])
def test_an_event_survives_a_server_that_dies(database: Database, tmp_path: Path, died: str) -> None:
    dead = TestEngine(database, tmp_path)
    execution = dead.execute({"w": wait(event="paid", needs=[]), "b": ["w"]})
    dead.work_by_hand()
    if died != "waiting":
        dead.embedded.signals.send(execution, "paid", 5)
    if died == "claimed":
        dead.run_by_hand(dead.claim_by_hand())
    with running(database, tmp_path) as engine:
        if died == "waiting":
            engine.embedded.signals.send(execution, "paid", 5)
        assert engine.wait_end(execution) == "success"
        assert engine.results(execution)[0]["data"] == 5


def test_an_event_that_came_before_the_server_died_is_kept(database: Database, tmp_path: Path) -> None:
    dead = TestEngine(database, tmp_path)
    execution = dead.execute({"w": wait(event="paid", needs=[])})
    claimed = dead.claim_by_hand()
    dead.embedded.signals.send(execution, "paid", 5)
    dead.run_by_hand(claimed)
    with running(database, tmp_path) as engine:
        assert engine.wait_end(execution) == "success"


def test_a_retry_passes_what_was_told_before(engine: TestEngine) -> None:
    fails = iter([True, False])

    def doing(_: Any) -> None:
        if next(fails):
            raise RuntimeError("it broke")

    execution = engine.execute({"w": wait(event="paid", needs=[]), "a": act(engine, doing, needs=["w"])})
    engine.embedded.signals.send(execution, "paid", 5)
    assert engine.wait_end(execution) == "failed"
    engine.executions.retry(execution)
    assert engine.wait_end(execution, times=2) == "success"
