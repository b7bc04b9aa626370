"""The items of foreach stages: rows of `stage_runs` with an index from 1, and their values beside them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa

from flexiroaster.engine.draft import Sweep
from flexiroaster.engine.errors import StageError
from flexiroaster.engine.foreach import ItemGroup
from flexiroaster.engine.outcome import WaitsFor
from flexiroaster.engine.runs import Key, StageRun
from flexiroaster.engine.state import StageStatus
from flexiroaster.store.database import Transaction
from flexiroaster.store.json import dumps, loads
from flexiroaster.store.moments import moment_of
from flexiroaster.store.tables import attempts, foreach_items, results, stage_runs

S = StageStatus

COMPLETE = 0
"""The index under which the number of items is kept once all of them are rows."""


class NewItems(NamedTuple):
    """Items that follow each other: `values` are JSON texts, the first has the index `first`."""

    execution_id: str
    position: int
    stage: str
    type: str
    first: int
    values: Sequence[str]
    reason: str | None
    pool: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What an item left: JSON text, or the artifact that holds it."""

    index: int
    value: str | None
    artifact_id: str | None


@dataclass(frozen=True, slots=True)
class ItemRow:
    """An item as it is listed. `value` is what it is for."""

    index: int
    value: Any
    status: str
    attempt: int
    reason: str | None
    error: Any
    due_at: datetime | None
    ready_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    rows: int | None
    bytes: int | None


@dataclass(frozen=True, slots=True)
class FailedItem:
    index: int
    value: Any
    error: Any


def is_held(tx: Transaction, execution_id: str, key: Key, attempt: int, owner: str) -> bool:
    """Whether a stage run is in these hands; if so, nobody takes it away before this transaction has ended."""
    table = stage_runs.c
    query = (
        sa.select(table.attempt, table.lease_owner)
        .where(table.execution_id == execution_id, table.position == key.position, table.idx == key.index)
        .where(table.status.in_([S.RUNNING.value, S.CANCELLING.value]))
        .with_for_update()
    )
    return tx.sa.execute(query).one_or_none() == (attempt, owner)


def put(tx: Transaction, new: NewItems) -> None:
    """Rows that are there already begin anew; the number of their attempt is kept."""
    place = (new.execution_id, new.position)
    last = new.first + len(new.values) - 1
    tx.put("put_items", [(*place, new.first, dumps(list(new.values)))])
    run = (*place, new.stage, new.type, new.reason, tx.moment(new.at), new.pool)
    tx.put("put_item_runs", [(new.first, last, *run)])


def forget_results(tx: Transaction, execution_id: str, position: int, last: int) -> None:
    """The items up to `last` are about to be put anew: their attempts join the history, their results are dropped."""
    tx.put("keep_item_attempts", [(execution_id, position, 1, last, S.SUCCESS.value)])
    tx.sa.execute(sa.delete(foreach_items).where(*_at(foreach_items, execution_id, position, COMPLETE)))
    tx.sa.execute(sa.delete(results).where(*_beyond(results, execution_id, position, 0)))


def complete(tx: Transaction, execution_id: str, position: int, count: int, *, anew: bool) -> None:
    """All items are rows. `anew`: there may be more of an earlier time."""
    if anew:
        for table in (foreach_items, stage_runs, attempts):
            tx.sa.execute(sa.delete(table).where(*_beyond(table, execution_id, position, count)))
    tx.put("put_items", [(execution_id, position, COMPLETE, dumps([str(count)]))])


def complete_count(connection: sa.Connection, execution_id: str, position: int) -> int | None:
    """How many items there are; None while not all of them are rows."""
    query = sa.select(foreach_items.c.value).where(*_at(foreach_items, execution_id, position, COMPLETE))
    found = connection.scalar(query)
    return None if found is None else int(found)


def largest_index(connection: sa.Connection, execution_id: str, position: int) -> int:
    query = sa.select(sa.func.max(stage_runs.c.idx)).where(*_beyond(stage_runs, execution_id, position, 0))
    return connection.scalar(query) or 0


def reopen(tx: Transaction, execution_id: str, position: int, indexes: range, reason: str | None, at: datetime) -> None:
    """Queue those of these items again that did not succeed."""
    between = (indexes.start, indexes.stop - 1)
    tx.put("keep_item_attempts", [(execution_id, position, *between, S.FAILED.value)])
    tx.put("requeue_items", [(reason, tx.moment(at), execution_id, position, *between)])


def cancel_queued(tx: Transaction, execution_id: str, sweep: Sweep, at: datetime) -> None:
    tx.put("cancel_queued_items", [(sweep.reason, tx.moment(at), execution_id, sweep.position)])


def queued(tx: Transaction, execution_id: str, position: int, *, after: int, limit: int) -> list[tuple[StageRun, Any]]:
    """The next items that wait to be handed out, with their values."""
    return [_queued(position, row) for row in tx.fetch("queued_items", (execution_id, position, after, limit))]


def values(connection: sa.Connection, execution_id: str, keys: Collection[Key]) -> dict[Key, Any]:
    found: dict[Key, Any] = {}
    for position in {key.position for key in keys}:
        indexes = [key.index for key in keys if key.position == position]
        query = sa.select(foreach_items.c.idx, foreach_items.c.value).where(
            foreach_items.c.execution_id == execution_id,
            foreach_items.c.position == position,
            foreach_items.c.idx.in_(indexes),
        )
        found |= {Key(position, idx): value for idx, value in connection.execute(query)}
    return found


