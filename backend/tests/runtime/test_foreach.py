"""Stages that run once per item, in the real engine on both databases."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from flexiroaster.engine.errors import StageFailed
from flexiroaster.engine.events import Event, EventType
from flexiroaster.engine.foreach import ITEM_BYTES
from flexiroaster.engine.outcome import Waiting
from flexiroaster.engine.replay import replay
from flexiroaster.engine.runs import Key
from flexiroaster.runtime import expanding, gathering
from flexiroaster.runtime.spilled import read_spilled
from flexiroaster.services import items as item_service
from flexiroaster.stages.base import StageContext
from flexiroaster.store import items as item_rows
from flexiroaster.store.database import Database
from flexiroaster.store.executions import EventRow, event_page
from flexiroaster.store.tables import attempts, results, stage_runs
from tests.runtime.engine import PATIENCE, Gate, TestEngine, running


def each(engine: TestEngine, act: Any, items: Any, **keys: Any) -> dict[str, Any]:
    """A foreach stage whose items do this."""
    own: dict[str, Any] = {name: keys.pop(name) for name in list(keys) if name in STAGE_KEYS}
    stage: dict[str, Any] = {"needs": [], "type": "act", "config": engine.act(act), "foreach": {"items": items, **keys}}
    return stage | own


STAGE_KEYS = ("needs", "when", "retry", "timeout", "join")


def says(value: str, items: Any, *, needs: Sequence[str] = (), **keys: Any) -> dict[str, Any]:
    """A foreach stage whose items answer what this expression gives."""
    config = {"act": "say", "value": value}
    return {"needs": list(needs), "type": "act", "config": config, "foreach": {"items": items, **keys}}


def until_stopped(entered: threading.Semaphore) -> Any:
    def act(context: StageContext) -> None:
        entered.release()
        assert context.cancelled.wait(PATIENCE)
        raise StageFailed("stopped")

    return act


def items_of(engine: TestEngine, execution_id: str, stage: str = "a") -> dict[int, Any]:
    query = sa.select(stage_runs).where(
        stage_runs.c.execution_id == execution_id, stage_runs.c.stage == stage, stage_runs.c.idx > 0
    )
    with engine.database.read() as connection:
        return {row["idx"]: row for row in connection.execute(query).mappings()}


def states(engine: TestEngine, execution_id: str) -> list[str]:
    return [str(row["status"]) for _, row in sorted(items_of(engine, execution_id).items())]


def result(engine: TestEngine, execution_id: str, position: int = 0) -> Any:
    """The result of a foreach stage."""
    query = sa.select(results.c.value, results.c.artifact_id).where(
        results.c.execution_id == execution_id, results.c.position == position, results.c.idx == 0
    )
    with engine.database.read() as connection:
        value, artifact_id = connection.execute(query).one()
    return value if artifact_id is None else read_spilled(engine.database, engine.artifacts, artifact_id)[0]


def own(engine: TestEngine, execution_id: str, stage: str = "a") -> Any:
    """The row of the foreach stage itself."""
    query = sa.select(stage_runs).where(
        stage_runs.c.execution_id == execution_id, stage_runs.c.stage == stage, stage_runs.c.idx == 0
    )
    with engine.database.read() as connection:
        return connection.execute(query).mappings().one()


# ── patterns ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_pattern_13_multiple_instances_known_at_design_time(engine: TestEngine) -> None:
    stage = each(engine, lambda context: {"index": context.index}, ["eu", "us", "asia"])
    execution_id = engine.execute({"a": stage, "b": ["a"]})
    assert engine.wait_end(execution_id) == "success"
    assert states(engine, execution_id) == ["success"] * 3
    assert result(engine, execution_id) == {
        "count": 3,
        "succeeded": 3,
        "failed": 0,
        "skipped": 0,
        "items": [{"index": 1}, {"index": 2}, {"index": 3}],
    }


def test_pattern_14_multiple_instances_known_at_run_time(engine: TestEngine) -> None:
    listing = {"needs": [], "type": "act", "config": engine.act(lambda context: {"regions": {"eu": 1, "us": 2}})}
    value = "${{ region }} ${{ results.list.regions[item] }} ${{ index }}"
    stage = says(value, "${{ results.list.regions }}", needs=["list"], **{"as": "region"})
    execution_id = engine.execute({"list": listing, "a": stage})
    assert engine.wait_end(execution_id) == "success"
    assert result(engine, execution_id, 1)["items"] == ["eu 1 1", "us 2 2"]


def test_patterns_34_to_36_partial_join_of_instances(engine: TestEngine) -> None:
    def bad_sometimes(context: StageContext) -> None:
        if context.index == 2:
            raise StageFailed("it is a bad file")

    stages = {"a": each(engine, bad_sometimes, [1, 2, 3, 4], min_success="75%"), "b": ["a"]}
    execution_id = engine.execute(stages)
    assert engine.wait_end(execution_id) == "success"
    assert states(engine, execution_id) == ["success", "failed", "success", "success"]
    assert result(engine, execution_id)["failed"] == 1
    assert result(engine, execution_id)["items"] == [None, None, None, None]


def test_pattern_26_cancel_stops_every_instance(engine: TestEngine) -> None:
    entered = threading.Semaphore(0)
    execution_id = engine.execute({"a": each(engine, until_stopped(entered), list(range(50)), max_parallel=2)})
    for _ in range(2):
        assert entered.acquire(timeout=PATIENCE)
    engine.executions.cancel(execution_id, "ada")
    assert engine.wait_end(execution_id) == "cancelled"
    assert states(engine, execution_id) == ["cancelled"] * 50
    assert own(engine, execution_id)["status"] == "cancelled"
    assert len(engine.events(execution_id)) < 20


# ── what an item is, sees and leaves ────────────────────────────────────────────────────────────────────────────


def test_an_empty_list_is_a_success_with_nothing_in_it(engine: TestEngine) -> None:
    execution_id = engine.execute({"a": each(engine, lambda context: 1, []), "b": ["a"]})
    assert engine.wait_end(execution_id) == "success"
    assert result(engine, execution_id) == {"count": 0, "succeeded": 0, "failed": 0, "skipped": 0, "items": []}


def test_when_about_the_item_is_asked_for_each(engine: TestEngine) -> None:
    stage = each(engine, lambda context: context.index, ["eu", "us"], when="${{ item != 'eu' }}")
    execution_id = engine.execute({"a": stage})
    assert engine.wait_end(execution_id) == "success"
    assert states(engine, execution_id) == ["skipped", "success"]
    assert result(engine, execution_id)["items"] == [None, 2]
    assert result(engine, execution_id)["skipped"] == 1


def test_any_other_when_is_asked_once_before_there_are_items(engine: TestEngine) -> None:
    stage = each(engine, lambda context: context.index, ["eu", "us"], when="${{ 1 > 2 }}")
    execution_id = engine.execute({"a": stage})
    assert engine.wait_end(execution_id) == "success"
    assert own(engine, execution_id)["status"] == "skipped"
    assert items_of(engine, execution_id) == {}


def test_batches_are_lists_of_items(engine: TestEngine) -> None:
    execution_id = engine.execute({"a": says("${{ item }}", [1, 2, 3, 4, 5], batch=2)})
    assert engine.wait_end(execution_id) == "success"
    assert result(engine, execution_id)["items"] == [[1, 2], [3, 4], [5]]
    assert result(engine, execution_id)["count"] == 3


def test_lists_that_all_items_call_data_are_joined(engine: TestEngine) -> None:
    stage = each(engine, lambda context: {"data": [context.index, "x"]}, ["a", "b"])
    execution_id = engine.execute({"a": stage}, outputs={"all": "${{ results.a.data }}"})
    assert engine.wait_end(execution_id) == "success"
    assert engine.row(execution_id)["outputs"] == {"all": [1, "x", 2, "x"]}


def test_there_is_no_data_when_one_item_has_none(engine: TestEngine) -> None:
    stage = each(engine, lambda context: {"data": [1]} if context.index == 1 else {"other": 2}, ["a", "b"])
    execution_id = engine.execute({"a": stage})
    assert engine.wait_end(execution_id) == "success"
    assert "data" not in result(engine, execution_id)


def test_a_large_result_is_kept_as_an_artifact_and_read_by_what_follows(engine: TestEngine) -> None:
    stage = each(engine, lambda context: {"text": "x" * 2_000}, list(range(60)))
    after = {"needs": ["a"], "type": "act", "config": {"act": "say", "value": "${{ results.a.items[59].text }}"}}
    execution_id = engine.execute({"a": stage, "b": after}, outputs={"count": "${{ size(results.a.items) }}"})
    assert engine.wait_end(execution_id) == "success"
    assert engine.row(execution_id)["outputs"] == {"count": 60}
    assert len(result(engine, execution_id)["items"]) == 60
    assert engine.results(execution_id)[1] == "x" * 2_000


def test_outputs_may_name_a_large_result_of_the_last_stage(engine: TestEngine) -> None:
    stage = each(engine, lambda context: {"text": "x" * 2_000}, list(range(60)))
    execution_id = engine.execute({"a": stage}, outputs={"last": "${{ results.a.items[59].text }}"})
    assert engine.wait_end(execution_id) == "success"
    assert engine.row(execution_id)["outputs"] == {"last": "x" * 2_000}


def test_results_beyond_what_is_gathered_are_left_out_with_a_sentence(
    engine: TestEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "MOST_BYTES", 1_000)
    execution_id = engine.execute({"a": each(engine, lambda context: "x" * 400, [1, 2, 3])})
    assert engine.wait_end(execution_id) == "success"
    assert "items" not in result(engine, execution_id)
    assert "larger than 0 MB together" in result(engine, execution_id)["items_omitted"]


def test_rows_and_bytes_of_the_items_are_added(engine: TestEngine) -> None:
    execution_id = engine.execute({"a": each(engine, lambda context: {"rows": context.index}, [1, 2, 3])})
    assert engine.wait_end(execution_id) == "success"
    assert own(engine, execution_id)["rows"] == 6


# ── failing ─────────────────────────────────────────────────────────────────────────────────────────────────────


def fails_at(*indexes: int) -> Any:
    def act(context: StageContext) -> int:
        if context.index in indexes:
            raise StageFailed(f"region {context.index} is closed")
        return context.index

    return act


def test_the_stage_fails_with_the_first_failed_item(engine: TestEngine) -> None:
    stage = each(engine, fails_at(17, 40), ["eu"] * 100, on_error="continue")
    execution_id = engine.execute({"a": stage, "b": ["a"]})
    assert engine.wait_end(execution_id) == "failed"
    error = engine.row(execution_id)["error"]
    assert error["message"] == "2 of 100 items failed; first: item 17 (eu): region 17 is closed"
    assert error["code"] == "items_failed"
    assert error["details"]["first_failed"] == 17
    assert own(engine, execution_id, "b")["status"] == "skipped"
    assert states(engine, execution_id).count("success") == 98


def test_on_error_fail_does_not_start_the_rest(engine: TestEngine) -> None:
    execution_id = engine.execute({"a": each(engine, fails_at(2), list(range(30)), max_parallel=1)})
    assert engine.wait_end(execution_id) == "failed"
    assert states(engine, execution_id) == ["success", "failed"] + ["cancelled"] * 28
    assert engine.row(execution_id)["error"]["message"].startswith("1 of 30 items failed and 28 did not run; first: ")
    assert any("28 items not run because item 2 failed" in line for line in engine.messages(execution_id))


def test_items_are_tried_again_by_themselves(engine: TestEngine) -> None:
    def once(context: StageContext) -> int:
        if context.index == 2 and context.attempt == 1:
            raise StageFailed("later", kind="transient")
        return context.attempt

    stage = each(engine, once, ["a", "b", "c"], retry={"max_attempts": 2, "delay": "0s", "jitter": False})
    execution_id = engine.execute({"a": stage})
    assert engine.wait_end(execution_id) == "success"
    assert result(engine, execution_id)["items"] == [1, 2, 1]
    assert own(engine, execution_id)["attempt"] == 1


def test_the_timeout_is_of_each_item(engine: TestEngine) -> None:
    acts = {1: until_stopped(threading.Semaphore(0)), 2: lambda context: 2}
    stage = each(engine, lambda context: acts[context.index](context), [1, 2], timeout="1s", on_error="continue")
    execution_id = engine.execute({"a": stage})
    assert engine.wait_end(execution_id) == "failed"
    assert states(engine, execution_id) == ["timed_out", "success"]


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ("${{ 'eu' }}", "`foreach.items` (${{ 'eu' }}) is a text: it must be a list, or an object,"),
        ("${{ null }}", "is null"),
        ("${{ {'table': 'file:///x', 'schema': [1]} }}", "is a table"),
    ],
)
def test_items_must_be_a_list_or_an_object(engine: TestEngine, items: str, message: str) -> None:
    execution_id = engine.execute({"a": each(engine, lambda context: 1, items)})
    assert engine.wait_end(execution_id) == "failed"
    assert message in engine.row(execution_id)["error"]["message"]


def test_an_item_has_a_largest_size(engine: TestEngine) -> None:
    execution_id = engine.execute({"a": each(engine, lambda context: 1, ["small", "x" * ITEM_BYTES])})
    assert engine.wait_end(execution_id) == "failed"
    assert engine.row(execution_id)["error"]["message"] == (
        "The item 2 of `foreach.items` has 65,538 bytes as JSON; at most 65,536 are kept."
    )
    assert items_of(engine, execution_id) == {}


def test_a_count_that_cannot_be_reached_fails_before_anything_runs(engine: TestEngine) -> None:
    stage = each(engine, lambda context: 1, "${{ [1, 2] }}", min_success=3)
    execution_id = engine.execute({"a": stage})
    assert engine.wait_end(execution_id) == "failed"
    assert engine.row(execution_id)["error"]["message"] == "min_success is 3, but there are only 2 items."


def test_what_became_of_items_can_be_told_from_the_events(engine: TestEngine) -> None:
    bad = {3}

    def act(context: StageContext) -> int:
        if context.index in bad:
            raise StageFailed("not yet")
        return context.index

    execution_id = engine.execute({"a": each(engine, act, list(range(9)), max_parallel=1)})
    assert engine.wait_end(execution_id) == "failed"
    _check_replay(engine, execution_id)
    bad = {5}
    engine.executions.retry(execution_id)
    assert engine.wait_end(execution_id, times=2) == "failed"
    assert states(engine, execution_id) == ["success"] * 4 + ["failed"] + ["cancelled"] * 4
    _check_replay(engine, execution_id)


def history_rows(engine: TestEngine, execution_id: str) -> list[EventRow]:
    with engine.database.read() as connection:
        return event_page(connection, execution_id, limit=10_000)


def _check_replay(engine: TestEngine, execution_id: str) -> None:
    names = ("status", "attempt", "reason", "started_at", "ended_at")
    told = replay(
        Event(EventType(row.type), execution_id, row.pipeline_id, row.seq, row.at, row.stage, row.index, row.payload)
        for row in history_rows(engine, execution_id)
    )
    rows = {("a", row["idx"]): row for row in engine.rows(stage_runs, execution_id)}
    assert rows.keys() == told.stages.keys()
    for key, row in rows.items():
        assert [getattr(told.stages[key], name) for name in names] == [row[name] for name in names], key


# ── retry, waiting, pausing ─────────────────────────────────────────────────────────────────────────────────────


def test_a_retry_runs_only_the_items_that_failed(engine: TestEngine) -> None:
    bad = {2, 4}
    runs: list[int] = []

    def act(context: StageContext) -> str:
        runs.append(context.index)
        if context.index in bad:
            raise StageFailed("not yet")
        return f"{context.index}.{context.attempt}"

    execution_id = engine.execute({"a": each(engine, act, list("abcde"), on_error="continue"), "b": ["a"]})
    assert engine.wait_end(execution_id) == "failed"
    bad.clear()
    runs.clear()
    engine.executions.retry(execution_id)
    assert engine.wait_end(execution_id, times=2) == "success"
    assert sorted(runs) == [2, 4]
    assert result(engine, execution_id)["items"] == ["1.1", "2.2", "3.1", "4.2", "5.1"]
    assert sorted((row["idx"], row["attempt"]) for row in engine.rows(attempts, execution_id)) == [
        (0, 1),
        (2, 1),
        (4, 1),
    ]
    assert "2 items of 5 run again" in engine.messages(execution_id)


def test_a_retry_after_a_cancel_runs_what_did_not_run(engine: TestEngine) -> None:
    gate = Gate("done")
    execution_id = engine.execute({"a": each(engine, gate, ["x", "y", "z"], max_parallel=1)})
    gate.wait_entered()
    engine.executions.cancel(execution_id, "ada")
    assert engine.wait_end(execution_id) == "cancelled"
    engine.executions.retry(execution_id)
    assert engine.wait_end(execution_id, times=2) == "success"
    assert result(engine, execution_id)["items"] == ["done"] * 3


def test_waiting_items_hold_no_worker(engine: TestEngine) -> None:
    def act(context: StageContext) -> Any:
        if not context.state:
            return Waiting(context.now + timedelta(milliseconds=50), "waiting", {"since": "now"})
        return context.index

    execution_id = engine.execute({"a": each(engine, act, list(range(20)))})
    assert engine.wait_end(execution_id) == "success"
    assert result(engine, execution_id)["items"] == list(range(1, 21))


def test_no_more_run_at_once_than_may(engine: TestEngine) -> None:
    lock = threading.Lock()
    now: list[int] = []
    most: list[int] = []
    both = threading.Barrier(2, timeout=PATIENCE)

    def act(context: StageContext) -> None:
        with lock:
            now.append(1)
            most.append(len(now))
        both.wait()
        with lock:
            now.pop()

    assert engine.run({"a": each(engine, act, list(range(10)), max_parallel=2)}) == "success"
    assert max(most) == 2


def test_instant_items_share_transactions(engine: TestEngine) -> None:
    stage = {"needs": [], "type": "noop", "foreach": {"items": list(range(300))}}
    writes: list[int] = []
    original = engine.database.write

    def counted(*arguments: Any, **keys: Any) -> Any:
        writes.append(1)
        return original(*arguments, **keys)

    engine.database.write = counted  # type: ignore[method-assign]
    execution_id = engine.execute({"a": stage})
    assert engine.wait_end(execution_id) == "success"
    assert len(writes) < 60
    assert states(engine, execution_id) == ["success"] * 300


def test_two_foreach_stages_run_side_by_side(engine: TestEngine) -> None:
    stages = {
        "a": each(engine, lambda context: context.index, [1, 2, 3]),
        "b": each(engine, lambda context: context.index * 10, [1, 2]),
        "c": ["a", "b"],
    }
    execution_id = engine.execute(stages, outputs={"a": "${{ results.a.items }}", "b": "${{ results.b.items }}"})
    assert engine.wait_end(execution_id) == "success"
    assert engine.row(execution_id)["outputs"] == {"a": [1, 2, 3], "b": [10, 20]}


def test_a_handler_may_run_for_items(engine: TestEngine) -> None:
    done: list[int] = []
    handler = {"id": "tidy", **each(engine, lambda context: done.append(context.index), ["x", "y"])}
    assert engine.run({"a": []}, **{"finally": [handler]}) == "success"
    assert sorted(done) == [1, 2]


def test_progress_is_told_now_and_then_and_every_item_has_its_history(engine: TestEngine) -> None:
    execution_id = engine.execute({"a": {"needs": [], "type": "noop", "foreach": {"items": list(range(2_000))}}})
    assert engine.wait_end(execution_id) == "success"
    engine.wait(lambda: any(event.payload.get("items", {}).get("left") == 0 for event in told(engine)))
    assert told(engine)[-1].payload["items"] == {"count": 2_000, "left": 0, "succeeded": 2_000}
    assert told(engine)[-1].seq == 0
    assert len(told(engine)) < 100
    kinds = [row["type"] for row in engine.events(execution_id) if row["idx"] == 1_234]
    assert kinds == ["stage_started", "stage_completed"]
    assert len(engine.messages(execution_id)) < 10


def told(engine: TestEngine) -> list[Any]:
    return [event for event in engine.seen if event.type.value == "stage_progress"]


def test_ended_items_are_not_kept_in_memory(engine: TestEngine) -> None:
    gate = Gate()

    def act(context: StageContext) -> None:
        if context.index == 500:
            gate(context)

    execution_id = engine.execute({"a": each(engine, act, list(range(500)))})
    gate.wait_entered()
    engine.wait(lambda: any(event.payload.get("items", {}).get("left") == 1 for event in told(engine)))
    live = engine.embedded.stage_runs._changes.live._live[execution_id]
    assert [key.index for key in live.state.runs if key.index] == [500]
    assert list(live.items.values()) == [499]
    gate.open.set()
    assert engine.wait_end(execution_id) == "success"


# ── a process dies ──────────────────────────────────────────────────────────────────────────────────────────────

MOMENTS = ("claimed", "run", "recorded")


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("step", range(8))
def test_killed_at_any_step_it_goes_on(database: Database, tmp_path: Path, step: int, moment: str) -> None:
    """Expanding, the items, gathering and what follows: each is claimed, run and recorded, or not."""
    first = TestEngine(database, tmp_path)
    stage = each(first, fails_at(3), list("abcde"), min_success="80%", max_parallel=2)
    execution_id = first.execute({"a": stage, "b": ["a"]})
    for number in range(step + 1):
        claimed = first.claim_by_hand()
        ended = first.run_by_hand(claimed) if number < step or moment != "claimed" else []
        if number < step or moment == "recorded":
            first.record_by_hand(ended)
    with running(database, tmp_path) as second:
        if first.row(execution_id)["ended_at"] is None:
            assert second.wait_end(execution_id) == "success"
        assert second.row(execution_id)["status"] == "success"
        assert states(second, execution_id) == ["success", "success", "failed", "success", "success"]
        assert result(second, execution_id)["items"] == [1, 2, None, 4, 5]
        _check_history(second, execution_id)


def test_killed_while_expanding_the_items_are_put_anew(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expanding, "PUT_AT_ONCE", 10)
    first = TestEngine(database, tmp_path)
    execution_id = first.execute({"a": says("${{ item }}", list(range(35)))})
    claimed = first.claim_by_hand()
    put = item_rows.put

    def dies(tx: Any, new: item_rows.NewItems) -> None:
        if new.first > 20:
            raise KeyboardInterrupt
        put(tx, new)

    with monkeypatch.context() as patched:
        patched.setattr(item_rows, "put", dies)
        first.run_by_hand(claimed)
    assert states(first, execution_id) == ["queued"] * 20
    with running(database, tmp_path) as second:
        assert second.wait_end(execution_id) == "success"
        assert result(second, execution_id)["items"] == list(range(35))
        assert own(second, execution_id)["attempt"] == 2
        _check_history(second, execution_id)


def test_killed_while_a_retry_opens_items_again(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(item_service, "REOPENED_AT_ONCE", 2)
    first = TestEngine(database, tmp_path)
    open_ = threading.Event()

    def act(context: StageContext) -> int:
        if not open_.is_set() and context.index % 2:
            raise StageFailed("closed")
        return context.attempt

    execution_id = first.execute({"a": each(first, act, list(range(9)), on_error="continue")})
    first.work_by_hand()
    assert first.row(execution_id)["status"] == "failed"
    open_.set()
    first.executions.retry(execution_id)
    claimed = first.claim_by_hand()
    reopen = item_rows.reopen

    def dies(tx: Any, *, indexes: range, **rest: Any) -> None:
        if indexes.start > 4:
            raise KeyboardInterrupt
        reopen(tx, indexes=indexes, **rest)

    with monkeypatch.context() as patched:
        patched.setattr(item_rows, "reopen", dies)
        first.run_by_hand(claimed)
    with running(database, tmp_path) as second:
        assert second.wait_end(execution_id) == "success"
        assert result(second, execution_id)["items"] == [2, 1, 2, 1, 2, 1, 2, 1, 2]
        kept = [(row["idx"], row["attempt"]) for row in second.rows(attempts, execution_id) if row["idx"]]
        assert sorted(kept) == [(index, 1) for index in (1, 3, 5, 7, 9)]


def test_an_item_that_succeeds_after_all_keeps_no_error(database: Database, tmp_path: Path) -> None:
    """It waited for its next try when the process died, and was handed out once more by the next one."""
    first = TestEngine(database, tmp_path)

    def fails_once(context: StageContext) -> int:
        if context.attempt == 1:
            raise StageFailed("busy", kind="transient")
        return context.attempt

    retry = {"max_attempts": 2, "delay": "0s"}
    execution_id = first.execute({"a": each(first, fails_once, [1], retry=retry)})
    for _ in range(2):
        first.record_by_hand(first.run_by_hand(first.claim_by_hand()))
    first.executions._changes.wake(execution_id, Key(0, 1))
    assert [(row["status"], row["error"]["message"]) for row in items_of(first, execution_id).values()] == [
        ("queued", "busy")
    ]
    with running(database, tmp_path) as second:
        assert second.wait_end(execution_id) == "success"
        assert [(row["attempt"], row["error"]) for row in items_of(second, execution_id).values()] == [(2, None)]


def test_dying_three_times_ends_one_item_not_the_others(database: Database, tmp_path: Path) -> None:
    stage = {"needs": [], "type": "act", "config": {"act": "say"}, "foreach": {"items": [1, 2], "on_error": "continue"}}
    first = TestEngine(database, tmp_path)
    execution_id = first.execute({"a": stage})
    (expansion,) = first.claim_by_hand()
    first.record_by_hand(first.run_by_hand([expansion]))
    (item,) = first.claim_by_hand()
    for _ in range(2):
        again = TestEngine(database, tmp_path)
        again.executions.recover()
        (item,) = again.claim_by_hand()
        assert item.key.index == 1
    with running(database, tmp_path) as last:
        assert last.wait_end(execution_id) == "failed"
        assert states(last, execution_id) == ["failed", "success"]
        assert "item 1 (1): The worker was lost 3 times" in last.row(execution_id)["error"]["message"]


def _check_history(engine: TestEngine, execution_id: str) -> None:
    """Nothing is twice in the record, and nothing is left over."""
    events = engine.events(execution_id)
    assert [row["seq"] for row in events] == list(range(1, len(events) + 1))
    ends = [(row["stage"], row["idx"]) for row in events if row["type"] in ("stage_completed", "stage_failed")]
    assert len(ends) == len(set(ends))
    assert all(row["ended_at"] is not None for row in engine.rows(stage_runs, execution_id))
    assert all(row["lease_owner"] is None for row in engine.rows(stage_runs, execution_id))
    kept = engine.rows(results, execution_id)
    assert len(kept) == len({(row["position"], row["idx"]) for row in kept})


# ── tables ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_tables_of_all_items_are_one_table_for_the_next_stage(engine: TestEngine) -> None:
    for name in ("eu", "us"):
        (engine.folder / f"{name}.csv").write_text("id,amount\n1,10\n2,20\n")
    stages = {
        "read": {
            "needs": [],
            "type": "input",
            "config": {"path": "${{ item }}.csv"},
            "foreach": {"items": ["eu", "us"]},
        },
        "clean": {
            "needs": ["read"],
            "type": "processing",
            "foreach": {"items": [0, 1]},
            "config": {
                "data": "${{ results.read.items[item].data }}",
                "operations": [{"op": "filter", "expr": "id > 1"}],
            },
        },
        "all": {"needs": ["clean"], "type": "processing", "config": {"operations": [{"op": "dedupe"}]}},
    }
    execution_id = engine.execute(stages)
    assert engine.wait_end(execution_id) == "success", engine.row(execution_id)["error"]
    assert "data" not in result(engine, execution_id, 0)  # two CSV files are not put together by reference
    together = result(engine, execution_id, 1)["data"]
    assert together["rows"] == 2
    assert len(together["options"]["paths"]) == 2
    assert own(engine, execution_id, "all")["rows"] == 1
