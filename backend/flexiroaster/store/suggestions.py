"""Suggestions to change definitions, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from flexiroaster.store.expressions import counted, execution_seconds
from flexiroaster.store.tables import executions, pipelines, suggestions

DECIDED = ("draft", "applied", "undone", "dismissed")
"""The states that a person brought about."""


class SuggestionRow(NamedTuple):
    """`edits` are empty for advice that no definition can follow by itself."""

    id: str
    pipeline_id: str
    kind: str
    stages: list[str]
    text: str
    edits: list[dict[str, Any]]
    saving: dict[str, Any] | None
    numbers: dict[str, float]
    replay: dict[str, Any] | None
    call: dict[str, Any] | None
    executions: int
    shown: list[str]
    confidence: float
    gain: float
    state: str
    found_at: datetime
    seen_at: datetime
    changed_at: datetime
    by: str | None
    reason: str | None
    version_before: int | None
    version_applied: int | None
    version_undone: int | None


class SuggestionFilter(NamedTuple):
    """None, and an empty sequence, take every value."""

    states: Sequence[str] = ()
    kinds: Sequence[str] = ()
    pipeline_id: str | None = None


def page(
    connection: sa.Connection,
    wanted: SuggestionFilter,
    *,
    after: tuple[float, datetime, str] | None = None,
    limit: int,
) -> list[SuggestionRow]:
    """Those that save most first; `after` is `gain`, `found_at` and `id` of the last one already seen."""
    own = suggestions.c
    query = _filtered(sa.select(suggestions), wanted).order_by(own.gain.desc(), own.found_at.desc(), own.id.desc())
    if after is not None:
        position = sa.tuple_(own.gain, own.found_at, own.id)
        query = query.where(
            position < sa.tuple_(sa.literal(after[0]), sa.literal(after[1], own.found_at.type), sa.literal(after[2]))
        )
    return [SuggestionRow(**row) for row in connection.execute(query.limit(limit)).mappings()]


def count(connection: sa.Connection, wanted: SuggestionFilter) -> int:
    return connection.scalar(_filtered(sa.select(sa.func.count()).select_from(suggestions), wanted)) or 0


def find(connection: sa.Connection, id: str) -> SuggestionRow | None:
    row = connection.execute(sa.select(suggestions).where(suggestions.c.id == id)).mappings().first()
    return None if row is None else SuggestionRow(**row)


def keep(connection: sa.Connection, pipeline_id: str, found: Sequence[dict[str, Any]], at: datetime) -> list[str]:
    """All that is suggested for a pipeline now; what is not among it any more is gone. Answers the new ones' ids.

    What a person decided on stays decided.
    """
    own = suggestions.c
    ids = [row["id"] for row in found]
    states = dict(connection.execute(sa.select(own.id, own.state).where(own.id.in_(ids))).all())
    for row in found:
        state = states.get(row["id"])
        if state is None:
            connection.execute(suggestions.insert().values(**row, state="open", found_at=at, seen_at=at, changed_at=at))
        elif state in DECIDED:
            connection.execute(suggestions.update().where(own.id == row["id"]).values(seen_at=at))
        else:
            connection.execute(suggestions.update().where(own.id == row["id"]).values(**row, state="open", seen_at=at))
    gone = (own.pipeline_id == pipeline_id) & (own.state == "open") & own.id.not_in(ids)
    connection.execute(suggestions.update().where(gone).values(state="gone", changed_at=at))
    return [id for id in ids if id not in states]


def withdraw(connection: sa.Connection, pipeline_id: str) -> None:
    """The open ones of a pipeline that is gone: nobody can follow them."""
    own = suggestions.c
    connection.execute(suggestions.delete().where(own.pipeline_id == pipeline_id, own.state == "open"))


def change(connection: sa.Connection, id: str, at: datetime, **values: Any) -> None:
    connection.execute(suggestions.update().where(suggestions.c.id == id).values(changed_at=at, **values))


def draft_published(
    connection: sa.Connection, pipeline_id: str, version: int, replaced: int, by: str, at: datetime
) -> list[SuggestionRow]:
    """The suggestions that this draft carried are applied, over the version that ran until now."""
    return _moved(connection, pipeline_id, version, at, state="applied", by=by, version_before=replaced)


def draft_discarded(
    connection: sa.Connection, pipeline_id: str, version: int | None, by: str, at: datetime
) -> list[SuggestionRow]:
    """The suggestions that this draft carried, or with None any draft of the pipeline, are open again."""
    values = {"state": "open", "by": by, "version_before": None, "version_applied": None}
    return _moved(connection, pipeline_id, version, at, **values)


def seconds_of(
    connection: sa.Connection,
    pipeline_id: str,
    versions: Sequence[int],
    most: int,
    *,
    since: datetime | None = None,
) -> list[float]:
    """Of the successful executions of some versions, in order of time, the newest `most`, from `since` on."""
    seconds = execution_seconds()
    query = (
        sa.select(seconds)
        .where(
            executions.c.pipeline_id == pipeline_id,
            executions.c.version.in_(versions),
            executions.c.status == "success",
            counted,
            executions.c.started_at.is_not(None),
        )
        .order_by(executions.c.number.desc())
        .limit(most)
    )
    if since is not None:
        query = query.where(executions.c.created_at >= since)
    return [float(value) for value in reversed(list(connection.scalars(query)))]


def pipeline_names(connection: sa.Connection, ids: Sequence[str]) -> dict[str, str]:
    return dict(connection.execute(sa.select(pipelines.c.id, pipelines.c.name).where(pipelines.c.id.in_(ids))).all())


def _moved(
    connection: sa.Connection, pipeline_id: str, version: int | None, at: datetime, **values: Any
) -> list[SuggestionRow]:
    own = suggestions.c
    of_draft = (own.pipeline_id == pipeline_id) & (own.state == "draft")
    if version is not None:
        of_draft &= own.version_applied == version
    rows = connection.execute(
        suggestions.update().where(of_draft).values(changed_at=at, **values).returning(*suggestions.c)
    )
    return [SuggestionRow(**row) for row in rows.mappings()]


def _filtered(query: sa.Select[Any], wanted: SuggestionFilter) -> sa.Select[Any]:
    own = suggestions.c
    if wanted.states:
        query = query.where(own.state.in_(wanted.states))
    if wanted.kinds:
        query = query.where(own.kind.in_(wanted.kinds))
    if wanted.pipeline_id is not None:
        query = query.where(own.pipeline_id == wanted.pipeline_id)
    return query
