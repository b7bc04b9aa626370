from __future__ import annotations

from datetime import timedelta

import pytest

from flexiroaster.store import artifacts, logs, metrics
from flexiroaster.store.logs import LogFilter
from flexiroaster.store.metrics import BucketCount
from tests.history import NOON, History, minutes


def test_logs_are_read_forwards_and_backwards(history: History) -> None:
    for word in ("one", "two", "three", "four"):
        history.log(word)
    with history.database.read() as connection:
        last = logs.before(connection, LogFilter(), None, 2)
        earlier = logs.before(connection, LogFilter(), last[0].id, 1)
        later = logs.after(connection, LogFilter(), earlier[0].id, 10)
        newest = logs.newest_id(connection)
    assert [row.message for row in last] == ["three", "four"]
    assert [row.message for row in earlier] == ["two"]
    assert [row.message for row in later] == ["three", "four"]
    assert newest == last[-1].id
    assert last[0].fields == {}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (LogFilter(execution_id="orders-1"), ["Read 3 rows", "Bad row"]),
        (LogFilter(execution_id="orders-1", stage="s1"), ["Bad row"]),
        (LogFilter(pipeline_id="orders", levels=["error", "warning"]), ["Bad row"]),
        (LogFilter(text="ROW"), ["Read 3 rows", "Bad row"]),
        (LogFilter(text="_"), []),
        (LogFilter(pipeline_id="nothing"), []),
    ],
)
def test_logs_filter(history: History, wanted: LogFilter, found: list[str]) -> None:
    history.pipeline("orders")
    history.execution("orders", 1)
    here = {"pipeline_id": "orders", "execution_id": "orders-1"}
    history.log("Read 3 rows", stage="s0", **here)
    history.log("Bad row", stage="s1", level="error", fields={"row": 3}, **here)
    history.log("Server started")
    with history.database.read() as connection:
        assert [row.message for row in logs.after(connection, wanted, 0, 10)] == found


def test_buckets_are_half_open_and_count_each_execution_where_it_was_created(history: History) -> None:
    history.pipeline("orders")
    history.execution("orders", 1, created_at=NOON - timedelta(microseconds=1))
    history.execution("orders", 2, created_at=NOON, seconds=600)
    history.execution("orders", 3, created_at=NOON + minutes(59.99), seconds=1.5)
    history.execution("orders", 4, created_at=NOON + minutes(60), status="failed", seconds=2)
    history.execution("orders", 5, created_at=NOON + minutes(61), status="running", seconds=None)
    history.execution("orders", 6, created_at=NOON + minutes(120))
    with history.database.read() as connection:
        found = metrics.buckets(connection, since=NOON, until=NOON + minutes(120), size=timedelta(hours=1))
    assert sorted(found, key=lambda row: (row.bucket, row.status)) == [
        BucketCount("success", 2, 2, pytest.approx(601.5), 0),
        BucketCount("failed", 1, 1, pytest.approx(2), 1),
        BucketCount("running", 1, 0, 0, 1),
    ]


def test_the_percentile_is_a_duration_that_occurred(history: History) -> None:
    history.pipeline("orders")
    for number in range(1, 41):
        history.execution("orders", number, seconds=number)
    history.execution("orders", 41, seconds=900, status="cancelled")
    until = NOON + timedelta(hours=2)
    with history.database.read() as connection:
        p95 = metrics.duration_percentile(connection, 95, since=NOON, until=until, statuses=["success"])
        p50 = metrics.duration_percentile(connection, 50, since=NOON, until=until, statuses=["success"])
        none = metrics.duration_percentile(connection, 95, since=until, until=until, statuses=["success"])
    assert (p95, p50, none) == (38, 20, None)


def test_time_between_an_end_and_a_retry_counts_for_no_duration(history: History) -> None:
    history.pipeline("orders")
    history.execution("orders", 1, created_at=NOON, seconds=3_610, idle_seconds=3_600)
    with history.database.read() as connection:
        (bucket,) = metrics.buckets(connection, since=NOON, until=NOON + minutes(1), size=minutes(1))
        p95 = metrics.duration_percentile(connection, 95, since=NOON, until=NOON + minutes(1), statuses=["success"])
    assert (bucket.seconds, p95) == (pytest.approx(10), pytest.approx(10))


def test_counts_of_pipelines_and_open_executions(history: History) -> None:
    with history.database.read() as connection:
        assert metrics.pipeline_counts(connection) == (0, 0)
    history.pipeline("a")
    history.pipeline("b", enabled=False)
    history.pipeline("c", deleted_at=NOON)
    history.execution("a", 1)
    history.execution("a", 2, status="running", seconds=None)
    history.execution("a", 3, status="queued", seconds=None)
    with history.database.read() as connection:
        assert metrics.pipeline_counts(connection) == (2, 1)
        assert metrics.open_counts(connection) == {"running": 1, "queued": 1}


def test_artifacts_are_found_by_execution_stage_and_id(history: History) -> None:
    history.pipeline("orders")
    history.execution("orders", 1)
    history.artifact("one", "orders-1", rows=3, columns=[{"name": "a", "type": "BIGINT"}], profile={"rows": 3})
    history.artifact("two", "orders-1", stage="s1", created_at=NOON + minutes(1))
    with history.database.read() as connection:
        assert [row.id for row in artifacts.of_execution(connection, "orders-1")] == ["one", "two"]
        assert [row.id for row in artifacts.of_execution(connection, "orders-1", stage="s1")] == ["two"]
        (first,) = artifacts.of_execution(connection, "orders-1", limit=1)
        after = (first.created_at, first.id)
        assert [row.id for row in artifacts.of_execution(connection, "orders-1", after=after)] == ["two"]
        one = artifacts.find(connection, "one")
        assert artifacts.profile(connection, "one") == {"rows": 3}
        assert artifacts.profile(connection, "two") is None
    assert one is not None
    assert (one.index, one.rows, one.columns) == (0, 3, [{"name": "a", "type": "BIGINT"}])