def counts(connection: sa.Connection, execution_id: str) -> dict[int, dict[str, int]]:
    """Items by the position of their stage and by state, without those that are 0.

    A sum for each state, because a group for each would be sorted first: that takes four times as long.
    """
    sums = [sa.func.sum(sa.case((stage_runs.c.status == status.value, 1), else_=0)) for status in StageStatus]
    query = (
        sa.select(stage_runs.c.position, *sums)
        .where(stage_runs.c.execution_id == execution_id, stage_runs.c.idx > 0)
        .group_by(stage_runs.c.position)
    )
    return {
        position: {status.value: int(count) for status, count in zip(StageStatus, numbers, strict=True) if count}
        for position, *numbers in connection.execute(query)
    }


def group_of(found: dict[str, int]) -> ItemGroup:
    """From the counts of one stage. `out` are those that have begun."""
    begun = (S.RUNNING, S.CANCELLING, S.RETRYING, S.WAITING)
    return ItemGroup(
        total=sum(found.values()),
        success=found.get(S.SUCCESS, 0),
        failed=found.get(S.FAILED, 0) + found.get(S.TIMED_OUT, 0),
        skipped=found.get(S.SKIPPED, 0),
        cancelled=found.get(S.CANCELLED, 0),
        out=sum(found.get(status, 0) for status in begun),
    )


def result_page(
    connection: sa.Connection, execution_id: str, position: int, *, after: int, limit: int
) -> list[ItemResult]:
    """In the order of the items; those without a result are left out."""
    value = sa.cast(results.c.value, sa.Text)
    query = (
        sa.select(results.c.idx, sa.type_coerce(value, sa.Text), results.c.artifact_id)
        .where(*_beyond(results, execution_id, position, after))
        .order_by(results.c.idx)
        .limit(limit)
    )
    return [ItemResult(idx, text, artifact_id) for idx, text, artifact_id in connection.execute(query)]


def sums(connection: sa.Connection, execution_id: str, position: int) -> tuple[int | None, int | None]:
    """Rows and bytes of the items together; None where none has any."""
    query = sa.select(sa.func.sum(stage_runs.c.rows), sa.func.sum(stage_runs.c.bytes)).where(
        *_beyond(stage_runs, execution_id, position, 0)
    )
    rows, size = connection.execute(query).one()
    return None if rows is None else int(rows), None if size is None else int(size)


def page(
    connection: sa.Connection, execution_id: str, position: int, *, statuses: Sequence[str], after: int, limit: int
) -> list[ItemRow]:
    """In their order; `after` is the index of the last one already seen."""
    names = [name for name in ItemRow.__slots__ if name not in ("index", "value")]
    query = (
        sa.select(stage_runs.c.idx.label("index"), foreach_items.c.value, *(stage_runs.c[name] for name in names))
        .join_from(stage_runs, foreach_items, _same_item())
        .where(*_beyond(stage_runs, execution_id, position, after))
        .order_by(stage_runs.c.idx)
        .limit(limit)
    )
    if statuses:
        query = query.where(stage_runs.c.status.in_(statuses))
    return [ItemRow(**row) for row in connection.execute(query).mappings()]


def value(connection: sa.Connection, execution_id: str, position: int, index: int) -> Any:
    """What an item is for."""
    query = sa.select(foreach_items.c.value).where(*_at(foreach_items, execution_id, position, index))
    return connection.scalar(query)


def first_failed(connection: sa.Connection, execution_id: str, position: int) -> FailedItem | None:
    """The one with the lowest index."""
    query = (
        sa.select(stage_runs.c.idx, foreach_items.c.value, stage_runs.c.error)
        .join_from(stage_runs, foreach_items, _same_item())
        .where(
            *_beyond(stage_runs, execution_id, position, 0),
            stage_runs.c.status.in_([S.FAILED.value, S.TIMED_OUT.value]),
        )
        .order_by(stage_runs.c.idx)
        .limit(1)
    )
    row = connection.execute(query).first()
    return None if row is None else FailedItem(row.idx, row.value, row.error)


def _same_item() -> sa.ColumnElement[bool]:
    ours, theirs = stage_runs.c, foreach_items.c
    return sa.and_(theirs.execution_id == ours.execution_id, theirs.position == ours.position, theirs.idx == ours.idx)


def _at(table: sa.Table, execution_id: str, position: int, index: int) -> tuple[sa.ColumnElement[bool], ...]:
    return (table.c.execution_id == execution_id, table.c.position == position, table.c.idx == index)


def _beyond(table: sa.Table, execution_id: str, position: int, index: int) -> tuple[sa.ColumnElement[bool], ...]:
    return (table.c.execution_id == execution_id, table.c.position == position, table.c.idx > index)


def _queued(position: int, row: tuple[Any, ...]) -> tuple[StageRun, Any]:
    index, attempt, spent, lost, reason, state, due_at, ready_at, started_at, waits_for, iterations, error, value = row
    run = StageRun(
        Key(position, index),
        S.QUEUED,
        attempt,
        spent,
        lost,
        reason=reason,
        state=_json(state),
        error=None if error is None else StageError.from_json(loads(error)),
        due_at=_moment(due_at),
        ready_at=_moment(ready_at),
        started_at=_moment(started_at),
        waits_for=None if waits_for is None else WaitsFor(waits_for),
        iterations=iterations,
    )
    return run, _json(value)


def _json(text: str | None) -> Any:
    return None if text is None else loads(text)


@lru_cache(maxsize=64)
def _moment(value: Any) -> datetime | None:
    """As the driver gives it. Cached: items become ready together."""
    return moment_of(value) if isinstance(value, int) else value
