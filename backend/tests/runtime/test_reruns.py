"""Running again as a new execution, on the real engine and both databases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flexiroaster.engine.errors import Conflict, InvalidInputs, InvalidRequest, NotFound, StageFailed
from flexiroaster.engine.rerun import NOT_ASKED
from flexiroaster.services.reruns import Asked, RerunPlan, Reruns
from flexiroaster.services.starting import Started
from flexiroaster.stages.base import StageContext
from flexiroaster.store.database import Database
from flexiroaster.store.tables import stage_runs
from tests.runtime.engine import Gate, TestEngine, running

BIG = {"text": "x" * 100_000}


def act(config: dict[str, str], needs: list[str] | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "act", "config": {**config, **more}, "needs": needs or []}


class Flaky:
    """Fails until it is mended."""

    def __init__(self, result: Any = "done") -> None:
        self.broken = True
        self.calls = 0
        self.seen: Any = None
        self.result = result

    def __call__(self, context: StageContext) -> Any:
        self.calls += 1
        self.seen = dict(context.upstream)
        if self.broken:
            raise StageFailed("it broke")
        return self.result


def reruns(engine: TestEngine) -> Reruns:
    return engine.embedded.reruns


def again(engine: TestEngine, execution: str, asked: Asked, **options: Any) -> tuple[str, RerunPlan, str]:
    """Run again and wait; answers its id, its plan and how it ended."""
    started, plan = reruns(engine).start(execution, asked, **options)
    assert plan is not None
    return started.execution_id, plan, engine.wait_end(started)


def test_run_again_from_the_failed_stage_reuses_what_succeeded(engine: TestEngine) -> None:
    counted = Flaky({"rows": 3, "data": [1, 2, 3]})
    counted.broken = False
    flaky = Flaky()
    pipeline = engine.add(
        {"read": act(engine.act(counted)), "load": act(engine.act(flaky), ["read"])},
        outputs={"loaded": "${{ results.load }}"},
    )
    first = engine.executions.start(pipeline).execution_id
    assert engine.wait_end(first) == "failed"
    flaky.broken = False
    second, plan, status = again(engine, first, Asked(from_stage="load"))
    assert (status, plan.reused, plan.to_run) == ("success", ["read"], ["load"])
    assert (counted.calls, flaky.calls) == (1, 2)
    assert flaky.seen == {"read": {"rows": 3, "data": [1, 2, 3]}}
    row = engine.row(second)
    assert (row["rerun_of"], row["from_stage"], row["number"], row["outputs"]) == (first, "load", 2, {"loaded": "done"})
    assert engine.stage(second, "read")["reused_from"] == first
    assert engine.results(second) == {0: {"rows": 3, "data": [1, 2, 3]}, 1: "done"}
    assert f"reused from execution {first}, 3 rows" in engine.messages(second)


def test_results_too_large_to_keep_inline_are_reused(engine: TestEngine) -> None:
    flaky = Flaky()
    pipeline = engine.add({"a": act(engine.act(lambda _: BIG)), "b": act(engine.act(flaky), ["a"])})
    first = engine.executions.start(pipeline).execution_id
    assert engine.wait_end(first) == "failed"
    flaky.broken = False
    second, _, status = again(engine, first, Asked(from_stage="b"))
    assert (status, flaky.seen) == ("success", {"a": BIG})
    third, _, status = again(engine, second, Asked(from_stage="b"))
    assert status == "success"
    assert engine.stage(third, "a")["reused_from"] == first


def test_what_is_gone_runs_again_and_is_said(engine: TestEngine) -> None:
    calls: list[int] = []

    def big(_: StageContext) -> Any:
        calls.append(1)
        return BIG

    pipeline = engine.add({"a": act(engine.act(big)), "b": {"needs": ["a"]}})
    first = engine.executions.start(pipeline).execution_id
    engine.wait_end(first)
    (artifact,) = engine.artifact_rows(first)
    engine.artifacts.delete(artifact["key"])
    plan = reruns(engine).plan(first, Asked(from_stage="b"))
    assert (plan.reused, plan.to_run, plan.whys) == ([], ["a", "b"], {"a": "its result.json is gone"})
    with pytest.raises(Conflict, match=r"Stage b cannot run alone: it needs a, and its result\.json is gone"):
        reruns(engine).plan(first, Asked(only_stage="b"))
    _, _, status = again(engine, first, Asked(from_stage="b"))
    assert (status, len(calls)) == ("success", 2)


def test_one_stage_runs_alone_on_recorded_inputs(engine: TestEngine) -> None:
    middle, last = Flaky("middle"), Flaky("last")
    middle.broken = last.broken = False
    pipeline = engine.add(
        {"a": act(engine.act(lambda _: 7)), "b": act(engine.act(middle), ["a"]), "c": act(engine.act(last), ["b"])},
        inputs={"day": {"type": "string"}},
        outputs={"c": "${{ results.c }}"},
        **{"finally": [{"id": "tidy", "type": "noop"}]},
    )
    first = engine.executions.start(pipeline, inputs={"day": "mon"}, data={"rows": 1}).execution_id
    assert engine.wait_end(first) == "success"
    second, plan, status = again(engine, first, Asked(only_stage="b"))
    assert (status, plan.not_run, middle.calls, last.calls) == ("success", ["c"], 2, 1)
    skipped = engine.stage(second, "c")
    assert (skipped["status"], skipped["reason"]) == ("skipped", NOT_ASKED)
    row = engine.row(second)
    assert (row["inputs"], row["data"], row["outputs"], row["alone"]) == ({"day": "mon"}, {"rows": 1}, None, True)
    assert row["logical_date"] == engine.row(first)["logical_date"]
    assert len(engine.rows(stage_runs, second)) == 3


def test_a_stage_that_failed_alone_can_be_retried(engine: TestEngine) -> None:
    flaky = Flaky()
    flaky.broken = False
    pipeline = engine.add({"a": act(engine.act(flaky)), "b": {"needs": ["a"]}})
    first = engine.executions.start(pipeline).execution_id
    engine.wait_end(first)
    flaky.broken = True
    second, _, status = again(engine, first, Asked(only_stage="a"))
    assert status == "failed"
    assert engine.executions.retry_plan(second).to_run == ["a"]
    flaky.broken = False
    engine.executions.retry(second)
    assert engine.wait_end(second, times=2) == "success"
    assert engine.stage(second, "b")["reason"] == NOT_ASKED


def test_inputs_are_edited_one_by_one(engine: TestEngine) -> None:
    pipeline = engine.add(
        {"a": [], "b": ["a"]},
        inputs={"day": {"type": "string"}, "limit": {"type": "integer", "minimum": 1}},
    )
    first = engine.executions.start(pipeline, inputs={"day": "mon", "limit": 5}).execution_id
    engine.wait_end(first)
    second, plan, _ = again(engine, first, Asked(from_stage="b"), inputs={"limit": 6})
    assert engine.row(second)["inputs"] == {"day": "mon", "limit": 6}
    assert plan.notes == ["Reused results were made with the inputs of before: limit changed since."]
    third, plan, _ = again(engine, first, Asked(), inputs={"day": "tue", "limit": 1}, keep_inputs=False)
    assert (engine.row(third)["inputs"], plan.reused, plan.notes) == ({"day": "tue", "limit": 1}, [], [])
    with pytest.raises(InvalidInputs, match="limit"):
        reruns(engine).start(first, Asked(), inputs={"limit": 0})


def test_another_version_reuses_the_stages_it_knows(engine: TestEngine) -> None:
    pipeline = engine.add({"a": [], "b": ["a"], "c": ["b"]}, inputs={"old": {"type": "string", "default": "x"}})
    first = engine.executions.start(pipeline).execution_id
    engine.wait_end(first)
    engine.change(pipeline, {"z": [], "a": [], "new": ["a"], "c": ["new", "z"]})
    second, plan, status = again(engine, first, Asked(from_stage="c"))
    assert (status, plan.version, plan.reused, plan.to_run) == ("success", 2, ["a"], ["z", "new", "c"])
    assert plan.whys == dict.fromkeys(("z", "new"), "the earlier execution did not have it")
    assert plan.notes == [
        "It runs version 2; the earlier execution ran version 1.",
        "Version 2 has no input old: left out.",
    ]
    assert engine.stage(second, "a")["position"] == 1
    _, plan, status = again(engine, first, Asked(from_stage="c", version=1))
    assert (status, plan.version, plan.reused) == ("success", 1, ["a", "b"])
    with pytest.raises(NotFound):
        reruns(engine).plan(first, Asked(version=7))


def test_the_same_key_runs_again_once(engine: TestEngine) -> None:
    first = engine.execute({"a": []})
    engine.wait_end(first)
    one, plan = reruns(engine).start(first, Asked(), idempotency_key="k")
    two, nothing = reruns(engine).start(first, Asked(), idempotency_key="k")
    assert (one.execution_id, two.replayed, nothing) == (two.execution_id, True, None)
    assert plan is not None


def test_what_cannot_be_asked_is_refused(engine: TestEngine) -> None:
    first = engine.execute({"a": []})
    engine.wait_end(first)
    with pytest.raises(InvalidRequest, match="both given"):
        reruns(engine).plan(first, Asked(from_stage="a", only_stage="a"))
    with pytest.raises(NotFound):
        reruns(engine).plan("nothing", Asked())
    with pytest.raises(InvalidRequest, match="only that pipeline can run it again"):
        reruns(engine).start(first, Asked(), pipeline_id="other")


def test_a_re_run_with_nothing_left_to_run_ends_at_once(engine: TestEngine) -> None:
    pipeline = engine.add(
        {"a": [], "b": {"needs": ["a"], "join": "one_failed"}}, outputs={"n": "${{ execution.number }}"}
    )
    first = engine.executions.start(pipeline).execution_id
    assert engine.wait_end(first) == "success"
    second, _, status = again(engine, first, Asked(from_stage="b"))
    row = engine.row(second)
    assert (status, row["outputs"], row["started_at"]) == ("success", {"n": 2}, None)
    assert row["ended_at"] is not None


def test_a_re_run_survives_the_death_of_its_process(database: Database, tmp_path: Path) -> None:
    """Accepted by a server that never works, then taken up by another: with the results it took over."""
    flaky = Flaky()
    with running(database, tmp_path) as engine:
        pipeline = engine.add({"a": act(engine.act(lambda _: 5)), "b": act(engine.act(flaky), ["a"])})
        first = engine.executions.start(pipeline).execution_id
        assert engine.wait_end(first) == "failed"
    flaky.broken = False
    dead = TestEngine(database, tmp_path)
    started, _ = dead.embedded.reruns.start(first, Asked(from_stage="b"))
    with running(database, tmp_path) as engine:
        assert engine.wait_end(started.execution_id) == "success"
        assert flaky.seen == {"a": 5}


def test_started_says_what_it_started(engine: TestEngine) -> None:
    first = engine.execute({"a": []})
    engine.wait_end(first)
    started, _ = reruns(engine).start(first, Asked(), actor="ada@example.com")
    assert isinstance(started, Started)
    engine.wait_end(started)
    assert engine.row(started.execution_id)["actor"] == "ada@example.com"


def test_a_re_run_waits_for_its_place_with_what_it_took_over(engine: TestEngine) -> None:
    gate, free = Gate(), Flaky()
    free.broken = False
    once = engine.act(lambda context: gate(context) if context.data == "hold" else "ran")
    pipeline = engine.add(
        {"a": act(engine.act(free)), "b": act(once, ["a"])}, concurrency={"limit": 1, "when_full": "queue"}
    )
    first = engine.executions.start(pipeline).execution_id
    assert engine.wait_end(first) == "success"
    engine.executions.start(pipeline, data="hold")
    gate.wait_entered()
    started, _ = reruns(engine).start(first, Asked(from_stage="b"))
    waiting = engine.row(started.execution_id)
    assert (waiting["status"], waiting["reason"] is not None) == ("queued", True)
    assert engine.stage(started.execution_id, "a")["reused_from"] == first
    gate.open.set()
    assert engine.wait_end(started) == "success"
    assert free.calls == 2
    assert engine.results(started.execution_id) == {0: "done", 1: "ran"}


def test_a_reused_switch_remembers_what_it_chose(engine: TestEngine) -> None:
    """Also where a re-run is run again: what it decided against stays skipped."""
    route = {
        "type": "switch",
        "needs": [],
        "config": {"value": "eu", "cases": {"eu": "eu", "us": "us"}, "default": "us"},
    }
    pipeline = engine.add({"route": route, "eu": ["route"], "us": ["route"], "merge": ["eu", "us"]})
    first = engine.executions.start(pipeline).execution_id
    assert engine.wait_end(first) == "success"
    second, plan, _ = again(engine, first, Asked(from_stage="us"))
    assert (plan.reused, plan.to_run) == (["route", "eu"], ["us", "merge"])
    third, _, ended = again(engine, second, Asked(from_stage="us"))
    assert ended == "success"
    for id in (second, third):
        states = {row["stage"]: (row["status"], row["reason"]) for row in engine.rows(stage_runs, id)}
        assert states["us"] == ("skipped", "not chosen by route")
        assert states["merge"][0] == "success"
    assert engine.stage(third, "route")["state"] == engine.stage(first, "route")["state"] != {}
