from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from flexiroaster.services.metrics import Metrics, Range
from tests.history import NOON, History, minutes

NOW = NOON + timedelta(hours=30)


def ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


def test_current_numbers_compare_two_days(history: History) -> None:
    history.pipeline("orders")
    history.pipeline("stock", enabled=False)
    history.execution("orders", 1, created_at=ago(49), seconds=500)
    history.execution("orders", 2, created_at=ago(47), seconds=4)
    history.execution("orders", 3, created_at=ago(25), seconds=8, status="timed_out")
    history.execution("orders", 4, created_at=ago(23), seconds=10)
    history.execution("orders", 5, created_at=ago(2), seconds=20)
    history.execution("orders", 6, created_at=ago(1), seconds=60, status="failed")
    history.execution("orders", 7, created_at=ago(1), seconds=900, status="cancelled")
    history.execution("orders", 8, created_at=ago(0.1), status="running", seconds=None)
    history.execution("orders", 9, created_at=ago(0.1), status="cancelling", seconds=None)
    history.execution("orders", 10, created_at=ago(0.1), status="queued", seconds=None)

    current = Metrics(history.database, lambda: NOW).current()

    assert (current.total_pipelines, current.enabled_pipelines) == (2, 1)
    assert (current.active_executions, current.queued_executions) == (2, 1)
    assert (current.last.executions, current.last.failed) == (7, 1)
    assert current.last.success_rate == pytest.approx(66.67)
    assert current.last.avg_duration == pytest.approx(30)
    assert current.p95_duration == pytest.approx(60)
    assert (current.previous.success_rate, current.previous.avg_duration) == (50, pytest.approx(6))


def test_nothing_has_no_rate(history: History) -> None:
    current = Metrics(history.database, lambda: NOW).current()
    assert (current.last.executions, current.last.success_rate, current.p95_duration) == (0, None, None)


@pytest.mark.parametrize(
    ("wanted", "count", "seconds"), [("1h", 60, 60), ("24h", 96, 900), ("7d", 84, 7200), ("30d", 120, 21600)]
)
def test_a_range_is_covered_without_holes(history: History, wanted: Range, count: int, seconds: int) -> None:
    now = NOW + timedelta(seconds=59.5)
    found = Metrics(history.database, lambda: now).history(wanted)
    starts = [bucket.at for bucket in found.buckets]
    assert (len(starts), found.bucket_seconds) == (count, seconds)
    assert {later - earlier for earlier, later in itertools.pairwise(starts)} == {timedelta(seconds=seconds)}
    assert starts[-1] <= now < starts[-1] + timedelta(seconds=seconds)
    assert all(int(start.timestamp()) % seconds == 0 and start.tzinfo is UTC for start in starts)


def test_a_bucket_says_how_what_began_in_it_ended(history: History) -> None:
    history.pipeline("orders")
    for number, status in enumerate(["success", "failed", "cancelled", "timed_out", "success"], start=1):
        history.execution("orders", number, created_at=NOW - minutes(3), status=status, seconds=number)
    history.execution("orders", 6, created_at=NOW - minutes(3), status="running", seconds=None)
    history.execution("orders", 7, created_at=NOW - minutes(61))

    found = Metrics(history.database, lambda: NOW).history("1h")

    (bucket,) = [bucket for bucket in found.buckets if bucket.started]
    assert bucket.at == NOW - minutes(3)
    assert (bucket.started, bucket.success, bucket.failed, bucket.cancelled, bucket.timed_out) == (6, 2, 1, 1, 1)
    assert bucket.avg_duration == pytest.approx((1 + 2 + 4 + 5) / 4)
