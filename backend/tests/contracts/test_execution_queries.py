from __future__ import annotations

from datetime import timedelta

import pytest

from flexiroaster.store import executions
from flexiroaster.store.executions import ExecutionFilter
from tests.history import NOON, History, minutes


def test_page_is_newest_first_and_goes_on_within_one_moment(history: History) -> None:
    history.pipeline("orders", name="Orders")
    for number in range(1, 6):
        history.execution("orders", number, created_at=NOON if number < 5 else NOON + minutes(1))
    seen: list[str] = []
    with history.database.read() as connection:
        before = None
        while page := executions.page(connection, ExecutionFilter(), before=before, limit=2):
            seen += [row.id for row in page]
            before = (page[-1].created_at, page[-1].id)
    assert seen == ["orders-5", "orders-4", "orders-3", "orders-2", "orders-1"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (ExecutionFilter(statuses=["failed", "running"]), ["b-3", "a-2"]),
        (ExecutionFilter(pipeline_id="a"), ["a-2", "a-1"]),
        (ExecutionFilter(triggers=["schedule"]), ["a-1"]),
        (ExecutionFilter(since=NOON + minutes(2)), ["b-3", "a-2"]),
        (ExecutionFilter(until=NOON + minutes(2)), ["a-1"]),
        (ExecutionFilter(text="row 42"), ["a-2"]),
        (ExecutionFilter(text="CHECK"), ["a-2"]),
        (ExecutionFilter(text="%"), []),
        (ExecutionFilter(pipeline_id="a", statuses=["running"]), []),
    ],
)
def test_page_filters(history: History, wanted: ExecutionFilter, found: list[str]) -> None:
    history.pipeline("a")
    history.pipeline("b")
    history.execution("a", 1, trigger="schedule")
    history.execution("a", 2, status="failed", failed_stage="check", error={"message": "Bad value in Row 42."})
    history.execution("b", 3, status="running", seconds=None)
    with history.database.read() as connection:
        assert [row.id for row in executions.page(connection, wanted, limit=10)] == found


