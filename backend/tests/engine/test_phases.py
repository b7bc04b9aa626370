"""Handlers and compensations: what runs after the stages, in which order, and what it may change."""

from __future__ import annotations

from typing import Any

import pytest

from flexiroaster.engine.errors import StageError
from flexiroaster.engine.outcome import Cancelled, Skipped, Succeeded
from flexiroaster.engine.planner import needing_another_run
from flexiroaster.engine.runs import Key
from tests.engine.simulation import Simulation, failed

UNDO: dict[str, Any] = {"compensate": {"type": "noop"}}
RETRY: dict[str, Any] = {"retry": {"max_attempts": 2, "delay": "10s", "jitter": False}}


def handlers(**lists: dict[str, Any]) -> dict[str, Any]:
    """`handlers(on_failure={"tell": []}, finally_={"tidy": []})`"""
    return {
        name.rstrip("_"): [
            {"id": id, "type": "noop", **(given if isinstance(given, dict) else {"needs": given})}
            for id, given in stages.items()
        ]
        for name, stages in lists.items()
    }


EVERY = handlers(on_failure={"tell": []}, on_success={"cheer": []}, finally_={"tidy": []})


def simulate(stages: dict[str, Any], **lists: Any) -> Simulation:
    return Simulation.of(stages, **(lists or EVERY))


def started(run: Simulation) -> list[str]:
    return [str(event.stage) for event in run.history if event.type.value == "stage_started"]


def phases(run: Simulation) -> list[str]:
    return [event.payload["phase"] for event in run.history if event.type.value == "execution_phase"]


def test_only_the_stages_are_there_from_the_start() -> None:
    run = simulate({"a": []})
    assert run.statuses() == {"a": "queued"}
    assert run.execution.phase.value == "main"


def test_success_is_followed_by_its_handlers() -> None:
    run = simulate({"a": []})
    run.run("a")
    assert (run.status, run.execution.phase.value) == ("running", "on_success")
    assert run.statuses() == {"a": "success", "cheer": "queued"}
    run.run_all()
    assert run.status == "success"
    assert started(run) == ["a", "cheer", "tidy"]
    assert phases(run) == ["on_success", "finally"]


def test_failure_is_followed_by_its_handlers() -> None:
    run = simulate({"a": []})
    run.run_all({"a": failed()})
    assert run.status == "failed"
    assert started(run) == ["a", "tell", "tidy"]
    assert run.execution.failed_stage == "a"


def test_handlers_wait_until_the_last_stage_has_ended() -> None:
    run = simulate({"bad": [], "slow": []})
    run.claim("slow")
    run.run("bad", failed())
    assert "tell" not in run.statuses()
    run.record("slow", Succeeded())
    assert run.statuses()["tell"] == "queued"


def test_timeout_is_a_failure_for_its_handlers() -> None:
    run = simulate({"a": []}, timeout="1h", **EVERY)
    run.claim("a")
    run.time_out()
    run.record("a", Cancelled())
    assert run.status == "running"
    run.run_all()
    assert run.status == "timed_out"
    assert started(run) == ["a", "tell", "tidy"]


def test_cancel_is_followed_by_finally_alone() -> None:
    run = simulate({"a": []})
    run.claim("a")
    run.cancel()
    run.record("a", Cancelled())
    assert (run.status, run.execution.phase.value) == ("cancelling", "finally")
    run.run_all()
    assert run.status == "cancelled"
    assert started(run) == ["a", "tidy"]


def test_execution_cancelled_before_it_started_has_nothing_to_tidy_up() -> None:
    run = simulate({"a": []})
    run.cancel()
    assert run.status == "cancelled"
    assert run.statuses() == {"a": "cancelled"}


def test_pipeline_without_handlers_of_that_kind_ends_at_once() -> None:
    run = simulate({"a": []}, **handlers(on_failure={"tell": []}))
    run.run("a")
    assert run.status == "success"
    assert phases(run) == []


def test_needs_hold_among_handlers_of_one_list() -> None:
    run = simulate({"a": []}, **handlers(finally_={"first": [], "second": ["first"], "third": ["second"]}))
    run.run("a")
    run.run("first")
    run.run("second", failed())
    assert run.statuses() == {"a": "success", "first": "success", "second": "failed", "third": "skipped"}


def test_handler_is_retried() -> None:
    run = simulate({"a": []}, **handlers(finally_={"tidy": {"needs": [], **RETRY}}))
    run.run("a")
    run.run("tidy", failed("transient"))
    assert run.stage("tidy").status == "retrying"
    run.wake("tidy")
    run.run("tidy")
    assert run.status == "success"


def test_handler_whose_when_is_false_is_skipped() -> None:
    run = simulate({"a": []})
    run.run_all({"cheer": Skipped("when is false"), "tidy": Skipped("when is false")})
    assert run.status == "success"


