"""What is old enough to be removed, what is still needed of it, and removing it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa

from flexiroaster.engine.parts import parts
from flexiroaster.store.reruns import MANY
from flexiroaster.store.tables import (
    artifacts,
    chores,
    events,
    executions,
    insights,
    logs,
    stage_cache,
    stage_runs,
    suggestions,
)

CACHE_GRACE = timedelta(hours=1)
"""After a cached result has expired: whoever found it just before is about to say so."""
NEVER_DONE = datetime(1970, 1, 1, tzinfo=UTC)


class OldRow(NamedTuple):
    """An execution that ended long ago. `events` says how much hangs on it."""

    id: str
    created_at: datetime
    events: int


class Stored(NamedTuple):
    """What the artifacts of some executions come to."""

    files: int
    bytes: int


# ── chores ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def take_chore(connection: sa.Connection, name: str, now: datetime, again_at: datetime) -> bool:
    """Whether it is due, and the caller the one who does it: until `again_at` nobody else is told so."""
    known = connection.scalar(sa.select(chores.c.due_at).where(chores.c.name == name))
    if known is None:
        _note_chore(connection, name)
    elif known > now:
        return False
    mine = sa.update(chores).where(chores.c.name == name, chores.c.due_at <= now).values(due_at=again_at)
    return connection.execute(mine).rowcount == 1


def _note_chore(connection: sa.Connection, name: str) -> None:
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        connection.execute(
            postgresql.insert(chores)
            .values(name=name, due_at=NEVER_DONE)
            .on_conflict_do_nothing(index_elements=["name"])
        )
    else:
        connection.execute(sa.insert(chores).values(name=name, due_at=NEVER_DONE))


# ── executions ──────────────────────────────────────────────────────────────────────────────────────────────────────


def old(connection: sa.Connection, before: datetime, after: tuple[datetime, str] | None, limit: int) -> list[OldRow]:
    """Executions that ended before then, the oldest first; `after` is the last one already seen."""
    table = executions.c
    query = _old(before)
    if after is not None:
        at, id = after
        query = query.where((table.created_at > at) | ((table.created_at == at) & (table.id > id)))
    return _rows(connection, query.order_by(table.created_at, table.id).limit(limit))


def old_below(connection: sa.Connection, before: datetime, parents: Collection[str]) -> list[OldRow]:
    """Those that stages of these have started, and what these have started, as far as they ended before then."""
    found: dict[str, OldRow] = {}
    frontier = set(parents)
    while frontier:
        rows = [row for some in parts(sorted(frontier), MANY) for row in _rows(connection, _old(before, some))]
        frontier = {row.id for row in rows} - found.keys() - set(parents)
        found |= {row.id: row for row in rows if row.id in frontier}
    return list(found.values())


def _old(before: datetime, parents: Sequence[str] | None = None) -> sa.Select[str, datetime, int]:
    table = executions.c
    told = sa.select(sa.func.max(events.c.seq)).where(events.c.execution_id == table.id).scalar_subquery()
    query = sa.select(table.id, table.created_at, sa.func.coalesce(told, 0).label("events"))
    # That it was made before is a matter of course; but there is an index on it.
    query = query.where(table.created_at < before, table.ended_at < before)
    return query if parents is None else query.where(table.parent_id.in_(parents))


def _rows(connection: sa.Connection, query: sa.Select[str, datetime, int]) -> list[OldRow]:
    return [OldRow(row.id, row.created_at, row.events) for row in connection.execute(query)]


def held(connection: sa.Connection, ids: Collection[str], before: datetime) -> list[str]:
    """Those of the executions that are old still, held until the end of the transaction: nobody changes them until
    then. Left out is what somebody else holds at this moment."""
    table = executions.c
    query = sa.select(table.id).where(table.id.in_(ids), table.ended_at < before).order_by(table.id)
    return list(connection.scalars(query.with_for_update(skip_locked=True)))


def users(connection: sa.Connection, ids: Collection[str], now: datetime) -> dict[str, set[str | None]]:
    """By execution which others need what it has made, None standing for those that may yet come."""
    found: dict[str, set[str | None]] = {}

    def add(pairs: sa.Select[str, str]) -> None:
        for used, by in connection.execute(pairs):
            if used != by:
                found.setdefault(used, set()).add(by)

    for some in parts(sorted(ids), MANY):
        for column in (stage_runs.c.reused_from, stage_runs.c.cached_from):
            add(sa.select(column, stage_runs.c.execution_id).where(column.in_(some)).distinct())
        for column in (executions.c.parent_id, executions.c.rerun_of):  # what runs goes back to what started it
            add(sa.select(column, executions.c.id).where(column.in_(some), executions.c.ended_at.is_(None)))
        add(_parents(some))
        kept = stage_cache.c
        cached = sa.select(kept.execution_id).where(kept.execution_id.in_(some), kept.expires_at > now - CACHE_GRACE)
        for used in connection.scalars(cached):
            found.setdefault(used, set()).add(None)
    return found


def _parents(ids: Sequence[str]) -> sa.Select[str, str]:
    """A parent's results may be what its children have made."""
    child, parent = executions.alias("child"), executions.alias("parent")
    return sa.select(child.c.id, parent.c.id).join_from(child, parent, parent.c.id == child.c.parent_id).where(
        child.c.id.in_(ids)
    )  # fmt: skip


