"""One stage, or one item, is cancelled alone."""

from __future__ import annotations

from typing import Any

import pytest

from flexiroaster.engine.outcome import Cancelled, Stopped, Succeeded, Waiting, WaitsFor
from flexiroaster.engine.runs import Key
from tests.engine.item_simulation import ItemSimulation
from tests.engine.simulation import Simulation, failed

BY_BOB = "cancelled by bob"


def test_a_running_stage_is_told_to_stop_and_the_rest_goes_on() -> None:
    run = Simulation.of({"a": [], "b": [], "after_b": ["b"]})
    run.claim("a")
    run.claim("b")
    run.cancel_stage("a")
    assert run.told_to_stop == [run.key("a")]
    assert (run.stage("a").status, run.status) == ("cancelling", "running")
    run.record("a", Cancelled())
    assert run.stage("a").reason == BY_BOB
    run.record("b", Succeeded())
    assert run.status == "running"
    run.run("after_b")
    assert run.statuses() == {"a": "cancelled", "b": "success", "after_b": "success"}
    assert (run.status, run.execution.reason) == ("cancelled", "a was cancelled by bob")
    assert run.events("a") == ["stage_started", "stage_cancelling", "stage_cancelled"]


@pytest.mark.parametrize(
    ("join", "expected"),
    [("no_failure", "skipped"), ("all_success", "skipped"), ("one_success", "success"), ("all_done", "success"),
     ("one_failed", "success"), ("always", "success")],
)  # fmt: skip
def test_what_needs_it_follows_its_join(join: str, expected: str) -> None:
    run = Simulation.of({"a": [], "b": [], "c": {"needs": ["a", "b"], "join": join}})
    run.cancel_stage("a")
    run.run_all()
    assert run.stage("c").status == expected
    if expected == "skipped":
        assert run.stage("c").reason == "needs a, which was cancelled"


def waiting(run: Simulation) -> None:
    run.run("a", Waiting(None, "waiting for approval", {"asked": True}, WaitsFor.APPROVAL))


def retrying(run: Simulation) -> None:
    run.run("a", failed("transient"))


@pytest.mark.parametrize("prepare", [lambda run: None, waiting, retrying], ids=["queued", "waiting", "retrying"])
def test_what_does_not_run_ends_at_once(prepare: Any) -> None:
    run = Simulation.of({"a": {"retry": {"max_attempts": 2, "delay": "1m"}}, "b": {"needs": []}})
    prepare(run)
    run.cancel_stage("a")
    cancelled = run.stage("a")
    assert (cancelled.status, cancelled.reason, cancelled.due_at) == ("cancelled", BY_BOB, None)
    assert run.claim("a") is None
    run.run("b")
    assert run.status == "cancelled"


def test_a_stage_whose_turn_has_not_come_never_starts() -> None:
    run = Simulation.of({"a": [], "b": ["a"], "c": ["b"]})
    run.cancel_stage("b")
    assert run.statuses() == {"a": "queued", "b": "cancelled", "c": "skipped"}
    run.run("a")
    assert (run.stage("b").status, run.status) == ("cancelled", "cancelled")


def test_cancelling_it_twice_changes_nothing() -> None:
    run = Simulation.of({"a": [], "b": []})
    run.claim("a")
    run.cancel_stage("a")
    seq = run.state.seq
    run.cancel_stage("a")
    run.record("a", Cancelled())
    run.cancel_stage("a")
    assert run.state.seq == seq + 1


def test_work_that_finished_before_it_heard_of_it_is_kept() -> None:
    run = Simulation.of({"route": [], "eu": ["route"], "us": ["route"]})
    run.claim("route")
    run.cancel_stage("route")
    run.record("route", Succeeded(not_chosen=frozenset({"us"})))
    run.run_all()
    assert run.statuses() == {"route": "success", "eu": "success", "us": "skipped"}
    assert run.status == "success"


def test_one_that_had_to_be_killed_says_so() -> None:
    run = Simulation.of({"a": []})
    run.claim("a")
    run.cancel_stage("a")
    run.record("a", Cancelled(killed=True))
    assert run.stage("a").reason == "cancelled by bob (killed)"


def test_a_failure_counts_for_more_than_what_was_cancelled() -> None:
    run = Simulation.of({"a": [], "b": []})
    run.cancel_stage("a")
    run.run("b", failed())
    assert (run.status, run.execution.failed_stage) == ("failed", "b")


def test_a_stop_stage_cannot_make_a_success_of_it() -> None:
    run = Simulation.of({"a": [], "end": []})
    run.cancel_stage("a")
    run.run("end", Stopped("success"))
    assert run.status == "cancelled"


def test_a_retry_runs_it_again() -> None:
    run = Simulation.of({"a": [], "b": [], "c": ["a", "b"]})
    run.cancel_stage("a")
    run.run_all()
    assert run.status == "cancelled"
    run.retry()
    run.run_all()
    assert run.status == "success"
    assert run.stage("b").attempt == 1


