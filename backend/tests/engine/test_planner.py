from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from flexiroaster.engine.draft import IllegalMove
from flexiroaster.engine.errors import StageError
from flexiroaster.engine.outcome import Cancelled, Skipped, Succeeded, Waiting
from flexiroaster.engine.retry import MAX_LOST
from tests.engine.simulation import START, Simulation, failed

DIAMOND = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}
RETRY: dict[str, Any] = {"retry": {"max_attempts": 3, "delay": "10s", "jitter": False}}


def test_stages_without_needs_are_ready_at_once() -> None:
    run = Simulation.of({"a": [], "b": [], "c": ["a"]})
    assert [run.name(key) for key in run.ready] == ["a", "b"]
    assert run.status == "queued"


def test_first_claim_starts_the_execution() -> None:
    run = Simulation.of(DIAMOND)
    run.claim("a")
    assert run.status == "running"
    assert run.events() == ["execution_queued", "execution_started"]
    assert run.events("a") == ["stage_started"]


def test_parallel_stages_do_not_wait_for_each_other() -> None:
    run = Simulation.of({"a": [], "b": ["a"], "c": ["a"], "slow": ["b"], "fast": ["c"]})
    run.run("a")
    run.claim("b")
    run.run("c")
    assert [run.name(key) for key in run.ready] == ["fast"]


def test_all_successes_end_in_success() -> None:
    run = Simulation.of(DIAMOND)
    run.run_all()
    assert run.status == "success"
    assert run.state.open == 0
    assert run.events()[-1] == "execution_completed"


def test_events_are_numbered_without_a_gap() -> None:
    run = Simulation.of(DIAMOND)
    run.run_all({"b": failed()})
    assert [event.seq for event in run.history] == list(range(1, len(run.history) + 1))
    assert run.state.seq == len(run.history)


def test_failure_blocks_what_needs_it_and_nothing_else() -> None:
    run = Simulation.of({"a": [], "b": ["a"], "c": ["b"], "d": ["c"], "other": ["a"]})
    run.run_all({"b": failed()})
    assert run.statuses() == {"a": "success", "b": "failed", "c": "skipped", "d": "skipped", "other": "success"}
    assert run.status == "failed"
    assert run.stage("c").reason == "needs b, which failed"
    assert run.stage("d").reason == "needs c, which did not run"


def test_cause_is_the_failed_stage_that_comes_first_in_the_graph() -> None:
    run = Simulation.of({"a": [], "deep": ["a"], "deeper": ["deep"], "b": []})
    run.run("a")
    run.run("deep")
    run.run("deeper", failed())
    run.run("b", failed())
    assert run.execution.failed_stage == "b"


def test_of_failed_stages_beside_each_other_the_first_to_fail_is_the_cause() -> None:
    run = Simulation.of({"a": [], "b": [], "c": ["b"]})
    run.run("b", failed())
    run.run("a", failed())
    assert run.execution.failed_stage == "b"


def test_blocked_counts_as_failed_for_a_join_with_a_success() -> None:
    """A stage must not run on half of its inputs because the other half never came to run."""
    run = Simulation.of({"bad": [], "after_bad": ["bad"], "good": [], "join": ["after_bad", "good"]})
    run.run_all({"bad": failed()})
    assert run.stage("join").status == "skipped"


def test_skip_does_not_block_a_join_with_a_success() -> None:
    run = Simulation.of({"a": [], "left": ["a"], "right": ["a"], "join": ["left", "right"]})
    run.run_all({"left": Skipped("when is false")})
    assert run.stage("join").status == "success"
    assert run.status == "success"


def test_all_skipped_skips_what_follows() -> None:
    run = Simulation.of({"a": [], "b": ["a"], "c": ["b"]})
    run.run_all({"a": Skipped("when is false")})
    assert run.statuses() == {"a": "skipped", "b": "skipped", "c": "skipped"}
    assert run.status == "success"


def test_one_success_starts_with_the_first_and_only_once() -> None:
    run = Simulation.of({"a": [], "b": [], "first": {"needs": ["a", "b"], "join": "one_success"}})
    run.run("a")
    assert run.stage("first").status == "queued"
    run.run("first")
    run.run("b", failed())
    assert run.stage("first").attempt == 1
    assert run.status == "failed"


