"""The engine as a whole: real threads, real databases."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from flexiroaster.engine.errors import Conflict, InvalidInputs, NotFound, StageFailed
from flexiroaster.engine.outcome import Succeeded
from flexiroaster.services.stage_runs import Ended, Produced
from flexiroaster.stages.base import StageContext
from flexiroaster.store.database import Database
from flexiroaster.store.tables import logs
from tests.runtime.engine import Gate, TestEngine, running

RETRY: dict[str, Any] = {"retry": {"max_attempts": 3, "delay": "1ms"}}


def act(config: dict[str, str], needs: list[str] | None = None, **rest: Any) -> dict[str, Any]:
    return {"type": "act", "needs": needs or [], "config": config, **rest}


def test_results_pass_from_stage_to_stage(engine: TestEngine) -> None:
    double = engine.act(lambda context: {"n": context.upstream["one"]["n"] * 2})
    execution = engine.execute(
        {"one": act(engine.act(lambda _: {"n": 21})), "two": act(double, ["one"])},
        outputs={"answer": "${{ results.two.n }}"},
    )
    assert engine.wait_end(execution) == "success"
    assert engine.row(execution)["outputs"] == {"answer": 42}
    assert engine.results(execution) == {0: {"n": 21}, 1: {"n": 42}}


def test_parallel_stages_run_at_the_same_time(engine: TestEngine) -> None:
    together = threading.Barrier(3)
    meet = engine.act(lambda _: together.wait(60) and None)
    assert engine.run({name: act(meet) for name in ("a", "b", "c")}) == "success"


def test_events_are_stored_as_they_were_published(engine: TestEngine) -> None:
    execution = engine.execute({"a": [], "b": ["a"]})
    engine.wait_end(execution)
    published = [(event.seq, event.type.value) for event in engine.seen if event.seq]
    stored = [(row["seq"], row["type"]) for row in engine.events(execution)]
    assert stored == published
    assert [seq for seq, _ in stored] == list(range(1, len(stored) + 1))


def test_failed_stage_is_told_with_its_sentence(engine: TestEngine) -> None:
    def fail(_: StageContext) -> None:
        raise StageFailed("row 3: amount is 'N/A'", code="bad_row", kind="data", suggestion="mend row 3")

    execution = engine.execute({"a": act(engine.act(fail)), "b": ["a"]})
    assert engine.wait_end(execution) == "failed"
    row = engine.row(execution)
    assert (row["failed_stage"], row["error"]["message"]) == ("a", "row 3: amount is 'N/A'")
    assert engine.stage(execution, "b")["reason"] == "needs a, which failed"


def test_foreign_exception_becomes_an_error_with_its_line(engine: TestEngine) -> None:
    execution = engine.execute({"a": act(engine.act(lambda _: 1 / 0))})
    engine.wait_end(execution)
    error = engine.row(execution)["error"]
    assert error["message"] == "ZeroDivisionError: division by zero"
    assert error["kind"] == "internal"
    assert error["location"]["file"].endswith("test_executions.py")


def test_transient_failure_is_tried_again(engine: TestEngine) -> None:
    def flaky(context: StageContext) -> int:
        if context.attempt < 3:
            raise StageFailed("busy", kind="transient")
        return context.attempt

    execution = engine.execute({"a": act(engine.act(flaky), **RETRY)})
    assert engine.wait_end(execution) == "success"
    assert engine.results(execution) == {0: 3}


def test_timeout_stops_the_stage(engine: TestEngine) -> None:
    gate = Gate()

    def listen(context: StageContext) -> None:
        gate(context)
        raise StageFailed("interrupted")

    execution = engine.execute({"a": act(engine.act(listen), timeout="50ms")})
    assert engine.wait_end(execution) == "failed"
    assert engine.stage(execution, "a")["status"] == "timed_out"
    assert "ran longer than its timeout of 0.05 s" in engine.row(execution)["error"]["message"]


def test_timeout_of_the_execution_ends_it(engine: TestEngine) -> None:
    def listen(context: StageContext) -> None:
        Gate()(context)
        raise StageFailed("interrupted")

    execution = engine.execute({"a": act(engine.act(listen)), "b": ["a"]}, timeout="50ms")
    assert engine.wait_end(execution) == "timed_out"
    assert engine.stage(execution, "b")["status"] == "cancelled"


def test_cancel_reaches_the_running_stage(engine: TestEngine) -> None:
    gate = Gate()

    def listen(context: StageContext) -> None:
        gate(context)
        raise StageFailed("interrupted")

    execution = engine.execute({"a": act(engine.act(listen)), "b": ["a"]})
    gate.wait_entered()
    engine.executions.cancel(execution, "ada")
    assert engine.wait_end(execution) == "cancelled"
    assert engine.row(execution)["reason"] == "cancelled by ada"
    engine.executions.cancel(execution, "ada")  # again: no harm


def test_ended_execution_cannot_be_cancelled(engine: TestEngine) -> None:
    execution = engine.execute({"a": []})
    engine.wait_end(execution)
    with pytest.raises(Conflict, match="already ended as success"):
        engine.executions.cancel(execution)


def test_retry_reuses_what_succeeded(engine: TestEngine) -> None:
    ran: list[str] = []
    broken = [True]

    def once_broken(context: StageContext) -> str:
        ran.append(context.stage_id)
        if broken[0] and context.stage_id == "b":
            raise StageFailed("not yet", kind="data")
        return context.stage_id

    doing = engine.act(once_broken)
    execution = engine.execute({"a": act(doing), "b": act(doing, ["a"]), "c": act(doing, ["b"])})
    assert engine.wait_end(execution) == "failed"
    plan = engine.executions.retry_plan(execution)
    assert (plan.reused, plan.to_run) == (["a"], ["b", "c"])
    broken[0] = False
    assert engine.executions.retry(execution, "ada") == plan
    assert engine.wait_end(execution, times=2) == "success"
    assert ran == ["a", "b", "b", "c"]
    assert engine.results(execution) == {0: "a", 1: "b", 2: "c"}


def test_idempotency_key_starts_one_execution(engine: TestEngine) -> None:
    pipeline = engine.add({"a": []})
    first = engine.executions.start(pipeline, idempotency_key="k")
    second = engine.executions.start(pipeline, idempotency_key="k")
    assert (second.execution_id, second.replayed) == (first.execution_id, True)
    assert engine.executions.start(pipeline, idempotency_key="other").number == 2


def test_same_key_from_many_threads_starts_one_execution(engine: TestEngine) -> None:
    pipeline = engine.add({"a": []})
    found: list[str] = []
    together = threading.Barrier(8)

    def start() -> None:
        together.wait(60)
        found.append(engine.executions.start(pipeline, idempotency_key="k").execution_id)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_unknown_pipeline_is_not_found(engine: TestEngine) -> None:
    with pytest.raises(NotFound, match="no pipeline 'nope'"):
        engine.executions.start("nope")


def test_inputs_are_checked_before_anything_is_stored(engine: TestEngine) -> None:
    pipeline = engine.add({"a": []}, inputs={"n": {"type": "integer"}})
    with pytest.raises(InvalidInputs):
        engine.executions.start(pipeline, inputs={"n": "three"})
    assert engine.executions.start(pipeline, inputs={"n": 3}).number == 1


def test_only_defaults_are_evaluated_never_what_a_starter_gives(engine: TestEngine) -> None:
    inputs = {"given": {"type": "string"}, "filled": {"type": "integer", "default": "${{ 1 + 1 }}"}}
    pipeline = engine.add({"a": []}, inputs=inputs)
    started = engine.executions.start(pipeline, inputs={"given": "${{ execution.logical_date }}"})
    engine.wait_end(started)
    assert engine.row(started.execution_id)["inputs"] == {"given": "${{ execution.logical_date }}", "filled": 2}


def test_when_skips_its_stage(engine: TestEngine) -> None:
    execution = engine.execute(
        {"a": act(engine.act(lambda _: {"rows": 0})), "b": {"needs": ["a"], "when": "${{ results.a.rows > 0 }}"}}
    )
    assert engine.wait_end(execution) == "success"
    assert engine.stage(execution, "b")["reason"] == "when is false: ${{ results.a.rows > 0 }}"


def test_broken_expression_fails_its_stage_with_a_sentence(engine: TestEngine) -> None:
    execution = engine.execute(
        {"a": act(engine.act(lambda _: {"rows": 0})), "b": {"needs": ["a"], "when": "${{ results.a.nope > 0 }}"}}
    )
    assert engine.wait_end(execution) == "failed"
    assert "nope" in engine.row(execution)["error"]["message"]


def test_outputs_that_cannot_be_made_fail_the_execution(engine: TestEngine) -> None:
    execution = engine.execute({"a": act(engine.act(lambda _: {"n": 1}))}, outputs={"x": "${{ results.a.m }}"})
    assert engine.wait_end(execution) == "failed"
    assert engine.row(execution)["error"]["code"] == "outputs_failed"


def test_large_result_is_spilled_and_read_back(engine: TestEngine) -> None:
    large = "x" * 100_000
    execution = engine.execute(
        {
            "a": act(engine.act(lambda _: {"text": large})),
            "b": act(engine.act(lambda context: len(context.upstream["a"]["text"])), ["a"]),
        }
    )
    assert engine.wait_end(execution) == "success"
    assert engine.results(execution) == {0: None, 1: 100_000}
    assert [row["kind"] for row in engine.artifact_rows(execution)] == ["result"]


def test_result_that_is_not_json_is_refused(engine: TestEngine) -> None:
    execution = engine.execute({"a": act(engine.act(lambda _: {"x": object()}))})
    assert engine.wait_end(execution) == "failed"
    assert engine.row(execution)["error"]["code"] == "result_not_json"


def test_log_lines_come_before_the_end_of_their_stage(engine: TestEngine) -> None:
    execution = engine.execute({"a": act(engine.act(lambda context: context.log("info", "half way")))})
    engine.wait_end(execution)
    told = [message.split(" in ")[0] for message in engine.messages(execution)]
    assert told[:3] == ["execution #1 started", "half way", "succeeded"]


def test_log_of_a_running_stage_can_be_read(engine: TestEngine) -> None:
    gate = Gate()

    def talk(context: StageContext) -> None:
        context.log("info", "I am at it")
        gate(context)

    execution = engine.execute({"a": act(engine.act(talk))})
    gate.wait_entered()
    engine.wait_for("log", "a")
    assert "I am at it" in engine.messages(execution)
    gate.open.set()
    engine.wait_end(execution)


def test_waiting_stage_goes_on_when_it_is_due(engine: TestEngine) -> None:
    execution = engine.execute({"a": {"type": "wait", "needs": [], "config": {"seconds": 0.05}}})
    assert engine.wait_end(execution) == "success"
    assert "stage_waiting" in [row["type"] for row in engine.events(execution)]


def test_many_executions_at_once_all_end(engine: TestEngine) -> None:
    pipeline = engine.add({"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]})
    started = [engine.executions.start(pipeline).execution_id for _ in range(40)]
    assert {engine.wait_end(execution) for execution in started} == {"success"}
    assert [engine.row(execution)["number"] for execution in started] == list(range(1, 41))


def test_wide_execution_records_every_stage_once(engine: TestEngine) -> None:
    wide: dict[str, Any] = {"a": []} | {f"b{n}": ["a"] for n in range(300)}
    execution = engine.execute(wide | {"z": [f"b{n}" for n in range(300)]})
    assert engine.wait_end(execution) == "success"
    completed = [row["stage"] for row in engine.events(execution) if row["type"] == "stage_completed"]
    assert len(completed) == len(set(completed)) == 302


def test_stop_hands_back_and_the_next_start_goes_on(database: Database, tmp_path: Path) -> None:
    gate = Gate()

    def listen(context: StageContext) -> str:
        if context.attempt == 1:
            gate(context)
            raise StageFailed("interrupted")
        return "second"

    with running(database, tmp_path) as first:
        doing = first.act(listen)
        execution = first.execute({"a": act(doing), "b": ["a"]})
        gate.wait_entered()
    assert first.stage(execution, "a")["status"] == "queued"
    with running(database, tmp_path) as second:
        assert second.wait_end(execution) == "success"
        assert second.results(execution) == {0: "second"}
        assert second.stage(execution, "a")["lost"] == 0


def test_start_takes_up_what_a_dead_process_left(database: Database, tmp_path: Path) -> None:
    """The rows a killed process leaves: one stage running, one retrying, one ready."""
    dead = TestEngine(database, tmp_path)  # never started: it claims and then is never heard of again
    doing = act(dead.act(lambda _: None))
    execution = dead.execute({"a": doing, "b": doing, "c": ["a", "b"]})
    (claimed,) = dead.embedded.stage_runs.claim_next()
    assert claimed.run.attempt == 1
    with running(database, tmp_path) as engine:
        assert engine.wait_end(execution) == "success"
        assert engine.stage(execution, "a")["attempt"] == 2
        assert engine.stage(execution, "b")["attempt"] == 1


def test_start_tells_in_the_log_what_a_dead_process_did_not_come_to_tell(database: Database, tmp_path: Path) -> None:
    dead = TestEngine(database, tmp_path)  # never started: nothing writes its lines
    doing = act(dead.act(lambda _: None))
    execution = dead.execute({"a": doing, "b": {**doing, "needs": ["a"]}})
    (claimed,) = dead.embedded.stage_runs.claim_next()
    dead.embedded.stage_runs.record([Ended(claimed, Succeeded(), Produced())], go_on=False)
    assert dead.rows(logs, execution) == []
    with running(database, tmp_path) as engine:
        engine.wait_end(execution)
        lines = engine.messages(execution)
        assert [line.partition(" ")[0] for line in lines] == ["execution", "succeeded", "succeeded", "execution"]
        engine.embedded.journal.catch_up()
        assert engine.messages(execution) == lines


def test_instant_stages_share_a_transaction_and_one_that_cannot_be_recorded_fails_alone(
    engine: TestEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flexiroaster.engine import planner

    record = planner.record

    def fails_for_one(draft: Any, key: Any, outcome: Any, chance: float) -> None:
        if draft.plan.stages[key.position].id == "m7" and isinstance(outcome, Succeeded):
            raise RuntimeError("cannot be written")
        record(draft, key, outcome, chance)

    monkeypatch.setattr(planner, "record", fails_for_one)
    middle = {f"m{n}": ["first"] for n in range(20)}
    execution = engine.execute({"first": [], **middle})
    assert engine.wait_end(execution) == "failed"
    states = {name: engine.stage(execution, name)["status"] for name in middle}
    assert states == {name: "failed" if name == "m7" else "success" for name in middle}


def test_start_runs_the_newest_version(engine: TestEngine) -> None:
    pipeline = engine.add({"a": []})
    for version in (1, 2, 3):
        execution = engine.executions.start(pipeline)
        engine.wait_end(execution)
        assert engine.row(execution.execution_id)["version"] == version
        inputs = {"n": {"type": "integer", "default": version}}
        engine.change(pipeline, {"a": [], "b": []}, version=version + 1, inputs=inputs)
    with pytest.raises(InvalidInputs):
        engine.executions.start(pipeline, inputs={"n": "three"})


def test_start_takes_the_inputs_of_the_newest_version(engine: TestEngine) -> None:
    pipeline = engine.add({"a": []}, inputs={"old": {"type": "integer"}})
    engine.wait_end(engine.executions.start(pipeline, inputs={"old": 1}))
    engine.change(pipeline, {"a": []}, version=2, inputs={"new": {"type": "integer"}})
    with pytest.raises(InvalidInputs) as refused:
        engine.executions.start(pipeline, inputs={"other": 1})
    assert [problem.message for problem in refused.value.problems] == [
        "The pipeline has no input 'other'. Known are new.",
        "The input 'new' (integer) is missing.",
    ]
    execution = engine.executions.start(pipeline, inputs={"new": 1})
    assert engine.row(execution.execution_id)["version"] == 2


def test_late_answer_of_a_dead_process_changes_nothing(database: Database, tmp_path: Path) -> None:
    dead = TestEngine(database, tmp_path)
    execution = dead.execute({"a": []})
    (claimed,) = dead.embedded.stage_runs.claim_next()
    with running(database, tmp_path) as engine:
        engine.wait_end(execution)
        before = engine.events(execution)
        late = Ended(claimed, Succeeded({"late": True}), Produced(result_json='{"late":true}'))
        dead.embedded.stage_runs.record([late])
        assert engine.events(execution) == before
        assert engine.results(execution) == {0: None}


def test_stage_that_ignores_its_timeout_is_recorded_without_it(
    engine: TestEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import timedelta

    from flexiroaster.runtime import worker

    monkeypatch.setattr(worker, "KILL_AFTER", timedelta(milliseconds=50))
    release = threading.Event()
    execution = engine.execute({"a": act(engine.act(lambda _: release.wait(30) and None), timeout="50ms")})
    assert engine.wait_end(execution) == "failed"
    assert engine.stage(execution, "a")["status"] == "timed_out"
    release.set()
    assert engine.run({"a": []}) == "success"