def test_picking_goes_from_the_oldest_on_and_counts_the_rest(history: History) -> None:
    history.pipeline("orders")
    for number in range(1, 5):
        history.execution("orders", number, created_at=NOON + minutes(number // 2), status="failed")
    wanted = ExecutionFilter(statuses=["failed"], ids=["orders-2", "orders-3", "orders-4", "gone"])
    with history.database.read() as connection:
        first, second = executions.pick(connection, wanted, limit=2)
        after = (second.created_at, second.id)
        assert (first.id, second.id) == ("orders-2", "orders-3")
        assert [row.id for row in executions.pick(connection, wanted, after=after, limit=2)] == ["orders-4"]
        assert (executions.count(connection, wanted), executions.count(connection, wanted, after=after)) == (3, 1)


def test_a_deleted_pipelines_executions_stay_readable(history: History) -> None:
    history.pipeline("orders", name="Orders", deleted_at=NOON)
    id = history.execution("orders", 1, outputs={"rows": 3}, data=[1, None])
    with history.database.read() as connection:
        row = executions.find(connection, id)
        assert executions.find(connection, "nothing") is None
    assert row is not None
    assert (row.pipeline_name, row.outputs, row.data, row.inputs) == ("Orders", {"rows": 3}, [1, None], {})


def test_counts_are_by_state_and_empty_without_stage_runs(history: History) -> None:
    history.pipeline("orders")
    history.execution("orders", 1)
    history.execution("orders", 2)
    for position, status in enumerate(["success", "success", "skipped"]):
        history.stage_run("orders-1", position, status=status)
    with history.database.read() as connection:
        found = executions.counts(connection, ["orders-1", "orders-2"])
    assert found == {"orders-1": {"success": 2, "skipped": 1}, "orders-2": {}}


def test_stage_pages_follow_the_definition_without_items(history: History) -> None:
    history.pipeline("orders")
    history.execution("orders", 1)
    for position, index in [(1, 0), (0, 1), (0, 0), (2, 0), (1, 2)]:
        history.stage_run("orders-1", position, idx=index, status="failed" if position == 2 or index else "success")
    with history.database.read() as connection:
        first = executions.stage_page(connection, "orders-1", limit=2)
        rest = executions.stage_page(connection, "orders-1", after=first[-1].position, limit=2)
        failed = executions.stage_page(connection, "orders-1", statuses=["failed"], limit=9)
        one = executions.stage_run(connection, "orders-1", "s1", 2)
        none = executions.stage_run(connection, "orders-1", "s1", 7)
    assert [(row.position, row.index) for row in first + rest] == [(0, 0), (1, 0), (2, 0)]
    assert [(row.position, row.index) for row in failed] == [(2, 0)]
    assert one is not None and (one.stage, one.index) == ("s1", 2)
    assert none is None


def test_attempts_results_and_events_of_a_stage_run(history: History) -> None:
    history.pipeline("orders")
    history.execution("orders", 1)
    history.stage_run("orders-1", 0, attempt=3)
    history.attempt("orders-1", 0, 2, worker="w2")
    history.attempt("orders-1", 0, 1, error={"message": "no"})
    history.result("orders-1", 0, {"rows": 2})
    history.result("orders-1", 1, None, artifact_id="large")
    for seq in (1, 2, 3):
        history.event("orders-1", seq, stage="s0", idx=0, payload={"n": seq} if seq > 1 else None)
    with history.database.read() as connection:
        attempts = executions.earlier_attempts(connection, "orders-1", 0, 0)
        inline = executions.result(connection, "orders-1", 0, 0)
        spilled = executions.result(connection, "orders-1", 1, 0)
        events = executions.event_page(connection, "orders-1", after=1, limit=1)
        first = executions.event_page(connection, "orders-1", limit=1)
    assert [(row.attempt, row.worker, row.error) for row in attempts] == [(1, None, {"message": "no"}), (2, "w2", None)]
    assert inline == executions.ResultRow({"rows": 2}, None)
    assert spilled == executions.ResultRow(None, "large")
    assert [(event.seq, event.pipeline_id, event.payload) for event in events] == [(2, "orders", {"n": 2})]
    assert first[0].payload == {}


def test_usual_seconds_is_the_median_of_the_last_twenty_successes_before(history: History) -> None:
    history.pipeline("orders")
    for number in range(1, 31):
        history.execution("orders", number, seconds=number * 1.5)
    history.execution("orders", 31, status="failed", seconds=900)
    with history.database.read() as connection:
        assert executions.usual_seconds(connection, "orders", 32) == pytest.approx(20.5 * 1.5)
        assert executions.usual_seconds(connection, "orders", 4) == pytest.approx(3.0)
        assert executions.usual_seconds(connection, "orders", 1) is None


def test_usual_seconds_leave_out_the_time_before_a_retry(history: History) -> None:
    history.pipeline("orders")
    history.execution("orders", 1, seconds=3_610, idle_seconds=3_600)
    with history.database.read() as connection:
        assert executions.usual_seconds(connection, "orders", 2) == pytest.approx(10)


def test_usual_stage_seconds_is_a_median_by_stage(history: History) -> None:
    history.pipeline("orders")
    for number in range(1, 26):
        history.execution("orders", number)
        history.stage_run(f"orders-{number}", 0, seconds=number)
        history.stage_run(f"orders-{number}", 1, seconds=100, status="success" if number == 9 else "failed")
    with history.database.read() as connection:
        usual = executions.usual_stage_seconds(connection, "orders", 26)
        only = executions.usual_stage_seconds(connection, "orders", 4, stage="s0")
    assert usual == {"s0": pytest.approx(15.5), "s1": pytest.approx(100)}
    assert only == {"s0": pytest.approx(2)}


def test_durations_keep_milliseconds_across_a_daylight_change(history: History) -> None:
    history.pipeline("orders")
    history.execution("orders", 1, created_at=NOON + timedelta(days=25), seconds=86_400 * 30 + 0.25)
    with history.database.read() as connection:
        assert executions.usual_seconds(connection, "orders", 2) == pytest.approx(86_400 * 30 + 0.25, abs=0.001)
