"""What is run at this moment, and what waits to be: by worker and by pool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from flexiroaster.engine.plan import DEFAULT_POOL
from flexiroaster.store.executions import stages_only
from flexiroaster.store.tables import executions, pipelines, stage_runs
from flexiroaster.store.workers import Cover


@dataclass(frozen=True, slots=True)
class HeldRow:
    """A stage run in a worker's hands."""

    execution_id: str
    number: int
    pipeline_id: str
    pipeline_name: str
    stage: str
    index: int
    attempt: int
    started_at: datetime | None


class Load(NamedTuple):
    """`held` are the first of the `running`."""

    running: int
    held: list[HeldRow]


@dataclass(frozen=True, slots=True)
class QueueRow:
    """Of a pool, or of what names none (None): ready stage runs that nobody runs yet, and since when the first one is.

    Whole executions that wait for a place have no ready stage.
    """

    pool: str | None
    waiting: int
    running: int
    oldest: datetime | None


class WaitRow(NamedTuple):
    """The first stage of an execution that said why it waits, and how many others did."""

    stage: str
    reason: str
    others: int


_table = stage_runs.c
# The executions first, of which there is an index of the open ones: finished stage runs are most of all.
_open = stage_runs.join(executions, (executions.c.id == stage_runs.c.execution_id) & executions.c.ended_at.is_(None))
_is_held = _table.lease_owner.is_not(None) & _table.ended_at.is_(None) & _table.status.in_(["running", "cancelling"])


def by_worker(connection: sa.Connection, *, most: int, worker: str | None = None) -> Mapping[str, Load]:
    """At most so many stage runs of each, those that began first."""
    numbered = (
        sa.select(
            _table.lease_owner,
            _table.execution_id,
            executions.c.number,
            executions.c.pipeline_id,
            pipelines.c.name.label("pipeline_name"),
            _table.stage,
            _table.idx,
            _table.attempt,
            _table.started_at,
            sa.func.row_number()
            .over(
                partition_by=_table.lease_owner,
                order_by=(_table.started_at, _table.execution_id, _table.position, _table.idx),
            )
            .label("place"),
            sa.func.count().over(partition_by=_table.lease_owner).label("running"),
        )
        .select_from(_open.join(pipelines, pipelines.c.id == executions.c.pipeline_id))
        .where(_is_held if worker is None else _is_held & (_table.lease_owner == worker))
        .subquery()
    )
    query = sa.select(numbered).where(numbered.c.place <= most).order_by(numbered.c.lease_owner, numbered.c.place)
    found: dict[str, Load] = {}
    for row in connection.execute(query):
        load = found.setdefault(row.lease_owner, Load(row.running, []))
        load.held.append(
            HeldRow(
                row.execution_id, row.number, row.pipeline_id, row.pipeline_name, row.stage, row.idx, row.attempt,
                row.started_at,
            )
        )  # fmt: skip
    return found


def queues(connection: sa.Connection) -> list[QueueRow]:
    """In the order of the pools' names, what names none first. Empty ones are left out."""
    waits = (_table.status == "queued") & executions.c.paused_at.is_(None)
    query = (
        sa.select(
            _table.pool,
            sa.func.sum(sa.case((waits, 1), else_=0)).label("waiting"),
            sa.func.sum(sa.case((_is_held, 1), else_=0)).label("running"),
            sa.func.min(sa.case((waits, _table.ready_at))).label("oldest"),
        )
        .select_from(_open)
        .where(_table.ended_at.is_(None), waits | _is_held)
        .group_by(_table.pool)
        .order_by(sa.func.coalesce(_table.pool, ""))
    )
    return [QueueRow(row.pool, row.waiting, row.running, row.oldest) for row in connection.execute(query)]


def unserved(
    connection: sa.Connection, cover: Cover, ids: Sequence[str], before: datetime
) -> dict[str, dict[int, str | None]]:
    """Of these executions the stages that were ready before a moment and that nobody takes: their pools, by position.
    A foreach stage is among them when its items are.
    """
    if cover.of_all or not ids:
        return {}
    pool = _table.pool
    nobodys = pool.is_not(None) & pool.not_in(sorted(cover.of_pools))
    if DEFAULT_POOL not in cover.of_pools:
        nobodys |= pool.is_(None)
    query = (
        sa.select(_table.execution_id, _table.position, pool)
        .select_from(_open)
        .where(_table.execution_id.in_(ids), executions.c.paused_at.is_(None))
        .where(_table.status == "queued", _table.ready_at < before, nobodys)
        .group_by(_table.execution_id, _table.position, pool)
        .order_by(_table.execution_id, _table.position)
    )
    found: dict[str, dict[int, str | None]] = {}
    for row in connection.execute(query):
        found.setdefault(row.execution_id, {})[row.position] = row.pool
    return found


WAITING = ("waiting", "queued")
"""States in which a stage may say what it waits for."""


def waits(connection: sa.Connection, ids: Sequence[str]) -> dict[str, WaitRow]:
    """By execution, of those that have such a stage."""
    if not ids:
        return {}
    ordered = (
        sa.select(
            _table.execution_id,
            _table.stage,
            _table.reason,
            sa.func.row_number().over(partition_by=_table.execution_id, order_by=_table.position).label("place"),
            sa.func.count().over(partition_by=_table.execution_id).label("waiting"),
        )
        .where(_table.execution_id.in_(ids), _table.status.in_(WAITING), _table.reason.is_not(None))
        .where(stages_only(connection, executions.c.id.in_(ids)))
        .subquery()
    )
    query = sa.select(ordered).where(ordered.c.place == 1)
    return {row.execution_id: WaitRow(row.stage, row.reason, row.waiting - 1) for row in connection.execute(query)}
