"""SQLite: WAL, one writer, `NORMAL` for progress and `FULL` for what was acknowledged to somebody."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from flexiroaster.store.dialects import statements

READ_CONNECTIONS = 8


class Sqlite:
    name: Literal["sqlite", "postgresql"] = "sqlite"

    def __init__(self) -> None:
        self._sql = statements("sqlite.sql")
        self._full = False
        # A decision writes its own time many times over. The cache itself is called: a method around it costs more.
        self.to_driver: Callable[[datetime | None], str | None] = lru_cache(maxsize=4096)(_as_text)

    def create_engine(self, url: sa.URL, dumps: Callable[[Any], str], loads: Callable[[str | bytes], Any]) -> sa.Engine:
        engine = sa.create_engine(
            url,
            json_serializer=dumps,
            json_deserializer=loads,
            poolclass=sa.QueuePool,
            pool_size=READ_CONNECTIONS,
            max_overflow=READ_CONNECTIONS,
            connect_args={"check_same_thread": False, "timeout": 30, "cached_statements": 256},
        )
        event.listen(engine, "connect", _set_pragmas)
        return engine

    def prepare_writer(self, raw: Any) -> None:
        self._full = False

    def begin(self, raw: Any, *, durable: bool) -> None:
        if durable != self._full:  # SQLite refuses this pragma inside a transaction
            raw.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._full = durable
        raw.execute("BEGIN IMMEDIATE")

    def commit(self, raw: Any) -> None:
        raw.execute("COMMIT")

    def rollback(self, raw: Any) -> None:
        if raw.in_transaction:
            raw.execute("ROLLBACK")

    def put(self, raw: Any, name: str, rows: Sequence[tuple[Any, ...]], stale: Exception | None) -> None:
        statement = self._sql[name]
        done = raw.execute(statement, rows[0]) if len(rows) == 1 else raw.executemany(statement, rows)
        if stale is not None and done.rowcount != len(rows):
            raise stale

    def flush(self, raw: Any) -> None:
        pass  # everything was executed at once: there is no way to the server to save

    def fetch(self, raw: Any, name: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        return list(raw.execute(self._sql[name], parameters).fetchall())

    def is_conflict(self, error: BaseException) -> bool:
        return False  # there is one writer

    def unavailable(self, error: BaseException) -> str | None:
        error = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        if not isinstance(error, sqlite3.OperationalError):
            return None
        match getattr(error, "sqlite_errorcode", 0) & 0xFF:
            case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR:
                return "The disk that holds the database is full: free some space; nothing needs a restart."
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                return "Another program has locked the database file: close it."
            case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN:
                return "The database file cannot be written: check its folder's owner and rights."
            case _:
                return None


def _as_text(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    in_utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return in_utc.isoformat(timespec="microseconds")


def _set_pragmas(raw: Any, _record: object) -> None:
    for pragma in (
        "auto_vacuum=INCREMENTAL",  # of a new database: what is removed can shorten the file
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        "busy_timeout=30000",
        "wal_autocheckpoint=8000",
    ):
        raw.execute(f"PRAGMA {pragma}")
