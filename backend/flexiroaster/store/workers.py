"""Who works on this database: each server has a row and renews it, by the clock of the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa

from flexiroaster.engine.plan import DEFAULT_POOL
from flexiroaster.store.database import Database
from flexiroaster.store.tables import workers

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Me:
    """The worker that this process is."""

    id: str
    host: str
    pid: int
    version: str
    concurrency: int
    kind: str = "server"
    folder: str | None = None
    pools: tuple[str, ...] | None = None
    shares: Mapping[str, str] = field(default_factory=dict)


class WorkerRow(NamedTuple):
    """`pools`: whose stages it runs, "default" standing for no pool; None for those of all. `last_poll_at`: when it
    last looked for work with success.
    """

    id: str
    kind: str
    pools: list[str] | None
    host: str
    pid: int
    version: str
    folder: str | None
    shares: dict[str, str]
    concurrency: int
    running: int
    started_at: datetime
    seen_at: datetime
    last_poll_at: datetime | None
    alive_until: datetime
    stopping_at: datetime | None
    lost_at: datetime | None


def aside(database: Database, operation: Callable[[sa.Connection], T]) -> T:
    """Write without waiting for the writer, where the database has room for two: a heartbeat must not be held up.

    Each statement is a transaction of its own there.
    """
    if database.dialect == "sqlite":
        return database.write(lambda tx: operation(tx.sa))
    with database.engine.connect() as connection:
        return operation(connection.execution_options(isolation_level="AUTOCOMMIT"))


def now(connection: sa.Connection) -> datetime:
    """By the clock that leases go by."""
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    found: datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
    return found


def began(connection: sa.Connection) -> datetime | None:
    """When the database server was started: until then nobody could renew anything."""
    if connection.dialect.name == "sqlite":
        return None
    found: datetime = connection.execute(sa.select(sa.func.pg_postmaster_start_time())).scalar_one()
    return found


def register(connection: sa.Connection, me: Me, lease: timedelta) -> None:
    """Before it claims anything. Safe to call again."""
    moment = now(connection)
    row: dict[str, Any] = {
        "kind": me.kind,
        "pools": None if me.pools is None else list(me.pools),
        "host": me.host,
        "pid": me.pid,
        "version": me.version,
        "folder": me.folder,
        "shares": dict(me.shares),
        "concurrency": me.concurrency,
        "started_at": moment,
        "seen_at": moment,
        "alive_until": moment + lease,
    }
    connection.execute(sa.delete(workers).where(workers.c.id == me.id))
    connection.execute(sa.insert(workers).values(id=me.id, **row))


def beat(
    connection: sa.Connection, id: str, running: int, lease: timedelta, *, polled: bool = False
) -> WorkerRow | None:
    """Say that it is alive, and whether it has looked for work since the last time; answers its row. None: others took
    it for dead and have forgotten it.
    """
    moment = now(connection)
    mine = workers.c.id == id
    alive = {"seen_at": moment, "alive_until": moment + lease, "running": running, "lost_at": None}
    if polled:
        alive["last_poll_at"] = moment
    if connection.execute(sa.update(workers).where(mine).values(**alive)).rowcount == 0:
        return None
    return _row(connection.execute(sa.select(workers).where(mine)).mappings().one())


def leave(connection: sa.Connection, id: str) -> None:
    """It has stopped, and holds nothing."""
    connection.execute(sa.delete(workers).where(workers.c.id == id))


def stop(connection: sa.Connection, id: str, at: datetime) -> bool:
    """It is to take no more work; False when there is no such worker."""
    stopping_at = workers.c.stopping_at
    values = {"stopping_at": sa.func.coalesce(stopping_at, sa.literal(at, stopping_at.type))}
    return connection.execute(sa.update(workers).where(workers.c.id == id).values(**values)).rowcount == 1


def all_workers(connection: sa.Connection) -> list[WorkerRow]:
    """In the order of their starts, those included that are taken to be dead."""
    query = sa.select(workers).order_by(workers.c.started_at, workers.c.id)
    return [_row(row) for row in connection.execute(query).mappings()]


def mark_lost(connection: sa.Connection, id: str, at: datetime) -> bool:
    """Whether the caller is the one who takes note of it: each death is noted once."""
    dead = (workers.c.id == id) & workers.c.lost_at.is_(None)
    return connection.execute(sa.update(workers).where(dead).values(lost_at=at)).rowcount == 1


def forget_others(connection: sa.Connection, id: str) -> None:
    """Where only one can be alive."""
    connection.execute(sa.delete(workers).where(workers.c.id != id))


def forget_lost(connection: sa.Connection, before: datetime) -> None:
    connection.execute(sa.delete(workers).where(workers.c.lost_at < before))


class Cover(NamedTuple):
    """How many workers take stages at this moment: those of all pools, and those of each pool alone, "default" standing
    for no pool.
    """

    of_all: int
    of_pools: Mapping[str, int]

    def workers(self, pool: str | None) -> int:
        """That take stages of this pool; None: of none."""
        return self.of_all + self.of_pools.get(pool or DEFAULT_POOL, 0)


def cover(connection: sa.Connection) -> Cover:
    takes_work = (workers.c.alive_until >= now(connection)) & (workers.c.concurrency > 0)
    query = sa.select(workers.c.pools).where(takes_work, workers.c.stopping_at.is_(None))
    served = list(connection.scalars(query))
    return Cover(served.count(None), Counter(pool for pools in served for pool in pools or ()))


class Judge(NamedTuple):
    """Says who is alive, by what the database knew at `now`.

    Who never registered, or has left, holds nothing; nor does who had the data folder that is ours now.
    """

    now: datetime
    me: str
    folder: str | None
    known: dict[str, WorkerRow]

    def others(self) -> list[WorkerRow]:
        """Those that may be alive."""
        return [
            row
            for row in self.known.values()
            if row.id != self.me and row.alive_until >= self.now and not self._is_before_us(row)
        ]

    def dead(self) -> list[WorkerRow]:
        """Those of whose death nobody has taken note yet."""
        return [
            row
            for row in self.known.values()
            if row.id != self.me and row.lost_at is None and (row.alive_until < self.now or self._is_before_us(row))
        ]

    def trusted(self) -> list[str]:
        """Whose leases count until they run out."""
        return [row.id for row in self.known.values() if not self._is_before_us(row)]

    def _is_before_us(self, row: WorkerRow) -> bool:
        return row.folder is not None and row.folder == self.folder and row.id != self.me


def judge(connection: sa.Connection, me: str, folder: str | None) -> Judge:
    return Judge(now(connection), me, folder, {row.id: row for row in all_workers(connection)})


def _row(row: sa.RowMapping) -> WorkerRow:
    return WorkerRow(**{name: row[name] for name in WorkerRow._fields})
