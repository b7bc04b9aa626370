"""A switch, a stop and a repeated stage as the planner sees them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from flexiroaster.engine.outcome import Cancelled, Skipped, Stopped, Succeeded
from tests.engine.simulation import Simulation, failed


def chose(*not_chosen: str) -> Succeeded:
    return Succeeded({"chosen": []}, not_chosen=frozenset(not_chosen))


# ── switch ──────────────────────────────────────────────────────────────────────────────────────────────────────────


FORK: dict[str, Any] = {
    "route": [],
    "eu": ["route"],
    "us": ["route"],
    "us_more": ["us"],
    "merge": ["eu", "us_more"],
}


def test_what_a_switch_did_not_choose_is_skipped_with_what_follows() -> None:
    run = Simulation.of(FORK)
    run.run_all({"route": chose("us")})
    assert run.statuses() == {
        "route": "success",
        "eu": "success",
        "us": "skipped",
        "us_more": "skipped",
        "merge": "success",
    }
    assert run.stage("us").reason == "not chosen by route"
    assert run.status == "success"


def test_switch_that_chooses_nothing_skips_all_of_it() -> None:
    run = Simulation.of(FORK)
    run.run_all({"route": chose("us", "eu")})
    assert set(run.statuses().values()) == {"success", "skipped"}
    assert run.stage("merge").status == "skipped"
    assert run.status == "success"


def test_stage_that_no_case_names_runs_anyway() -> None:
    run = Simulation.of({**FORK, "log": ["route"]})
    run.run_all({"route": chose("us", "eu")})
    assert run.stage("log").status == "success"


@pytest.mark.parametrize("join", ["no_failure", "all_success", "all_done", "one_success"])
def test_stage_that_was_not_chosen_does_not_run_whatever_else_it_needs(join: str) -> None:
    run = Simulation.of({"other": [], "route": [], "us": {"needs": ["other", "route"], "join": join}})
    run.run("route", chose("us"))
    run.run("other")
    assert run.stage("us").status == "skipped"
    assert run.status == "success"


def test_stage_that_had_begun_when_the_switch_decided_goes_on() -> None:
    run = Simulation.of({"other": [], "route": [], "us": {"needs": ["other", "route"], "join": "one_success"}})
    run.run("other")
    run.claim("us")
    run.run("route", chose("us"))
    run.record("us", Succeeded())
    assert run.stage("us").status == "success"


def test_retry_remembers_what_the_switch_chose() -> None:
    run = Simulation.of({"route": [], "bad": [], "us": ["route", "bad"], "eu": ["route"]})
    run.run("route", chose("us"))
    run.run_all({"bad": failed()})
    assert run.stage("us").status == "skipped"
    run.retry()
    run.run_all()
    assert run.statuses() == {"route": "success", "bad": "success", "us": "skipped", "eu": "success"}
    assert run.stage("us").reason == "not chosen by route"
    assert run.status == "success"


def test_switch_that_runs_again_may_choose_otherwise() -> None:
    run = Simulation.of({"bad": [], "route": {"needs": ["bad"], "join": "all_done"}, "eu": ["route"], "us": ["route"]})
    run.run_all({"bad": failed(), "route": chose("us")})
    run.retry()
    run.run_all({"route": chose("eu")})
    assert run.statuses() == {"bad": "success", "route": "success", "eu": "skipped", "us": "success"}


# ── stop ────────────────────────────────────────────────────────────────────────────────────────────────────────────


BRANCHES: dict[str, Any] = {"a": [], "end": ["a"], "after": ["end"], "slow": [], "later": ["slow"]}


@pytest.mark.parametrize(
    ("status", "own", "not_begun", "event"),
    [
        ("success", "success", "skipped", "execution_completed"),
        ("failed", "failed", "cancelled", "execution_failed"),
        ("cancelled", "cancelled", "cancelled", "execution_cancelled"),
    ],
)
def test_stop_ends_everything(status: Any, own: str, not_begun: str, event: str) -> None:
    run = Simulation.of(BRANCHES)
    run.run("a")
    run.run("end", Stopped(status, "nothing to load"))
    assert run.status == status
    assert run.statuses() == {
        "a": "success",
        "end": own,
        "after": not_begun,
        "slow": not_begun,
        "later": not_begun,
    }
    assert run.events()[-1] == event
    assert run.stage("after").reason == "end ended the execution"
    told = run.history[-1].payload
    assert (told["error"]["message"] if status == "failed" else told["reason"]) == "nothing to load"


def test_stop_waits_for_what_still_runs() -> None:
    run = Simulation.of(BRANCHES)
    run.claim("slow")
    run.run("a")
    run.run("end", Stopped("success", "enough"))
    assert [run.name(key) for key in run.told_to_stop] == ["slow"]
    assert run.status == "cancelling"
    assert run.claim("after") is None
    run.record("slow", Cancelled())
    assert run.status == "success"
    assert run.execution.reason == "enough"


def test_stop_as_success_does_not_hide_a_failure() -> None:
    run = Simulation.of({**BRANCHES, "bad": []})
    run.run("bad", failed())
    run.run("a")
    run.run("end", Stopped("success"))
    assert run.status == "failed"
    assert run.execution.failed_stage == "bad"


def test_stop_that_is_not_reached_stops_nothing() -> None:
    run = Simulation.of(BRANCHES)
    run.run_all({"end": Skipped("when is false")})
    assert run.status == "success"
    assert run.stage("later").status == "success"


def test_retry_after_a_stop_as_failed_begins_with_it() -> None:
    run = Simulation.of(BRANCHES)
    run.run("a")
    run.run("end", Stopped("failed", "too old"))
    assert run.execution.failed_stage == "end"
    run.retry()
    run.run_all()
    assert run.status == "success"
    assert run.stage("a").attempt == 1
    assert run.stage("after").status == "success"


@pytest.mark.parametrize(
    ("status", "handlers"), [("success", ["cheer", "tidy"]), ("failed", ["tell", "tidy"]), ("cancelled", ["tidy"])]
)
def test_handlers_follow_a_stop_as_any_other_end(status: Any, handlers: list[str]) -> None:
    lists = {key: [{"id": id, "type": "noop"}] for key, id in HANDLERS.items()}
    run = Simulation.of(BRANCHES, **lists)
    run.claim("slow")
    run.run("a")
    run.run("end", Stopped(status))
    run.record("slow", Cancelled())
    assert run.status == ("cancelling" if status == "cancelled" else "running")
    run.run_all()
    assert run.status == status
    assert [name for name in run.statuses() if name in HANDLERS.values()] == handlers


HANDLERS = {"on_failure": "tell", "on_success": "cheer", "finally": "tidy"}


# ── repeat ──────────────────────────────────────────────────────────────────────────────────────────────────────────


AGAIN = Succeeded({"state": "building"}, again=True)


def repeated(**keys: Any) -> dict[str, Any]:
    return {"poll": {"needs": [], "repeat": {"until": "${{ true }}", **keys}}, "after": ["poll"]}


def test_stage_is_run_again_until_it_is_done() -> None:
    run = Simulation.of(repeated(max=5, delay="30s"))
    run.run("poll", AGAIN)
    polled = run.stage("poll")
    assert (polled.status, polled.due_at) == ("waiting", run.now + timedelta(seconds=30))
    assert polled.reason == "run 1 of at most 5: its `until` does not hold yet, again in 30 s"
    run.wake("poll")
    run.run("poll")
    assert run.stage("poll").iterations == 2
    run.run_all()
    assert run.status == "success"


def test_without_a_delay_it_is_ready_at_once() -> None:
    run = Simulation.of(repeated(max=3))
    run.run("poll", AGAIN)
    assert run.stage("poll").status == "queued"
    run.run("poll")
    assert run.stage("after").status == "queued"


def test_each_time_is_an_attempt_of_its_own() -> None:
    run = Simulation.of(repeated(max=3))
    run.run("poll", AGAIN)
    run.run("poll", AGAIN)
    run.run("poll")
    assert run.stage("poll").attempt == 3
    assert [(kept.attempt, kept.status.value) for kept in run.attempts] == [(1, "success"), (2, "success")]
    assert run.events("poll") == [
        "stage_started",
        "stage_repeating",
        "stage_started",
        "stage_repeating",
        "stage_started",
        "stage_completed",
    ]


def test_bound_ends_it_as_failed_with_its_last_result() -> None:
    run = Simulation.of(repeated(max=2))
    run.run("poll", AGAIN)
    run.run("poll", AGAIN)
    error = run.stage("poll").error
    assert run.status == "failed"
    assert error is not None
    assert error.message == "It was run 2 times, and its `until` did not hold after any of them."
    assert error.details == {"last_result": {"state": "building"}}
    assert run.stage("after").status == "skipped"


def test_each_time_has_all_its_retries() -> None:
    stages = repeated(max=3)
    stages["poll"]["retry"] = {"max_attempts": 2, "delay": "1s", "jitter": False}
    run = Simulation.of(stages)
    for _ in range(2):
        run.run("poll", failed("transient"))
        run.wake("poll")
        run.run("poll", AGAIN)
    assert run.stage("poll").iterations == 2
    run.run("poll", failed("transient"))
    run.wake("poll")
    run.run("poll")
    assert run.stage("poll").status == "success"


def test_worker_lost_while_repeating_does_not_begin_anew() -> None:
    run = Simulation.of(repeated(max=2))
    run.run("poll", AGAIN)
    run.claim("poll")
    run.lose("poll")
    run.run("poll", AGAIN)
    assert run.status == "failed"
    assert run.stage("poll").iterations == 2


def test_cancel_ends_the_wait_between_two_times() -> None:
    run = Simulation.of(repeated(max=5, delay="1h"))
    run.run("poll", AGAIN)
    run.cancel()
    assert run.status == "cancelled"


def test_cancelled_while_it_runs_it_is_not_done() -> None:
    run = Simulation.of(repeated(max=5))
    run.claim("poll")
    run.cancel()
    run.record("poll", AGAIN)
    assert run.stage("poll").status == "cancelled"


def test_retry_counts_from_the_start() -> None:
    run = Simulation.of(repeated(max=1))
    run.run("poll", AGAIN)
    run.retry()
    assert run.stage("poll").iterations == 0
    run.run_all()
    assert run.status == "success"
