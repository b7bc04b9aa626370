"""Reading executions, their stage runs, attempts, results and events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa

from flexiroaster.engine.errors import NotFound
from flexiroaster.store.deadlines import WHOLE_EXECUTION
from flexiroaster.store.expressions import counted, execution_seconds, seconds_between
from flexiroaster.store.tables import attempts, deadlines, events, executions, pipelines, results, stage_runs

Query = TypeVar("Query", bound=sa.Select[Any])

USUAL = 20
"""Successes that a median is taken of."""
RECENT = 10
"""Executions whose stage runs tell how long the next ones will take."""
SEARCHED = 40
"""Executions back from one that are looked through for successes: bounds the cost for pipelines that always fail."""


@dataclass(frozen=True, slots=True)
class ExecutionRow:
    id: str
    number: int
    pipeline_id: str
    pipeline_name: str
    version: int
    status: str
    trigger: str
    actor: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    idle_seconds: float
    stages_total: int
    failed_stage: str | None
    error: Any
    reason: str | None
    phase: str
    stopping_as: str | None
    paused_at: datetime | None
    rerun_of: str | None
    from_stage: str | None
    alone: bool
    trial: bool
    priority: int
    retries: int
    parent_id: str | None
    deadline_at: datetime | None
    missed_at: datetime | None


@dataclass(frozen=True, slots=True)
class FullExecutionRow(ExecutionRow):
    inputs: dict[str, Any]
    data: Any
    outputs: dict[str, Any] | None
    use_cache: bool
    logical_date: datetime
    last_seq: int
    timeout_at: datetime | None


class EndRow(NamedTuple):
    """How an execution ended."""

    status: str
    started_at: datetime | None
    ended_at: datetime
    failed_stage: str | None
    error: Any
    outputs: dict[str, Any] | None
    idle_seconds: float


@dataclass(frozen=True, slots=True)
class ExecutionFilter:
    """None, and an empty sequence, take every value; `since` is included, `until` is not."""

    statuses: Sequence[str] = ()
    pipeline_id: str | None = None
    triggers: Sequence[str] = ()
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None
    ids: Sequence[str] = ()
    parent_id: str | None = None


class PickedRow(NamedTuple):
    """An execution that something is to be done with."""

    id: str
    pipeline_id: str
    number: int
    status: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StageRunRow:
    position: int
    index: int
    stage: str
    type: str
    status: str
    attempt: int
    reason: str | None
    error: Any
    due_at: datetime | None
    ready_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    rows: int | None
    bytes: int | None
    worker: str | None
    iterations: int
    reused_from: str | None
    waits_for: str | None
    cached_from: str | None
    deadline_at: datetime | None
    missed_at: datetime | None


class AttemptRow(NamedTuple):
    attempt: int
    status: str
    worker: str | None
    started_at: datetime | None
    ended_at: datetime | None
    error: Any


class ResultRow(NamedTuple):
    """`artifact_id` where the value was too large to be kept inline."""

    value: Any
    artifact_id: str | None


@dataclass(frozen=True, slots=True)
class EventRow:
    seq: int
    at: datetime
    type: str
    execution_id: str
    pipeline_id: str
    stage: str | None
    index: int | None
    payload: dict[str, Any]


_of_execution = (deadlines.c.execution_id == executions.c.id) & (deadlines.c.position == WHOLE_EXECUTION)
_of_stage = (deadlines.c.execution_id == stage_runs.c.execution_id) & (deadlines.c.position == stage_runs.c.position)

_summary = sa.select(
    executions.c.id,
    executions.c.number,
    executions.c.pipeline_id,
    pipelines.c.name.label("pipeline_name"),
    executions.c.version,
    executions.c.status,
    executions.c.trigger,
    executions.c.actor,
    executions.c.created_at,
    executions.c.started_at,
    executions.c.ended_at,
    executions.c.idle_seconds,
    executions.c.stages_total,
    executions.c.failed_stage,
    executions.c.error,
    executions.c.reason,
    executions.c.phase,
    executions.c.stopping_as,
    executions.c.paused_at,
    executions.c.rerun_of,
    executions.c.from_stage,
    executions.c.alone,
    executions.c.trial,
    executions.c.priority,
    executions.c.retries,
    executions.c.parent_id,
    deadlines.c.due_at.label("deadline_at"),
    deadlines.c.missed_at,
).select_from(
    executions.join(pipelines, pipelines.c.id == executions.c.pipeline_id).outerjoin(deadlines, _of_execution)
)

_stage_run = sa.select(
    stage_runs.c.position,
    stage_runs.c.idx.label("index"),
    stage_runs.c.stage,
    stage_runs.c.type,
    stage_runs.c.status,
    stage_runs.c.attempt,
    stage_runs.c.reason,
    stage_runs.c.error,
    stage_runs.c.due_at,
    stage_runs.c.ready_at,
    stage_runs.c.started_at,
    stage_runs.c.ended_at,
    stage_runs.c.rows,
    stage_runs.c.bytes,
    stage_runs.c.lease_owner.label("worker"),
    stage_runs.c.iterations,
    stage_runs.c.reused_from,
    stage_runs.c.waits_for,
    stage_runs.c.cached_from,
    deadlines.c.due_at.label("deadline_at"),
    deadlines.c.missed_at,
).select_from(stage_runs.outerjoin(deadlines, _of_stage & (stage_runs.c.idx == 0)))


def page(
    connection: sa.Connection, wanted: ExecutionFilter, *, before: tuple[datetime, str] | None = None, limit: int
) -> list[ExecutionRow]:
    """The newest first; `before` is `created_at` and `id` of the last one already seen."""
    newest_first = (executions.c.created_at.desc(), executions.c.id.desc())
    query = _filtered(_summary, wanted).order_by(*newest_first).limit(limit)
    if before is not None:
        query = query.where(_position < _moment(before))
    return [ExecutionRow(**row) for row in connection.execute(query).mappings()]


def pick(
    connection: sa.Connection, wanted: ExecutionFilter, *, after: tuple[datetime, str] | None = None, limit: int
) -> list[PickedRow]:
    """The oldest first; `after` is `created_at` and `id` of the last one already treated."""
    columns = (executions.c[name] for name in PickedRow._fields)
    query = _matching(sa.select(*columns), wanted, after).order_by(executions.c.created_at, executions.c.id)
    return [PickedRow(**row) for row in connection.execute(query.limit(limit)).mappings()]


def count(connection: sa.Connection, wanted: ExecutionFilter, *, after: tuple[datetime, str] | None = None) -> int:
    """How many `pick` would give without a limit."""
    return connection.scalar(_matching(sa.select(sa.func.count()).select_from(executions), wanted, after)) or 0


_full = _summary.add_columns(
    executions.c.inputs,
    executions.c.data,
    executions.c.outputs,
    executions.c.use_cache,
    executions.c.logical_date,
    sa.select(sa.func.coalesce(sa.func.max(events.c.seq), 0))
    .where(events.c.execution_id == executions.c.id)
    .scalar_subquery()
    .label("last_seq"),
    executions.c.timeout_at,
).where(executions.c.id == sa.bindparam("execution_id"))


def find(connection: sa.Connection, id: str) -> FullExecutionRow | None:
    row = connection.execute(_full, {"execution_id": id}).mappings().first()
    return None if row is None else FullExecutionRow(**row)


_end = sa.select(*(executions.c[name] for name in EndRow._fields), executions.c.id).where(
    executions.c.id == sa.bindparam("execution_id")
)


def end_of(connection: sa.Connection, id: str) -> EndRow | None:
    """None while it has not ended. Raises NotFound."""
    row = connection.execute(_end, {"execution_id": id}).first()
    if row is None:
        raise NotFound("execution", id)
    return None if row.ended_at is None else EndRow(*row[:-1])


def counts(connection: sa.Connection, ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Stages by state, by execution."""
    query = (
        sa.select(stage_runs.c.execution_id, stage_runs.c.status, sa.func.count())
        .where(stage_runs.c.execution_id.in_(ids), stages_only(connection, executions.c.id.in_(ids)))
        .group_by(stage_runs.c.execution_id, stage_runs.c.status)
    )
    found: dict[str, dict[str, int]] = {id: {} for id in ids}
    for id, status, count in connection.execute(query):
        found[id][status] = count
    return found


