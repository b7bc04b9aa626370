"""Planned times of maintenance."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa

from flexiroaster.store.tables import maintenance_windows


@dataclass(frozen=True, slots=True)
class WindowRow:
    """`pipeline_id` None: of all pipelines."""

    id: str
    pipeline_id: str | None
    begins_at: datetime
    ends_at: datetime
    reason: str
    by: str | None


def all_windows(connection: sa.Connection) -> list[WindowRow]:
    """The latest first."""
    own = maintenance_windows.c
    query = sa.select(maintenance_windows).order_by(own.begins_at.desc(), own.id.desc())
    return [WindowRow(**row) for row in connection.execute(query).mappings()]


def add(connection: sa.Connection, row: WindowRow) -> None:
    connection.execute(maintenance_windows.insert().values(**asdict(row)))


def remove(connection: sa.Connection, id: str) -> bool:
    """False where there is none."""
    return connection.execute(maintenance_windows.delete().where(maintenance_windows.c.id == id)).rowcount == 1
