"""SQLite: WAL, one writer, `NORMAL`; what is acknowledged to somebody is synced before that."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from types import MappingProxyType
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from flexiroaster.store.dialects import APART, IDENTITY, statements
from flexiroaster.store.moments import microseconds_of

READ_CONNECTIONS = 8
_sync: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)
_CLOEXEC: int = getattr(os, "O_CLOEXEC", 0)
_NULL: dict[None, None] = {}
sqlite3.register_adapter(type(None), _NULL.get)
"""None to itself. For a type that has no adapter the driver looks for one with each value, in vain: of an INSERT with
many NULLs that is the greater part.
"""
TOGETHER = (64, 16, 4)
"""Rows of one INSERT, for who has so many. With each statement, or row of many, the driver lets go of the interpreter a
few times, and others wake up for it: a row costs half so, and a quarter while other threads are busy.
"""
_PLACES = re.compile(r"VALUES (\([?, ]+\))")
MOMENTS_KEPT = 4096
CLASHING = {"move_stage_run": "update_stage_run", "update_stage_run": "move_stage_run"}
"""Two that change the same rows, each in the order in which it was put: the other one goes first."""


class Sqlite:
    """One instance per database: what waits is of its writer's transaction. Many rows of one statement cost a half or
    less of as many statements, so they wait for each other.
    """

    name: Literal["sqlite", "postgresql"] = "sqlite"
    reading: Mapping[str, Any] = MappingProxyType({})

    def __init__(self) -> None:
        self._sql = statements("sqlite.sql")
        self._for_many = {name: _for_many(self._sql[name]) for name in IDENTITY}
        self.commits_to_disk = False
        self._log = ""
        self._waiting: dict[str, list[tuple[Any, ...]]] = {name: [] for name in IDENTITY}
        self._stale: dict[str, Exception] = {}
        self.to_driver: Callable[[datetime | None], int | None] = _Moments().__getitem__

    def create_engine(
        self,
        url: sa.URL,
        dumps: Callable[[Any], str],
        loads: Callable[[str | bytes], Any],
        statement_seconds: float | None,
    ) -> sa.Engine:
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

    def prepare_writer(self, connection: Any) -> Any:
        """Without a write-ahead log (network disks have no memory to share for it), a commit itself waits."""
        ((mode,),) = connection.execute("PRAGMA journal_mode").fetchall()
        self.commits_to_disk = mode != "wal"
        if self.commits_to_disk:
            connection.execute("PRAGMA synchronous=FULL")
        self._log = f"{connection.execute('PRAGMA database_list').fetchone()[2]}-wal"
        return connection.cursor()  # one for all: the connection would make one for each statement

    def stands(self, raw: Any) -> bool:
        return True

    def begin(self, raw: Any) -> None:
        raw.execute("BEGIN IMMEDIATE")

    def commit(self, raw: Any) -> None:
        self.flush(raw)
        raw.execute("COMMIT")

    def sync(self) -> None:
        """What `synchronous=FULL` does at the end of a commit, without keeping the next one waiting: the log, to which
        commits are only ever added, goes to the disk; what is no longer in it, a checkpoint has brought there before.
        """
        log = os.open(self._log, os.O_RDWR | _CLOEXEC)
        try:
            _sync(log)
        finally:
            os.close(log)

    def rollback(self, raw: Any) -> None:
        self._forget()
        if raw.connection.in_transaction:
            raw.execute("ROLLBACK")

    def put(self, raw: Any, name: str, rows: Sequence[tuple[Any, ...]], stale: Exception | None) -> None:
        waiting = self._waiting.get(name)
        if waiting is None:
            self.flush(raw)
            raw.executemany(self._sql[name], rows)
            return
        clashing = CLASHING.get(name)
        if clashing is not None and self._waiting[clashing]:
            self.flush(raw)
        waiting += rows
        if stale is not None:
            self._stale[name] = stale

    def flush(self, raw: Any, *, begin: bool = True) -> None:
        """What is inserted comes first, then what changes it or names it: so no order of the puts is lost."""
        for name, rows in self._waiting.items():
            if rows:
                if self._execute(raw, name, rows) != len(rows) and name in self._stale:
                    raise self._stale[name]
                rows.clear()
        self._stale.clear()

    def _execute(self, raw: Any, name: str, rows: Sequence[tuple[Any, ...]]) -> int:
        """How many rows of the table that touched."""
        count = len(rows)
        if count == 1:
            return int(raw.execute(self._sql[name], rows[0]).rowcount)
        if count < TOGETHER[-1]:
            return int(raw.executemany(self._sql[name], rows).rowcount)
        touched = done = 0
        for size, statement in self._for_many[name]:
            while count - done >= size:
                touched += raw.execute(statement, [*chain.from_iterable(rows[done : done + size])]).rowcount
                done += size
        if done < count:
            touched += raw.executemany(self._sql[name], rows[done:]).rowcount
        return touched

    def fetch(self, raw: Any, name: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        if name not in APART:
            self.flush(raw)
        return list(raw.execute(self._sql[name], parameters).fetchall())

    def _forget(self) -> None:
        for rows in self._waiting.values():
            rows.clear()
        self._stale.clear()

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


class _Moments(dict[datetime | None, int | None]):
    """As the driver takes them. A decision writes its own time many times over: they are remembered for a while."""

    def __missing__(self, moment: datetime | None) -> int | None:
        if len(self) >= MOMENTS_KEPT:
            self.clear()
        found = self[moment] = microseconds_of(moment)
        return found


def _for_many(statement: str) -> list[tuple[int, str]]:
    """The same INSERT for several rows, and for how many; nothing for what changes rows."""
    places = _PLACES.search(statement)
    if places is None:
        return []
    before, after = statement[: places.start(1)], statement[places.end(1) :]
    return [(size, f"{before}{', '.join([places[1]] * size)}{after}") for size in TOGETHER]


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
