"""PostgreSQL 14 and newer, through psycopg 3."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from flexiroaster.store.dialects import statements

READ_CONNECTIONS = 8
SERVER_LOCK = 0x666C657869  # "flexi"


class Postgres:
    name: Literal["sqlite", "postgresql"] = "postgresql"

    def __init__(self) -> None:
        self._sql = statements("postgres.sql")

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

    def prepare_writer(self, connection: sa.Connection) -> None:
        pass

    def begin(self, connection: sa.Connection, *, durable: bool) -> None:
        connection.connection.driver_connection.execute("BEGIN")  # type: ignore[union-attr]

    def commit(self, connection: sa.Connection) -> None:
        connection.connection.driver_connection.execute("COMMIT")  # type: ignore[union-attr]

    def rollback(self, connection: sa.Connection) -> None:
        connection.connection.driver_connection.execute("ROLLBACK")  # type: ignore[union-attr]

    def execute(self, raw: Any, name: str, parameters: tuple[Any, ...]) -> int:
        return int(raw.execute(self._sql[name], parameters).rowcount)

    def execute_many(self, raw: Any, name: str, rows: list[tuple[Any, ...]]) -> int:
        with raw.cursor() as cursor:
            cursor.executemany(self._sql[name], rows)
            return int(cursor.rowcount)

    def fetch(self, raw: Any, name: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        return list(raw.execute(self._sql[name], parameters).fetchall())

    def lock_for_server(self, connection: sa.Connection) -> bool:
        return bool(connection.scalar(sa.select(sa.func.pg_try_advisory_lock(SERVER_LOCK))))

    def unavailable(self, error: BaseException) -> str | None:
        error = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            return (
                f"The database does not answer ({type(error).__name__}): check that PostgreSQL runs and is reachable."
            )
        return None

    def to_driver(self, moment: datetime | None) -> datetime | None:
        return moment
