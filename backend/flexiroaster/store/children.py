"""Executions that stages of other executions have started, seen from both ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from flexiroaster.engine.events import EventType
from flexiroaster.engine.outcome import WaitsFor
from flexiroaster.engine.runs import Key
from flexiroaster.engine.state import StageStatus
from flexiroaster.store.tables import attempts, events, executions, stage_runs


class ChildRow(NamedTuple):
    id: str
    pipeline_id: str
    version: int
    number: int
    status: str
    inputs: dict[str, Any]
    data: Any
    ended_at: datetime | None


class EndedRow(NamedTuple):
    """What a parent wants to know of a child that has ended."""

    number: int
    status: str
    outputs: dict[str, Any] | None
    error: dict[str, Any] | None
    failed_stage: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class LinkRow:
    """An execution as its parent or one of its children names it, with the stage run between them."""

    execution_id: str
    pipeline_id: str
    number: int
    status: str
    stage: str
    index: int


_parent, _child = executions.alias("parent"), executions.alias("child")
_of_same_run = (
    (_child.c.parent_id == stage_runs.c.execution_id)
    & (_child.c.parent_position == stage_runs.c.position)
    & (_child.c.parent_idx == stage_runs.c.idx)
)


def newest(connection: sa.Connection, parent_id: str, key: Key) -> ChildRow | None:
    """The last execution that a stage run has started."""
    query = (
        sa.select(*(executions.c[name] for name in ChildRow._fields))
        .where(
            executions.c.parent_id == parent_id,
            executions.c.parent_position == key.position,
            executions.c.parent_idx == key.index,
        )
        .order_by(executions.c.id.desc())  # ids rise with time
        .limit(1)
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else ChildRow(**row)


def succeeded_since(connection: sa.Connection, parent_id: str, key: Key, moment: datetime) -> bool:
    """Whether an earlier attempt of a stage run has succeeded at or after a moment."""
    table = attempts.c
    query = sa.select(sa.literal(1)).where(
        table.execution_id == parent_id,
        table.position == key.position,
        table.idx == key.index,
        table.status == StageStatus.SUCCESS.value,
        table.ended_at >= moment,
    )
    return connection.execute(query.limit(1)).first() is not None


def ended(connection: sa.Connection, execution_id: str) -> EndedRow | None:
    """None while it goes on, and where there is no such execution."""
    query = sa.select(*(executions.c[name] for name in EndedRow._fields)).where(
        executions.c.id == execution_id, executions.c.ended_at.is_not(None)
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else EndedRow(**row)


def unheard(connection: sa.Connection) -> list[tuple[str, Key, str]]:
    """Stage runs that wait for an execution which has ended: the parent, the stage run, the child."""
    query = (
        sa.select(stage_runs.c.execution_id, stage_runs.c.position, stage_runs.c.idx, _child.c.id)
        .join_from(stage_runs, _child, _of_same_run)
        .where(
            stage_runs.c.waits_for == WaitsFor.EXECUTION.value,
            stage_runs.c.status == StageStatus.WAITING.value,
            _child.c.ended_at.is_not(None),
        )
    )
    return [(row[0], Key(row[1], row[2]), row[3]) for row in connection.execute(query)]


def left_alone(connection: sa.Connection) -> Sequence[str]:
    """Executions that go on although the stage run that waited for them was ended meanwhile.

    One that a person has started again since then is none of them.
    """
    last_start = (
        sa.select(sa.func.max(events.c.at))
        .where(events.c.execution_id == _child.c.id, events.c.type == EventType.EXECUTION_STARTED.value)
        .scalar_subquery()
    )
    ended_otherwise = [StageStatus.CANCELLED.value, StageStatus.FAILED.value, StageStatus.TIMED_OUT.value]
    query = (
        sa.select(_child.c.id)
        .join_from(_child, stage_runs, _of_same_run)
        .where(
            _child.c.parent_id.is_not(None),
            _child.c.ended_at.is_(None),
            stage_runs.c.status.in_(ended_otherwise),
            sa.func.coalesce(last_start, _child.c.created_at) <= stage_runs.c.ended_at,
        )
    )
    return list(connection.scalars(query))


def parent_of(connection: sa.Connection, execution_id: str) -> LinkRow | None:
    query = (
        sa.select(
            _parent.c.id.label("execution_id"),
            _parent.c.pipeline_id,
            _parent.c.number,
            _parent.c.status,
            stage_runs.c.stage,
            stage_runs.c.idx.label("index"),
        )
        .join_from(_child, stage_runs, _of_same_run)
        .join(_parent, _parent.c.id == _child.c.parent_id)
        .where(_child.c.id == execution_id)
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else LinkRow(**row)


def children_of(connection: sa.Connection, execution_id: str, *, limit: int) -> list[LinkRow]:
    """By the stage and the item that started them; of one, in the order in which it did."""
    query = (
        sa.select(
            _child.c.id.label("execution_id"),
            _child.c.pipeline_id,
            _child.c.number,
            _child.c.status,
            stage_runs.c.stage,
            stage_runs.c.idx.label("index"),
        )
        .join_from(_child, stage_runs, _of_same_run)
        .where(_child.c.parent_id == execution_id)
        .order_by(stage_runs.c.position, stage_runs.c.idx, _child.c.id)
        .limit(limit)
    )
    return [LinkRow(**row) for row in connection.execute(query).mappings()]