def test_a_lost_worker_ends_it() -> None:
    run = Simulation.of({"a": [], "b": {"needs": ["a"], "join": "all_done"}})
    run.claim("a")
    run.cancel_stage("a")
    run.lose("a")
    run.run_all()
    assert run.statuses() == {"a": "cancelled", "b": "success"}


def test_while_paused_it_ends_and_nothing_starts() -> None:
    run = Simulation.of({"a": [], "b": {"needs": ["a"], "join": "all_done"}, "c": []})
    run.claim("c")
    run.pause()
    run.cancel_stage("a")
    assert run.claim("b") is None
    run.resume()
    run.record("c", Succeeded())
    run.run("b")
    assert run.status == "cancelled"


def test_compensations_still_run_one_at_a_time() -> None:
    undo: dict[str, Any] = {"compensate": {"type": "noop"}, "needs": []}
    run = Simulation.of({"car": undo, "hotel": undo, "flight": undo, "pay": ["car", "hotel", "flight"]})
    run.run_all(
        {"pay": failed()} | {f"{name}:compensate": Waiting(None, "slow") for name in ("car", "hotel", "flight")}
    )
    (first,) = [run.name(key) for key, stage in run.state.runs.items() if stage.status == "waiting"]
    pending = [run.name(key) for key, stage in run.state.runs.items() if stage.status == "pending"]
    run.cancel_stage(pending[0])
    assert run.ready == []
    run.cancel_stage(first)
    assert [run.name(key) for key in run.ready] == [pending[1]]
    run.run(pending[1])
    assert run.status == "failed"


def test_a_cancelled_handler_takes_nothing_away() -> None:
    run = Simulation.of({"a": []}, **{"finally": [{"id": "tidy", "type": "noop"}]})
    run.run("a")
    run.cancel_stage("tidy")
    assert run.status == "success"


# ── foreach ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def started(count: int, after: dict[str, Any] | None = None, **keys: Any) -> ItemSimulation:
    run = ItemSimulation.of({"a": {"foreach": {"items": "${{ inputs.list }}", **keys}}, **(after or {})})
    run.expand("a", count)
    return run


def test_cancelling_a_stage_stops_its_items() -> None:
    run = started(100, {"b": {"needs": ["a"], "join": "all_done"}}, max_parallel=4)
    run.claim(Key(0, 1))
    run.cancel_stage("a")
    assert run.items("a") == "x" + "c" * 99
    assert (run.stage("a").status, run.status) == ("cancelling", "running")
    run.record(Key(0, 1), Cancelled())
    assert run.stage("a").status == "cancelled"
    run.run("b")
    assert run.status == "cancelled"


@pytest.mark.parametrize("index", [1, 2, 50], ids=["running", "handed out", "in the store"])
def test_one_item_is_cancelled_and_the_others_go_on(index: int) -> None:
    run = started(50, max_parallel=2, on_error="continue", min_success=49)
    run.claim(Key(0, 1))
    if index == 50:
        run.cancel_item(Key(0, 50))
    else:
        run.cancel_stage(Key(0, index))
    if index == 1:
        run.record(Key(0, 1), Cancelled())
    else:
        run.record(Key(0, 1), Succeeded())
    while any(key.index for key in run.ready):
        key = next(key for key in run.ready if key.index)
        if run.claim(key) is not None:
            run.record(key, Succeeded())
    assert sorted(run.items("a")) == ["c"] + ["s"] * 49
    run.run("a")
    assert run.status == "success"


def test_an_item_without_which_the_stage_cannot_succeed_ends_the_rest() -> None:
    run = started(10, max_parallel=3)
    run.claim(Key(0, 1))
    run.item("a", 2, Waiting(run.now, "waiting"))
    run.cancel_stage(Key(0, 3))
    assert run.items("a") == "r" + "c" * 9
    told = [event.payload for event in run.history if event.type.value == "stage_items_cancelled"]
    assert told == [{"count": 7, "reason": "not run because item 3 was cancelled"}]
    run.record(Key(0, 1), Succeeded())
    assert run.stage("a").status == "queued"  # to gather, and find that it cannot succeed


def test_an_item_that_has_ended_in_the_store_stays_so() -> None:
    run = started(3, max_parallel=1)
    run.item("a", 1)
    before = run.state.groups[0].copy()
    run.cancel_item(Key(0, 1))
    assert run.state.groups[0] == before


def test_cancelling_while_it_gathers() -> None:
    run = started(1, {"b": ["a"]})
    run.item("a", 1)
    run.claim("a")
    run.cancel_stage("a")
    run.record("a", Cancelled())
    assert run.statuses() == {"a": "cancelled", "b": "skipped"}
