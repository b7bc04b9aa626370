"""Pools: how many stage runs that name one may run at the same time."""

from __future__ import annotations

import re

import structlog

from flexiroaster.engine.errors import InvalidRequest, NotFound
from flexiroaster.engine.field_types import POOL_PATTERN, POOL_RULE
from flexiroaster.engine.quoting import quoted
from flexiroaster.services.gates import Gates
from flexiroaster.store import gates as rows
from flexiroaster.store.database import Database
from flexiroaster.store.gates import PoolRow

log = structlog.get_logger(__name__)

MOST_SLOTS = 100_000
_name = re.compile(POOL_PATTERN)


class Pools:
    def __init__(self, database: Database, gates: Gates) -> None:
        self._database = database
        self._gates = gates

    def all(self) -> list[PoolRow]:
        """In the order of their names; also those that stages use though nobody defined them."""
        with self._database.read() as connection:
            return rows.all_pools(connection)

    def get(self, name: str) -> PoolRow:
        """Raises NotFound."""
        for pool in self.all():
            if pool.name == name:
                return pool
        raise NotFound("pool", name)

    def set(self, name: str, slots: int, by: str | None = None) -> PoolRow:
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
