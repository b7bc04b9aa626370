"""Executions in which somebody tried a draft: shown like all others, counted by nobody."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flexiroaster.services.metrics import Metrics
from flexiroaster.store import ended_runs
from flexiroaster.store import executions as store
from flexiroaster.store import pipelines as pipeline_store
from tests.history import NOON, History, minutes

NOW = NOON + timedelta(hours=2)


@pytest.fixture
def tried(history: History) -> History:
    """Ten executions that passed in 10 seconds each, and after each a trial that failed after a minute."""
    history.pipeline("orders")
    for number in range(1, 21, 2):
        passed = history.execution("orders", number)
        history.stage_run(passed, 0, seconds=2.0)
        trial = history.execution("orders", number + 1, status="failed", seconds=60, trial=True)
        history.stage_run(trial, 0, seconds=50.0)
    return history


def test_the_dashboard_does_not_count_them(tried: History) -> None:
    numbers = Metrics(tried.database, lambda: NOW)
    current = numbers.current()
    assert (current.last.executions, current.last.failed) == (10, 0)
    assert (current.last.success_rate, current.last.avg_duration, current.p95_duration) == (100, 10, 10)
    buckets = numbers.history("24h").buckets
    assert (sum(bucket.started for bucket in buckets), sum(bucket.failed for bucket in buckets)) == (10, 0)


def test_one_that_runs_is_at_work_like_any_other(tried: History) -> None:
    tried.execution("orders", 21, status="running", seconds=None, trial=True)
    current = Metrics(tried.database, lambda: NOW).current()
    assert (current.active_executions, current.last.executions) == (1, 10)


def test_a_pipeline_is_judged_by_the_others(tried: History) -> None:
    with tried.database.read() as connection:
        runs = pipeline_store.latest_runs(connection, ["orders"])
    assert [run.number for run in runs] == list(range(1, 21, 2))
    assert {run.status for run in runs} == {"success"}


def test_bars_reach_back_over_many_of_them(history: History) -> None:
    history.pipeline("orders")
    for number in range(1, 5):
        history.execution("orders", number)
    for number in range(5, 60):
        history.execution("orders", number, trial=True)
    with history.database.read() as connection:
        assert [run.number for run in pipeline_store.latest_runs(connection, ["orders"])] == [1, 2, 3, 4]


def test_what_is_usual_is_told_from_the_others(tried: History) -> None:
    for number in range(1, 21, 2):
        tried.execution("orders", 100 + number, seconds=500, trial=True)
        tried.stage_run(f"orders-{100 + number}", 0, seconds=400)
    with tried.database.read() as connection:
        assert store.usual_seconds(connection, "orders", 21) == 10
        assert store.usual_seconds(connection, "orders", 130) is None
        assert store.usual_stage_seconds(connection, "orders", 21) == {"s0": 2}
        assert store.recent_stage_seconds(connection, "orders") == {}


def test_nothing_is_learned_of_them(tried: History) -> None:
    running = tried.execution("orders", 22, status="running", seconds=None, trial=True)
    with tried.database.read() as connection:
        newest = ended_runs.newest(connection, limit=100, pipeline_id="orders")
        assert {one.status for one in newest} == {"success"}
        assert ended_runs.named(connection, [running, "orders-2"]) == []
        assert ended_runs.running(connection, 10) == []
        explained = ended_runs.newest(connection, limit=100, created_until=NOON + minutes(8), also="orders-8")
    assert [one.id for one in explained[:3]] == ["orders-8", "orders-7", "orders-5"]


def test_they_are_listed(tried: History) -> None:
    with tried.database.read() as connection:
        row = store.find(connection, "orders-2")
    assert row is not None
    assert row.trial
