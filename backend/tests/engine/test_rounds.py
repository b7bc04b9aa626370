"""How long an execution took: the sum of its rounds, without what lies between an end and a retry."""

from __future__ import annotations

from datetime import timedelta

from flexiroaster.engine.outcome import Succeeded
from tests.engine.simulation import Simulation, failed


def test_the_time_between_an_end_and_a_retry_is_no_part_of_the_duration() -> None:
    run = Simulation.of({"a": []})
    run.run("a", failed())
    first = run.execution.seconds_until(run.now)
    started = run.execution.started_at
    run.now += timedelta(hours=3)
    run.retry()
    run.run("a", Succeeded())
    second = (run.history[-1].at - next(e.at for e in run.history if e.payload.get("retry") == 1)).total_seconds()
    assert run.execution.started_at == started
    assert run.execution.ended_at is not None
    assert first is not None
    assert run.execution.seconds_until(run.execution.ended_at) == first + second
    assert run.history[-1].payload["duration_seconds"] == first + second
    assert run.execution.idle_seconds == 3 * 3600 + 1


def test_what_was_cancelled_before_it_started_starts_with_its_retry() -> None:
    run = Simulation.of({"a": []})
    run.cancel()
    assert run.execution.started_at is None
    run.now += timedelta(hours=3)
    run.retry()
    retried = run.now
    run.run_all()
    assert (run.execution.started_at, run.execution.idle_seconds) == (retried, 0)
