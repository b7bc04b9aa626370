"""Ready stages that nobody is there to take: it is said, and what to do about it.

Nothing of it is kept with the stage: workers come and go, and whoever comes takes it as if nothing had been said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from flexiroaster.engine.plan import DEFAULT_POOL
from flexiroaster.store import load, workers

GRACE = timedelta(seconds=10)
"""A worker that is started anew is back by then."""

Reasons = Mapping[str, Mapping[int, str]]
"""By execution and position."""


def reasons(connection: sa.Connection, ids: Sequence[str], now: datetime) -> Reasons:
    """Of stages that are ready since a while and have nobody who takes them."""
    if not ids:
        return {}
    found = load.unserved(connection, workers.cover(connection), ids, now - GRACE)
    return {
        id: {position: reason(pool, connection.dialect.name) for position, pool in pools.items()}
        for id, pools in found.items()
    }


def reason(pool: str | None, database: str) -> str:
    """Why stages of this pool, or of none, wait. On SQLite there is one server, which takes those of all pools."""
    if database == "sqlite":
        return "waiting for a restart: this server takes no more work"
    whose = "that name no pool" if pool is None or pool == DEFAULT_POOL else f"of pool {pool}"
    return f"waiting for a worker: none takes stages {whose}; start one with `{_command(pool)}`"


def cure(pool: str | None, database: str) -> str:
    return "Restart the server." if database == "sqlite" else f"Start one: `{_command(pool)}`."


def _command(pool: str | None) -> str:
    named = pool is not None and pool != DEFAULT_POOL
    return f"flexiroaster worker --pool {pool}" if named else "flexiroaster worker"
