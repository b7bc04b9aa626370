"""Numbers over many executions. An execution belongs to the moment it was created at, however long it took; trials of
drafts are counted only while they run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from flexiroaster.store.expressions import counted, epoch_seconds, execution_seconds
from flexiroaster.store.tables import executions, pipelines


@dataclass(frozen=True, slots=True)
class StatusCount:
    """Executions of one status: `seconds` is the sum over the `timed` ones that started and ended."""

    status: str
    count: int
    timed: int
    seconds: float


@dataclass(frozen=True, slots=True)
class BucketCount(StatusCount):
    bucket: int


_timed = execution_seconds()
_sums = (
    executions.c.status,
    sa.func.count().label("count"),
    sa.func.count(_timed).label("timed"),
    sa.func.coalesce(sa.func.sum(_timed), 0.0).label("seconds"),
)


def pipeline_counts(connection: sa.Connection) -> tuple[int, int]:
    """All, and the enabled ones among them."""
    enabled = sa.func.coalesce(sa.func.sum(sa.case((pipelines.c.enabled, 1), else_=0)), 0)
    row = connection.execute(sa.select(sa.func.count(), enabled).where(pipelines.c.deleted_at.is_(None))).one()
    return int(row[0]), int(row[1])


def open_counts(connection: sa.Connection) -> dict[str, int]:
    """Executions that have not ended, by status."""
    query = (
        sa.select(executions.c.status, sa.func.count())
        .where(executions.c.ended_at.is_(None))
        .group_by(executions.c.status)
    )
    return dict(connection.execute(query).all())


def buckets(connection: sa.Connection, *, since: datetime, until: datetime, size: timedelta) -> list[BucketCount]:
    """Executions created in [since, until), by status and by bucket counted from `since` (whole seconds)."""
    start, seconds = int(since.timestamp()), int(size.total_seconds())
    bucket = ((epoch_seconds(executions.c.created_at) - start) // seconds).label("bucket")
    query = (
        sa.select(bucket, *_sums)
        .where(executions.c.created_at >= since, executions.c.created_at < until, counted)
        .group_by(bucket, executions.c.status)
        .order_by(bucket)
    )
    return [BucketCount(**row) for row in connection.execute(query).mappings()]


def duration_percentile(
    connection: sa.Connection, percent: int, *, since: datetime, until: datetime, statuses: Sequence[str]
) -> float | None:
    """The smallest duration that `percent` of the executions created in [since, until) do not exceed."""
    ordered = (
        sa.select(
            _timed.label("seconds"),
            sa.func.row_number().over(order_by=_timed).label("rank"),
            sa.func.count().over().label("total"),
        )
        .where(
            executions.c.created_at >= since,
            executions.c.created_at < until,
            counted,
            executions.c.started_at.is_not(None),
            executions.c.ended_at.is_not(None),
            executions.c.status.in_(statuses),
        )
        .subquery()
    )
    query = sa.select(ordered.c.seconds).where(ordered.c.rank == (ordered.c.total * percent + 99) // 100)
    return connection.scalar(query)
