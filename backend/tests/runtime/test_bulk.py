"""Many executions at once, on the real engine and both databases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flexiroaster.engine.errors import InvalidInputs, InvalidRequest, NotFound, StageFailed
from flexiroaster.services.bulk import MOST_AT_ONCE, Bulk, Item
from flexiroaster.stages.base import StageContext
from flexiroaster.store.database import Database
from flexiroaster.store.executions import ExecutionFilter
from tests.runtime.engine import TestEngine

DAY = {"day": {"type": "string"}}


@pytest.fixture
def idle(database: Database, tmp_path: Path) -> TestEngine:
    """An engine that was never started: what it accepts stays queued."""
    return TestEngine(database, tmp_path)


def bulk(engine: TestEngine) -> Bulk:
    return engine.embedded.bulk


def days(*names: str) -> list[Item]:
    return [Item({"day": name}) for name in names]


def failing(engine: TestEngine, count: int) -> tuple[str, list[str], dict[str, bool]]:
    """A pipeline with failed executions, and a switch that mends it."""
    broken = {"now": True}

    def act(_: StageContext) -> Any:
        if broken["now"]:
            raise StageFailed("it broke")

    pipeline = engine.add({"a": [], "b": {"type": "act", "config": engine.act(act), "needs": ["a"]}})
    started = bulk(engine).start(pipeline, [Item()] * count)
    for one in started:
        assert engine.wait_end(one) == "failed"
    return pipeline, [one.execution_id for one in started], broken


def test_a_list_of_executions_is_started_in_its_order(engine: TestEngine) -> None:
    pipeline = engine.add({"a": []}, inputs=DAY)
    started = bulk(engine).start(pipeline, [Item({"day": "mon"}, data=[1]), *days("tue", "wed")], actor="ada")
    assert [one.number for one in started] == [1, 2, 3]
    assert sorted(one.execution_id for one in started) == [one.execution_id for one in started]
    for one in started:
        assert engine.wait_end(one) == "success"
    rows = [engine.row(one.execution_id) for one in started]
    assert [row["inputs"]["day"] for row in rows] == ["mon", "tue", "wed"]
    assert (rows[0]["data"], rows[1]["data"], rows[0]["actor"]) == ([1], None, "ada")


def test_one_wrong_item_starts_none(idle: TestEngine) -> None:
    pipeline = idle.add({"a": []}, inputs=DAY)
    with pytest.raises(InvalidInputs) as refused:
        bulk(idle).start(pipeline, [*days("mon"), Item({"day": 5}), Item({"dya": "tue"})])
    paths = [problem.path for problem in refused.value.problems]
    assert paths[0] == "executions[1].inputs.day"
    assert {path.split(".")[0] for path in paths} == {"executions[1]", "executions[2]"}
    assert bulk(idle).start(pipeline, days("mon"))[0].number == 1


def test_the_version_that_is_asked_for_runs(idle: TestEngine) -> None:
    pipeline = idle.add({"a": []})
    idle.change(pipeline, {"a": [], "b": ["a"]})
    for asked, runs in ((1, 1), (2, 2), (None, 2)):
        started = bulk(idle).start(pipeline, [Item(), Item()], version=asked)
        assert [idle.row(one.execution_id)["version"] for one in started] == [runs, runs]


def test_one_key_for_two_that_differ_starts_none(idle: TestEngine) -> None:
    pipeline = idle.add({"a": []}, inputs=DAY)
    items = [Item({"day": day}, idempotency_key=key) for day, key in (("mon", "x"), ("mon", "x"), ("tue", "x"))]
    with pytest.raises(InvalidRequest, match=r"`executions\[2\]` has the idempotency key of `executions\[0\]` \('x'\)"):
        bulk(idle).start(pipeline, items)
    assert bulk(idle).start(pipeline, items[:2])[0].number == 1


def test_the_same_keys_start_once_even_within_one_call(idle: TestEngine) -> None:
    pipeline = idle.add({"a": []})
    items = [Item(idempotency_key=key) for key in ("x", "y", "x")]
    first = bulk(idle).start(pipeline, items)
    again = bulk(idle).start(pipeline, items)
    assert [one.replayed for one in first] == [False, False, True]
    assert [one.replayed for one in again] == [True, True, True]
    assert first[0].execution_id == first[2].execution_id == again[0].execution_id
    assert bulk(idle).start(pipeline, [Item()])[0].number == 3


def test_a_bulk_has_its_bounds(idle: TestEngine) -> None:
    pipeline = idle.add({"a": []})
    with pytest.raises(InvalidRequest, match="at most 1,000 at once"):
        bulk(idle).start(pipeline, [Item()] * (MOST_AT_ONCE + 1))
    with pytest.raises(NotFound):
        bulk(idle).start("gone", [Item()])


def test_failed_executions_are_retried_by_filter(engine: TestEngine) -> None:
    pipeline, ids, broken = failing(engine, 3)
    other, _, _ = failing(engine, 1)
    succeeded = engine.execute({"a": []})
    engine.wait_end(succeeded)
    broken["now"] = False
    of_pipeline = ExecutionFilter(pipeline_id=pipeline)
    assert bulk(engine).count(of_pipeline, "retry") == 3
    result = bulk(engine).retry(of_pipeline)
    assert (result.matched, result.left, result.next_cursor) == (3, 0, None)
    assert [one.row.id for one in result.treated] == ids
    assert {one.message for one in result.treated} == {"1 reused, 1 run again"}
    for id in ids:
        assert engine.wait_end(id, times=2) == "success"
    assert bulk(engine).count(of_pipeline, "retry") == 0
    assert bulk(engine).count(ExecutionFilter(), "retry") == 1
    assert bulk(engine).count(ExecutionFilter(pipeline_id=other, statuses=["failed", "success"]), "retry") == 1


def test_what_is_left_is_treated_from_the_cursor_on(engine: TestEngine) -> None:
    """Even where what was retried fails again at once."""
    pipeline, ids, _ = failing(engine, 5)
    seen: list[str] = []
    lefts: list[int] = []
    cursor = None
    while True:
        result = bulk(engine).retry(ExecutionFilter(pipeline_id=pipeline), limit=2, cursor=cursor)
        for one in result.treated:
            assert engine.wait_end(one.row.id, times=2) == "failed"
        seen += [one.row.id for one in result.treated]
        lefts.append(result.left)
        cursor = result.next_cursor
        if cursor is None:
            break
    assert (seen, lefts) == (ids, [3, 1, 0])


def test_open_executions_are_cancelled_by_filter(idle: TestEngine) -> None:
    pipeline = idle.add({"a": []})
    ids = [one.execution_id for one in bulk(idle).start(pipeline, [Item()] * 3)]
    idle.executions.cancel(ids[0])
    result = bulk(idle).cancel(ExecutionFilter(ids=[*ids, "gone"]))
    assert [one.row.id for one in result.treated] == ids[1:]
    assert {idle.row(id)["status"] for id in ids} == {"cancelled"}
    assert bulk(idle).count(ExecutionFilter(), "cancel") == 0


def test_one_that_cannot_be_retried_keeps_no_other_from_it(idle: TestEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be retried by somebody else between the look and the act."""
    pipeline = idle.add({"a": []})
    ids = [one.execution_id for one in bulk(idle).start(pipeline, [Item()] * 2)]
    bulk(idle).cancel(ExecutionFilter(ids=ids))
    retry = idle.executions.retry

    def first_one_twice(id: str, actor: str | None = None, **more: Any) -> Any:
        if id == ids[0]:
            retry(id, actor, **more)
        return retry(id, actor, **more)

    monkeypatch.setattr(idle.executions, "retry", first_one_twice)
    refused, done = bulk(idle).retry(ExecutionFilter(pipeline_id=pipeline)).treated
    assert (refused.code, done.code) == ("not_retryable", None)
    assert "only a failed, cancelled or timed out one can be retried" in refused.message


def test_a_state_that_makes_no_sense_is_refused(idle: TestEngine) -> None:
    with pytest.raises(InvalidRequest, match="None of these states is one to retry: success"):
        bulk(idle).retry(ExecutionFilter(statuses=["success"]))
    with pytest.raises(InvalidRequest, match="None of these states is one to cancel: failed"):
        bulk(idle).cancel(ExecutionFilter(statuses=["failed"]))
