"""Pipelines and their versions. What a version says is never changed; a deleted pipeline keeps its row for its history.

A version is published or a draft. A pipeline runs the one published last; a draft waits to be published or discarded.
Numbers are never given twice: an execution keeps the version that it ran, and processes remember what a number says.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa

from flexiroaster.store.expressions import counted, stage_count
from flexiroaster.store.tables import executions, pipeline_versions, pipelines

BARS = 20
"""The latest executions a list shows of each pipeline."""
MEASURED = 100
"""The latest ended executions that a pipeline's statistics are over."""

VersionState = Literal["published", "draft", "discarded"]


class PipelineRow(NamedTuple):
    id: str
    name: str
    description: str
    labels: dict[str, str]
    version: int
    enabled: bool
    paused_at: datetime | None
    paused_by: str | None
    stages_total: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


@dataclass(frozen=True, slots=True)
class VersionRow:
    pipeline_id: str
    version: int
    digest: str
    note: str
    created_at: datetime
    created_by: str | None
    based_on: int | None
    published_at: datetime | None
    published_by: str | None
    discarded_at: datetime | None
    stages_total: int

    @property
    def state(self) -> VersionState:
        if self.published_at is not None:
            return "published"
        return "draft" if self.discarded_at is None else "discarded"

    @property
    def base(self) -> int:
        """The published version that a change of this one begins at."""
        return self.version if self.based_on is None or self.published_at is not None else self.based_on


@dataclass(frozen=True, slots=True)
class VersionText(VersionRow):
    document: dict[str, Any]
    source: str
    source_format: str


class RunRow(NamedTuple):
    """An execution as the small bars and the statistics need it."""

    pipeline_id: str
    id: str
    number: int
    status: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    idle_seconds: float


class Head(NamedTuple):
    """What a writer must know of a pipeline before it adds a version. `newest` counts drafts and deleted times too."""

    version: int
    newest: int
    digest: str
    updated_at: datetime
    updated_by: str | None
    deleted_at: datetime | None


class NewVersion(NamedTuple):
    name: str
    description: str
    labels: dict[str, str]
    document: dict[str, Any]
    source: str
    source_format: str
    digest: str
    note: str
    by: str | None


_published = sa.and_(
    pipeline_versions.c.pipeline_id == pipelines.c.id, pipeline_versions.c.version == pipelines.c.version
)
_summary = sa.select(
    pipelines.c.id,
    pipelines.c.name,
    pipelines.c.description,
    pipelines.c.labels,
    pipelines.c.version,
    pipelines.c.enabled,
    pipelines.c.paused_at,
    pipelines.c.paused_by,
    stage_count(pipeline_versions.c.document).label("stages_total"),
    pipelines.c.created_at,
    pipelines.c.updated_at,
    pipelines.c.deleted_at,
).join_from(pipelines, pipeline_versions, _published)
_version = sa.select(
    pipeline_versions.c.pipeline_id,
    pipeline_versions.c.version,
    pipeline_versions.c.digest,
    pipeline_versions.c.note,
    pipeline_versions.c.created_at,
    pipeline_versions.c.created_by,
    pipeline_versions.c.based_on,
    pipeline_versions.c.published_at,
    pipeline_versions.c.published_by,
    pipeline_versions.c.discarded_at,
    stage_count(pipeline_versions.c.document).label("stages_total"),
)


def page(
    connection: sa.Connection,
    *,
    after: str | None = None,
    limit: int,
    text: str | None = None,
    labels: Mapping[str, str | None] | None = None,
    enabled: bool | None = None,
) -> list[PipelineRow]:
    """In order of their ids, those after `after`. A label with the value None need only be there."""
    query = _summary.where(pipelines.c.deleted_at.is_(None)).order_by(pipelines.c.id).limit(limit)
    if after is not None:
        query = query.where(pipelines.c.id > after)
    if enabled is not None:
        query = query.where(pipelines.c.enabled.is_(enabled))
    if text:
        searched = (pipelines.c.id, pipelines.c.name, pipelines.c.description)
        query = query.where(sa.or_(*(column.icontains(text, autoescape=True) for column in searched)))
    for key, value in (labels or {}).items():
        found = pipelines.c.labels[key].as_string()
        query = query.where(found.is_not(None) if value is None else found == value)
    return [PipelineRow(**row) for row in connection.execute(query).mappings()]