def stored(connection: sa.Connection, ids: Collection[str]) -> dict[str, Stored]:
    """By execution, of those that have artifacts."""
    table = artifacts.c
    query = sa.select(table.execution_id, sa.func.count(), sa.func.sum(table.bytes)).group_by(table.execution_id)
    return {
        id: Stored(files, int(size))
        for some in parts(sorted(ids), MANY)
        for id, files, size in connection.execute(query.where(table.execution_id.in_(some)))
    }


def remove(connection: sa.Connection, ids: Sequence[str]) -> None:
    """With all that hangs on them but their files."""
    connection.execute(sa.delete(executions).where(executions.c.id.in_(ids)))


# ── log lines ───────────────────────────────────────────────────────────────────────────────────────────────────────


def oldest_lines(connection: sa.Connection, after: int, limit: int) -> list[tuple[int, datetime]]:
    """Id and moment, in the order they were written."""
    query = sa.select(logs.c.id, logs.c.at).where(logs.c.id > after).order_by(logs.c.id).limit(limit)
    return [(row.id, row.at) for row in connection.execute(query)]


def remove_lines(connection: sa.Connection, first: int, last: int, before: datetime) -> int:
    """Between these ids, of that time, and of nothing that still runs; answers how many."""
    return connection.execute(sa.delete(logs).where(_removable(first, last, before))).rowcount


def count_lines(connection: sa.Connection, first: int, last: int, before: datetime) -> int:
    """How many `remove_lines` would remove."""
    return connection.scalar(sa.select(sa.func.count()).where(_removable(first, last, before))) or 0


def _removable(first: int, last: int, before: datetime) -> sa.ColumnElement[bool]:
    running = sa.select(executions.c.id).where(executions.c.id == logs.c.execution_id, executions.c.ended_at.is_(None))
    # The newest line that tells an event says how far the log has got: a start looks for it.
    newest = sa.select(sa.func.max(logs.c.id)).where(logs.c.seq.is_not(None)).correlate(None).scalar_subquery()
    return sa.and_(
        logs.c.id.between(first, last),
        logs.c.at < before,
        ~sa.exists(running),
        logs.c.id != sa.func.coalesce(newest, 0),
    )


# ── what was learned ────────────────────────────────────────────────────────────────────────────────────────────────


def remove_findings(connection: sa.Connection, before: datetime) -> int:
    """Insights and suggestions that history has not shown since then.

    Predictions go with their executions. What people said of insights stays: the thresholds rest on it.
    """
    return sum(connection.execute(sa.delete(table).where(unseen)).rowcount for table, unseen in _unseen(before))


def count_findings(connection: sa.Connection, before: datetime) -> int:
    """How many `remove_findings` would remove."""
    return sum(
        connection.scalar(sa.select(sa.func.count()).select_from(table).where(unseen)) or 0
        for table, unseen in _unseen(before)
    )


def _unseen(before: datetime) -> list[tuple[sa.Table, sa.ColumnElement[bool]]]:
    return [
        (insights, insights.c.seen_at < before),
        (suggestions, (suggestions.c.seen_at < before) & (suggestions.c.changed_at < before)),
    ]


# ── files ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def ends(connection: sa.Connection, ids: Collection[str]) -> Mapping[str, datetime | None]:
    """Of those of the executions that there are, when they ended."""
    query = sa.select(executions.c.id, executions.c.ended_at)
    return {
        id: ended_at
        for some in parts(sorted(ids), MANY)
        for id, ended_at in connection.execute(query.where(executions.c.id.in_(some)))
    }


def recorded_keys(connection: sa.Connection, ids: Collection[str]) -> set[str]:
    """Of the artifacts of these executions."""
    query = sa.select(artifacts.c.key)
    return {
        key
        for some in parts(sorted(ids), MANY)
        for key in connection.scalars(query.where(artifacts.c.execution_id.in_(some)))
    }
