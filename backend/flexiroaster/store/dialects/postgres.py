"""PostgreSQL 14 and newer, through psycopg 3."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

import psycopg
import sqlalchemy as sa
from psycopg.pq import ConnStatus
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, InvalidatePoolError

from flexiroaster.store.dialects import APART, IDENTITY, statements
from flexiroaster.store.dialects.together import Put, Statements, merged
from flexiroaster.store.tables import metadata

READ_CONNECTIONS = 8
CONNECT_SECONDS = 10
SILENT_SECONDS = 30
"""A server that does not acknowledge what was sent for so long is gone, whatever the network says of it."""
LOST_SECONDS = 30
"""How long somebody may hold locks without doing anything: a process that was suspended in a transaction would hold up
all others.
"""
BY_KEY = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin")
"""Ways to find rows that the writer is not to take. It looks for a few rows by their keys; the planner, which cannot
know how many rows a JSON array holds, would read the whole table.
"""


def _take_over_conditions() -> None:
    """Indexes are partial as they are on SQLite."""
    for table in metadata.tables.values():
        for index in table.indexes:
            index.dialect_options["postgresql"]["where"] = index.dialect_options["sqlite"]["where"]


class Postgres:
    """One instance per database: the queue is of its writer's transaction."""

    name: Literal["sqlite", "postgresql"] = "postgresql"
    commits_to_disk = True
    reading: Mapping[str, Any] = MappingProxyType({"isolation_level": "AUTOCOMMIT"})

    def __init__(self) -> None:
        self._sql = statements("postgres.sql")
        self._statements = Statements(self._sql)
        self._queue: list[Put] = []
        self._begun = False

    def create_engine(
        self,
        url: sa.URL,
        dumps: Callable[[Any], str],
        loads: Callable[[str | bytes], Any],
        statement_seconds: float | None,
    ) -> sa.Engine:
        _take_over_conditions()
        engine = sa.create_engine(
            url.set(drivername="postgresql+psycopg"),
            json_serializer=dumps,
            json_deserializer=loads,
            pool_size=READ_CONNECTIONS,
            max_overflow=READ_CONNECTIONS,
            connect_args=_connect_args(url, statement_seconds),
        )
        event.listen(engine, "checkout", self._refuse_ended)
        return engine

    def _refuse_ended(self, raw: Any, _record: object, _proxy: object) -> None:
        """Instead of asking the server each time whether it is there."""
        if not self.stands(raw):
            raise InvalidatePoolError

    def prepare_writer(self, connection: Any) -> Any:
        self._forget()
        for setting in BY_KEY:
            connection.execute(f"SET {setting} = off")
        return connection

    def stands(self, raw: Any) -> bool:
        """An idle server says nothing unless it goes: then its last words come first, and the end after them."""
        try:
            said = select.poll()
            said.register(raw.fileno(), select.POLLIN)
            while said.poll(0):
                raw.pgconn.consume_input()
        except (OSError, ValueError, psycopg.Error):
            return False
        return bool(raw.pgconn.status == ConnStatus.OK)

    def begin(self, raw: Any) -> None:
        self._forget()

    def commit(self, raw: Any) -> None:
        """What waits and the commit itself go to the server, and its answers come back, in one round trip."""
        if self._begun:
            self._send(raw, commit=True)
        elif self._queue:
            together = merged(self._queue)
            if together is None:
                self._send(raw, commit=True)
            else:  # one statement is a transaction by itself
                with _stale(together):
                    raw.execute(*self._statements.of(together))
        self._forget()

    def sync(self) -> None:
        pass  # `synchronous_commit` is on

    def rollback(self, raw: Any) -> None:
        """By the driver's own method, which forgets what it has prepared: of that, what came after the failure in its
        round trip never was.
        """
        begun = self._begun
        self._forget()
        if begun or raw.closed:  # it raises on a connection that is broken, so that another one is opened
            raw.rollback()

    def put(self, raw: Any, name: str, rows: Sequence[tuple[Any, ...]], stale: Exception | None) -> None:
        self._queue.append(Put(name, rows, stale))

    def flush(self, raw: Any, *, begin: bool = True) -> None:
        if self._queue or (begin and not self._begun):
            self._send(raw)

    def fetch(self, raw: Any, name: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        waiting: list[Put] = []
        if name in APART:
            waiting, self._queue = self._queue, waiting
        answer = self._send(raw, fetch=(self._sql[name], parameters))
        self._queue = waiting
        return answer

    def _forget(self) -> None:
        self._queue.clear()
        self._begun = False

    def _send(
        self, raw: Any, *, fetch: tuple[str, tuple[Any, ...]] | None = None, commit: bool = False
    ) -> list[tuple[Any, ...]]:
        """In one round trip: begin where that was not done, what waits in its order, and what is asked for."""
        sent, self._queue = self._queue, []
        together = merged(sent)
        answer = None
        with _stale(sent), raw.pipeline():
            if not self._begun:
                self._begun = True
                raw.execute("BEGIN")
            if together:
                raw.execute(*self._statements.of(together))
            elif together is None:
                self._send_each(raw, sent)
            if fetch is not None:
                answer = raw.execute(*fetch)
            if commit:
                raw.execute("COMMIT")
        return [] if answer is None else list(answer.fetchall())

    def _send_each(self, raw: Any, puts: Sequence[Put]) -> None:
        """In their order, because that matters."""
        for put in puts:
            if put.name in IDENTITY:
                raw.execute(*self._statements.of([put]))
            else:
                for row in put.rows:
                    raw.execute(self._sql[put.name], row)

    def to_driver(self, moment: datetime | None) -> datetime | None:
        return moment

    def is_conflict(self, error: BaseException) -> bool:
        error = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        return isinstance(error, psycopg.errors.DeadlockDetected | psycopg.errors.SerializationFailure)

    def unavailable(self, error: BaseException) -> str | None:
        error = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        if isinstance(error, psycopg.errors.DiskFull):
            return "The disk of PostgreSQL is full: free some space; nothing needs a restart."
        if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
            return "PostgreSQL takes no writes now: it is a standby, or was set to read-only."
        if isinstance(error, psycopg.errors.QueryCanceled):
            return (
                "PostgreSQL gave up a statement that took too long: look in pg_stat_activity for what holds locks or "
                "keeps it busy."
            )
        if isinstance(error, psycopg.errors.IdleInTransactionSessionTimeout):
            return "PostgreSQL ended a transaction that stood still: was this process, or its machine, suspended?"
        if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            return (
                f"The database does not answer ({type(error).__name__}): check that PostgreSQL runs and is reachable."
            )
        return None


def _connect_args(url: sa.URL, statement_seconds: float | None) -> dict[str, Any]:
    """What the URL says goes first. `tcp_user_timeout` is what ends a connection of which the other side has vanished;
    otherwise that takes a quarter of an hour.
    """
    bounds = {"timezone": "UTC", "idle_in_transaction_session_timeout": f"{LOST_SECONDS}s"}
    if statement_seconds is not None:
        bounds["statement_timeout"] = f"{round(statement_seconds * 1000)}ms"
    ours = " ".join(f"-c {name}={value}" for name, value in bounds.items())
    found: dict[str, Any] = {
        "connect_timeout": CONNECT_SECONDS,
        "keepalives_idle": SILENT_SECONDS // 3,
        "keepalives_interval": SILENT_SECONDS // 6,
        "keepalives_count": 4,
        "tcp_user_timeout": SILENT_SECONDS * 1000,
    }
    found = {name: value for name, value in found.items() if name not in url.query}
    given = url.query.get("options", "")
    theirs = given if isinstance(given, str) else " ".join(given)
    return found | {"prepare_threshold": 1, "options": f"{ours} {theirs}".strip()}


@contextmanager
def _stale(puts: Sequence[Put]) -> Iterator[None]:
    """Raises what one of them is to raise, when a statement says that it has not touched what it had to."""
    try:
        yield
    except psycopg.errors.DivisionByZero:
        raise next(put.stale for put in puts if put.stale is not None) from None
