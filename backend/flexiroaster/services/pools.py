"""Pools: how many stage runs that name one may run at the same time."""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

import sqlalchemy as sa
import structlog

from flexiroaster.engine.errors import InvalidRequest, NotFound
from flexiroaster.engine.field_types import POOL_PATTERN, POOL_RULE
from flexiroaster.engine.quoting import quoted
from flexiroaster.services.gates import Gates
from flexiroaster.services.pipelines import phased_stages
from flexiroaster.services.unserved import reason
from flexiroaster.store import gates as rows
from flexiroaster.store import workers
from flexiroaster.store.database import Database
from flexiroaster.store.gates import PoolRow

log = structlog.get_logger(__name__)

MOST_SLOTS = 100_000
_name = re.compile(POOL_PATTERN)


class PoolEntry(NamedTuple):
    """`pipelines`: how many name it in their newest version. `workers`: how many processes take its stages; where none
    does and some wait, `reason` says so.
    """

    row: PoolRow
    pipelines: int
    workers: int
    reason: str | None


class Pools:
    def __init__(self, database: Database, gates: Gates) -> None:
        self._database = database
        self._gates = gates
        self._named: dict[tuple[str, int], frozenset[str]] = {}

    def all(self) -> list[PoolEntry]:
        """In the order of their names; also those that stages name though nobody defined them."""
        with self._database.read() as connection:
            known = {pool.name: pool for pool in rows.all_pools(connection)}
            named = self._pipelines(connection)
            cover = workers.cover(connection)
        names = sorted({*known, *named})
        pools = [known.get(name) or PoolRow(name, None, 0, 0) for name in names]
        return [self._entry(pool, named[pool.name], cover.workers(pool.name)) for pool in pools]

    def _entry(self, pool: PoolRow, pipelines: int, workers: int) -> PoolEntry:
        why = reason(pool.name, self._database.dialect) if pool.waiting and not workers else None
        return PoolEntry(pool, pipelines, workers, why)

    def _pipelines(self, connection: sa.Connection) -> Counter[str]:
        """By pool how many pipelines name it. Remembered by version, which never changes."""
        newest = rows.newest_versions(connection)
        known = {version: self._named[version] for version in newest if version in self._named}
        for version, document in rows.documents(connection, [one for one in newest if one not in known]):
            stages = phased_stages(document)
            known[version] = frozenset(pool for _, stage in stages if isinstance(pool := stage.get("pool"), str))
        self._named = known
        return Counter(pool for pools in known.values() for pool in pools)

    def get(self, name: str) -> PoolEntry:
        """Raises NotFound."""
        for pool in self.all():
            if pool.row.name == name:
                return pool
        raise NotFound("pool", name)

    def set(self, name: str, slots: int, by: str | None = None) -> PoolEntry:
        """Define it, or change it. What runs goes on; who waits is let in where there are more slots."""
        if not _name.fullmatch(name):
            raise InvalidRequest(f"{quoted(name)} is no name of a pool: {POOL_RULE}.", "invalid_pool")
        if not 0 <= slots <= MOST_SLOTS:
            raise InvalidRequest(f"A pool has between 0 and {MOST_SLOTS:,} slots, not {slots:,}.", "invalid_pool")
        self._database.write(lambda tx: rows.set_pool(tx.sa, name, slots), durable=True)
        self._gates.let_in({name: None})
        log.info("pool.set", pool=name, slots=slots, by=by)
        return self.get(name)

    def delete(self, name: str, by: str | None = None) -> None:
        """Stages that name it share one slot from now on. Raises NotFound."""
        if not self._database.write(lambda tx: rows.delete_pool(tx.sa, name), durable=True):
            raise NotFound("pool", name)
        self._gates.let_in({name: None})
        log.info("pool.deleted", pool=name, by=by)
