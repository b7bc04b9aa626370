"""A pipeline that runs another one: started once, waited for, cancelled and retried with its parent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from flexiroaster.engine import planner
from flexiroaster.engine.errors import StageFailed
from flexiroaster.engine.runs import Key
from flexiroaster.services.children import DEEPEST
from flexiroaster.stages.base import StageContext
from flexiroaster.store.database import Database
from flexiroaster.store.tables import executions, results
from tests.runtime.engine import Gate, TestEngine, running


def calling(pipeline: str, **more: Any) -> dict[str, Any]:
    config = {"pipeline": pipeline, **more.pop("config", {})}
    return {"type": "pipeline", "config": config, **more}


def act(engine: TestEngine, doing: Any) -> dict[str, Any]:
    return {"type": "act", "config": engine.act(doing)}


def children(engine: TestEngine, execution: str) -> Sequence[sa.RowMapping]:
    """What an execution has started, in order."""
    with engine.database.read() as connection:
        query = sa.select(executions).where(executions.c.parent_id == execution).order_by(executions.c.id)
        return connection.execute(query).mappings().all()


class Flaky:
    """Fails as often as it is told, then answers."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.ran = 0

    def __call__(self, context: StageContext) -> Any:
        self.ran += 1
        if self.ran <= self.failures:
            raise StageFailed("it broke", kind="transient", suggestion="Mend it.")
        return {"rows": 3}


def test_the_result_is_the_childs_outputs(engine: TestEngine) -> None:
    inputs = {"day": {"type": "string"}, "n": {"type": "integer", "default": 7}}
    outputs = {"day": "${{ inputs.day }}", "n": "${{ inputs.n }}", "data": "${{ execution.data }}"}
    child = engine.add({"a": []}, inputs=inputs, outputs=outputs)
    stage = calling(child, config={"inputs": {"day": "monday"}, "data": {"x": 1}})
    execution = engine.execute({"sub": stage, "b": ["sub"]}, outputs={"day": "${{ results.sub.outputs.day }}"})
    assert engine.wait_end(execution) == "success"
    (started,) = children(engine, execution)
    result = engine.results(execution)[0]
    assert result == {
        "execution_id": started["id"],
        "status": "success",
        "outputs": {"day": "monday", "n": 7, "data": {"x": 1}},
    }
    assert engine.row(execution)["outputs"] == {"day": "monday"}
    assert (started["trigger"], started["depth"], started["number"]) == ("parent", 1, 1)
    assert started["logical_date"] == engine.row(execution)["logical_date"]


def test_a_waiting_parent_holds_no_worker_and_says_what_for(database: Database, tmp_path: Path) -> None:
    with running(database, tmp_path, concurrency=1) as engine:
        gate = Gate()
        child = engine.add({"a": act(engine, gate)})
        execution = engine.execute({"sub": calling(child)})
        gate.wait_entered()
        waiting = engine.stage(execution, "sub")
        assert (waiting["status"], waiting["waits_for"], waiting["due_at"]) == ("waiting", "execution", None)
        assert waiting["reason"] == f"waiting for {child} #1"
        gate.open.set()
        assert engine.wait_end(execution) == "success"


def test_a_childs_failure_is_the_stages_with_its_cause(engine: TestEngine) -> None:
    child = engine.add({"load": act(engine, Flaky(9))})
    execution = engine.execute({"sub": calling(child), "b": ["sub"]})
    assert engine.wait_end(execution) == "failed"
    error = engine.row(execution)["error"]
    assert error["message"] == f"{child} #1 failed at load: it broke"
    assert (error["code"], error["kind"], error["suggestion"]) == ("child_failed", "transient", "Mend it.")
    (started,) = children(engine, execution)
    assert error["details"]["execution_id"] == started["id"]
    assert engine.stage(execution, "b")["status"] == "skipped"


def test_a_stage_whose_child_ran_out_of_time_has_failed_and_not_timed_out(engine: TestEngine) -> None:
    slow = {"type": "wait", "config": {"seconds": 600}, "timeout": "100ms"}
    execution = engine.execute({"sub": calling(engine.add({"a": slow}))})
    assert engine.wait_end(execution) == "failed"
    sub = engine.stage(execution, "sub")
    assert (sub["status"], sub["error"]["code"], sub["error"]["kind"]) == ("failed", "child_failed", "transient")


