"""Pools and rate limits as the database has them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from flexiroaster.store.database import Transaction
from flexiroaster.store.tables import pools, rate_limits, stage_runs


@dataclass(frozen=True, slots=True)
class PoolRow:
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
