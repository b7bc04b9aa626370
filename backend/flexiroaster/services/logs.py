"""Log lines of one execution, of the server, and as they come in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from flexiroaster.engine.errors import NotFound
from flexiroaster.store import executions as execution_store
from flexiroaster.store import logs as store
from flexiroaster.store.database import Database, StoreUnavailable
from flexiroaster.store.logs import LogFilter, LogRow

LEVELS = ("debug", "info", "warning", "error")
OVERLAP = 500
"""Ids that a tail looks back over: on PostgreSQL a lower id may become visible after a higher one."""
MOST_AT_ONCE = 500


@dataclass(slots=True)
class Tail:
    """Where a reader of new lines stands."""

    newest: int
    seen: deque[int] = field(default_factory=lambda: deque(maxlen=2 * OVERLAP + MOST_AT_ONCE))


class Logs:
    """`flush` writes what is still on its way to the log: who reads it sees what has happened."""

    def __init__(self, database: Database, flush: Callable[[], None] = lambda: None) -> None:
        self._database = database
        self._flush = flush

    def recent(self, wanted: LogFilter, *, after: int | None, limit: int) -> list[LogRow]:
        """The last lines, or the first ones after an id; oldest first."""
        return self._read(wanted, after, None, limit)

    def of_execution(
        self, wanted: LogFilter, *, after: int | None = None, before: int | None = None, limit: int
    ) -> list[LogRow]:
        """From the start, after an id, or the last ones before an id; oldest first. Raises NotFound."""
        rows = self._read(wanted, 0 if after is None and before is None else after, before, limit)
        if not rows and wanted.execution_id is not None:
            with self._database.read() as connection:
                if execution_store.find(connection, wanted.execution_id) is None:
                    raise NotFound("execution", wanted.execution_id)
        return rows

    def tail(self, after: int | None = None) -> Tail:
        """Start at the end, or after an id that was already seen."""
        with self._database.read() as connection:
            newest = store.newest_id(connection)
        if after is None or after > newest:
            return self._from(newest)
        return self._from(after)

    def new_lines(self, tail: Tail) -> list[LogRow]:
        """What came since the last call, oldest first; moves the tail on."""
        with self._database.read() as connection:
            rows = store.after(connection, LogFilter(), tail.newest - OVERLAP, OVERLAP + MOST_AT_ONCE)
        fresh = [row for row in rows if row.id not in tail.seen]
        tail.seen.extend(row.id for row in fresh)
        tail.newest = max([tail.newest, *(row.id for row in fresh)])
        return fresh

    def _from(self, id: int) -> Tail:
        tail = Tail(id)
        with self._database.read() as connection:
            rows = store.before(connection, LogFilter(), id + 1, OVERLAP)
        tail.seen.extend(row.id for row in rows)
        return tail

    def _read(self, wanted: LogFilter, after: int | None, before: int | None, limit: int) -> list[LogRow]:
        with suppress(StoreUnavailable):  # its disk is full: what it holds can be read
            self._flush()
        with self._database.read() as connection:
            if after is not None:
                rows = store.after(connection, wanted, after, limit)
                return [row for row in rows if before is None or row.id < before]
            return store.before(connection, wanted, before, limit)


def at_least(level: str | None) -> Sequence[str] | None:
    """The levels as grave as one; None for all."""
    return None if level is None else LEVELS[LEVELS.index(level) :]