def find(connection: sa.Connection, id: str) -> PipelineRow | None:
    """Also a deleted one: look at `deleted_at`."""
    row = connection.execute(_summary.where(pipelines.c.id == id)).mappings().first()
    return None if row is None else PipelineRow(**row)


def labels_of(connection: sa.Connection, ids: Collection[str]) -> dict[str, Any]:
    """Of those that are not deleted."""
    found = sa.select(pipelines.c.id, pipelines.c.labels).where(pipelines.c.id.in_(ids))
    query = found.where(pipelines.c.deleted_at.is_(None))
    return {row.id: row.labels for row in connection.execute(query)}


def latest_runs(connection: sa.Connection, ids: Sequence[str]) -> list[RunRow]:
    """Of each pipeline the last `BARS` executions and all back to the last `MEASURED` ended ones, oldest first, without
    trials of drafts, of which there may be fewer bars for once.

    Both bounds are walks down the index of numbers, so that the cost does not grow with the history.
    """
    ended = executions.alias("ended")
    oldest_measured = (
        sa.select(ended.c.number)
        .where(ended.c.pipeline_id == pipelines.c.id, ended.c.ended_at.is_not(None), ended.c.trial.is_(False))
        .order_by(ended.c.number.desc())
        .limit(1)
        .offset(MEASURED - 1)
        .scalar_subquery()
    )
    oldest_bar = pipelines.c.last_number - BARS + 1
    measured = sa.func.coalesce(oldest_measured, 0)
    query = (
        sa.select(
            executions.c.pipeline_id,
            executions.c.id,
            executions.c.number,
            executions.c.status,
            executions.c.created_at,
            executions.c.started_at,
            executions.c.ended_at,
            executions.c.idle_seconds,
        )
        .join_from(pipelines, executions, executions.c.pipeline_id == pipelines.c.id)
        .where(
            pipelines.c.id.in_(ids),
            counted,
            executions.c.number >= sa.case((measured < oldest_bar, measured), else_=oldest_bar),
        )
        .order_by(executions.c.pipeline_id, executions.c.number)
    )
    return [RunRow(**row) for row in connection.execute(query).mappings()]


def versions(connection: sa.Connection, pipeline_id: str, *, before: int | None = None, limit: int) -> list[VersionRow]:
    """The newest first, without discarded drafts."""
    own = pipeline_versions.c
    query = _version.where(own.pipeline_id == pipeline_id, own.discarded_at.is_(None))
    if before is not None:
        query = query.where(pipeline_versions.c.version < before)
    query = query.order_by(pipeline_versions.c.version.desc()).limit(limit)
    return [VersionRow(**row) for row in connection.execute(query).mappings()]


def version(connection: sa.Connection, pipeline_id: str, number: int) -> VersionText | None:
    query = _version.add_columns(
        pipeline_versions.c.document, pipeline_versions.c.source, pipeline_versions.c.source_format
    ).where(pipeline_versions.c.pipeline_id == pipeline_id, pipeline_versions.c.version == number)
    row = connection.execute(query).mappings().first()
    return None if row is None else VersionText(**row)


def drafts(connection: sa.Connection, pipeline_id: str) -> list[int]:
    """Their numbers, the newest first, without discarded ones."""
    own = pipeline_versions.c
    return list(
        connection.scalars(sa.select(own.version).where(*_open_drafts(pipeline_id)).order_by(own.version.desc()))
    )


def draft_like(connection: sa.Connection, pipeline_id: str, digest: str, based_on: int) -> int | None:
    """The number of a draft that means this and was made from that version."""
    own = pipeline_versions.c
    query = sa.select(own.version).where(*_open_drafts(pipeline_id), own.digest == digest, own.based_on == based_on)
    return connection.scalar(query.order_by(own.version.desc()).limit(1))


def is_discarded(connection: sa.Connection, pipeline_id: str, number: int) -> bool:
    own = pipeline_versions.c
    found = sa.select(own.discarded_at).where(own.pipeline_id == pipeline_id, own.version == number)
    return connection.scalar(found) is not None


def is_draft(connection: sa.Connection, pipeline_id: str, number: int) -> bool:
    """Also a discarded one."""
    own = pipeline_versions.c
    found = sa.select(own.published_at).where(own.pipeline_id == pipeline_id, own.version == number)
    return connection.scalar(found) is None


