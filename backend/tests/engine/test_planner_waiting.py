"""A stage that waits for something other than a time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flexiroaster.engine.outcome import Succeeded, Waiting, WaitsFor
from tests.engine.simulation import START, Simulation, failed

ASKS = Waiting(None, "waiting for approval", {"asked": 1}, WaitsFor.APPROVAL)


@pytest.fixture
def run() -> Simulation:
    """`a` waits for an approval, `b` comes after it."""
    run = Simulation.of({"a": [], "b": ["a"]})
    run.run("a", ASKS)
    return run


def test_a_wait_without_a_due_time_holds_no_worker_and_is_never_due(run: Simulation) -> None:
    assert run.stage("a").status == "waiting"
    assert run.stage("a").waits_for is WaitsFor.APPROVAL
    assert run.held() == run.waiting() == run.ready == []
    assert "due_at" not in run.history[-1].payload
    assert run.history[-1].payload["waits_for"] == "approval"


def test_a_signal_wakes_it_with_the_values_in_its_state(run: Simulation) -> None:
    assert run.signal("a", WaitsFor.APPROVAL, decision="yes")
    claimed = run.claim("a")
    assert claimed is not None
    assert (claimed.attempt, claimed.state) == (1, {"asked": 1, "decision": "yes"})
    run.record("a", Succeeded())
    assert run.stage("a").waits_for is None
    assert run.stage("a").state is None
    run.run("b")
    assert run.status == "success"


def test_a_signal_that_nothing_waits_for_changes_nothing(run: Simulation) -> None:
    before = dict(run.state.runs)
    assert not run.signal("a", WaitsFor.EVENT, decision="yes")
    assert not run.signal("b", WaitsFor.APPROVAL, decision="yes")
    assert run.state.runs == before
    assert run.ready == []


def test_a_signal_after_the_end_changes_nothing(run: Simulation) -> None:
    run.signal("a", WaitsFor.APPROVAL, decision="yes")
    run.run_all()
    assert not run.signal("a", WaitsFor.APPROVAL, decision="no")
    assert run.status == "success"


def test_a_signal_that_meets_the_end_of_the_wait_is_still_heard() -> None:
    run = Simulation.of({"a": []})
    run.run("a", Waiting(START + timedelta(hours=4), "waiting for approval", {}, WaitsFor.APPROVAL))
    run.wake("a")
    assert run.signal("a", WaitsFor.APPROVAL, decision="yes")
    assert len(run.ready) == 1
    claimed = run.claim("a")
    assert claimed is not None
    assert claimed.state == {"decision": "yes"}


def test_a_signal_is_not_lost_with_the_worker_that_took_it_up(run: Simulation) -> None:
    run.signal("a", WaitsFor.APPROVAL, decision="yes")
    run.claim("a")
    run.lose("a")
    claimed = run.claim("a")
    assert claimed is not None
    assert (claimed.attempt, claimed.state) == (2, {"asked": 1, "decision": "yes"})
    assert [(attempt.attempt, attempt.status.value) for attempt in run.attempts] == [(1, "failed")]


def test_the_attempts_of_a_wait_that_is_lost_again_and_again_have_numbers_of_their_own(run: Simulation) -> None:
    run.signal("a", WaitsFor.APPROVAL)
    for _ in range(2):
        run.claim("a")
        run.lose("a")
    assert [attempt.attempt for attempt in run.attempts] == [1, 2]
    run.run_all()
    assert run.status == "success"


def test_a_failed_wait_forgets_what_it_waited_for() -> None:
    run = Simulation.of({"a": {"needs": [], "retry": {"max_attempts": 2}}})
    run.run("a", ASKS)
    run.signal("a", WaitsFor.APPROVAL)
    run.run("a", failed("transient"))
    assert run.stage("a").waits_for is None
    run.wake("a")
    claimed = run.claim("a")
    assert claimed is not None
    assert (claimed.attempt, claimed.state) == (2, None)


def test_cancel_ends_a_wait_without_a_due_time_at_once(run: Simulation) -> None:
    run.cancel()
    assert run.status == "cancelled"
    assert run.stage("a").waits_for is None


def test_waiting_on_as_before_is_not_announced_again() -> None:
    run = Simulation.of({"a": []})
    run.run("a", Waiting(START + timedelta(seconds=10), "waiting until it is so", {"looked": 1}))
    for looked in range(2, 5):
        run.wake("a")
        run.run(
            "a", Waiting(START + timedelta(minutes=looked), "waiting until it is so", {"looked": looked}, quiet=True)
        )
    assert run.events("a") == ["stage_started", "stage_waiting"]
    assert run.stage("a").state == {"looked": 4}
