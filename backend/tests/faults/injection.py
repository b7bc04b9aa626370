"""A database that breaks at a chosen statement: the process dies there, or the statement fails once.

The drivers' cursors are replaced, so that every statement is met: those of the hot path, SQLAlchemy's, the writer's
BEGIN and COMMIT, and those that only read. Bringing SQLite's log to the disk is one of them.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal
from weakref import WeakSet

import psycopg
import sqlalchemy as sa
from psycopg.pq import PipelineStatus
from sqlalchemy import event

from flexiroaster.store.database import Database
from flexiroaster.store.dialects import dialect_for
from flexiroaster.testing.virtual_time import START

ANSWERED = "the queued statements are answered"
SYNC = "what is committed is brought to the disk"


class Died(BaseException):
    """The process ends here: nothing that would run afterwards runs, whoever catches it."""


@dataclass(frozen=True, slots=True)
class Point:
    """The `number`-th statement, from 1; `after` it took effect but before anybody hears of it."""

    number: int
    after: bool = False

    def __str__(self) -> str:
        return f"{'after' if self.after else 'before'} {self.number}"


@dataclass(frozen=True, slots=True)
class Statement:
    """`queued`: it is on its way with others, and nobody knows how far it came before they are all answered."""

    text: str
    queued: bool = False


@dataclass(slots=True)
class Faults:
    """Counts the statements of an engine from `arm` on; without a point it only counts."""

    point: Point | None = None
    manner: Literal["death", "error"] = "error"
    seen: list[Statement] = field(default_factory=list)
    hit: bool = False
    _armed: bool = False
    _dead: bool = False
    _connections: list[Any] = field(default_factory=list)

    def arm(self) -> None:
        self._armed = True

    def bury(self) -> None:
        """What the operating system does with a dead process: its connections are closed, open transactions undone."""
        self._dead = True
        for connection in self._connections:
            with suppress(Exception):
                connection.close()

    def connect(self, dialect: Any, cargs: Any, cparams: dict[str, Any]) -> Any:
        if dialect.name == "sqlite":
            connection = dialect.connect(*cargs, **cparams, factory=_sqlite_connection(self))
        else:
            connection = _postgres_connection(self).connect(*cargs, **cparams)
        self._connections.append(connection)
        return connection

    def around(self, connection: Any, statement: object, run: Callable[[], Any], *, queued: bool = False) -> Any:
        if self._dead:
            raise Died
        if not self._armed:
            return run()
        self.seen.append(Statement(str(statement), queued))
        number = len(self.seen)
        self._break(Point(number), connection)
        answer = run()
        self._break(Point(number, after=True), connection)
        return answer

    def _break(self, here: Point, connection: Any) -> None:
        if here != self.point:
            return
        self.hit = True
        if self.manner == "death":
            self._dead = True
            raise Died
        if isinstance(connection, sqlite3.Connection):
            broken = sqlite3.OperationalError("disk I/O error")
            broken.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise broken
        if connection is None:
            raise OSError(errno.EIO, "Input/output error")
        connection.close()
        raise psycopg.OperationalError("server closed the connection unexpectedly")


class Ground:
    """A database on which one process after the other lives, each with faults of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.observer = Database.open(url)
        """Sees what is there; no fault meets it."""
        self._engine = Database.open(url).engine  # one for all: it remembers how statements read as SQL
        self._faults = Faults()
        self.now = START
        """By the clock of the database, as far as leases are concerned."""
        event.listen(self._engine, "do_connect", self._connect)

    def open(self, faults: Faults) -> Database:
        """For the next process, when the one before has been buried."""
        self.clear()
        self._faults = faults
        dialect = dialect_for(sa.make_url(self.url))
        if dialect.name == "sqlite":  # only a power cut would tell whether it was done
            dialect.sync = lambda: faults.around(None, SYNC, lambda: None)
        return Database(self._engine, dialect)

    def clear(self) -> None:
        """No connection is left open."""
        self._faults.bury()
        self._engine.dispose()
        self.observer.engine.dispose()

    def _connect(self, dialect: Any, _record: object, cargs: Any, cparams: dict[str, Any]) -> Any:
        return self._faults.connect(dialect, cargs, cparams)


def _sqlite_connection(faults: Faults) -> type[sqlite3.Connection]:
    class Cursor(sqlite3.Cursor):
        def execute(self, sql: str, parameters: Any = ()) -> Cursor:
            return faults.around(self.connection, sql, lambda: super(Cursor, self).execute(sql, parameters))

        def executemany(self, sql: str, parameters: Any) -> Cursor:
            return faults.around(self.connection, sql, lambda: super(Cursor, self).executemany(sql, parameters))

    class Connection(sqlite3.Connection):
        def __init__(self, *given: Any, **options: Any) -> None:
            super().__init__(*given, **options)
            self._cursors: WeakSet[sqlite3.Cursor] = WeakSet()

        def cursor(self, factory: Any = Cursor) -> Any:
            cursor = super().cursor(factory)
            self._cursors.add(cursor)
            return cursor

        def close(self) -> None:
            """Also with a statement under way: otherwise SQLite keeps the file open, and its locks."""
            for cursor in self._cursors:
                cursor.close()
            super().close()

        def execute(self, sql: str, parameters: Any = ()) -> Any:
            return self.cursor().execute(sql, parameters)

        def executemany(self, sql: str, parameters: Any) -> Any:
            return self.cursor().executemany(sql, parameters)

    return Connection


def _postgres_connection(faults: Faults) -> type[psycopg.Connection[Any]]:
    class Cursor(psycopg.Cursor[Any]):
        def execute(self, query: Any, *given: Any, **options: Any) -> Any:
            run = super().execute
            queued = self.connection.pgconn.pipeline_status is not PipelineStatus.OFF
            return faults.around(self.connection, query, lambda: run(query, *given, **options), queued=queued)

        def executemany(self, query: Any, *given: Any, **options: Any) -> Any:
            run = super().executemany
            return faults.around(self.connection, query, lambda: run(query, *given, **options))

    class Connection(psycopg.Connection[Any]):
        def __init__(self, *given: Any, **options: Any) -> None:
            super().__init__(*given, **options)
            self.cursor_factory = Cursor

        @contextmanager
        def pipeline(self) -> Iterator[psycopg.Pipeline]:
            with super().pipeline() as pipeline:
                yield pipeline
            faults.around(self, ANSWERED, lambda: None)

    return Connection
