"""What executions were told from outside: the newest signal of each name."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from flexiroaster.store.tables import signals


class SignalRow(NamedTuple):
    data: Any
    actor: str | None
    at: datetime


def put(connection: sa.Connection, execution_id: str, name: str, *, data: Any, actor: str | None, at: datetime) -> None:
    """In place of an earlier one of the name."""
    mine = (signals.c.execution_id == execution_id) & (signals.c.name == name)
    connection.execute(sa.delete(signals).where(mine))
    connection.execute(sa.insert(signals).values(execution_id=execution_id, name=name, data=data, actor=actor, at=at))


def find(connection: sa.Connection, execution_id: str, name: str) -> SignalRow | None:
    query = sa.select(signals.c.data, signals.c.actor, signals.c.at)
    row = connection.execute(query.where(signals.c.execution_id == execution_id, signals.c.name == name)).first()
    return None if row is None else SignalRow(*row)