def stage_page(
    connection: sa.Connection,
    execution_id: str,
    *,
    statuses: Sequence[str] = (),
    after: int = -1,
    limit: int,
) -> list[StageRunRow]:
    """The stages in the order of the definition, without the items of foreach stages; `after` is the last position
    seen.
    """
    query = _stage_run.where(
        stage_runs.c.execution_id == execution_id,
        stages_only(connection, executions.c.id == execution_id),
        stage_runs.c.position > after,
    )
    if statuses:
        query = query.where(stage_runs.c.status.in_(statuses))
    query = query.order_by(stage_runs.c.position).limit(limit)
    return [StageRunRow(**row) for row in connection.execute(query).mappings()]


MOST_PLACES = 500


def stages_only(connection: sa.Connection, which: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """The stages of some executions, without the items of foreach stages.

    Named by their places in the primary key, unless they are too many: to find those with the index 0 among a million
    items takes a second.
    """
    last = (
        sa.select(sa.func.max(stage_runs.c.position))
        .where(stage_runs.c.execution_id == executions.c.id)
        .correlate(executions)
        .scalar_subquery()
    )
    each = sa.select(last.label("last")).select_from(executions).where(which).subquery()
    found = connection.scalar(sa.select(sa.func.max(each.c.last)))
    own = stage_runs.c.idx == 0
    return own & stage_runs.c.position.in_(range(found + 1)) if found is not None and found < MOST_PLACES else own


def stage_run(connection: sa.Connection, execution_id: str, stage: str, index: int) -> StageRunRow | None:
    query = _stage_run.where(
        stage_runs.c.execution_id == execution_id, stage_runs.c.stage == stage, stage_runs.c.idx == index
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else StageRunRow(**row)


def earlier_attempts(connection: sa.Connection, execution_id: str, position: int, index: int) -> list[AttemptRow]:
    """The attempts before the current one, oldest first."""
    query = (
        sa.select(
            attempts.c.attempt,
            attempts.c.status,
            attempts.c.worker,
            attempts.c.started_at,
            attempts.c.ended_at,
            attempts.c.error,
        )
        .where(attempts.c.execution_id == execution_id, attempts.c.position == position, attempts.c.idx == index)
        .order_by(attempts.c.attempt)
    )
    return [AttemptRow(**row) for row in connection.execute(query).mappings()]


def result(connection: sa.Connection, execution_id: str, position: int, index: int) -> ResultRow | None:
    query = sa.select(results.c.value, results.c.artifact_id).where(
        results.c.execution_id == execution_id, results.c.position == position, results.c.idx == index
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else ResultRow(**row)


def event_page(
    connection: sa.Connection, execution_id: str, *, after: int = 0, limit: int, items: bool = True
) -> list[EventRow]:
    """Those with a `seq` above `after`, in order; of foreach items only where `items` are wanted."""
    query = (
        sa.select(
            events.c.seq,
            events.c.at,
            events.c.type,
            events.c.execution_id,
            executions.c.pipeline_id,
            events.c.stage,
            events.c.idx.label("index"),
            events.c.payload,
        )
        .join_from(events, executions, executions.c.id == events.c.execution_id)
        .where(events.c.execution_id == execution_id, events.c.seq > after)
        .order_by(events.c.seq)
        .limit(limit)
    )
    if not items:
        query = query.where(sa.func.coalesce(events.c.idx, 0) == 0)
    return [EventRow(**{**row, "payload": row["payload"] or {}}) for row in connection.execute(query).mappings()]


def usual_seconds(connection: sa.Connection, pipeline_id: str, before_number: int) -> float | None:
    """The median duration of the last `USUAL` successes before an execution."""
    recent = (
        sa.select(execution_seconds().label("seconds"))
        .where(
            executions.c.pipeline_id == pipeline_id,
            executions.c.number < before_number,
            executions.c.number >= before_number - SEARCHED,
            counted,
            executions.c.status == "success",
            executions.c.started_at.is_not(None),
        )
        .order_by(executions.c.number.desc())
        .limit(USUAL)
        .subquery()
    )
    ranked = sa.select(
        recent.c.seconds,
        sa.func.row_number().over(order_by=recent.c.seconds).label("rank"),
        sa.func.count().over().label("total"),
    ).subquery()
    return connection.scalar(sa.select(sa.func.avg(ranked.c.seconds)).where(_middle(ranked)))


def usual_stage_seconds(
    connection: sa.Connection, pipeline_id: str, before_number: int, stage: str | None = None
) -> dict[str, float]:
    """By stage the median duration of its last `USUAL` successes in executions before one."""
    seconds = seconds_between(stage_runs.c.started_at, stage_runs.c.ended_at)
    newest_first = sa.func.row_number().over(partition_by=stage_runs.c.stage, order_by=executions.c.number.desc())
    earlier = sa.and_(
        executions.c.pipeline_id == pipeline_id,
        executions.c.number < before_number,
        executions.c.number >= before_number - SEARCHED,
    )
    successes = (
        sa.select(stage_runs.c.stage, seconds.label("seconds"), newest_first.label("age"))
        .join_from(executions, stage_runs, stage_runs.c.execution_id == executions.c.id)
        .where(
            earlier,
            counted,
            stages_only(connection, earlier),
            stage_runs.c.status == "success",
            stage_runs.c.started_at.is_not(None),
            stage_runs.c.cached_from.is_(None),
        )
    )
    if stage is not None:
        successes = successes.where(stage_runs.c.stage == stage)
    recent = successes.subquery()
    ranked = (
        sa.select(
            recent.c.stage,
            recent.c.seconds,
            sa.func.row_number().over(partition_by=recent.c.stage, order_by=recent.c.seconds).label("rank"),
            sa.func.count().over(partition_by=recent.c.stage).label("total"),
        )
        .where(recent.c.age <= USUAL)
        .subquery()
    )
    query = sa.select(ranked.c.stage, sa.func.avg(ranked.c.seconds)).where(_middle(ranked)).group_by(ranked.c.stage)
    return dict(connection.execute(query).all())


def recent_stage_seconds(connection: sa.Connection, pipeline_id: str) -> dict[str, float]:
    """By stage the mean duration of its successes in the newest executions of a pipeline."""
    newest = sa.select(pipelines.c.last_number).where(pipelines.c.id == pipeline_id).scalar_subquery()
    recent = sa.and_(executions.c.pipeline_id == pipeline_id, executions.c.number > newest - RECENT)
    query = (
        sa.select(stage_runs.c.stage, sa.func.avg(seconds_between(stage_runs.c.started_at, stage_runs.c.ended_at)))
        .join_from(executions, stage_runs, stage_runs.c.execution_id == executions.c.id)
        .where(
            recent,
            counted,
            stages_only(connection, recent),
            stage_runs.c.status == "success",
            stage_runs.c.started_at.is_not(None),
        )
        .group_by(stage_runs.c.stage)
    )
    return {stage: float(seconds) for stage, seconds in connection.execute(query)}


def _middle(ranked: sa.Subquery) -> sa.ColumnElement[bool]:
    """The one or two rows whose mean is the median."""
    return ranked.c.rank.in_([(ranked.c.total + 1) // 2, (ranked.c.total + 2) // 2])


_position = sa.tuple_(executions.c.created_at, executions.c.id)


def _moment(of: tuple[datetime, str]) -> sa.Tuple:
    return sa.tuple_(*of, types=[executions.c.created_at.type, executions.c.id.type])


def _matching(query: Query, wanted: ExecutionFilter, after: tuple[datetime, str] | None) -> Query:
    query = _filtered(query, wanted)
    return query if after is None else query.where(_position > _moment(after))


def _filtered(query: Query, wanted: ExecutionFilter) -> Query:
    if wanted.ids:
        query = query.where(executions.c.id.in_(wanted.ids))
    if wanted.statuses:
        query = query.where(executions.c.status.in_(wanted.statuses))
    if wanted.parent_id is not None:
        query = query.where(executions.c.parent_id == wanted.parent_id)
    if wanted.pipeline_id is not None:
        query = query.where(executions.c.pipeline_id == wanted.pipeline_id)
    if wanted.triggers:
        query = query.where(executions.c.trigger.in_(wanted.triggers))
    if wanted.since is not None:
        query = query.where(executions.c.created_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(executions.c.created_at < wanted.until)
    if wanted.text:
        message = executions.c.error["message"].as_string()
        searched = (message, executions.c.failed_stage)
        query = query.where(sa.or_(*(column.icontains(wanted.text, autoescape=True) for column in searched)))
    return query
