"""The items of a foreach stage, driven by hand and by chance."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexiroaster.engine.foreach import FirstFailure, ItemGroup, ItemRules, label, shortfall
from flexiroaster.engine.outcome import Cancelled, Expanded, Skipped, Succeeded, Waiting
from flexiroaster.engine.pipeline import Foreach
from flexiroaster.engine.planner import foreach
from flexiroaster.engine.runs import Key
from flexiroaster.engine.state import EXECUTION_FINAL, STAGE_FINAL
from tests.engine.item_simulation import ItemSimulation
from tests.engine.simulation import failed


def rules(**keys: Any) -> ItemRules:
    return ItemRules.of(Foreach.model_validate({"items": [1], **keys}))


def started(count: int, stages: dict[str, Any] | None = None, **keys: Any) -> ItemSimulation:
    """Stage `a` runs for `count` items; others as given."""
    each = {"needs": [], "foreach": {"items": "${{ inputs.list }}", **keys}}
    run = ItemSimulation.of({"a": {**each, **(stages or {}).pop("a", {})}, **(stages or {})})
    run.expand("a", count)
    return run


# ── as it should go ─────────────────────────────────────────────────────────────────────────────────────────────


def test_items_run_and_the_stage_gathers_them() -> None:
    run = started(3, {"b": ["a"]})
    assert run.statuses()["a"] == "queued"  # the name of the last of its runs: an item
    for index in (1, 2, 3):
        run.item("a", index)
    assert run.items("a") == "sss"
    assert run.stage("a").status.value == "queued"
    assert run.stage("a").state == foreach.GATHER
    run.run("a", Succeeded({"count": 3}, rows=7))
    assert run.stage("a").rows == 7
    assert run.stage("a").attempt == 1
    run.run("b")
    assert run.status == "success"


def test_the_stage_is_running_while_its_items_are() -> None:
    run = started(2)
    assert run.stage("a").status.value == "running"
    assert run.stage("a").lease_owner is None
    run.lose("a")
    assert run.stage("a").status.value == "running"


def test_only_what_is_handed_out_is_in_memory() -> None:
    run = started(50, max_parallel=3)
    for index in range(1, 51):
        assert run.in_memory() == min(3, 51 - index)
        run.item("a", index)
    assert run.in_memory() == 0
    assert run.stage("a").state == foreach.GATHER


def test_without_max_parallel_items_are_handed_out_in_large_steps() -> None:
    run = started(1_700)
    assert run.in_memory() == 1_000
    for index in range(1, 501):
        run.item("a", index)
    assert run.in_memory() == 1_000
    assert len(run.ready) == 1_000


def test_nothing_to_do_is_a_success() -> None:
    run = started(0, {"b": ["a"]})
    assert run.stage("a").state == foreach.GATHER
    run.run("a", Succeeded({"count": 0}))
    assert run.events("a") == ["stage_started", "stage_expanded", "stage_completed"]
    assert run.ready == [Key(1)]


def test_max_parallel_bounds_what_is_out_even_while_items_wait() -> None:
    run = started(5, max_parallel=2)
    until = run.now + timedelta(hours=1)
    run.item("a", 1, Waiting(until, "waiting"))
    run.item("a", 2, Waiting(until, "waiting"))
    assert run.ready == []
    run.wake(Key(0, 1))
    run.item("a", 1)
    assert run.ready == [Key(0, 3)]


def test_an_item_is_tried_again_by_itself() -> None:
    run = started(2, {"a": {"retry": {"max_attempts": 2, "delay": "5s"}}})
    run.item("a", 1, failed("transient"))
    assert run.items("a") == "t."
    run.item("a", 2)
    run.wake(Key(0, 1))
    run.item("a", 1)
    assert run.rows[Key(0, 1)].attempt == 2
    assert run.stage("a").state == foreach.GATHER


def test_what_follows_waits_for_the_stage_not_for_an_item() -> None:
    run = started(2, {"b": ["a"]})
    run.item("a", 1)
    assert run.stage("b").status.value == "pending"
    assert run.stage("b").needs_left == 1


# ── failing ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_on_error_fail_starts_no_more_items_and_lets_running_ones_finish() -> None:
    run = started(10, max_parallel=3)
    run.claim(Key(0, 2))
    run.item("a", 1, failed())
    assert run.items("a") == "frcccccccc"
    assert run.stage("a").status.value == "running"
    run.record(Key(0, 2), Succeeded())
    assert run.stage("a").state == foreach.GATHER
    (told,) = [event for event in run.history if event.type.value == "stage_items_cancelled"]
    assert told.payload == {"count": 8, "reason": "not run because item 1 failed"}
    assert run.rows[Key(0, 9)].reason == "not run because item 1 failed"


def test_items_that_slept_are_cancelled_one_by_one() -> None:
    run = started(4)
    run.item("a", 1, Waiting(run.now, "waiting"))
    run.item("a", 2, Waiting(run.now, "waiting"))
    run.item("a", 3, failed())
    assert run.items("a") == "ccfc"
    assert run.events("a").count("stage_cancelled") == 2
    assert run.stage("a").state == foreach.GATHER


def test_a_running_item_is_not_tried_again_when_the_stage_cannot_succeed() -> None:
    run = started(2, {"a": {"retry": {"max_attempts": 3, "delay": "5s"}}})
    run.claim(Key(0, 1))
    run.item("a", 2, failed("permanent"))
    run.record(Key(0, 1), failed("transient"))
    assert run.items("a") == "ff"


def test_on_error_continue_runs_every_item() -> None:
    run = started(3, on_error="continue")
    run.item("a", 1, failed())
    run.item("a", 2)
    run.item("a", 3, failed("timeout"))
    assert run.items("a") == "fsf"
    assert run.execution.failed_stage is None
    run.run("a", failed())
    assert run.execution.failed_stage == "a"
    assert run.status == "failed"


def test_min_success_lets_items_fail_until_too_many_have() -> None:
    run = started(10, min_success="80%")
    run.item("a", 1, failed())
    run.item("a", 2, failed())
    assert run.items("a") == "ff........"
    run.item("a", 3, failed())
    assert run.items("a") == "fffccccccc"


@pytest.mark.parametrize(
    ("keys", "counted", "needed"),
    [
        ({}, 100, 100),
        ({}, 0, 0),
        ({"min_success": 7}, 100, 7),
        ({"min_success": "50%"}, 101, 51),
        ({"min_success": "33.333%"}, 3, 1),
        ({"min_success": "0%"}, 100, 0),
        ({"min_success": "99.999%"}, 1_000_000, 999_990),
    ],
)
def test_how_many_must_succeed(keys: dict[str, Any], counted: int, needed: int) -> None:
    assert rules(**keys).needed(counted) == needed


def test_skipped_items_count_neither_way() -> None:
    group = ItemGroup(10, success=1, skipped=8, failed=1)
    assert shortfall(rules(min_success="50%"), group, None) is None
    assert shortfall(rules(), ItemGroup(3, skipped=3), None) is None


def test_the_sentence_of_a_shortfall() -> None:
    first = FirstFailure(17, "eu", "the server said no")
    assert (
        shortfall(rules(), ItemGroup(100, success=97, failed=3), first)
        == "3 of 100 items failed; first: item 17 (eu): the server said no"
    )
    assert (
        shortfall(rules(min_success="80%"), ItemGroup(1_000, success=20, failed=300, cancelled=680), first)
        == "300 of 1,000 items failed and 680 did not run, 20 succeeded (min_success is 80%); "
        "first: item 17 (eu): the server said no"
    )
    assert (
        shortfall(rules(min_success=3), ItemGroup(2, success=2), None)
        == "2 of 2 items succeeded, but min_success is 3."
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("eu", "eu"),
        (17, "17"),
        (None, "null"),
        ({"id": 4, "x": 1}, "4"),
        ({"x": [1, 2]}, '{"x":[1,2]}'),
        (["a", "b"], "a …"),
        ([], "[]"),
        ("two\nlines", "two lines"),
        ("x" * 100, "x" * 59 + "…"),
    ],
)
def test_an_item_is_named_in_a_few_characters(value: Any, text: str) -> None:
    assert label(value) == text


# ── stopping ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_cancel_stops_what_runs_and_starts_nothing_more() -> None:
    run = started(100, {"b": ["a"]}, max_parallel=4)
    run.claim(Key(0, 1))
    run.item("a", 2, Waiting(run.now, "waiting"))
    run.cancel()
    assert run.items("a") == "x" + "c" * 99
    assert run.told_to_stop == [Key(0, 1)]
    assert run.stage("a").status.value == "cancelling"
    assert run.status == "cancelling"
    run.record(Key(0, 1), Cancelled())
    assert run.stage("a").status.value == "cancelled"
    assert run.status == "cancelled"
    assert len(run.history) < 15  # not an event for each of a hundred items


def test_cancel_between_items_ends_at_once() -> None:
    run = started(5)
    run.cancel()
    assert run.items("a") == "ccccc"
    assert run.status == "cancelled"


def test_cancel_of_a_stage_that_expands_leaves_no_item_queued() -> None:
    run = ItemSimulation.of({"a": {"foreach": {"items": [1, 2, 3]}}})
    run.claim("a")
    run.rows = {Key(0, index): run.stage("a").copy() for index in (1, 2)}
    for key, row in run.rows.items():
        row.key, row.status, row.lease_owner = key, foreach.S.QUEUED, None
    run.cancel()
    run.record("a", Cancelled())
    assert run.items("a") == "cc"
    assert run.status == "cancelled"


def test_the_executions_timeout_stops_items_too() -> None:
    run = ItemSimulation.of({"a": {"foreach": {"items": [1, 2, 3]}}}, timeout="1h")
    run.expand("a", 3)
    run.claim(Key(0, 1))
    run.time_out()
    run.record(Key(0, 1), Cancelled())
    assert run.items("a") == "ccc"
    assert run.status == "timed_out"


# ── retry ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_retry_runs_only_the_items_that_did_not_succeed() -> None:
    run = started(5, on_error="continue")
    for index in range(1, 6):
        run.item("a", index, failed() if index in (2, 4) else None)
    run.run("a", failed())
    assert run.status == "failed"
    run.retry()
    assert run.stage("a").state == foreach.REOPEN
    run.expand("a", 99)
    assert run.items("a") == "s.s.s"
    assert run.stage("a").attempt == 2
    assert run.ready == [Key(0, 2), Key(0, 4)]
    run.item("a", 2)
    run.item("a", 4)
    run.run("a")
    assert run.status == "success"
    assert run.rows[Key(0, 2)].attempt == 2
    assert run.rows[Key(0, 1)].attempt == 1


def test_a_retry_that_runs_an_earlier_stage_again_makes_the_items_anew() -> None:
    run = ItemSimulation.of(
        {
            "first": [],
            "a": {"needs": ["first"], "join": "all_done", "foreach": {"items": "${{ inputs.list }}"}},
        }
    )
    run.run("first", failed())
    run.expand("a", 2)
    run.item("a", 1)
    run.item("a", 2, failed())
    run.run("a", failed())
    run.retry()
    run.run("first")
    run.expand("a", 3)
    assert run.items("a") == "..."
    assert run.rows[Key(1, 1)].attempt == 1  # the attempts before are not forgotten: a late answer stays late


# ── a process dies ──────────────────────────────────────────────────────────────────────────────────────────────


def test_dying_while_expanding_expands_again() -> None:
    run = ItemSimulation.of({"a": {"foreach": {"items": [1, 2]}}})
    run.claim("a")
    run.die()
    run.expand("a", 2)
    assert run.stage("a").attempt == 2
    run.item("a", 1)
    run.item("a", 2)
    run.run("a")
    assert run.status == "success"


def test_dying_while_items_run_goes_on_with_them() -> None:
    run = started(6, max_parallel=2)
    run.item("a", 1)
    run.claim(Key(0, 2))
    run.item("a", 3, Waiting(run.now, "waiting"))
    run.die()
    run.lose(Key(0, 2))
    assert run.items("a") == "s.w..."
    assert run.in_memory() == 2
    run.item("a", 2)
    run.wake(Key(0, 3))
    for index in (3, 4, 5, 6):
        run.item("a", index)
    run.run("a")
    assert run.status == "success"


def test_dying_while_gathering_gathers_again() -> None:
    run = started(1)
    run.item("a", 1)
    run.claim("a")
    run.die()
    assert run.stage("a").state == foreach.GATHER
    run.run("a")
    assert run.status == "success"
    assert run.items("a") == "s"


# ── whatever happens ────────────────────────────────────────────────────────────────────────────────────────────


@st.composite
def policies(draw: st.DrawFn) -> dict[str, Any]:
    keys: dict[str, Any] = {"on_error": draw(st.sampled_from(["fail", "continue"]))}
    if draw(st.booleans()):
        keys["max_parallel"] = draw(st.integers(1, 4))
    if draw(st.booleans()):
        keys["min_success"] = draw(st.sampled_from([0, 1, 3, "0%", "50%", "90%"]))
    return keys


@settings(max_examples=300, deadline=None)
@given(policies(), st.integers(0, 8), st.booleans(), st.data())
def test_every_item_ends_once_and_so_does_the_stage(
    keys: dict[str, Any], count: int, retries: bool, data: st.DataObject
) -> None:
    retry = {"retry": {"max_attempts": 2, "delay": "1s"}} if retries else {}
    run = ItemSimulation.of({"a": {"foreach": {"items": "${{ inputs.list }}", **keys}, **retry}, "b": ["a"]})
    rounds = data.draw(st.integers(1, 2))
    for _ in range(rounds):
        _drive(run, count, data)
        _check(run, rules(**keys), count)
        if run.status == "success":
            break
        run.ready.clear()
        if _ < rounds - 1:
            run.retry()


def _drive(run: ItemSimulation, count: int, data: st.DataObject) -> None:
    for _ in range(2_000):
        if run.execution.status in EXECUTION_FINAL:
            return
        moves: list[tuple[str, Key | None]] = [("claim", key) for key in run.ready]
        moves += [("end", key) for key in run.held()]
        moves += [("wake", key) for key in run.waiting()]
        moves += [("lose", key) for key in run.held()]
        rare = data.draw(st.integers(0, 25))
        moves += [("cancel", None)] if rare == 0 else []
        moves += [("cancel_stage", key) for key in {**run.state.runs, **run.rows}] if rare in (2, 3) else []
        moves += [("die", None)] if rare == 1 else []
        assert moves, f"stuck: {run.statuses()} {run.items('a')} {run.state.groups}"
        _step(run, count, data, *data.draw(st.sampled_from(moves)))
    raise AssertionError("it does not end")


def _step(run: ItemSimulation, count: int, data: st.DataObject, move: str, key: Key | None) -> None:
    match move, key:
        case "claim", Key(0, 0) if run.stage("a").state != foreach.GATHER:
            if run.stage("a").status.value == "queued":
                run.expand("a", count)
            else:
                run.claim(key)
        case "claim", Key():
            run.claim(key)
        case "end", Key():
            run.record(key, _outcome(run, key, data), data.draw(st.floats(0, 0.99)))
        case "wake", Key():
            run.wake(key)
        case "lose", Key():
            run.lose(key)
        case "cancel", _:
            run.cancel()
        case "cancel_stage", Key() if key in run.state.runs:
            run.cancel_stage(key)
        case "cancel_stage", Key() if foreach.runs_items(run.stage("a")):
            run.cancel_item(key)
        case "die", _:
            run.die()


def _outcome(run: ItemSimulation, key: Key, data: st.DataObject) -> Any:
    if key == Key(0) and run.stage("a").state == foreach.GATHER:
        found = run.items("a")
        group = ItemGroup(len(found), found.count("s"), found.count("f"), found.count("-"), found.count("c"))
        assert group.left == 0
        rules_ = run.plan.stages[0].items
        assert rules_ is not None
        return Succeeded() if shortfall(rules_, group, None) is None else failed()
    choices = [Succeeded(), Skipped("when is false"), failed("permanent"), failed("transient"), failed("timeout")]
    return data.draw(st.sampled_from([*choices, Waiting(run.now + timedelta(seconds=5), "waiting")]))


def _check(run: ItemSimulation, asked: ItemRules, count: int) -> None:
    assert all(stage.status in STAGE_FINAL for stage in run.state.runs.values())
    assert all(row.status in STAGE_FINAL and row.lease_owner is None for row in run.rows.values())
    assert run.in_memory() == 0
    assert run.state.open == 0
    assert [event.seq for event in run.history] == list(range(1, len(run.history) + 1))
    found = run.items("a")
    if run.status == "success":
        assert len(found) == count
        assert found.count("s") >= asked.needed(count - found.count("-"))
    starts = [
        (event.stage, event.index, event.payload["attempt"])
        for event in run.history
        if event.type.value == "stage_started"
    ]
    assert len(starts) == len(set(starts))  # no attempt is made twice


def test_a_stage_that_was_never_expanded_has_no_items_to_reopen() -> None:
    run = ItemSimulation.of({"a": {"foreach": {"items": [1]}}})
    run.claim("a")
    run.record("a", failed("permanent"))
    run.retry()
    run.expand("a", 1)
    assert run.items("a") == "."


def test_what_an_expansion_says_of_an_earlier_round_is_counted() -> None:
    run = ItemSimulation.of({"a": {"foreach": {"items": [1, 2, 3]}}})
    run.claim("a")
    run.rows = {}
    run.record("a", Expanded(3, success=2, skipped=1))
    assert run.stage("a").state == foreach.GATHER
