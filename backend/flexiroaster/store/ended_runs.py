"""Executions and the attempts of their stages, as far as something can be learned from them. Items of foreach stages
are not among them: their stage stands for them. Nor are trials of drafts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from flexiroaster.engine.outcome import WaitsFor
from flexiroaster.store.executions import stages_only
from flexiroaster.store.expressions import counted
from flexiroaster.store.tables import artifacts, attempts, executions, pipelines, results, stage_runs


class ExecutionSeen(NamedTuple):
    """`ended_at` None: it still runs."""

    id: str
    pipeline_id: str
    version: int
    status: str
    trigger: str
    inputs: Any
    error: Any
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    idle_seconds: float
    retries: int
    from_stage: str | None
    alone: bool
    concurrency_key: str | None
    labels: Any


class AttemptSeen(NamedTuple):
    """`rows` and `bytes` are what the stage handed on; `last` says whether it is the newest attempt of its stage."""

    execution_id: str
    stage: str
    type: str
    attempt: int
    status: str
    ready_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    error: Any
    worker: str | None
    pool: str | None
    rows: int | None
    bytes: int | None
    last: bool
    waited: bool
    """It does so now: for a person, a time or an event, which is no work. Another execution is."""
    taken_over: bool
    """It did not run: its result is that of another execution."""


_execution = sa.select(
    executions.c.id,
    executions.c.pipeline_id,
    executions.c.version,
    executions.c.status,
    executions.c.trigger,
    executions.c.inputs,
    executions.c.error,
    executions.c.created_at,
    executions.c.started_at,
    executions.c.ended_at,
    executions.c.idle_seconds,
    executions.c.retries,
    executions.c.from_stage,
    executions.c.alone,
    executions.c.concurrency_key,
    pipelines.c.labels,
).join_from(executions, pipelines, pipelines.c.id == executions.c.pipeline_id)
_newest_first = (executions.c.created_at.desc(), executions.c.id.desc())


def newest(
    connection: sa.Connection,
    *,
    limit: int,
    before: tuple[datetime, str] | None = None,
    pipeline_id: str | None = None,
    created_from: datetime | None = None,
    created_until: datetime | None = None,
    also: str | None = None,
) -> list[ExecutionSeen]:
    """The newest first; `before` is `created_at` and `id` of the last one already read. Those that still run too, and
    `also` that one, whatever it is.
    """
    wanted = counted if also is None else counted | (executions.c.id == also)
    query = _execution.where(wanted).order_by(*_newest_first).limit(limit)
    if pipeline_id is not None:
        query = query.where(executions.c.pipeline_id == pipeline_id)
    if created_from is not None:
        query = query.where(executions.c.created_at >= created_from)
    if created_until is not None:
        query = query.where(executions.c.created_at <= created_until)
    if before is not None:
        position = sa.tuple_(executions.c.created_at, executions.c.id)
        last = sa.tuple_(sa.literal(before[0], executions.c.created_at.type), sa.literal(before[1]))
        query = query.where(position < last)
    return [ExecutionSeen(**row) for row in connection.execute(query).mappings()]


def last_end(connection: sa.Connection) -> datetime | None:
    """Of the newest execution that has ended."""
    query = sa.select(executions.c.ended_at).where(executions.c.ended_at.is_not(None), counted)
    return connection.scalar(query.order_by(*_newest_first).limit(1))


def named(connection: sa.Connection, ids: Sequence[str]) -> list[ExecutionSeen]:
    """In the order in which they were created."""
    query = _execution.where(executions.c.id.in_(ids), counted).order_by(executions.c.created_at, executions.c.id)
    return [ExecutionSeen(**row) for row in connection.execute(query).mappings()]


def running(connection: sa.Connection, limit: int) -> list[str]:
    """The newest executions that have started and not ended."""
    query = (
        sa.select(executions.c.id)
        .where(executions.c.ended_at.is_(None), executions.c.started_at.is_not(None), counted)
        .order_by(executions.c.created_at.desc())
        .limit(limit)
    )
    return list(connection.scalars(query))


def attempts_of(connection: sa.Connection, ids: Sequence[str]) -> tuple[list[AttemptSeen], set[tuple[str, str]]]:
    """All attempts that have begun, of the stages of these executions; and which stages of which execution are over,
    those that were skipped too.
    """
    runs = stage_runs.c
    newest_query = (
        sa.select(
            runs.execution_id,
            runs.position,
            runs.stage,
            runs.type,
            runs.attempt,
            runs.status,
            runs.ready_at,
            runs.started_at,
            runs.ended_at,
            runs.error,
            runs.lease_owner,
            runs.pool,
            runs.rows,
            runs.bytes,
            runs.waits_for,
            runs.reused_from,
            runs.cached_from,
        )
        .where(runs.execution_id.in_(ids), stages_only(connection, executions.c.id.in_(ids)))
        .order_by(runs.execution_id, runs.position)
    )
    found: list[AttemptSeen] = []
    over: set[tuple[str, str]] = set()
    names: dict[tuple[str, int], tuple[str, str, str | None]] = {}
    for row in connection.execute(newest_query):
        names[row.execution_id, row.position] = (row.stage, row.type, row.pool)
        if row.ended_at is not None:
            over.add((row.execution_id, row.stage))
        if row.started_at is not None:
            found.append(
                AttemptSeen(
                    execution_id=row.execution_id,
                    stage=row.stage,
                    type=row.type,
                    attempt=row.attempt,
                    status=row.status,
                    ready_at=row.ready_at,
                    started_at=row.started_at,
                    ended_at=row.ended_at,
                    error=row.error,
                    worker=row.lease_owner,
                    pool=row.pool,
                    rows=row.rows,
                    bytes=row.bytes,
                    last=True,
                    waited=row.waits_for not in (None, WaitsFor.EXECUTION),
                    taken_over=row.reused_from is not None or row.cached_from is not None,
                )
            )
    return found + _earlier(connection, ids, names), over


def _earlier(
    connection: sa.Connection, ids: Sequence[str], names: dict[tuple[str, int], tuple[str, str, str | None]]
) -> list[AttemptSeen]:
    query = sa.select(attempts).where(
        attempts.c.execution_id.in_(ids), attempts.c.idx == 0, attempts.c.started_at.is_not(None)
    )
    found = []
    for row in connection.execute(query):
        stage, type, pool = names.get((row.execution_id, row.position), ("", "", None))
        if stage:
            found.append(
                AttemptSeen(
                    execution_id=row.execution_id,
                    stage=stage,
                    type=type,
                    attempt=row.attempt,
                    status=row.status,
                    ready_at=None,
                    started_at=row.started_at,
                    ended_at=row.ended_at,
                    error=row.error,
                    worker=row.worker,
                    pool=pool,
                    rows=None,
                    bytes=None,
                    last=False,
                    waited=False,
                    taken_over=False,
                )
            )
    return found


class ItemSeen(NamedTuple):
    """An item of a foreach stage that took a slot of a pool."""

    execution_id: str
    stage: str
    idx: int
    pool: str
    status: str
    ready_at: datetime | None
    started_at: datetime
    ended_at: datetime


def items_in_pools(connection: sa.Connection, ids: Sequence[str], limit: int) -> list[ItemSeen]:
    """Those of these executions that have ended, at most so many."""
    runs = stage_runs.c
    query = (
        sa.select(
            runs.execution_id,
            runs.stage,
            runs.idx,
            runs.pool,
            runs.status,
            runs.ready_at,
            runs.started_at,
            runs.ended_at,
        )
        .where(
            runs.execution_id.in_(ids),
            runs.idx > 0,
            runs.pool.is_not(None),
            runs.started_at.is_not(None),
            runs.ended_at.is_not(None),
        )
        .limit(limit)
    )
    return [ItemSeen(**row) for row in connection.execute(query).mappings()]


class ResultSeen(NamedTuple):
    """What a stage handed on. `value` says nothing where the result was too large to be kept with it."""

    execution_id: str
    stage: str
    value: Any
    large: bool


def results_of(connection: sa.Connection, ids: Sequence[str], stages: Sequence[str]) -> list[ResultSeen]:
    """Of these stages of these executions, without the items of foreach stages."""
    query = (
        sa.select(stage_runs.c.execution_id, stage_runs.c.stage, results.c.value, results.c.artifact_id)
        .join_from(
            stage_runs,
            results,
            (results.c.execution_id == stage_runs.c.execution_id)
            & (results.c.position == stage_runs.c.position)
            & (results.c.idx == stage_runs.c.idx),
        )
        .where(
            stage_runs.c.execution_id.in_(ids),
            stage_runs.c.stage.in_(stages),
            stage_runs.c.idx == 0,
            stage_runs.c.status == "success",
        )
    )
    return [
        ResultSeen(row.execution_id, row.stage, row.value, row.artifact_id is not None)
        for row in connection.execute(query)
    ]


def data_of(connection: sa.Connection, ids: Sequence[str]) -> dict[str, Any]:
    """What executions were started with, beside their inputs."""
    return dict(connection.execute(sa.select(executions.c.id, executions.c.data).where(executions.c.id.in_(ids))).all())


def profiles_of(connection: sa.Connection, ids: Sequence[str]) -> dict[str, tuple[Any, int | None, Any]]:
    """Columns, rows and profile of the tables that these executions made, by the id of the artifact."""
    own = artifacts.c
    query = sa.select(own.id, own.columns, own.rows, own.profile).where(own.execution_id.in_(ids), own.kind == "table")
    return {row.id: (row.columns, row.rows, row.profile) for row in connection.execute(query)}


def refused_rows(connection: sa.Connection, ids: Sequence[str], key: str) -> dict[tuple[str, str], int]:
    """Execution and stage → the number that the results of validation stages hold under `key`."""
    number = results.c.value[key].as_integer()
    query = (
        sa.select(stage_runs.c.execution_id, stage_runs.c.stage, number)
        .join_from(
            stage_runs,
            results,
            (results.c.execution_id == stage_runs.c.execution_id)
            & (results.c.position == stage_runs.c.position)
            & (results.c.idx == stage_runs.c.idx),
        )
        .where(stage_runs.c.execution_id.in_(ids), stage_runs.c.type == "validation", stage_runs.c.idx == 0)
    )
    return {(id, stage): count for id, stage, count in connection.execute(query) if count is not None}
