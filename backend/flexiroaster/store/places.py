"""Which executions of a pipeline have a place, and which wait for one."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from flexiroaster.store.database import Transaction
from flexiroaster.store.tables import executions, pipelines

_waits = (executions.c.waiting_since.is_not(None), executions.c.status == "queued")


def lock_pipeline(tx: Transaction, pipeline_id: str) -> bool | None:
    """Whether the pipeline is enabled; until the commit nobody else gives its places away. None: there is none."""
    found = tx.fetch("lock_pipeline", (pipeline_id,))
    return bool(found[0][0]) if found else None


def admitted(tx: Transaction, pipeline_id: str, key: str) -> tuple[int, int]:
    """How many have a place, and how many of those are being cancelled."""
    ((count, leaving),) = tx.fetch("admitted", (pipeline_id, key))
    return int(count), int(leaving)


def waiting(tx: Transaction, pipeline_id: str, key: str, enough: int) -> int:
    """How many wait; no more than `enough` are counted."""
    return int(tx.fetch("waiting", (pipeline_id, key, enough))[0][0])


def next_waiting(tx: Transaction, pipeline_id: str, key: str) -> tuple[str, int] | None:
    """Id and version of the first to be admitted. One that was paused meanwhile is passed over."""
    found = tx.fetch("next_waiting", (pipeline_id, key))
    return (str(found[0][0]), int(found[0][1])) if found else None


def oldest(tx: Transaction, pipeline_id: str, key: str, count: int) -> list[str]:
    """Ids of the oldest that are not being cancelled: those with a place, then those that wait."""
    return [str(row[0]) for row in tx.fetch("oldest_of_key", (pipeline_id, key, pipeline_id, key, count))]


def has_place_above(connection: sa.Connection, execution_id: str, pipeline_id: str, key: str) -> bool:
    """Whether an execution, or one that started it at any remove, has a place of this pipeline and key."""
    above: str | None = execution_id
    while above is not None:
        row = connection.execute(
            sa.select(executions.c.pipeline_id, executions.c.concurrency_key, executions.c.parent_id).where(
                executions.c.id == above
            )
        ).one()
        if (row.pipeline_id, row.concurrency_key) == (pipeline_id, key):
            return True
        above = row.parent_id
    return False


def pause(connection: sa.Connection, pipeline_id: str, at: datetime, by: str | None) -> None:
    paused = {"enabled": False, "paused_at": at, "paused_by": by}
    connection.execute(sa.update(pipelines).where(pipelines.c.id == pipeline_id).values(**paused))


def resume(connection: sa.Connection, pipeline_id: str) -> None:
    resumed = {"enabled": True, "paused_at": None, "paused_by": None}
    connection.execute(sa.update(pipelines).where(pipelines.c.id == pipeline_id).values(**resumed))


def pipelines_with_waiting(connection: sa.Connection) -> list[str]:
    return list(connection.scalars(sa.select(executions.c.pipeline_id).where(*_waits).distinct()))


def waiting_with_timeout(connection: sa.Connection) -> list[tuple[str, datetime]]:
    """Ids of those that wait no longer than until a moment, and the moment."""
    query = sa.select(executions.c.id, executions.c.timeout_at).where(
        executions.c.waiting_since.is_not(None), executions.c.timeout_at.is_not(None)
    )
    return [(row.id, row.timeout_at) for row in connection.execute(query)]


def keys_with_waiting(connection: sa.Connection, pipeline_id: str, reason: str) -> list[tuple[str | None, bool]]:
    """The concurrency keys of a pipeline that somebody waits for, None for those that need no place, and whether any of
    them says that it waits for this reason.
    """
    key, says = executions.c.concurrency_key, sa.case((executions.c.reason == reason, 1), else_=0)
    query = sa.select(key, sa.func.max(says)).where(executions.c.pipeline_id == pipeline_id, *_waits).group_by(key)
    return [(name, bool(some)) for name, some in connection.execute(query)]


def say(connection: sa.Connection, pipeline_id: str, reason: str, *, key: str | None = None) -> None:
    """What those wait for that wait; with `key` only of this one. Who is about to go on is left alone."""
    waiting = sa.select(executions.c.id).where(executions.c.pipeline_id == pipeline_id, *_waits)
    if key is not None:
        waiting = waiting.where(executions.c.concurrency_key == key)
    found = executions.c.id.in_(waiting.with_for_update(skip_locked=True))
    connection.execute(sa.update(executions).where(found).values(reason=reason))


def waiting_without_key(connection: sa.Connection, pipeline_id: str, limit: int) -> list[str]:
    """Ids of those that wait only because the pipeline was paused, in the order of their turn."""
    query = (
        sa.select(executions.c.id)
        .where(executions.c.pipeline_id == pipeline_id, executions.c.concurrency_key.is_(None), *_waits)
        .order_by(executions.c.priority.desc(), executions.c.number)
        .limit(limit)
    )
    return list(connection.scalars(query))