def test_handler_of_a_failure_runs_and_the_execution_stays_failed() -> None:
    run = Simulation.of({"a": [], "tell": {"needs": ["a"], "join": "one_failed"}})
    run.run_all({"a": failed()})
    assert run.stage("tell").status == "success"
    assert run.status == "failed"


def test_chain_of_ten_thousand_skips_needs_no_deep_stack() -> None:
    stages: dict[str, Any] = {"s0": []} | {f"s{n}": [f"s{n - 1}"] for n in range(1, 10_000)}
    run = Simulation.of(stages)
    run.run("s0", failed())
    assert run.status == "failed"
    assert run.stage("s9999").status == "skipped"


# ── retries ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_retry_waits_for_backoff() -> None:
    run = Simulation.of({"a": {"needs": [], **RETRY}})
    run.run("a", failed("transient"))
    retrying = run.stage("a")
    assert (retrying.status, retrying.due_at) == ("retrying", run.now + timedelta(seconds=10))
    assert retrying.reason == "attempt 1 of 3 failed, next try in 10 s"
    run.wake("a")
    run.run("a", failed("transient"))
    assert run.stage("a").due_at == run.now + timedelta(seconds=20)


def test_last_attempt_fails_the_stage() -> None:
    run = Simulation.of({"a": {"needs": [], **RETRY}})
    for _ in range(2):
        run.run("a", failed("transient"))
        run.wake("a")
    run.run("a", failed("transient"))
    assert run.status == "failed"
    assert run.stage("a").attempt == 3
    assert [kept.attempt for kept in run.attempts] == [1, 2]


def test_error_that_no_retry_helps_is_not_retried() -> None:
    run = Simulation.of({"a": {"needs": [], **RETRY}})
    run.run("a", failed("data"))
    assert run.status == "failed"


def test_timeout_without_retries_left_is_timed_out() -> None:
    run = Simulation.of({"a": []})
    run.run("a", failed("timeout"))
    assert run.stage("a").status == "timed_out"
    assert run.status == "failed"


def test_server_asking_for_a_pause_gets_it() -> None:
    run = Simulation.of({"a": {"needs": [], **RETRY}})
    run.run("a", failed("transient", retry_after_seconds=60.0))
    assert run.stage("a").due_at == run.now + timedelta(seconds=60)


def test_jitter_stays_between_half_and_all_of_the_delay() -> None:
    for chance, seconds in ((0.0, 5.0), (0.999, 9.995)):
        run = Simulation.of({"a": {"needs": [], "retry": {"max_attempts": 2, "delay": "10s"}}})
        run.claim("a")
        run.record("a", failed("transient"), chance)
        due = run.stage("a").due_at
        assert due is not None
        assert (due - run.now).total_seconds() == pytest.approx(seconds)


# ── waiting ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_waiting_holds_no_worker_and_goes_on_as_the_same_attempt() -> None:
    run = Simulation.of({"a": []})
    until = START + timedelta(hours=1)
    run.run("a", Waiting(until, "waiting until 03:15", {"since": "x"}))
    assert run.held() == []
    assert run.stage("a").due_at == until
    run.wake("a")
    claimed = run.claim("a")
    assert claimed is not None
    assert (claimed.attempt, claimed.state) == (1, {"since": "x"})
    run.record("a", Succeeded())
    assert run.status == "success"
    assert run.events("a") == ["stage_started", "stage_waiting", "stage_completed"]


# ── lost workers ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_lost_worker_restarts_the_stage_without_spending_a_retry() -> None:
    run = Simulation.of({"a": {"needs": [], **RETRY}})
    run.claim("a")
    run.lose("a")
    assert run.stage("a").status == "queued"
    run.run("a", failed("transient"))
    assert run.stage("a").reason == "attempt 1 of 3 failed, next try in 10 s"


def test_stage_that_loses_its_worker_again_and_again_fails() -> None:
    run = Simulation.of({"a": []})
    for _ in range(MAX_LOST):
        run.claim("a")
        run.lose("a")
    assert run.status == "failed"
    error = run.stage("a").error
    assert error is not None
    assert error.message.startswith("The worker was lost 3 times")


