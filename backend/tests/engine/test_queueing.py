"""A stage run that is ready and cannot start."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flexiroaster.engine import planner
from flexiroaster.engine.draft import Draft
from flexiroaster.engine.outcome import Succeeded
from flexiroaster.engine.runs import Key
from tests.engine.item_simulation import ItemSimulation
from tests.engine.simulation import Simulation

QUEUED_FOR_A_MINUTE: dict[str, Any] = {"needs": [], "queue_timeout": "1m", "pool": "cpu"}


def one() -> Simulation:
    return Simulation.of({"a": QUEUED_FOR_A_MINUTE, "b": ["a"]})


def test_who_is_not_claimed_in_time_is_timed_out_and_not_tried_again() -> None:
    run = Simulation.of({"a": {**QUEUED_FOR_A_MINUTE, "retry": {"max_attempts": 3}}, "b": ["a"]})
    assert run.stage("a").due_at == run.stage("a").ready_at + timedelta(minutes=1)  # type: ignore[operator]
    run.wake("a")
    assert run.statuses() == {"a": "timed_out", "b": "skipped"}
    assert run.status == "failed"
    assert run.execution.error is not None
    assert (
        run.execution.error.message == "It did not start within its queue_timeout of 1m: it was waiting for a worker."
    )


def test_who_has_started_is_never_timed_out_by_it() -> None:
    run = one()
    run.claim("a")
    assert run.stage("a").due_at is None
    run.wake("a")
    assert run.statuses()["a"] == "running"
    run.record("a", Succeeded())
    assert run.statuses()["a"] == "success"


def test_a_paused_execution_times_nothing_out_and_gives_the_time_back() -> None:
    run = one()
    due = run.stage("a").due_at
    assert due is not None
    run._apply(planner.pause, "paused")
    run.wake("a")
    assert run.statuses()["a"] == "queued"
    paused_at = run.execution.paused_at
    assert paused_at is not None
    run.now += timedelta(hours=1)
    run._apply(planner.resume, "resumed")
    assert run.stage("a").due_at == due + (run.now - paused_at)


def test_the_reason_is_announced_once_and_gone_with_the_claim() -> None:
    run = one()
    for reason in ("waiting for pool cpu 4/4", "waiting for pool cpu 4/4", "waiting for pool cpu 2/2"):
        run._apply(planner.hold_back, Key(0), reason)
    assert run.events("a") == ["stage_waiting"]
    assert run.history[-1].payload == {"status": "queued", "reason": "waiting for pool cpu 4/4"}
    assert run.stage("a").reason == "waiting for pool cpu 2/2"
    run.claim("a")
    assert run.stage("a").reason is None


def test_a_draft_knows_the_slots_it_takes_and_gives_back() -> None:
    run = one()
    draft = Draft(run.plan, run.state, run.now)
    planner.claim(draft, Key(0), "worker", run.now)
    assert (planner.slots_taken(draft, "cpu"), planner.slots_freed(draft)) == (1, {})
    draft.apply()
    draft = Draft(run.plan, run.state, run.now)
    planner.record(draft, Key(0), Succeeded(), 0.0)
    assert (planner.slots_taken(draft, "cpu"), planner.slots_freed(draft)) == (-1, {"cpu": 1})
    assert planner.slots_taken(draft, "disk") == 0


def test_items_of_a_foreach_stage_have_the_gate_and_its_own_run_has_none() -> None:
    plan = Simulation.of({"a": {"needs": [], "pool": "cpu", "foreach": {"items": [1, 2]}}, "b": []}).plan
    assert not planner.has_gate(plan, Key(0))
    assert planner.has_gate(plan, Key(0, 1))
    assert not planner.has_gate(plan, Key(1))


def test_an_item_has_its_queue_timeout_from_when_it_is_handed_out() -> None:
    each = {"foreach": {"items": "${{ inputs.list }}", "max_parallel": 2, "on_error": "continue", "min_success": 1}}
    run = ItemSimulation.of({"a": {**each, "needs": [], "queue_timeout": "1m"}})
    run.expand("a", 4)
    first, second = run.state.runs[Key(0, 1)], run.state.runs[Key(0, 2)]
    assert first.due_at == second.due_at == run.now + timedelta(minutes=1)
    run.claim(Key(0, 1))
    run.wake(Key(0, 2))
    assert run.items("a") == "rf.."
    assert run.rows[Key(0, 2)].error.message.startswith("It did not start within its queue_timeout of 1m")  # type: ignore[union-attr]
    assert run.state.runs[Key(0, 3)].due_at == run.now + timedelta(minutes=1)
    assert Key(0, 4) not in run.state.runs
    run.record(Key(0, 1), Succeeded())
    run.wake(Key(0, 3))
    run.item("a", 4)
    assert run.items("a") == "sffs"
    assert run.stage("a").due_at is None  # to gather takes no longer for it