def test_without_waiting_the_stage_ends_at_once(engine: TestEngine) -> None:
    gate = Gate()
    child = engine.add({"a": act(engine, gate)})
    execution = engine.execute({"sub": calling(child, config={"wait": False})})
    assert engine.wait_end(execution) == "success"
    (started,) = children(engine, execution)
    assert engine.results(execution)[0] == {"execution_id": started["id"], "status": "started", "outputs": None}
    gate.wait_entered()
    gate.open.set()
    assert engine.wait_end(started["id"]) == "success"


def test_pattern_12_multiple_instances_without_synchronisation(engine: TestEngine) -> None:
    """Pattern 12: one execution for each item, and nobody waits for them."""
    child = engine.add({"a": []}, inputs={"n": {"type": "integer"}}, outputs={"n": "${{ inputs.n }}"})
    stage = calling(child, config={"inputs": {"n": "${{ item }}"}, "wait": False}, foreach={"items": [1, 2, 3]})
    execution = engine.execute({"sub": stage})
    assert engine.wait_end(execution) == "success"
    started = children(engine, execution)
    for row in started:
        engine.wait_end(row["id"])
    assert sorted(engine.row(row["id"])["outputs"]["n"] for row in started) == [1, 2, 3]


def test_multi_instance_with_waiting_gathers_what_each_answers(engine: TestEngine) -> None:
    child = engine.add({"a": []}, inputs={"n": {"type": "integer"}}, outputs={"n": "${{ inputs.n * 10 }}"})
    stage = calling(child, config={"inputs": {"n": "${{ item }}"}}, foreach={"items": [1, 2, 3], "max_parallel": 2})
    execution = engine.execute({"sub": stage})
    assert engine.wait_end(execution) == "success"
    (whole,) = [row["value"] for row in engine.rows(results, execution) if row["idx"] == 0]
    assert [item["outputs"]["n"] for item in whole["items"]] == [10, 20, 30]


def test_cancel_of_the_parent_cancels_what_it_waits_for(engine: TestEngine) -> None:
    gate = Gate()
    child = engine.add({"a": act(engine, gate)})
    execution = engine.execute({"sub": calling(child)})
    gate.wait_entered()
    engine.executions.cancel(execution, "ada")
    assert engine.wait_end(execution) == "cancelled"
    (started,) = children(engine, execution)
    assert engine.wait_end(started["id"]) == "cancelled"
    assert engine.row(started["id"])["reason"].startswith("cancelled because the execution that started it")


def test_cancel_of_the_parent_leaves_what_it_does_not_wait_for(engine: TestEngine) -> None:
    gate, other = Gate(), Gate()
    child = engine.add({"a": act(engine, gate)})
    execution = engine.execute({"sub": calling(child, config={"wait": False}), "b": {**act(engine, other)}})
    gate.wait_entered()
    other.wait_entered()
    engine.executions.cancel(execution)
    assert engine.wait_end(execution) == "cancelled"
    (started,) = children(engine, execution)
    gate.open.set()
    assert engine.wait_end(started["id"]) == "success"


def test_the_timeout_of_the_stage_ends_the_wait_and_the_child(engine: TestEngine) -> None:
    gate = Gate()
    child = engine.add({"a": act(engine, gate)})
    execution = engine.execute({"sub": calling(child, timeout="100ms")})
    assert engine.wait_end(execution) == "failed"
    assert engine.stage(execution, "sub")["status"] == "timed_out"
    assert f"{child} #1 did not end in time" in engine.row(execution)["error"]["message"]
    (started,) = children(engine, execution)
    assert engine.wait_end(started["id"]) == "cancelled"


def test_a_cancelled_child_fails_its_parent(engine: TestEngine) -> None:
    gate = Gate()
    child = engine.add({"a": act(engine, gate)})
    execution = engine.execute({"sub": calling(child)})
    gate.wait_entered()
    (started,) = children(engine, execution)
    engine.executions.cancel(started["id"], "ada")
    assert engine.wait_end(execution) == "failed"
    assert engine.row(execution)["error"]["message"] == f"{child} #1 was cancelled: cancelled by ada"


