"""Where the results lie that stages may take instead of running."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from flexiroaster.engine.runs import Key
from flexiroaster.engine.state import StageStatus
from flexiroaster.store.reruns import NEEDED_KINDS
from flexiroaster.store.tables import artifacts, executions, results, stage_cache, stage_runs


class CachedRow(NamedTuple):
    """A result that may be taken. `artifact_id` is that of one too large to be kept inline."""

    execution_id: str
    number: int
    created_at: datetime
    value: Any
    artifact_id: str | None
    rows: int | None
    bytes: int | None


def find(connection: sa.Connection, pipeline_id: str, stage: str, key: str, now: datetime) -> CachedRow | None:
    """None also when the stage run that made it has been run again since."""
    of_run = (
        (stage_runs.c.execution_id == stage_cache.c.execution_id)
        & (stage_runs.c.position == stage_cache.c.position)
        & (stage_runs.c.idx == stage_cache.c.idx)
    )
    of_result = (
        (results.c.execution_id == stage_cache.c.execution_id)
        & (results.c.position == stage_cache.c.position)
        & (results.c.idx == stage_cache.c.idx)
    )
    query = (
        sa.select(
            stage_cache.c.execution_id,
            executions.c.number,
            stage_cache.c.created_at,
            results.c.value,
            results.c.artifact_id,
            stage_runs.c.rows,
            stage_runs.c.bytes,
        )
        .join_from(stage_cache, stage_runs, of_run)
        .join(executions, executions.c.id == stage_cache.c.execution_id)
        .outerjoin(results, of_result)
        .where(
            stage_cache.c.pipeline_id == pipeline_id,
            stage_cache.c.stage == stage,
            stage_cache.c.key == key,
            stage_cache.c.expires_at > now,
            stage_runs.c.status == StageStatus.SUCCESS.value,
            stage_runs.c.attempt == stage_cache.c.attempt,
        )
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else CachedRow(**row)


def artifact_keys(connection: sa.Connection, pipeline_id: str, stage: str, key: str) -> list[str]:
    """Of what a result may refer to: it is of use only while all of it is there."""
    query = (
        sa.select(artifacts.c.key)
        .join_from(
            stage_cache,
            artifacts,
            (artifacts.c.execution_id == stage_cache.c.execution_id)
            & (artifacts.c.stage == stage_cache.c.stage)
            & (artifacts.c.idx == stage_cache.c.idx)
            & (artifacts.c.attempt == stage_cache.c.attempt),
        )
        .where(
            stage_cache.c.pipeline_id == pipeline_id,
            stage_cache.c.stage == stage,
            stage_cache.c.key == key,
            artifacts.c.kind.in_(NEEDED_KINDS),
        )
    )
    return list(connection.scalars(query))


def put(
    connection: sa.Connection,
    pipeline_id: str,
    stage: str,
    key: str,
    *,
    execution_id: str,
    run: Key,
    attempt: int,
    now: datetime,
    expires_at: datetime,
) -> None:
    """In place of an earlier one; what has expired of the stage is forgotten."""
    table = stage_cache.c
    mine = (table.pipeline_id == pipeline_id) & (table.stage == stage)
    connection.execute(sa.delete(stage_cache).where(mine & ((table.key == key) | (table.expires_at <= now))))
    connection.execute(
        sa.insert(stage_cache).values(
            pipeline_id=pipeline_id,
            stage=stage,
            key=key,
            execution_id=execution_id,
            position=run.position,
            idx=run.index,
            attempt=attempt,
            created_at=now,
            expires_at=expires_at,
        )
    )
