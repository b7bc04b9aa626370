"""Pause and resume of an execution, in the real engine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flexiroaster.engine.errors import Conflict, StageFailed
from flexiroaster.stages.base import StageContext
from flexiroaster.store.database import Database
from tests.runtime.engine import Gate, TestEngine, running


def act(config: dict[str, Any], needs: list[str] | None = None, **rest: Any) -> dict[str, Any]:
    return {"type": "act", "needs": needs or [], "config": config, **rest}


def paused(engine: TestEngine) -> tuple[str, Gate]:
    """An execution that was paused while its first stage ran, which has then ended."""
    gate = Gate()
    execution = engine.execute({"a": act(engine.act(gate)), "b": ["a"], "c": ["b"]}, timeout="1h")
    gate.wait_entered()
    engine.executions.pause(execution, "ada")
    gate.open.set()
    engine.wait_for("stage_completed", "a")
    return execution, gate


def test_what_runs_ends_and_nothing_follows_before_the_resume(engine: TestEngine) -> None:
    execution, _ = paused(engine)
    row = engine.row(execution)
    assert (row["status"], row["reason"], row["paused_at"] is not None) == ("paused", "paused by ada", True)
    assert (engine.stage(execution, "a")["status"], engine.stage(execution, "b")["status"]) == ("success", "queued")
    engine.executions.resume(execution, "bob")
    assert engine.wait_end(execution) == "success"
    assert [line for line in engine.messages(execution) if "by" in line] == [
        "execution #1 paused by ada",
        "execution #1 resumed by bob",
    ]


def test_pausing_and_resuming_twice_does_no_harm(engine: TestEngine) -> None:
    gate = Gate()
    execution = engine.execute({"a": act(engine.act(gate)), "b": ["a"]})
    gate.wait_entered()
    engine.executions.pause(execution, "ada")
    engine.executions.pause(execution)
    assert engine.row(execution)["reason"] == "paused by ada"
    engine.executions.resume(execution)
    engine.executions.resume(execution)
    gate.open.set()
    assert engine.wait_end(execution) == "success"


def test_cancel_ends_a_paused_execution(engine: TestEngine) -> None:
    execution, _ = paused(engine)
    engine.executions.cancel(execution, "ada")
    assert engine.wait_end(execution) == "cancelled"
    assert engine.row(execution)["paused_at"] is None


def test_retry_that_comes_due_while_paused_is_made_after_it(engine: TestEngine) -> None:
    tries: list[int] = []

    def work(context: StageContext) -> None:
        tries.append(context.attempt)
        if len(tries) == 1:
            engine.executions.pause(context.execution_id)
            raise StageFailed("not yet", kind="transient")

    execution = engine.execute({"a": act(engine.act(work), retry={"max_attempts": 2, "delay": "0s"})})
    engine.wait_for("stage_retrying", "a")
    engine.executions.resume(execution)
    assert engine.wait_end(execution) == "success"
    assert tries == [1, 2]


def test_timeout_stands_still_while_paused(engine: TestEngine) -> None:
    execution, _ = paused(engine)
    before = engine.row(execution)
    engine.executions.resume(execution)
    engine.wait_end(execution)
    after = engine.row(execution)
    assert after["timeout_at"] > before["timeout_at"]
    pause = (after["timeout_at"] - before["timeout_at"]).total_seconds()
    assert after["idle_seconds"] == pytest.approx(pause)


def test_timeout_that_passes_while_paused_waits_for_the_resume(engine: TestEngine) -> None:
    execution, _ = paused(engine)
    changes = engine.embedded.executions._changes
    now = changes.clock()
    changes.clock = lambda: now + timedelta(hours=3)
    changes.time_out(execution)
    assert engine.row(execution)["status"] == "paused"
    changes.clock = lambda: datetime.now(UTC)
    engine.executions.resume(execution)
    assert engine.wait_end(execution) == "success"


def test_what_cannot_be_paused_is_refused_with_a_sentence(engine: TestEngine) -> None:
    execution = engine.execute({"a": []})
    engine.wait_end(execution)
    with pytest.raises(Conflict, match="has already ended as success"):
        engine.executions.pause(execution)
    with pytest.raises(Conflict, match="has already ended as success"):
        engine.executions.resume(execution)


def test_paused_execution_survives_its_process(database: Database, tmp_path: Path) -> None:
    dead = TestEngine(database, tmp_path)
    execution = dead.execute({"a": [], "b": ["a"]})
    dead.claim_by_hand()
    dead.executions.pause(execution, "ada")
    with running(database, tmp_path) as engine:
        assert engine.row(execution)["status"] == "paused"
        assert engine.stage(execution, "a")["status"] == "queued"
        engine.executions.resume(execution)
        assert engine.wait_end(execution) == "success"
        assert engine.stage(execution, "a")["attempt"] == 2
