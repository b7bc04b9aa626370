"""Pools and rate limits as the database has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from flexiroaster.engine.parts import parts
from flexiroaster.store.database import Transaction
from flexiroaster.store.tables import pipeline_versions, pipelines, pools, rate_limits, stage_runs

AT_ONCE = 200
"""Documents that one statement reads."""


class PoolRow(NamedTuple):
    """`slots` None: it is used by stage runs, and nobody defined it."""

    name: str
    slots: int | None
    used: int
    waiting: int


def pool(tx: Transaction, name: str) -> tuple[int | None, int]:
    """Its slots, None where nobody defined it, and how many are used. Nobody else takes one until the commit."""
    tx.fetch("lock_gate", (f"pool {name}",))
    ((slots, used),) = tx.fetch("pool_slots", (name, name))
    return slots, int(used)


def rate(tx: Transaction, key: str) -> datetime | None:
    """When its burst is full again; None when nothing started so far. Nobody else changes it until the commit."""
    tx.fetch("lock_gate", (f"rate {key}",))
    return tx.sa.scalar(sa.select(rate_limits.c.full_at).where(rate_limits.c.key == key))


def put_rate(tx: Transaction, key: str, full_at: datetime) -> None:
    tx.put("put_rate", [(key, tx.moment(full_at))])


_held = stage_runs.c.lease_owner.is_not(None) & stage_runs.c.status.in_(["running", "cancelling"])


def all_pools(connection: sa.Connection) -> list[PoolRow]:
    """In the order of their names; also those that are used, or waited for, without being defined."""
    in_use = (
        sa.select(
            stage_runs.c.pool.label("name"),
            sa.func.sum(sa.case((_held, 1), else_=0)).label("used"),
            sa.func.sum(sa.case((stage_runs.c.status == "queued", 1), else_=0)).label("waiting"),
        )
        .where(stage_runs.c.pool.is_not(None), stage_runs.c.ended_at.is_(None))
        .where(stage_runs.c.status.in_(["queued", "running", "cancelling"]))
        .group_by(stage_runs.c.pool)
    )
    found = {row.name: PoolRow(row.name, None, row.used, row.waiting) for row in connection.execute(in_use)}
    for name, slots in connection.execute(sa.select(pools.c.name, pools.c.slots)):
        known = found.get(name)
        found[name] = PoolRow(name, slots, known.used if known else 0, known.waiting if known else 0)
    return [found[name] for name in sorted(found)]


def set_pool(connection: sa.Connection, name: str, slots: int) -> bool:
    """Whether it is new."""
    changed = connection.execute(sa.update(pools).where(pools.c.name == name).values(slots=slots)).rowcount
    if not changed:
        connection.execute(sa.insert(pools).values(name=name, slots=slots))
    return not changed


def delete_pool(connection: sa.Connection, name: str) -> bool:
    """False when there was none."""
    return connection.execute(sa.delete(pools).where(pools.c.name == name)).rowcount == 1


def defined(connection: sa.Connection) -> frozenset[str]:
    return frozenset(connection.scalars(sa.select(pools.c.name)))


def newest_versions(connection: sa.Connection) -> list[tuple[str, int]]:
    """Of all pipelines that are there: their ids and the numbers of their newest versions."""
    query = sa.select(pipelines.c.id, pipelines.c.version).where(pipelines.c.deleted_at.is_(None))
    return [(row.id, row.version) for row in connection.execute(query)]


def documents(
    connection: sa.Connection, versions: Sequence[tuple[str, int]]
) -> Iterator[tuple[tuple[str, int], dict[str, Any]]]:
    """Of these versions, by pipeline and number."""
    table = pipeline_versions.c
    for some in parts(versions, AT_ONCE):
        wanted = sa.tuple_(table.pipeline_id, table.version).in_(some)
        for row in connection.execute(sa.select(table.pipeline_id, table.version, table.document).where(wanted)):
            yield (row.pipeline_id, row.version), row.document