def test_retry_of_the_parent_goes_on_with_the_child_from_its_failed_stage(engine: TestEngine) -> None:
    first, second = Flaky(0), Flaky(1)
    child = engine.add({"a": act(engine, first), "b": {**act(engine, second), "needs": ["a"]}})
    execution = engine.execute({"sub": calling(child)})
    assert engine.wait_end(execution) == "failed"
    engine.executions.retry(execution)
    assert engine.wait_end(execution, times=2) == "success"
    (started,) = children(engine, execution)
    assert (started["status"], started["retries"]) == ("success", 1)
    assert (first.ran, second.ran) == (1, 2)


def test_the_stages_own_retry_goes_on_with_the_child_too(engine: TestEngine) -> None:
    flaky = Flaky(1)
    child = engine.add({"a": act(engine, flaky)})
    retry = {"max_attempts": 2, "delay": "10ms"}
    assert engine.run({"sub": calling(child, retry=retry)}) == "success"
    assert flaky.ran == 2


def test_a_child_that_somebody_retried_is_waited_for(engine: TestEngine) -> None:
    flaky = Flaky(1)
    child = engine.add({"a": act(engine, flaky)})
    execution = engine.execute({"sub": calling(child)})
    engine.wait_end(execution)
    (started,) = children(engine, execution)
    engine.executions.retry(started["id"])
    assert engine.wait_end(started["id"], times=2) == "success"
    engine.executions.retry(execution)
    assert engine.wait_end(execution, times=2) == "success"
    assert len(children(engine, execution)) == 1
    assert flaky.ran == 2


def test_a_retry_that_wants_something_else_starts_a_new_child(engine: TestEngine) -> None:
    answers = iter([{"n": 1}, {"n": 2}])
    child = engine.add({"a": act(engine, Flaky(1))}, inputs={"n": {"type": "integer"}})
    stages = {
        "zero": act(engine, Flaky(1)),
        "first": {**act(engine, lambda _: next(answers)), "needs": ["zero"], "join": "all_done"},
        "sub": {**calling(child, config={"inputs": {"n": "${{ results.first.n }}"}}), "needs": ["first"]},
    }
    execution = engine.execute(stages)
    assert engine.wait_end(execution) == "failed"
    engine.executions.retry(execution)
    assert engine.wait_end(execution, times=2) == "success"
    assert [(row["inputs"]["n"], row["status"]) for row in children(engine, execution)] == [
        (1, "failed"),
        (2, "success"),
    ]


def test_a_stage_that_runs_once_more_after_its_success_starts_a_new_child(engine: TestEngine) -> None:
    flaky = Flaky(1)
    child = engine.add({"a": []})
    stages = {
        "first": act(engine, flaky),
        "sub": {**calling(child), "needs": ["first"], "join": "all_done"},
    }
    execution = engine.execute(stages)
    assert engine.wait_end(execution) == "failed"
    assert engine.stage(execution, "sub")["status"] == "success"
    engine.executions.retry(execution)
    assert engine.wait_end(execution, times=2) == "success"
    assert [row["number"] for row in children(engine, execution)] == [1, 2]


def test_what_cannot_be_started_fails_the_stage_with_a_sentence(engine: TestEngine) -> None:
    missing = engine.execute({"sub": calling("nobody")})
    assert engine.wait_end(missing) == "failed"
    assert engine.row(missing)["error"]["message"] == "There is no pipeline 'nobody'."
    child = engine.add({"a": []}, inputs={"n": {"type": "integer"}})
    wrong = engine.execute({"sub": calling(child, config={"inputs": {"n": "x"}})})
    assert engine.wait_end(wrong) == "failed"
    error = engine.row(wrong)["error"]
    assert (error["code"], "The input `n`" in error["message"]) == ("invalid_inputs", True)