@pytest.mark.parametrize("handler", ["cheer", "tidy"])
def test_failed_handler_takes_a_success_away(handler: str) -> None:
    run = simulate({"a": []})
    run.run_all({handler: failed()})
    assert run.status == "failed"
    assert run.execution.failed_stage == handler
    assert run.execution.error is not None
    assert started(run) == ["a", "cheer", "tidy"]  # no on_failure, but what must happen happens


@pytest.mark.parametrize("handler", ["tell", "tidy"])
def test_failed_handler_of_a_failure_changes_nothing(handler: str) -> None:
    run = simulate({"a": []})
    run.run_all({"a": failed("data"), handler: failed()})
    assert run.status == "failed"
    assert run.execution.failed_stage == "a"
    assert run.execution.error is not None
    assert run.execution.error.kind == "data"


def test_events_of_handlers_say_their_phase() -> None:
    run = simulate({"a": []})
    run.run_all()
    told = {event.stage: event.payload.get("phase") for event in run.history if event.type.value == "stage_completed"}
    assert told == {"a": None, "cheer": "on_success", "tidy": "finally"}


def test_timeout_covers_no_handlers() -> None:
    run = simulate({"a": []}, timeout="1h", **EVERY)
    run.run("a")
    run.time_out()
    run.run_all()
    assert run.status == "success"


# ── cancel while handlers run ───────────────────────────────────────────────────────────────────────────────────────


def test_cancel_stops_the_handlers_of_a_success_and_it_is_cancelled() -> None:
    run = simulate({"a": []}, **handlers(on_success={"cheer": [], "louder": ["cheer"]}, finally_={"tidy": []}))
    run.run("a")
    run.claim("cheer")
    run.cancel()
    assert [run.name(key) for key in run.told_to_stop] == ["cheer"]
    assert run.statuses() == {"a": "success", "cheer": "cancelling", "louder": "cancelled"}
    run.record("cheer", Cancelled())
    assert run.execution.phase.value == "finally"
    run.run_all()
    assert run.status == "cancelled"


def test_cancel_stops_the_handlers_of_a_failure_and_it_stays_failed() -> None:
    run = simulate({"a": []})
    run.run("a", failed())
    run.claim("tell")
    run.cancel()
    run.record("tell", Cancelled())
    run.run_all()
    assert run.status == "failed"
    assert started(run) == ["a", "tell", "tidy"]


def test_cancel_while_finally_runs_ends_the_execution() -> None:
    run = simulate({"a": []})
    run.claim("a")
    run.cancel()
    run.record("a", Cancelled())
    run.claim("tidy")
    run.cancel()
    run.record("tidy", Cancelled())
    assert run.status == "cancelled"
    assert run.stage("tidy").status == "cancelled"


def test_worker_lost_in_a_handler_runs_it_again() -> None:
    run = simulate({"a": []})
    run.claim("a")
    run.cancel()
    run.record("a", Cancelled())
    run.claim("tidy")
    run.lose("tidy")
    run.run_all()
    assert run.status == "cancelled"
    assert run.stage("tidy").status == "success"


# ── compensation ────────────────────────────────────────────────────────────────────────────────────────────────────


def undone(run: Simulation) -> list[str]:
    return [stage.removesuffix(":compensate") for stage in started(run) if stage.endswith(":compensate")]


SAGA: dict[str, Any] = {
    "flight": {"needs": [], **UNDO},
    "hotel": {"needs": ["flight"], **UNDO},
    "car": {"needs": ["hotel"], **UNDO},
    "pay": {"needs": ["car"], **UNDO},
}


def test_what_succeeded_is_undone_the_last_first() -> None:
    run = simulate(SAGA)
    run.run_all({"pay": failed()})
    assert undone(run) == ["car", "hotel", "flight"]
    assert run.status == "failed"
    assert phases(run) == ["compensation", "on_failure", "finally"]


def test_order_is_that_of_completion_not_of_the_definition() -> None:
    run = simulate({"a": {"needs": [], **UNDO}, "b": {"needs": [], **UNDO}, "c": ["a", "b"]})
    run.run("b")
    run.run("a")
    run.run("c", failed())
    run.run_all()
    assert undone(run) == ["a", "b"]


def test_nothing_is_undone_after_a_success() -> None:
    run = simulate(SAGA)
    run.run_all()
    assert run.status == "success"
    assert undone(run) == []


def test_stage_without_compensation_is_passed_over() -> None:
    run = simulate({"a": {"needs": [], **UNDO}, "b": ["a"], "c": ["b"]})
    run.run_all({"c": failed()})
    assert undone(run) == ["a"]


def test_one_compensation_runs_at_a_time() -> None:
    run = simulate(SAGA)
    for stage in ("flight", "hotel", "car"):
        run.run(stage)
    run.run("pay", failed())
    waiting = {name: status for name, status in run.statuses().items() if name.endswith(":compensate")}
    assert waiting == {
        "flight:compensate": "pending",
        "hotel:compensate": "pending",
        "car:compensate": "queued",
    }


