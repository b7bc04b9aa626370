"""The triggers of published versions, and what became of their instants."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from flexiroaster.store.tables import executions, firings, pipelines, triggers

FiringState = Literal["started", "skipped", "refused", "missed"]


@dataclass(frozen=True, slots=True)
class TriggerRow:
    """`document` as the published version has it; `due_at` is the next instant that nobody has dealt with, or NEVER."""

    pipeline_id: str
    id: str
    document: dict[str, Any]
    due_at: datetime
    paused_at: datetime | None
    paused_by: str | None
    pipeline_name: str
    pipeline_enabled: bool


@dataclass(frozen=True, slots=True)
class FiringRow:
    """`missed` ones are the last of `count` instants that passed without anything."""

    pipeline_id: str
    trigger_id: str
    instant: datetime
    state: FiringState
    at: datetime
    execution_id: str | None = None
    count: int = 1
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class FiringEntry(FiringRow):
    """With what its execution is now: None where it started none, or that is no longer kept."""

    execution_number: int | None = None
    execution_status: str | None = None


_rows = sa.select(
    *triggers.c, pipelines.c.name.label("pipeline_name"), pipelines.c.enabled.label("pipeline_enabled")
).join(pipelines, pipelines.c.id == triggers.c.pipeline_id)
_firings = sa.select(
    *firings.c, executions.c.number.label("execution_number"), executions.c.status.label("execution_status")
).outerjoin(executions, executions.c.id == firings.c.execution_id)
_comes = (triggers.c.paused_at.is_(None), pipelines.c.enabled)

# Built once: many instants come at once, and building these takes longer than carrying them out.
_of: sa.BindParameter[str] = sa.bindparam("of")
_trigger: sa.BindParameter[str] = sa.bindparam("trigger")
_take = (
    sa.update(triggers)
    .where(
        triggers.c.pipeline_id == _of,
        triggers.c.id == _trigger,
        triggers.c.due_at == sa.bindparam("before"),
        triggers.c.paused_at.is_(None),
    )
    .values(due_at=sa.bindparam("then"))
)
_known = sa.select(firings.c.at).where(
    firings.c.pipeline_id == _of,
    firings.c.trigger_id == _trigger,
    firings.c.instant == sa.bindparam("at_instant"),
)
_insert = sa.insert(firings)
_FIRING = [field.name for field in fields(FiringRow)]


def due(connection: sa.Connection, now: datetime, limit: int) -> list[TriggerRow]:
    """Those whose next instant has come, and that are not paused; the earliest first."""
    query = _rows.where(*_comes, triggers.c.due_at <= now).order_by(triggers.c.due_at).limit(limit)
    return [TriggerRow(**row) for row in connection.execute(query).mappings()]


def to_come(connection: sa.Connection, now: datetime) -> list[TriggerRow]:
    """Those whose next instant is later."""
    rows = connection.execute(_rows.where(triggers.c.paused_at.is_(None), triggers.c.due_at > now)).mappings()
    return [TriggerRow(**row) for row in rows]


def next_due(connection: sa.Connection) -> datetime | None:
    """Of all that are not paused."""
    query = sa.select(sa.func.min(triggers.c.due_at)).join(pipelines).where(*_comes)
    found: datetime | None = connection.scalar(query)
    return found


def of_pipeline(connection: sa.Connection, pipeline_id: str) -> list[TriggerRow]:
    query = _rows.where(triggers.c.pipeline_id == pipeline_id).order_by(triggers.c.id)
    return [TriggerRow(**row) for row in connection.execute(query).mappings()]


def find(connection: sa.Connection, pipeline_id: str, id: str) -> TriggerRow | None:
    query = _rows.where(triggers.c.pipeline_id == pipeline_id, triggers.c.id == id)
    row = connection.execute(query).mappings().first()
    return None if row is None else TriggerRow(**row)


def page(connection: sa.Connection, *, after: tuple[datetime, str, str] | None, limit: int) -> list[TriggerRow]:
    """Of all pipelines, the next instant first; `after` is the place of the last one of the page before."""
    place = (triggers.c.due_at, triggers.c.pipeline_id, triggers.c.id)
    query = _rows.order_by(*place).limit(limit)
    if after is not None:
        query = query.where(sa.tuple_(*place) > sa.tuple_(*after, types=[column.type for column in place]))
    return [TriggerRow(**row) for row in connection.execute(query).mappings()]


def put(connection: sa.Connection, pipeline_id: str, id: str, document: dict[str, Any], due_at: datetime) -> None:
    """A new one."""
    row = {"pipeline_id": pipeline_id, "id": id, "document": document, "due_at": due_at}
    connection.execute(sa.insert(triggers).values(row))


def change(connection: sa.Connection, pipeline_id: str, id: str, **values: Any) -> None:
    mine = (triggers.c.pipeline_id == pipeline_id) & (triggers.c.id == id)
    connection.execute(sa.update(triggers).where(mine).values(**values))


def keep_only(connection: sa.Connection, pipeline_id: str, ids: Collection[str]) -> None:
    """The others of the pipeline go; what became of their instants stays."""
    gone = (triggers.c.pipeline_id == pipeline_id) & triggers.c.id.not_in(ids)
    connection.execute(sa.delete(triggers).where(gone))


def take(connection: sa.Connection, row: TriggerRow, due_at: datetime) -> bool:
    """Deal with an instant and go on to `due_at`; False where another server has, or it was paused or changed."""
    values = {"of": row.pipeline_id, "trigger": row.id, "before": row.due_at, "then": due_at}
    return connection.execute(_take, values).rowcount == 1


def record(connection: sa.Connection, row: FiringRow) -> bool:
    """False where the instant was dealt with before. For who has just changed the trigger's row, and so holds it."""
    key = {"of": row.pipeline_id, "trigger": row.trigger_id, "at_instant": row.instant}
    if connection.execute(_known, key).first() is not None:
        return False
    connection.execute(_insert, _values(row))
    return True


