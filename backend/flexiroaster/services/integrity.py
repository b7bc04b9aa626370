"""Whether the record of an execution is what its events say: they are appended and never changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from flexiroaster.engine.events import Event, EventType
from flexiroaster.engine.replay import Replayed, ReplayedStage, replay
from flexiroaster.engine.runs import stage_run_name
from flexiroaster.store.tables import events, executions, stage_runs

EXECUTION_FIELDS = ("status", "number", "retries", "reason", "failed_stage", "started_at", "ended_at")
STAGE_FIELDS = ("status", "attempt", "reason", "rows", "bytes", "started_at", "ended_at", "reused_from")
CLOCK_SECONDS = 0.001
"""By which durations may differ: they are sums of floats."""


def newest_ended(connection: sa.Connection, count: int) -> list[str]:
    """Ids of the executions that ended last."""
    table = executions.c
    query = sa.select(table.id).where(table.ended_at.is_not(None)).order_by(table.ended_at.desc(), table.id)
    return list(connection.scalars(query.limit(count)))


def differences(connection: sa.Connection, execution_id: str) -> list[str]:
    """What is not as the events of an ended execution say, a few words each."""
    row = dict(connection.execute(sa.select(executions).where(executions.c.id == execution_id)).mappings().one())
    told = list(_events(connection, execution_id, row["pipeline_id"]))
    gap = next((place for place, event in enumerate(told, 1) if event.seq != place), None)
    if gap is not None:
        return [f"event {gap} is missing"]
    replayed = replay(told)
    query = sa.select(stage_runs).where(stage_runs.c.execution_id == execution_id)
    kept = {(str(run["stage"]), int(run["idx"])): dict(run) for run in connection.execute(query).mappings()}
    return [*_of_execution(replayed, row), *_of_stages(replayed, kept)]


def _events(connection: sa.Connection, execution_id: str, pipeline_id: str) -> Iterator[Event]:
    query = sa.select(events).where(events.c.execution_id == execution_id).order_by(events.c.seq)
    for row in connection.execute(query):
        type, payload = EventType(row.type), row.payload or {}
        yield Event(type, execution_id, pipeline_id, row.seq, row.at, row.stage, row.idx, payload)


def _of_execution(told: Replayed, row: Mapping[str, Any]) -> Iterator[str]:
    yield from _unequal("", told, row, EXECUTION_FIELDS)
    if row["started_at"] is not None and row["ended_at"] is not None and told.duration_seconds is not None:
        took = (row["ended_at"] - row["started_at"]).total_seconds() - row["idle_seconds"]
        if abs(took - told.duration_seconds) > CLOCK_SECONDS:
            yield f"it took {took:g} s, its events say {told.duration_seconds:g} s"


def _of_stages(told: Replayed, kept: Mapping[tuple[str, int], Mapping[str, Any]]) -> Iterator[str]:
    for stage, index in told.stages.keys() - kept.keys():
        yield f"{stage_run_name(stage, index)} has events and no record"
    for stage, index in kept.keys() - told.stages.keys():
        yield f"{stage_run_name(stage, index)} has a record and no events"
    for key in told.stages.keys() & kept.keys():
        yield from _unequal(f"{stage_run_name(*key)}: ", told.stages[key], kept[key], STAGE_FIELDS)


def _unequal(
    name: str, told: Replayed | ReplayedStage, row: Mapping[str, Any], fields: tuple[str, ...]
) -> Iterator[str]:
    for field in fields:
        if getattr(told, field) != row[field]:
            yield f"{name}{field} is {_shown(row[field])}, its events say {_shown(getattr(told, field))}"
    error = told.error.to_json() if told.error else None
    if error != row["error"]:
        yield f"{name}its error is not the one that its events tell"


def _shown(value: object) -> str:
    return "nothing" if value is None else str(value)
