"""The events of an execution rebuild its record, whatever happened to it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexiroaster.engine.plan import Plan
from flexiroaster.engine.replay import replay
from flexiroaster.engine.state import RETRYABLE_EXECUTIONS
from tests.engine.simulation import Simulation, failed, pipeline
from tests.engine.test_planner_properties import drive, graphs, handlers

STAGE_FIELDS = ("status", "attempt", "reason", "error", "rows", "bytes", "started_at", "ended_at", "reused_from")
FIELDS = ("status", "number", "retries", "reason", "error", "failed_stage", "started_at", "ended_at")


def check(run: Simulation) -> None:
    rebuilt = replay(run.history)
    kept = run.execution
    assert {name: getattr(rebuilt, name) for name in FIELDS} == {name: getattr(kept, name) for name in FIELDS}
    assert kept.ended_at is not None
    assert rebuilt.duration_seconds == pytest.approx(kept.seconds_until(kept.ended_at))
    stages = {(run.name(key), key.index): stage for key, stage in run.state.runs.items()}
    assert rebuilt.stages.keys() == stages.keys()
    for key, stage in stages.items():
        told = rebuilt.stages[key]
        expected = {name: getattr(stage, name) for name in STAGE_FIELDS}
        assert {name: getattr(told, name) for name in STAGE_FIELDS} == expected, key


@given(graphs(), handlers(), st.data())
@settings(max_examples=150)
def test_events_rebuild_any_ended_execution(stages: dict[str, Any], more: dict[str, Any], data: st.DataObject) -> None:
    run = Simulation(Plan.of(pipeline(stages, **more)))
    drive(run, data)
    check(run)


@given(graphs(), handlers(), st.data())
@settings(max_examples=60)
def test_events_rebuild_a_retried_execution(stages: dict[str, Any], more: dict[str, Any], data: st.DataObject) -> None:
    run = Simulation(Plan.of(pipeline(stages, **more)))
    for _ in range(3):
        drive(run, data)
        check(run)
        if run.execution.status not in RETRYABLE_EXECUTIONS:
            return
        run.retry()
    drive(run, data)
    check(run)


def test_what_still_runs_is_told_as_far_as_it_went() -> None:
    run = Simulation.of({"a": [], "b": ["a"]})
    run.run("a")
    run.claim("b")
    rebuilt = replay(run.history)
    assert (rebuilt.status, rebuilt.ended_at) == ("running", None)
    assert {key[0]: stage.status.value for key, stage in rebuilt.stages.items()} == {"a": "success", "b": "running"}


def test_a_missing_event_is_noticed() -> None:
    run = Simulation.of({"a": [], "b": ["a"]})
    run.run_all({"b": failed()})
    without = [event for event in run.history if event.type != "stage_failed"]
    assert replay(without).stages["b", 0].status != run.stage("b").status
