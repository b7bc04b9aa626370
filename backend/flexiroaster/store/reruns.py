"""Reading an earlier execution for one that takes over its results, and copying them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from flexiroaster.engine.parts import parts
from flexiroaster.store.database import Transaction
from flexiroaster.store.tables import artifacts, executions, results, stage_runs

MANY = 500
"""Ids in one `IN`, well below what either database takes."""
NEEDED_KINDS = ("table", "result", "file")
"""Artifacts that a result may refer to; reports and refused rows are for people."""


class SourceRow(NamedTuple):
    id: str
    pipeline_id: str
    version: int
    number: int
    inputs: dict[str, Any]
    data: Any
    priority: int
    logical_date: datetime


class SourceStage(NamedTuple):
    """`artifact_id` is that of a result too large to be kept inline."""

    stage: str
    position: int
    status: str
    reason: str | None
    state: Any
    rows: int | None
    bytes: int | None
    reused_from: str | None
    cached_from: str | None
    artifact_id: str | None


class ArtifactKey(NamedTuple):
    execution_id: str
    stage: str
    name: str
    key: str


def source(connection: sa.Connection, execution_id: str) -> SourceRow | None:
    table = executions.c
    query = sa.select(*(table[name] for name in SourceRow._fields)).where(table.id == execution_id)
    row = connection.execute(query).mappings().first()
    return None if row is None else SourceRow(**row)


def hold(connection: sa.Connection, execution_id: str) -> bool:
    """Whether it is there, and then until the end of the transaction: nobody removes it meanwhile."""
    query = sa.select(executions.c.id).where(executions.c.id == execution_id)
    return connection.scalar(query.with_for_update(read=True, key_share=True)) is not None


def newest(connection: sa.Connection, pipeline_id: str) -> str | None:
    """The id of the pipeline's latest execution."""
    table = executions.c
    query = sa.select(table.id).where(table.pipeline_id == pipeline_id).order_by(table.number.desc()).limit(1)
    found: str | None = connection.scalar(query)
    return found


def stages(connection: sa.Connection, execution_id: str) -> list[SourceStage]:
    """Its stage runs but the items of `foreach`."""
    run = stage_runs.c
    kept = sa.and_(results.c.execution_id == run.execution_id, results.c.position == run.position, results.c.idx == 0)
    query = (
        sa.select(
            run.stage,
            run.position,
            run.status,
            run.reason,
            run.state,
            run.rows,
            run.bytes,
            run.reused_from,
            run.cached_from,
            results.c.artifact_id,
        )
        .join_from(stage_runs, results, kept, isouter=True)
        .where(run.execution_id == execution_id, run.idx == 0)
        .order_by(run.position)
    )
    return [SourceStage(**row) for row in connection.execute(query).mappings()]


def artifact_keys(connection: sa.Connection, execution_ids: Collection[str]) -> list[ArtifactKey]:
    """Of everything in these executions that a result may refer to."""
    table = artifacts.c
    query = sa.select(table.execution_id, table.stage, table.name, table.key).where(table.kind.in_(NEEDED_KINDS))
    return [
        ArtifactKey(**row)
        for some in parts(sorted(execution_ids), MANY)
        for row in connection.execute(query.where(table.execution_id.in_(some))).mappings()
    ]


def known_artifacts(connection: sa.Connection, ids: Collection[str]) -> set[str]:
    """Those of the ids that there are."""
    table = artifacts.c
    return {
        id
        for some in parts(sorted(ids), MANY)
        for id in connection.scalars(sa.select(table.id).where(table.id.in_(some)))
    }


def copy_results(tx: Transaction, source_id: str, execution_id: str, positions: Sequence[tuple[int, int]]) -> None:
    """Results of stages, by their positions in the source's version and in that of the new execution."""
    if positions:
        copied = [
            {"new": execution_id, "position": new, "source": source_id, "source_position": old}
            for old, new in positions
        ]
        tx.sa.execute(_COPY, copied)


_COPY = sa.text(
    "INSERT INTO results (execution_id, position, idx, value, artifact_id) "
    "SELECT :new, :position, 0, value, artifact_id FROM results "
    "WHERE execution_id = :source AND position = :source_position AND idx = 0"
)
