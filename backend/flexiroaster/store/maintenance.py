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


def find(connection: sa.Connection, id: str) -> WindowRow | None:
    row = connection.execute(sa.select(maintenance_windows).where(maintenance_windows.c.id == id)).mappings().first()
    return None if row is None else WindowRow(**row)


def add(connection: sa.Connection, row: WindowRow) -> None:
    connection.execute(maintenance_windows.insert().values(**asdict(row)))


def end(connection: sa.Connection, id: str, at: datetime) -> bool:
    """False where there is none, or none that lasts at that moment."""
    own = maintenance_windows.c
    lasting = (own.id == id) & (own.begins_at < at) & (own.ends_at > at)
    return connection.execute(maintenance_windows.update().where(lasting).values(ends_at=at)).rowcount == 1


def count_over(connection: sa.Connection, before: datetime) -> int:
    """How many had ended by then."""
    own = maintenance_windows.c
    return connection.scalar(sa.select(sa.func.count()).where(own.ends_at < before)) or 0


def remove_over(connection: sa.Connection, before: datetime) -> int:
    return connection.execute(maintenance_windows.delete().where(maintenance_windows.c.ends_at < before)).rowcount


def remove(connection: sa.Connection, id: str) -> bool:
    """False where there is none."""
    return connection.execute(maintenance_windows.delete().where(maintenance_windows.c.id == id)).rowcount == 1