def test_handing_back_is_not_counted_as_lost() -> None:
    run = Simulation.of({"a": []})
    for _ in range(MAX_LOST + 1):
        run.claim("a")
        run.release("a")
    run.run("a")
    assert run.status == "success"


# ── stopping ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_cancel_waits_for_what_runs() -> None:
    run = Simulation.of(DIAMOND)
    run.run("a")
    run.claim("b")
    run.cancel()
    assert run.status == "cancelling"
    assert run.statuses() == {"a": "success", "b": "cancelling", "c": "cancelled", "d": "cancelled"}
    assert run.told_to_stop == [run.key("b")]
    run.record("b", Cancelled())
    assert run.status == "cancelled"


def test_cancel_before_anything_runs_ends_at_once() -> None:
    run = Simulation.of(DIAMOND)
    run.cancel()
    assert run.status == "cancelled"
    assert run.claim("a") is None


def test_work_that_finished_before_it_heard_of_the_cancel_is_kept() -> None:
    run = Simulation.of(DIAMOND)
    run.claim("a")
    run.cancel()
    run.record("a", Succeeded())
    assert run.stage("a").status == "success"
    assert run.stage("b").status == "cancelled"
    assert run.status == "cancelled"


def test_cancelling_twice_changes_nothing() -> None:
    run = Simulation.of(DIAMOND)
    run.claim("a")
    run.cancel()
    seen = len(run.history)
    run.cancel()
    assert len(run.history) == seen


def test_failure_while_cancelling_is_a_cancel() -> None:
    run = Simulation.of({"a": {"needs": [], **RETRY}})
    run.claim("a")
    run.cancel()
    run.record("a", failed("transient"))
    assert run.stage("a").status == "cancelled"


def test_execution_timeout_ends_as_timed_out() -> None:
    run = Simulation.of(DIAMOND, timeout="1h")
    run.claim("a")
    run.time_out()
    run.record("a", Cancelled())
    assert run.status == "timed_out"
    assert run.execution.error is not None
    assert run.execution.error.message == "The execution's timeout of 3600 s has passed."


# ── retry by a person ───────────────────────────────────────────────────────────────────────────────────────────────


def test_retry_runs_the_failed_stage_and_what_depends_on_it() -> None:
    run = Simulation.of({"a": [], "b": ["a"], "c": ["b"], "other": ["a"]})
    run.run_all({"b": failed()})
    run.retry()
    assert run.statuses() == {"a": "success", "b": "queued", "c": "pending", "other": "success"}
    assert run.execution.retries == 1
    run.run_all()
    assert run.status == "success"
    assert run.stage("a").attempt == 1
    assert run.stage("b").attempt == 2


def test_retry_starts_the_retry_budget_anew() -> None:
    run = Simulation.of({"a": {"needs": [], **RETRY}})
    for _ in range(2):
        run.run("a", failed("transient"))
        run.wake("a")
    run.run("a", failed("transient"))
    run.retry()
    run.run("a", failed("transient"))
    assert run.stage("a").reason == "attempt 1 of 3 failed, next try in 10 s"
    assert [kept.attempt for kept in run.attempts] == [1, 2, 3, 4]


def test_retry_runs_a_failure_handler_again_only_when_it_fails_again() -> None:
    run = Simulation.of({"a": [], "tell": {"needs": ["a"], "join": "one_failed"}})
    run.run_all({"a": failed()})
    run.retry()
    run.run("a")
    assert run.statuses() == {"a": "success", "tell": "skipped"}
    assert run.status == "success"


def test_retry_of_a_cancelled_execution_runs_what_had_not_run() -> None:
    run = Simulation.of(DIAMOND)
    run.run("a")
    run.cancel()
    run.retry()
    run.run_all()
    assert run.status == "success"
    assert run.stage("a").attempt == 1


def test_success_cannot_be_retried() -> None:
    run = Simulation.of({"a": []})
    run.run_all()
    with pytest.raises(IllegalMove, match="success"):
        run.retry()


def test_error_survives_its_record() -> None:
    error = StageError("row 3: amount", code="x", kind="data", suggestion="mend it", details={"n": 1})
    assert StageError.from_json(error.to_json()) == error
