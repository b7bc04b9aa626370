"""What another server has written, read back as it is streamed: events by their numbers, log lines by their times."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from flexiroaster.engine.events import Event
from flexiroaster.store.progress import LogEntry, event_of
from flexiroaster.store.tables import Json, UtcDateTime

MOST_LINES = 2_000
"""Log lines that are read at once; who wants more reads the log."""


# Arrays of PostgreSQL: one statement whatever the number of executions.
_EVENTS = sa.text(
    "SELECT e.execution_id, e.seq, e.at, e.type, e.stage, e.idx, e.payload, x.pipeline_id, "
    # Of two servers at one execution, what is numbered later may have been decided earlier.
    "max(e.at) OVER (PARTITION BY e.execution_id ORDER BY e.seq) AS place "
    "FROM unnest(CAST(:ids AS text[]), CAST(:firsts AS int[]), CAST(:alls AS int[]), CAST(:lasts AS int[])) "
    "AS w (id, first, all_from, last) JOIN events e ON e.execution_id = w.id AND e.seq BETWEEN w.first AND w.last "
    "AND (e.seq >= w.all_from OR e.at >= :since) "
    "JOIN executions x ON x.id = e.execution_id ORDER BY place, e.execution_id, e.seq"
).columns(at=UtcDateTime, payload=Json)
_LINES = sa.text(
    "SELECT l.at, l.level, l.pipeline_id, l.execution_id, l.stage, l.idx, l.attempt, l.message "
    "FROM unnest(CAST(:ids AS text[]), CAST(:firsts AS timestamptz[]), CAST(:lasts AS timestamptz[])) "
    "AS w (id, first, last) "
    "JOIN logs l ON l.execution_id = w.id AND l.at BETWEEN w.first AND w.last ORDER BY l.id LIMIT :most"
).columns(at=UtcDateTime)


def events(connection: sa.Connection, wanted: Sequence[tuple[str, int, int, int]], since: datetime) -> list[Event]:
    """Of each execution from a first to a last number; those before the number between only as far as they happened
    since a moment. Each execution's in the order of their numbers, and these about as they happened.
    """
    ids, firsts, alls, lasts = zip(*wanted, strict=True)
    given = {"ids": list(ids), "firsts": list(firsts), "alls": list(alls), "lasts": list(lasts), "since": since}
    return [event_of(row) for row in connection.execute(_EVENTS, given)]


def lines(connection: sa.Connection, wanted: Sequence[tuple[str, datetime, datetime]]) -> list[LogEntry]:
    """Of each execution from a first to a last moment, in the order in which they were written."""
    ids, firsts, lasts = zip(*wanted, strict=True)
    given = {"ids": list(ids), "firsts": list(firsts), "lasts": list(lasts), "most": MOST_LINES}
    return [
        LogEntry(row.at, row.level, row.message, row.pipeline_id, row.execution_id, row.stage, row.idx, row.attempt)
        for row in connection.execute(_LINES, given)
    ]
