"""By when executions and their stages are to have ended, and which did not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from flexiroaster.store.tables import deadlines, executions

WHOLE_EXECUTION = -1
"""As a position."""


def insert(connection: sa.Connection, execution_id: str, due: Mapping[int, datetime]) -> None:
    """`due` by position."""
    rows = [{"execution_id": execution_id, "position": position, "due_at": at} for position, at in due.items()]
    connection.execute(sa.insert(deadlines), rows)


def ahead(
    connection: sa.Connection, execution_id: str | None = None, *, before: datetime | None = None
) -> list[tuple[str, int, datetime]]:
    """Execution, position and moment of those that nobody has missed; of one execution, or of all that go on.

    `before` leaves out those that are due later.
    """
    query = sa.select(deadlines.c.execution_id, deadlines.c.position, deadlines.c.due_at).where(
        deadlines.c.missed_at.is_(None)
    )
    if before is not None:
        query = query.where(deadlines.c.due_at < before)
    if execution_id is None:
        query = query.join(executions, executions.c.id == deadlines.c.execution_id)
        query = query.where(executions.c.ended_at.is_(None))
    else:
        query = query.where(deadlines.c.execution_id == execution_id)
    return [(row[0], row[1], row[2]) for row in connection.execute(query)]


def miss(connection: sa.Connection, execution_id: str, position: int, now: datetime) -> datetime | None:
    """The moment that is missed now; None where it was before, or is still to come."""
    mine = (
        (deadlines.c.execution_id == execution_id)
        & (deadlines.c.position == position)
        & deadlines.c.missed_at.is_(None)
        & (deadlines.c.due_at <= now)
    )
    row = connection.execute(sa.update(deadlines).where(mine).values(missed_at=now).returning(deadlines.c.due_at))
    return row.scalar_one_or_none()
