"""For whose pipelines learning or the assistant was switched, and how many pipelines each project has."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from flexiroaster.store.tables import ai_projects, pipelines


class ProjectRow(NamedTuple):
    name: str
    learning: bool
    assistant: bool
    changed_at: datetime
    changed_by: str | None


def switched(connection: sa.Connection) -> list[ProjectRow]:
    """Those that somebody switched, in the order of their names."""
    query = sa.select(ai_projects).order_by(ai_projects.c.name)
    return [ProjectRow(**row) for row in connection.execute(query).mappings()]


def find(connection: sa.Connection, name: str) -> ProjectRow | None:
    row = connection.execute(sa.select(ai_projects).where(ai_projects.c.name == name)).mappings().first()
    return None if row is None else ProjectRow(**row)


def put(connection: sa.Connection, row: ProjectRow) -> None:
    connection.execute(ai_projects.delete().where(ai_projects.c.name == row.name))
    connection.execute(ai_projects.insert().values({name: getattr(row, name) for name in ProjectRow._fields}))


def label_counts(connection: sa.Connection, label: str) -> dict[str | None, int]:
    """How many pipelines have each value of a label; None where they have none."""
    named = sa.select(pipelines.c.labels[label].as_string().label("name")).where(pipelines.c.deleted_at.is_(None))
    each = named.subquery()
    query = sa.select(each.c.name, sa.func.count().label("pipelines")).group_by(each.c.name)
    return {row.name: row.pipelines for row in connection.execute(query)}