def test_failed_compensation_keeps_no_other_from_running() -> None:
    run = simulate(SAGA)
    run.run_all({"pay": failed("data"), "car:compensate": failed()})
    assert undone(run) == ["car", "hotel", "flight"]
    assert run.status == "failed"
    assert run.execution.failed_stage == "pay"


def test_cancelled_execution_is_undone_too() -> None:
    run = simulate(SAGA)
    run.run("flight")
    run.claim("hotel")
    run.cancel()
    run.record("hotel", Succeeded())  # it finished before it heard of it
    run.run_all()
    assert undone(run) == ["hotel", "flight"]
    assert run.status == "cancelled"


def test_cancel_of_a_compensation_leaves_the_rest_undone_but_tidies_up() -> None:
    run = simulate(SAGA)
    for stage in ("flight", "hotel", "car"):
        run.run(stage)
    run.run("pay", failed())
    run.claim("car:compensate")
    run.cancel()
    run.record("car:compensate", Cancelled())
    run.run_all()
    assert undone(run) == ["car"]
    assert started(run)[-1] == "tidy"
    assert "tell" not in run.statuses()
    assert run.status == "failed"


# ── a person's retry ────────────────────────────────────────────────────────────────────────────────────────────────


def test_retry_runs_the_handlers_of_the_new_round() -> None:
    run = simulate({"a": [], "b": ["a"]})
    run.run_all({"b": failed()})
    run.retry()
    assert run.execution.phase.value == "main"
    assert {run.plan.stages[p].id for p in (key.position for key in run.ready)} >= {"b"}
    run.run_all({"b": failed()})
    assert run.stage("tell").attempt == 2
    assert run.stage("tidy").attempt == 2
    assert [(kept.key, kept.attempt) for kept in run.attempts if kept.key == run.key("tidy")] == [(run.key("tidy"), 1)]
    run.retry()
    run.run_all()
    assert run.status == "success"
    assert run.stage("cheer").status == "success"
    assert run.stage("tidy").attempt == 3


def test_retry_runs_again_what_was_undone() -> None:
    run = simulate(SAGA)
    run.run_all({"pay": failed()})
    names = {run.plan.stages[position].id for position in needing_another_run(run.plan, run.state)}
    assert names == {"flight", "hotel", "car", "pay"}
    run.retry()
    run.run_all()
    assert run.status == "success"
    assert run.stage("flight").attempt == 2


def test_retry_keeps_what_was_not_undone() -> None:
    run = simulate(SAGA)
    for stage in ("flight", "hotel", "car"):
        run.run(stage)
    run.run("pay", failed())
    run.claim("car:compensate")
    run.cancel()
    run.record("car:compensate", Cancelled())
    run.run_all()
    names = {run.plan.stages[position].id for position in needing_another_run(run.plan, run.state)}
    assert names == {"car", "pay"}


def test_second_round_undoes_what_the_first_had_kept() -> None:
    run = simulate(SAGA)
    run.run_all({"pay": failed()})
    run.retry()
    run.history.clear()
    run.run_all({"car": failed()})
    assert undone(run) == ["hotel", "flight"]


def test_retry_after_a_failed_handler_runs_the_handlers_alone() -> None:
    run = simulate({"a": []})
    run.run_all({"cheer": failed()})
    run.history.clear()
    run.retry()
    run.run_all()
    assert run.status == "success"
    assert started(run) == ["cheer", "tidy"]


def test_results_of_another_execution_are_not_ours_to_undo() -> None:
    run = simulate({"a": {"needs": [], **UNDO}, "b": ["a"]})
    run.run("a")
    run.state.runs[Key(0)].reused_from = "another"
    run.run("b", failed())
    run.run_all()
    assert undone(run) == []


def test_results_from_the_cache_are_not_ours_to_undo() -> None:
    run = simulate({"a": {"needs": [], **UNDO}, "b": {"needs": [], **UNDO}, "c": ["a", "b"]})
    run.run("a", Succeeded(cached_from="another", reason="taken from execution #1, 3 h old"))
    run.run("b")
    run.run_all({"c": failed()})
    assert undone(run) == ["b"]


def test_outputs_are_made_before_the_success_is_announced() -> None:
    run = simulate({"a": {"needs": [], **UNDO}}, **EVERY, outputs={"x": "${{ results.a.x }}"})
    run.outputs_error = StageError("The outputs could not be made: there is no x", code="outputs_failed")
    run.run_all()
    assert (run.status, run.execution.error) == ("failed", run.outputs_error)
    assert started(run) == ["a", "a:compensate", "tell", "tidy"]
    run.outputs_error = None
    run.history.clear()
    run.retry()
    run.run_all()
    assert (run.status, run.execution.error) == ("success", None)
    assert started(run) == ["a", "cheer", "tidy"]


def test_a_stage_alone_has_no_outputs() -> None:
    run = simulate({"a": []}, **EVERY, outputs={"x": "${{ results.a.x }}"})
    run.outputs_error = StageError("not asked for")
    run.state.execution.alone = True
    run.run_all()
    assert run.status == "success"
