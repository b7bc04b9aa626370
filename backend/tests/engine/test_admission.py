"""Who gets a place among the executions of a pipeline."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexiroaster.engine import planner
from flexiroaster.engine.admission import PAUSED, Admitted, Crowd, Entry, Fails, Refused, Skips, Waits, entry, has_place
from flexiroaster.engine.draft import Draft
from flexiroaster.engine.errors import StageError
from flexiroaster.engine.pipeline import Concurrency
from flexiroaster.engine.plan import Plan
from flexiroaster.engine.runs import Execution, ExecutionState
from flexiroaster.engine.state import ExecutionStatus
from tests.engine.simulation import START, Simulation, failed, pipeline

FULL = Crowd(admitted=2)


def policy(**values: Any) -> Concurrency:
    return Concurrency(limit=2, **values)


@pytest.mark.parametrize(
    ("policy", "crowd", "expected"),
    [
        (None, Crowd(), Admitted()),
        (None, Crowd(paused=True), Waits(PAUSED)),
        (policy(), Crowd(admitted=1), Admitted()),
        (policy(), FULL, Waits("waiting for a place: 2/2 run for eu")),
        (policy(), Crowd(admitted=1, waiting=1), Waits("waiting for a place: 1 came before")),
        (policy(), Crowd(paused=True), Waits(PAUSED)),
        (policy(max_queued=1), FULL, Waits("waiting for a place: 2/2 run for eu")),
        (
            policy(max_queued=1),
            Crowd(admitted=2, waiting=1),
            Refused("1 execution waits already, and concurrency.max_queued is 1"),
        ),
        (
            policy(max_queued=3),
            Crowd(waiting=3, paused=True),
            Refused("3 executions wait already, and concurrency.max_queued is 3"),
        ),
        (
            policy(when_full="skip"),
            FULL,
            Skips("not run: 2/2 run for eu, and concurrency.when_full is skip"),
        ),
        (policy(when_full="skip"), Crowd(admitted=1), Admitted()),
        (
            policy(when_full="fail"),
            FULL,
            Fails("It did not run: 2/2 run for eu, and concurrency.when_full is fail."),
        ),
        (policy(when_full="cancel_oldest"), FULL, Waits("waiting for a place: 2/2 run for eu", replaced=1)),
        (
            policy(when_full="cancel_oldest"),
            Crowd(admitted=2, leaving=1, waiting=0),
            Waits("waiting for a place: 2/2 run for eu", replaced=0),
        ),
        (
            policy(when_full="cancel_oldest"),
            Crowd(admitted=2, leaving=2, waiting=2),
            Waits("waiting for a place: 2/2 run for eu", replaced=1),
        ),
    ],
)
def test_entry(policy: Concurrency | None, crowd: Crowd, expected: Entry) -> None:
    assert entry(policy, crowd, "eu") == expected


policies = st.builds(
    Concurrency,
    limit=st.integers(1, 4),
    when_full=st.sampled_from(["queue", "skip", "cancel_oldest", "fail"]),
    max_queued=st.none() | st.integers(0, 4),
)


@given(policies, st.lists(st.sampled_from(["start", "end", "pause", "resume", "gone"]), max_size=60))
def test_places_are_never_exceeded_and_never_left_empty(policy: Concurrency, steps: list[str]) -> None:
    """A pipeline as the server keeps it: after every step, who may begin has begun."""
    running: list[str] = []  # "run", or "leaving" while it is being cancelled
    waiting = 0
    paused = False
    for step in steps:
        match step:
            case "start":
                full = not paused and len(running) == policy.limit
                found = entry(policy, Crowd(len(running), running.count("leaving"), waiting, paused))
                if isinstance(found, Admitted):
                    running.append("run")
                elif isinstance(found, Waits):
                    replaced = found.replaced
                    for place, state in enumerate(running):
                        if replaced and state == "run":
                            running[place] = "leaving"
                            replaced -= 1
                    waiting += 1 - replaced
                    if full and policy.when_full == "cancel_oldest":
                        assert running.count("run") + waiting <= policy.limit
                elif isinstance(found, Skips | Fails):
                    assert len(running) == policy.limit
                else:
                    assert policy.max_queued is not None
                    assert waiting >= policy.max_queued
            case "end" if "run" in running:
                running.remove("run")
            case "gone" if "leaving" in running:
                running.remove("leaving")
            case "pause":
                paused = True
            case "resume":
                paused = False
        while waiting and has_place(policy, Crowd(len(running), paused=paused)):
            running.append("run")
            waiting -= 1
        assert len(running) <= policy.limit
        assert paused or not waiting or len(running) == policy.limit


def waiting(**rest: Any) -> Simulation:
    """An execution of `a` and `b` that waits for its place."""
    plan = Plan.of(pipeline({"a": [], "b": ["a"]}, **rest))
    run = Simulation(plan)
    execution = Execution(
        id="e",
        pipeline_id="p",
        version=1,
        number=1,
        status=ExecutionStatus.QUEUED,
        created_at=START,
        concurrency_key="",
        waiting_since=run.now,
        reason="waiting for a place: 1/1 run",
    )
    run.state = ExecutionState(execution)
    run.ready.clear()
    run.history.clear()
    run._apply(planner.start)
    return run


def test_nothing_is_ready_before_there_is_a_place() -> None:
    run = waiting()
    assert run.ready == []
    assert run.statuses() == {"a": "pending", "b": "pending"}
    assert run.history[0].payload["reason"] == "waiting for a place: 1/1 run"


def test_timeout_counts_from_the_admission_on() -> None:
    run = waiting(timeout="10s")
    run.now += timedelta(hours=1)
    run._apply(planner.admit)
    assert run.execution.timeout_at == run.now + timedelta(seconds=10)
    assert run.execution.waiting_since is None
    assert run.execution.reason is None
    run.run_all()
    assert run.status == "success"
    assert run.events() == ["execution_queued", "execution_admitted", "execution_started", "execution_completed"]


def test_who_waits_too_long_ends_as_timed_out() -> None:
    run = waiting(queue_timeout="5m", timeout="1h", **{"finally": [{"id": "z", "type": "noop", "needs": []}]})
    run.time_out()
    assert run.status == "timed_out"
    reason = "ot run: its queue_timeout of 5m passed while waiting for a place: 1/1 run"
    assert run.execution.reason == f"n{reason}"
    assert run.execution.error == StageError(f"N{reason}.", code="queue_timeout", kind="timeout")
    assert run.statuses() == {"a": "cancelled", "b": "cancelled"}


def test_who_is_turned_away_ends_without_handlers() -> None:
    run = waiting(**{"finally": [{"id": "z", "type": "noop", "needs": []}]})
    run._apply(planner.turn_away, "not run: 1/1 run")
    assert (run.status, run.execution.reason) == ("cancelled", "not run: 1/1 run")
    assert run.execution.waiting_since is None


def test_a_retry_may_have_to_wait_and_its_wait_is_not_its_duration() -> None:
    run = Simulation.of({"a": [], "b": ["a"]})
    run.run("a", failed())
    before = run.execution.seconds_until(run.now)
    assert before is not None
    run.now += timedelta(minutes=3)
    run._apply(planner.retry, "waiting for a place: 1/1 run")
    assert run.status == "queued"
    assert run.ready == []
    run.now += timedelta(minutes=7)
    run._apply(planner.admit)
    run.run_all()
    assert run.status == "success"
    ended_at = run.execution.ended_at
    assert ended_at is not None
    duration = run.execution.seconds_until(ended_at)
    assert duration is not None
    assert duration < before + 10  # two rounds of a few seconds, without the ten minutes between


def test_a_retry_that_gave_up_waiting_runs_no_handler_again() -> None:
    run = Simulation.of({"a": []}, **{"finally": [{"id": "z", "type": "noop", "needs": []}]})
    run.run("a", failed())
    run.run("z")
    run._apply(planner.retry, "waiting for a place: 1/1 run")
    run.cancel()
    assert run.status == "cancelled"
    assert run.ready == []


def test_draft_of_an_admitted_execution_is_not_admitted_again() -> None:
    run = Simulation.of({"a": []})
    with pytest.raises(AssertionError):
        planner.admit(Draft(run.plan, run.state, run.now))
