"""Questions that wait for a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flexiroaster.engine.outcome import WaitsFor
from flexiroaster.engine.state import StageStatus
from flexiroaster.store.tables import executions, pipelines, stage_runs


@dataclass(frozen=True, slots=True)
class QuestionRow:
    """`state` is what the stage remembers: the question as it was asked."""

    execution_id: str
    number: int
    pipeline_id: str
    pipeline_name: str
    stage: str
    position: int
    index: int
    started_at: datetime
    due_at: datetime | None
    state: dict[str, Any]


_questions = (
    sa.select(
        executions.c.id.label("execution_id"),
        executions.c.number,
        executions.c.pipeline_id,
        pipelines.c.name.label("pipeline_name"),
        stage_runs.c.stage,
        stage_runs.c.position,
        stage_runs.c.idx.label("index"),
        stage_runs.c.started_at,
        stage_runs.c.due_at,
        stage_runs.c.state,
    )
    .join_from(stage_runs, executions, executions.c.id == stage_runs.c.execution_id)
    .join(pipelines, pipelines.c.id == executions.c.pipeline_id)
    .where(stage_runs.c.waits_for == WaitsFor.APPROVAL.value, stage_runs.c.status == StageStatus.WAITING.value)
)

Position = tuple[datetime, str, int, int]
"""When it was asked, the execution, and the stage run's position and index."""


def questions(
    connection: sa.Connection, *, execution_id: str | None = None, after: Position | None = None, limit: int
) -> list[QuestionRow]:
    """Oldest first; `after` is the position of the last one already seen."""
    order = (stage_runs.c.started_at, stage_runs.c.execution_id, stage_runs.c.position, stage_runs.c.idx)
    query = _questions.order_by(*order).limit(limit)
    if execution_id is not None:
        query = query.where(stage_runs.c.execution_id == execution_id)
    if after is not None:
        query = query.where(sa.tuple_(*order) > sa.tuple_(*after, types=[column.type for column in order]))
    return [QuestionRow(**row) for row in connection.execute(query).mappings()]