def test_pattern_22_recursion_has_an_end(engine: TestEngine) -> None:
    """Pattern 22 is guarded only: a pipeline that starts itself stops at a depth."""
    pipeline = engine.add({"again": calling("${{ execution.pipeline_id }}")})
    assert engine.wait_end(engine.executions.start(pipeline)) == "failed"
    with engine.database.read() as connection:
        query = sa.select(executions.c.depth, executions.c.error).where(executions.c.pipeline_id == pipeline)
        rows = sorted(connection.execute(query).all())
    assert [row.depth for row in rows] == list(range(DEEPEST + 1))
    assert "10 below the first are allowed" in rows[-1].error["message"]
    told = rows[0].error["message"]
    assert told.startswith(f"{pipeline} #2 failed at again: … {pipeline} #11 failed at again: This would be execution")
    assert "10 below the first are allowed" in told


def test_a_failure_two_levels_down_names_both(engine: TestEngine) -> None:
    low = engine.add({"load": act(engine, Flaky(9))})
    middle = engine.add({"below": calling(low)})
    execution = engine.execute({"sub": calling(middle)})
    assert engine.wait_end(execution) == "failed"
    message = engine.row(execution)["error"]["message"]
    assert message == f"{middle} #1 failed at below: {low} #1 failed at load: it broke"


@pytest.mark.parametrize("died", ["claimed", "ran", "recorded", "child ended", "signalled"])
def test_one_child_is_started_and_heard_whenever_the_server_dies(database: Database, tmp_path: Path, died: str) -> None:
    dead = TestEngine(database, tmp_path)
    child = dead.add({"a": []}, outputs={"x": 1})
    execution = dead.execute({"sub": calling(child), "b": ["sub"]})
    claimed = dead.claim_by_hand()
    if died != "claimed":
        ended = dead.run_by_hand(claimed)
        if died != "ran":
            dead.record_by_hand(ended)
        if died in ("child ended", "signalled"):
            dead.work_by_hand()  # its timers do not run: the parent hears nothing
            assert [row["status"] for row in children(dead, execution)] == ["success"]
        if died == "signalled":
            dead.embedded.children._look_around()
            dead.run_by_hand(dead.claim_by_hand())
    with running(database, tmp_path) as engine:
        assert engine.wait_end(execution) == "success"
        assert [row["number"] for row in children(engine, execution)] == [1]


def test_a_child_left_alone_by_a_server_that_died_is_cancelled(database: Database, tmp_path: Path) -> None:
    dead = TestEngine(database, tmp_path)
    gate = Gate()
    child = dead.add({"a": act(dead, gate)})
    execution = dead.execute({"sub": calling(child)})
    dead.record_by_hand(dead.run_by_hand(dead.claim_by_hand()))
    dead.executions.cancel(execution)
    with running(database, tmp_path) as engine:
        (started,) = children(engine, execution)
        assert engine.wait_end(started["id"]) == "cancelled"


def test_a_child_retried_by_a_person_is_not_taken_for_one_left_alone(database: Database, tmp_path: Path) -> None:
    flaky = Flaky(1)
    with running(database, tmp_path) as engine:
        child = engine.add(
            {"a": act(engine, flaky), "b": {"type": "wait", "config": {"duration": "200ms"}, "needs": ["a"]}}
        )
        execution = engine.execute({"sub": calling(child)})
        assert engine.wait_end(execution) == "failed"
    again = TestEngine(database, tmp_path)
    (started,) = children(again, execution)
    again.executions.retry(started["id"])
    again.work_by_hand()
    with running(database, tmp_path) as engine:
        assert engine.wait_end(started["id"]) == "success"


def test_a_childs_end_that_comes_while_the_stage_looks_is_heard(database: Database, tmp_path: Path) -> None:
    dead = TestEngine(database, tmp_path)
    child = dead.add({"a": []})
    execution = dead.execute({"sub": calling(child)})
    dead.work_by_hand()
    changes = dead.embedded.executions._changes
    changes.change(execution, lambda live, draft: planner.wake(draft, Key(0)))
    dead.work_by_hand()
    assert dead.stage(execution, "sub")["due_at"] is not None
    assert dead.stage(execution, "sub")["state"]["ended"]["status"] == "success"