def head(connection: sa.Connection, id: str) -> Head | None:
    """For a writer: on PostgreSQL the pipeline's row stays locked until the transaction ends."""
    # Locked first and read afterwards: a statement that had to wait for the lock would still join the old versions.
    connection.execute(sa.select(pipelines.c.id).where(pipelines.c.id == id).with_for_update())
    newer = pipeline_versions.alias("newer")
    newest = sa.select(sa.func.max(newer.c.version)).where(newer.c.pipeline_id == pipelines.c.id).scalar_subquery()
    query = (
        sa.select(
            pipelines.c.version,
            newest.label("newest"),
            pipeline_versions.c.digest,
            pipelines.c.updated_at,
            pipeline_versions.c.published_by.label("updated_by"),
            pipelines.c.deleted_at,
        )
        .join_from(pipelines, pipeline_versions, _published)
        .where(pipelines.c.id == id)
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else Head(**row)


def insert(connection: sa.Connection, id: str, new: NewVersion, now: datetime) -> None:
    """A pipeline with its version 1. Raises IntegrityError when the id exists."""
    connection.execute(
        pipelines.insert().values(
            id=id,
            name=new.name,
            description=new.description,
            labels=new.labels,
            version=1,
            created_at=now,
            updated_at=now,
            created_by=new.by,
        )
    )
    _insert_version(connection, id, 1, new, now, **_published_by(new, now))


def add_version(connection: sa.Connection, id: str, number: int, new: NewVersion, now: datetime) -> None:
    """Publishes it at once; brings a deleted pipeline back."""
    _insert_version(connection, id, number, new, now, **_published_by(new, now))
    _run_from_now_on(connection, id, number, new, now)


def add_draft(
    connection: sa.Connection, id: str, number: int, new: NewVersion, now: datetime, *, based_on: int
) -> None:
    _insert_version(connection, id, number, new, now, based_on=based_on)


def publish(connection: sa.Connection, id: str, number: int, new: NewVersion, now: datetime) -> None:
    """Of a draft that says `new`, whose author publishes it."""
    own = pipeline_versions.c
    connection.execute(
        pipeline_versions.update()
        .where(own.pipeline_id == id, own.version == number)
        .values(note=new.note, **_published_by(new, now))
    )
    _run_from_now_on(connection, id, number, new, now)


def discard(connection: sa.Connection, id: str, number: int | None, now: datetime) -> None:
    """A draft, or with None all there are."""
    query = pipeline_versions.update().where(*_open_drafts(id))
    if number is not None:
        query = query.where(pipeline_versions.c.version == number)
    connection.execute(query.values(discarded_at=now))


def mark_deleted(connection: sa.Connection, id: str, now: datetime) -> None:
    connection.execute(pipelines.update().where(pipelines.c.id == id).values(deleted_at=now))


def open_executions(connection: sa.Connection, id: str) -> int:
    """How many of its executions have not ended."""
    query = sa.select(sa.func.count()).where(executions.c.pipeline_id == id, executions.c.ended_at.is_(None))
    return int(connection.scalar(query) or 0)


def _open_drafts(pipeline_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    own = pipeline_versions.c
    return own.pipeline_id == pipeline_id, own.published_at.is_(None), own.discarded_at.is_(None)


def _published_by(new: NewVersion, now: datetime) -> dict[str, Any]:
    return {"published_at": now, "published_by": new.by}


def _run_from_now_on(connection: sa.Connection, id: str, number: int, new: NewVersion, now: datetime) -> None:
    connection.execute(
        pipelines.update()
        .where(pipelines.c.id == id)
        .values(
            name=new.name,
            description=new.description,
            labels=new.labels,
            version=number,
            updated_at=now,
            deleted_at=None,
        )
    )


def _insert_version(
    connection: sa.Connection, id: str, number: int, new: NewVersion, now: datetime, **values: Any
) -> None:
    connection.execute(
        pipeline_versions.insert().values(
            pipeline_id=id,
            version=number,
            document=new.document,
            source=new.source,
            source_format=new.source_format,
            digest=new.digest,
            note=new.note,
            created_at=now,
            created_by=new.by,
            **values,
        )
    )
