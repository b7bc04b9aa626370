"""PostgreSQL 14 and newer, through psycopg 3."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

import orjson
import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from flexiroaster.store.dialects import statements
from flexiroaster.store.tables import metadata

READ_CONNECTIONS = 8
SERVER_LOCK = 0x666C657869  # "flexi"


MANY_ROWS = ("insert_stage_run", "update_stage_run", "insert_event", "insert_log")
"""Statements whose rows travel together as one JSON array: a statement of its own for each row costs the driver more
than the server needs to do the work."""


class _Put(NamedTuple):
    """`touching`: how many rows it must touch, unless `stale` is to be raised."""

    statement: str
    rows: Sequence[tuple[Any, ...]]
    touching: int
    stale: Exception | None


class Postgres:
    """One instance per database: the queue is of its writer's transaction."""

    name: Literal["sqlite", "postgresql"] = "postgresql"

    def __init__(self) -> None:
        self._sql = statements("postgres.sql")
        self._many = {name: _of_many_rows(self._sql[name]) for name in MANY_ROWS}
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
        self._queue[:] = [_Put("BEGIN", ((),), 0, None)]

    def commit(self, raw: Any) -> None:
        self.flush(raw)
        raw.execute("COMMIT")

    def rollback(self, raw: Any) -> None:
        self._queue.clear()
        raw.execute("ROLLBACK")

    def put(self, raw: Any, name: str, rows: Sequence[tuple[Any, ...]], stale: Exception | None) -> None:
        together = self._many.get(name)
        if together is not None:
            sent: Sequence[tuple[Any, ...]] = [(orjson.dumps(rows).decode(),)]
            self._queue.append(_Put(together, sent, len(rows), stale))
        else:
            self._queue.append(_Put(self._sql[name], rows, len(rows), stale))

    def flush(self, raw: Any) -> None:
        """Everything that waits goes to the server and its answers come back in one round trip."""
        if not self._queue:
            return
        sent, self._queue[:] = list(self._queue), []
        with raw.pipeline():
            answers = [[raw.execute(put.statement, row) for row in put.rows] for put in sent]
        for put, cursors in zip(sent, answers, strict=True):
            if put.stale is not None and sum(cursor.rowcount for cursor in cursors) != put.touching:
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


_INSERT = re.compile(r"INSERT INTO (\w+) \(([^)]*)\) VALUES \([%s, ]*\)")
_PLACE = re.compile(r"(\w+) = %s")


def _of_many_rows(statement: str) -> str:
    """The statement for a JSON array of rows (each an array of its parameters) instead of one row."""
    numbers = itertools.count()

    def value(table: sa.Table, column: str) -> str:
        type = table.c[column].type
        # A cast to varchar(16) would cut silently what is too long; writing it to the column is refused.
        name = "text" if isinstance(type, sa.String) else type.compile(dialect=_DIALECT)
        return f"(v->>{next(numbers)})::{name}"

    if (insert := _INSERT.match(statement)) is not None:
        table, columns = metadata.tables[insert[1]], [name.strip() for name in insert[2].split(",")]
        values = ", ".join(value(table, name) for name in columns)
        rest = statement[insert.end() :]
        # Without a WHERE, ON CONFLICT would be read as the beginning of a join.
        return f"INSERT INTO {table.name} ({insert[2]}) SELECT {values} FROM {_ROWS} WHERE TRUE{rest}"
    table = metadata.tables[statement.split()[1]]
    placed = _PLACE.sub(lambda place: f"{place[1]} = {value(table, place[1])}", statement)
    return placed.replace(" WHERE ", f" FROM {_ROWS} WHERE ", 1)


_ROWS = "jsonb_array_elements(%s::jsonb) AS v"
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
