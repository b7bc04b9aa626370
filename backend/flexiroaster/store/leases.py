"""Which stage runs are in whose hands, and what of an execution nobody looks after any more.

A worker renews the leases of what it really runs. What it holds without knowing (it never heard that its claim was
committed) runs out, as does what a dead one held, and others take it over. These queries walk over the open
executions; none of them needs an index that each stage would have to pay for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa

from flexiroaster.engine.plan import DEFAULT_POOL
from flexiroaster.engine.runs import Key
from flexiroaster.store.tables import events, executions, stage_runs
from flexiroaster.store.workers import Judge, now


class LostRow(NamedTuple):
    key: Key
    attempt: int
    owner: str


class DueRow(NamedTuple):
    execution_id: str
    key: Key


class Held(NamedTuple):
    """A stage run in the hands of this process; `attempt` is its fencing number."""

    execution_id: str
    key: Key
    attempt: int


class Renewed(NamedTuple):
    """`cancelling`: it is to be stopped. `gone`: it is no longer in our hands, whoever runs it must stop."""

    cancelling: list[Held]
    gone: list[Held]


def renew(connection: sa.Connection, owner: str, held: Iterable[Held], lease: timedelta) -> Renewed:
    """The leases of what this worker really runs. What it holds without knowing runs out by itself."""
    found = Renewed([], [])
    until = now(connection) + lease
    table = stage_runs.c
    for one in held:
        mine = (
            (table.execution_id == one.execution_id)
            & (table.position == one.key.position)
            & (table.idx == one.key.index)
            & (table.attempt == one.attempt)
            & (table.lease_owner == owner)
        )
        renewal = sa.update(stage_runs).where(mine).values(lease_until=until).returning(table.status)
        status = connection.execute(renewal).scalar_one_or_none()
        if status is None:
            found.gone.append(one)
        elif status == "cancelling":
            found.cancelling.append(one)
    return found


def expired(connection: sa.Connection, judge: Judge, *, after: str, limit: int) -> list[str]:
    """Ids of open executions, in order from `after`, of which a stage run is in hands that do not count any more."""
    table = stage_runs.c
    query = (
        sa.select(executions.c.id)
        .where(executions.c.ended_at.is_(None), executions.c.id > after)
        .where(sa.select(sa.literal(1)).where(table.execution_id == executions.c.id, _is_lost(judge)).exists())
        .order_by(executions.c.id)
        .limit(limit)
    )
    return list(connection.scalars(query))


def overdue(connection: sa.Connection, before: datetime, *, after: DueRow | None, limit: int) -> list[DueRow]:
    """Stage runs for which something was due before a moment, in order from `after`."""
    table = stage_runs.c
    query = (
        sa.select(table.execution_id, table.position, table.idx)
        .join(executions, executions.c.id == table.execution_id)
        .where(table.due_at < before, executions.c.ended_at.is_(None), executions.c.paused_at.is_(None))
        .order_by(table.execution_id, table.position, table.idx)
        .limit(limit)
    )
    if after is not None:
        place = sa.tuple_(table.execution_id, table.position, table.idx)
        query = query.where(place > sa.tuple_(sa.literal(after.execution_id), *map(sa.literal, after.key)))
    return [DueRow(row[0], Key(row[1], row[2])) for row in connection.execute(query)]


def late(connection: sa.Connection, before: datetime, *, limit: int) -> list[str]:
    """Ids of open executions whose timeout has passed before a moment."""
    query = (
        sa.select(executions.c.id)
        .where(executions.c.ended_at.is_(None), executions.c.timeout_at < before, executions.c.paused_at.is_(None))
        .where(executions.c.stopping_as.is_(None))
        .order_by(executions.c.timeout_at)
        .limit(limit)
    )
    return list(connection.scalars(query))


def lost(connection: sa.Connection, execution_id: str, judge: Judge) -> list[LostRow]:
    """Stage runs of an execution that are in hands which do not count any more. Those that somebody changes at this
    moment are left out; the others nobody changes before this transaction has ended.
    """
    table = stage_runs.c
    query = (
        sa.select(table.position, table.idx, table.attempt, table.lease_owner)
        .where(table.execution_id == execution_id, _is_lost(judge))
        .order_by(table.position, table.idx)
        .with_for_update(skip_locked=True)
    )
    return [LostRow(Key(row[0], row[1]), row[2], row[3]) for row in connection.execute(query)]


def _is_lost(judge: Judge) -> sa.ColumnElement[bool]:
    table = stage_runs.c
    ran_out = (table.lease_until < judge.now) | table.lease_owner.not_in(judge.trusted())
    return table.lease_owner.is_not(None) & table.ended_at.is_(None) & ran_out


def ready(
    connection: sa.Connection,
    instant: Iterable[str],
    quiet_since: datetime,
    *,
    limit: int,
    pools: Sequence[str] | None = None,
) -> list[str]:
    """Ids of executions with work that may be claimed, the most urgent first and of these the newest: whoever else
    works on them begins with the oldest.

    Stages of `instant` types are left to who has the rest of their execution in hands, unless it has not begun, or
    nothing has happened in it since a moment. `pools`: only for stages of these; None: of all.
    """
    table = stage_runs.c
    worth = (executions.c.status == "queued") | table.type.not_in(sorted(instant)) | (_newest < quiet_since)
    query = (
        _with_queued(table.reason.is_(None), worth, *_in_pools(pools))
        .order_by(executions.c.priority.desc(), executions.c.created_at.desc())
        .limit(limit)
    )
    return list(connection.scalars(query))


def forgotten(
    connection: sa.Connection, before: datetime, *, after: str, limit: int, pools: Sequence[str] | None = None
) -> list[str]:
    """Ids of executions with work that may be claimed or waits for a slot, in order from `after`, in which nothing has
    happened since a moment.
    """
    query = _with_queued(*_in_pools(pools)).where(executions.c.id > after, _newest < before)
    return list(connection.scalars(query.order_by(executions.c.id).limit(limit)))


def _in_pools(pools: Sequence[str] | None) -> list[sa.ColumnElement[bool]]:
    if pools is None:
        return []
    pool = stage_runs.c.pool
    named = pool.in_(pools)
    return [sa.or_(pool.is_(None), named) if DEFAULT_POOL in pools else named]


_newest = (
    sa.select(events.c.at)
    .where(events.c.execution_id == executions.c.id)
    .order_by(events.c.seq.desc())
    .limit(1)
    .correlate(executions)
    .scalar_subquery()
)
"""When something happened last in an execution."""


def _with_queued(*conditions: sa.ColumnElement[bool]) -> sa.Select[str]:
    """Ids of executions that go on and have a queued stage run of that kind."""
    table = stage_runs.c
    queued = sa.select(sa.literal(1)).where(
        table.execution_id == executions.c.id, table.status == "queued", *conditions
    )
    return (
        sa.select(executions.c.id)
        .where(executions.c.ended_at.is_(None), executions.c.waiting_since.is_(None))
        .where(executions.c.status.in_(["queued", "running", "cancelling"]))
        .where(queued.exists())
    )
