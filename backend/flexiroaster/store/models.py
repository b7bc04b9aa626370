"""Trained models as they are known here, and what the learner did last. The models themselves are files."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa

from flexiroaster.store.tables import ai_models, ai_state

ModelState = Literal["champion", "retired"]


class ModelRow(NamedTuple):
    id: str
    kind: str
    status: ModelState
    schema: str
    trained_at: datetime
    file: str
    size: int
    card: dict[str, Any]


class WorkRow(NamedTuple):
    """What was done last, and when."""

    value: dict[str, Any]
    at: datetime


def all_models(connection: sa.Connection, limit: int = 100) -> list[ModelRow]:
    """The newest first."""
    query = sa.select(ai_models).order_by(ai_models.c.trained_at.desc(), ai_models.c.id).limit(limit)
    return [ModelRow(**row) for row in connection.execute(query).mappings()]


def find(connection: sa.Connection, id: str) -> ModelRow | None:
    row = connection.execute(sa.select(ai_models).where(ai_models.c.id == id)).mappings().first()
    return None if row is None else ModelRow(**row)


def champions(connection: sa.Connection) -> list[ModelRow]:
    query = sa.select(ai_models).where(ai_models.c.status == "champion").order_by(ai_models.c.kind)
    return [ModelRow(**row) for row in connection.execute(query).mappings()]


def promote(connection: sa.Connection, row: ModelRow) -> None:
    """It is the champion of its kind from now on; the one before retires. Twice changes nothing."""
    connection.execute(
        ai_models.update()
        .where(ai_models.c.kind == row.kind, ai_models.c.status == "champion", ai_models.c.id != row.id)
        .values(status="retired")
    )
    values = {name: getattr(row, name) for name in ModelRow._fields} | {"status": "champion"}
    if find(connection, row.id) is None:
        connection.execute(ai_models.insert().values(values))
    else:
        connection.execute(ai_models.update().where(ai_models.c.id == row.id).values(status="champion"))


def forget_older(connection: sa.Connection, kind: str, keep: int) -> list[str]:
    """All but the newest `keep` of a kind and its champion. Answers the files that are still known, of all kinds."""
    own = ai_models.c
    newest = sa.select(own.id).where(own.kind == kind).order_by(own.trained_at.desc()).limit(keep)
    kept = list(connection.scalars(newest))
    old = (own.kind == kind) & own.id.not_in(kept) & (own.status != "champion")
    connection.execute(ai_models.delete().where(old))
    return list(connection.scalars(sa.select(own.file)))


def work(connection: sa.Connection) -> dict[str, WorkRow]:
    """By the name of the work."""
    query = sa.select(ai_state.c.name, ai_state.c.value, ai_state.c.at)
    return {row.name: WorkRow(row.value, row.at) for row in connection.execute(query)}


def note_work(connection: sa.Connection, name: str, value: dict[str, Any], at: datetime) -> None:
    """In place of what was noted before."""
    connection.execute(ai_state.delete().where(ai_state.c.name == name))
    connection.execute(ai_state.insert().values(name=name, value=value, at=at))
