"""An execution that is held and let go."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from flexiroaster.engine.outcome import Succeeded, Waiting
from tests.engine.simulation import Simulation, failed

HOUR = timedelta(hours=1)
RETRY: dict[str, Any] = {"retry": {"max_attempts": 3, "delay": "10m", "jitter": False}}


def passed(run: Simulation, time: timedelta) -> None:
    run.now += time


def test_nothing_is_claimed_while_paused() -> None:
    run = Simulation.of({"a": [], "b": []})
    run.run("a")
    run.pause()
    assert run.status == "paused"
    assert run.execution.reason == "paused by ada"
    assert run.claim("b") is None


def test_what_runs_goes_on_to_its_end_and_what_follows_waits() -> None:
    run = Simulation.of({"a": [], "b": ["a"]})
    run.claim("a")
    run.pause()
    assert run.told_to_stop == []
    run.record("a", Succeeded())
    assert run.statuses() == {"a": "success", "b": "queued"}
    assert run.claim("b") is None


def test_resume_announces_what_is_ready() -> None:
    run = Simulation.of({"a": [], "b": ["a"], "c": []})
    run.claim("a")
    run.pause()
    run.record("a", Succeeded())
    run.ready.clear()
    run.resume()
    assert [run.name(key) for key in run.ready] == ["b", "c"]
    run.run_all()
    assert run.status == "success"
    assert run.execution.reason is None
    assert run.events().count("execution_started") == 1


def test_execution_is_paused_before_it_started() -> None:
    run = Simulation.of({"a": []})
    run.pause()
    assert run.claim("a") is None
    run.resume()
    assert run.status == "queued"
    run.run_all()
    assert run.status == "success"


def test_retry_that_comes_due_meanwhile_is_made_with_the_resume() -> None:
    run = Simulation.of({"a": {"needs": [], **RETRY}})
    run.run("a", failed("transient"))
    run.pause()
    passed(run, HOUR)
    run.wake("a")
    assert run.stage("a").status == "retrying"
    run.resume()
    assert run.stage("a").status == "queued"
    run.run_all()
    assert run.status == "success"


def test_wait_that_is_not_due_yet_waits_on() -> None:
    run = Simulation.of({"a": []})
    run.run("a", Waiting(run.now + 2 * HOUR, "waiting"))
    run.pause()
    passed(run, HOUR)
    run.resume()
    assert run.stage("a").status == "waiting"
    passed(run, HOUR)
    run.wake("a")
    assert run.stage("a").status == "queued"


def test_cancel_while_paused_ends_it() -> None:
    run = Simulation.of({"a": [], "b": ["a"]})
    run.run("a")
    run.pause()
    run.cancel()
    assert run.status == "cancelled"
    assert run.statuses() == {"a": "success", "b": "cancelled"}
    assert run.execution.reason == "cancelled by ada"
    assert run.execution.paused_at is None


def test_last_stage_may_end_while_paused() -> None:
    run = Simulation.of({"a": []})
    run.claim("a")
    run.pause()
    run.record("a", Succeeded())
    assert run.status == "success"
    assert (run.execution.reason, run.execution.paused_at) == (None, None)


def test_handlers_begin_after_the_resume() -> None:
    run = Simulation.of({"a": []}, **{"finally": [{"id": "tidy", "type": "noop"}]})
    run.claim("a")
    run.pause()
    run.record("a", Succeeded())
    assert (run.status, run.execution.phase.value) == ("paused", "finally")
    assert run.claim("tidy") is None
    run.resume()
    run.run_all()
    assert run.status == "success"


def test_timeout_stands_still_while_paused() -> None:
    run = Simulation.of({"a": [], "b": ["a"]}, timeout="2h")
    before = run.now + 2 * HOUR
    run.state.execution = replace(run.execution, timeout_at=before)
    run.run("a")
    run.pause()
    paused_at = run.now
    passed(run, 10 * HOUR)
    run.time_out()
    assert run.status == "paused"
    run.resume()
    assert run.execution.timeout_at == before + (run.now - paused_at)
    run.time_out()
    assert run.status == "timed_out"


@pytest.mark.parametrize("end", ["resume", "cancel"])
def test_pause_is_no_part_of_the_duration(end: str) -> None:
    run = Simulation.of({"a": [], "b": ["a"]})
    run.run("a")
    run.pause()
    passed(run, 10 * HOUR)
    run.resume() if end == "resume" else run.cancel()
    run.run_all()
    took = run.history[-1].payload["duration_seconds"]
    assert 0 < took < 60


def test_worker_lost_while_paused_is_tried_again_after_it() -> None:
    run = Simulation.of({"a": []})
    run.claim("a")
    run.pause()
    run.lose("a")
    assert run.stage("a").status == "queued"
    assert run.claim("a") is None
    run.resume()
    run.run_all()
    assert run.status == "success"


def test_execution_is_paused_more_than_once() -> None:
    run = Simulation.of({"a": [], "b": ["a"]}, timeout="2h")
    for _ in range(3):
        run.pause()
        passed(run, HOUR)
        run.resume()
    run.run_all()
    assert run.status == "success"
    assert run.events().count("execution_paused") == run.events().count("execution_resumed") == 3