def _values(row: FiringRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _FIRING}


def hold(connection: sa.Connection, pipeline_id: str, id: str) -> bool:
    """Nobody else deals with its instants until the commit. False where there is no such trigger any more."""
    mine = (triggers.c.pipeline_id == pipeline_id) & (triggers.c.id == id)
    return connection.execute(sa.update(triggers).where(mine).values(due_at=triggers.c.due_at)).rowcount == 1


def hold_as(connection: sa.Connection, row: TriggerRow) -> bool:
    """The same. False also where its document is another one by now."""
    if not hold(connection, row.pipeline_id, row.id):
        return False
    present = find(connection, row.pipeline_id, row.id)
    return present is not None and present.document == row.document


def started(
    connection: sa.Connection, pipeline_id: str, trigger_id: str, first: datetime, last: datetime
) -> set[datetime]:
    """Of the instants between them, both included, those that executions were started for."""
    between = _instants_between(pipeline_id, trigger_id, first, last)
    return set(connection.scalars(between.where(firings.c.state == "started")))


def dealt_with(
    connection: sa.Connection, pipeline_id: str, trigger_id: str, first: datetime, last: datetime
) -> set[datetime]:
    """The same, whatever became of them."""
    return set(connection.scalars(_instants_between(pipeline_id, trigger_id, first, last)))


def missed_together(
    connection: sa.Connection, pipeline_id: str, trigger_id: str, first: datetime, last: datetime
) -> list[FiringRow]:
    """The rows that tell of several missed instants, of which some may lie between these two."""
    several = (_firings_of(pipeline_id, trigger_id), firings.c.state == "missed", firings.c.count > 1)
    ends_after = sa.select(sa.func.min(firings.c.instant)).where(*several, firings.c.instant > last)
    through = connection.scalar(ends_after) or last
    query = sa.select(firings).where(*several, firings.c.instant.between(first, through))
    return [FiringRow(**row) for row in connection.execute(query).mappings()]


def replace(connection: sa.Connection, row: FiringRow) -> None:
    """What became of its instant before is forgotten. For who holds the trigger."""
    forget(connection, row)
    connection.execute(_insert, _values(row))


def forget(connection: sa.Connection, row: FiringRow) -> None:
    same = _firings_of(row.pipeline_id, row.trigger_id) & (firings.c.instant == row.instant)
    connection.execute(sa.delete(firings).where(same))


def _instants_between(pipeline_id: str, trigger_id: str, first: datetime, last: datetime) -> sa.Select[tuple[datetime]]:
    own = _firings_of(pipeline_id, trigger_id)
    return sa.select(firings.c.instant).where(own, firings.c.instant.between(first, last))


def _firings_of(pipeline_id: str, trigger_id: str) -> sa.ColumnElement[bool]:
    return (firings.c.pipeline_id == pipeline_id) & (firings.c.trigger_id == trigger_id)


def firings_of(
    connection: sa.Connection, pipeline_id: str, trigger_id: str, *, before: datetime | None, limit: int
) -> list[FiringEntry]:
    """The latest instant first."""
    query = _firings.where(_firings_of(pipeline_id, trigger_id))
    if before is not None:
        query = query.where(firings.c.instant < before)
    rows = connection.execute(query.order_by(firings.c.instant.desc()).limit(limit)).mappings()
    return [FiringEntry(**row) for row in rows]


def latest(connection: sa.Connection, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], FiringEntry]:
    """By pipeline and trigger, what became of the last instant."""
    own = firings.c
    newest = (
        sa.select(own.pipeline_id, own.trigger_id, sa.func.max(own.instant).label("instant"))
        .where(sa.tuple_(own.pipeline_id, own.trigger_id).in_(list(keys)))
        .group_by(own.pipeline_id, own.trigger_id)
        .subquery()
    )
    query = _firings.join(
        newest,
        (own.pipeline_id == newest.c.pipeline_id)
        & (own.trigger_id == newest.c.trigger_id)
        & (own.instant == newest.c.instant),
    )
    found = [FiringEntry(**row) for row in connection.execute(query).mappings()]
    return {(row.pipeline_id, row.trigger_id): row for row in found}


def count_firings(connection: sa.Connection, before: datetime) -> int:
    """How many were dealt with before then."""
    return connection.scalar(sa.select(sa.func.count()).where(firings.c.at < before)) or 0


def remove_firings(connection: sa.Connection, before: datetime) -> int:
    return connection.execute(sa.delete(firings).where(firings.c.at < before)).rowcount
