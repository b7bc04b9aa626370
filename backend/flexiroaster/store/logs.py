"""Log lines, in the order of their ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flexiroaster.store.tables import logs

SEARCHED = 500_000
"""Lines, from the newest, that a search over all executions looks at: a word that never occurs would read all."""


@dataclass(frozen=True, slots=True)
class LogRow:
    id: int
    at: datetime
    level: str
    message: str
    pipeline_id: str | None
    execution_id: str | None
    stage: str | None
    index: int | None
    attempt: int | None
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class LogFilter:
    """None takes every value."""

    execution_id: str | None = None
    pipeline_id: str | None = None
    stage: str | None = None
    index: int | None = None
    levels: Sequence[str] | None = None
    text: str | None = None


def after(connection: sa.Connection, wanted: LogFilter, id: int, limit: int) -> list[LogRow]:
    """The first `limit` lines after `id`, oldest first."""
    query = _query(wanted).where(logs.c.id > id).order_by(logs.c.id).limit(limit)
    return _rows(connection, query)


def before(connection: sa.Connection, wanted: LogFilter, id: int | None, limit: int) -> list[LogRow]:
    """The last `limit` lines before `id` (None: of all), oldest first."""
    query = _query(wanted)
    if id is not None:
        query = query.where(logs.c.id < id)
    return _rows(connection, query.order_by(logs.c.id.desc()).limit(limit))[::-1]


def newest_id(connection: sa.Connection) -> int:
    """0 where there is none."""
    return int(connection.scalar(sa.select(sa.func.max(logs.c.id))) or 0)


def _query(wanted: LogFilter) -> sa.Select[Any]:
    query = sa.select(
        logs.c.id,
        logs.c.at,
        logs.c.level,
        logs.c.message,
        logs.c.pipeline_id,
        logs.c.execution_id,
        logs.c.stage,
        logs.c.idx.label("index"),
        logs.c.attempt,
        logs.c.fields,
    )
    if wanted.execution_id is not None:
        query = query.where(logs.c.execution_id == wanted.execution_id)
    else:
        newest = sa.select(sa.func.max(logs.c.id)).scalar_subquery()
        query = query.where(logs.c.id > newest - SEARCHED)
    if wanted.pipeline_id is not None:
        query = query.where(logs.c.pipeline_id == wanted.pipeline_id)
    if wanted.stage is not None:
        query = query.where(logs.c.stage == wanted.stage)
    if wanted.index is not None:
        query = query.where(logs.c.idx == wanted.index)
    if wanted.levels is not None:
        query = query.where(logs.c.level.in_(wanted.levels))
    if wanted.text:
        query = query.where(logs.c.message.icontains(wanted.text, autoescape=True))
    return query


def _rows(connection: sa.Connection, query: sa.Select[Any]) -> list[LogRow]:
    return [LogRow(**{**row, "fields": row["fields"] or {}}) for row in connection.execute(query).mappings()]
