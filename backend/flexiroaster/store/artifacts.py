"""What is known of artifacts; their bytes are in the artifact store under `key`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flexiroaster.store.tables import artifacts


@dataclass(frozen=True, slots=True)
class ArtifactRow:
    id: str
    execution_id: str
    stage: str
    index: int
    attempt: int
    name: str
    kind: str
    media_type: str
    key: str
    rows: int | None
    bytes: int
    columns: list[dict[str, str]] | None
    created_at: datetime


_columns = sa.select(
    artifacts.c.id,
    artifacts.c.execution_id,
    artifacts.c.stage,
    artifacts.c.idx.label("index"),
    artifacts.c.attempt,
    artifacts.c.name,
    artifacts.c.kind,
    artifacts.c.media_type,
    artifacts.c.key,
    artifacts.c.rows,
    artifacts.c.bytes,
    artifacts.c["columns"],
    artifacts.c.created_at,
)


def find(connection: sa.Connection, id: str) -> ArtifactRow | None:
    row = connection.execute(_columns.where(artifacts.c.id == id)).mappings().first()
    return None if row is None else ArtifactRow(**row)


def profile(connection: sa.Connection, id: str) -> dict[str, Any] | None:
    """The profile that was taken when the artifact was written, None where none was."""
    found: dict[str, Any] | None = connection.scalar(sa.select(artifacts.c.profile).where(artifacts.c.id == id))
    return found


def of_execution(
    connection: sa.Connection,
    execution_id: str,
    *,
    stage: str | None = None,
    index: int | None = None,
    after: tuple[datetime, str] | None = None,
    limit: int = 10_000,
) -> list[ArtifactRow]:
    """In the order they were written; `index` is that of a foreach item, 0 for the stages themselves.

    `after` is when the last one already seen was written, and its id.
    """
    query = _columns.where(artifacts.c.execution_id == execution_id)
    if stage is not None:
        query = query.where(artifacts.c.stage == stage)
    if index is not None:
        query = query.where(artifacts.c.idx == index)
    if after is not None:
        at, id = after
        later = (artifacts.c.created_at == at) & (artifacts.c.id > id)
        query = query.where((artifacts.c.created_at > at) | later)
    query = query.order_by(artifacts.c.created_at, artifacts.c.id).limit(limit)
    return [ArtifactRow(**row) for row in connection.execute(query).mappings()]
