"""PostgreSQL 14 and newer, through psycopg 3."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from flexiroaster.store.dialects import statements

READ_CONNECTIONS = 8
SERVER_LOCK = 0x666C657869  # "flexi"


class _Put(NamedTuple):
    statement: str
    rows: Sequence[tuple[Any, ...]]
    stale: Exception | None


class Postgres:
    """One instance per database: the queue is of its writer's transaction."""

    name: Literal["sqlite", "postgresql"] = "postgresql"

    def __init__(self) -> None:
        self._sql = statements("postgres.sql")
        self._queue: list[_Put] = []

    def create_engine(self, url: sa.URL, dumps: Callable[[Any], str], loads: Callable[[str | bytes], Any]) -> sa.Engine:
        return sa.create_engine(
            url.set(drivername="postgresql+psycopg"),
            json_serializer=dumps,
            json_deserializer=loads,
            pool_size=READ_CONNECTIONS,
            max_overflow=READ_CONNECTIONS,
            pool_pre_ping=True,
            connect_args={"prepare_threshold": 1, "options": "-c timezone=UTC"},
        )

    def prepare_writer(self) -> None:
        self._queue.clear()

    def begin(self, raw: Any, *, durable: bool) -> None:
        self._queue[:] = [_Put("BEGIN", ((),), None)]

    def commit(self, raw: Any) -> None:
        self.flush(raw)
        raw.execute("COMMIT")

    def rollback(self, raw: Any) -> None:
        self._queue.clear()
        raw.execute("ROLLBACK")

    def put(self, raw: Any, name: str, rows: Sequence[tuple[Any, ...]], stale: Exception | None) -> None:
        self._queue.append(_Put(self._sql[name], rows, stale))

    def flush(self, raw: Any) -> None:
        """Everything that waits goes to the server and its answers come back in one round trip."""
        if not self._queue:
            return
        sent, self._queue[:] = list(self._queue), []
        with raw.pipeline():
            answers = [[raw.execute(put.statement, row) for row in put.rows] for put in sent]
        for put, cursors in zip(sent, answers, strict=True):
            if put.stale is not None and any(cursor.rowcount != 1 for cursor in cursors):
                raise put.stale

    def fetch(self, raw: Any, name: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        return list(raw.execute(self._sql[name], parameters).fetchall())

    def to_driver(self, moment: datetime | None) -> datetime | None:
        return moment

    def lock_for_server(self, connection: sa.Connection) -> bool:
        return bool(connection.scalar(sa.select(sa.func.pg_try_advisory_lock(SERVER_LOCK))))

    def unavailable(self, error: BaseException) -> str | None:
        error = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            return (
                f"The database does not answer ({type(error).__name__}): check that PostgreSQL runs and is reachable."
            )
        return None
