"""Insights as they were found, and what people said of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa

from flexiroaster.store.tables import insight_pipelines, insight_verdicts, insights

InsightState = Literal["open", "acknowledged", "over"]


class InsightRow(NamedTuple):
    """`until` None: it lasts. `verdict` is the newest one of anybody."""

    id: str
    rule: str
    subject: str
    stage: str | None
    text: str
    since: datetime
    until: datetime | None
    score: float
    threshold: float
    confidence: float
    pipelines: list[str]
    executions: list[str]
    numbers: dict[str, float]
    found_at: datetime
    seen_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    verdict: str | None = None

    @property
    def state(self) -> InsightState:
        if self.acknowledged_at is not None:
            return "acknowledged"
        return "open" if self.until is None else "over"


class InsightFilter(NamedTuple):
    """None, and an empty sequence, take every value."""

    states: Sequence[str] = ()
    rules: Sequence[str] = ()
    pipeline_id: str | None = None


class VerdictRow(NamedTuple):
    rule: str
    subject: str
    verdict: Literal["useful", "noise"]


_verdict = (
    sa.select(insight_verdicts.c.verdict)
    .where(insight_verdicts.c.insight_id == insights.c.id)
    .order_by(insight_verdicts.c.at.desc())
    .limit(1)
    .scalar_subquery()
    .label("verdict")
)
_row = sa.select(insights, _verdict)
_STATES: dict[str, sa.ColumnElement[bool]] = {
    "open": insights.c.until.is_(None) & insights.c.acknowledged_at.is_(None),
    "over": insights.c.until.is_not(None) & insights.c.acknowledged_at.is_(None),
    "acknowledged": insights.c.acknowledged_at.is_not(None),
}


def page(
    connection: sa.Connection, wanted: InsightFilter, *, before: tuple[datetime, str] | None = None, limit: int
) -> list[InsightRow]:
    """The newest first; `before` is `since` and `id` of the last one already seen."""
    query = _filtered(_row, wanted).order_by(insights.c.since.desc(), insights.c.id.desc()).limit(limit)
    if before is not None:
        position = sa.tuple_(insights.c.since, insights.c.id)
        query = query.where(position < sa.tuple_(sa.literal(before[0], insights.c.since.type), sa.literal(before[1])))
    return [InsightRow(**row) for row in connection.execute(query).mappings()]


def count(connection: sa.Connection, wanted: InsightFilter) -> int:
    return connection.scalar(_filtered(sa.select(sa.func.count()).select_from(insights), wanted)) or 0


def find(connection: sa.Connection, id: str) -> InsightRow | None:
    row = connection.execute(_row.where(insights.c.id == id)).mappings().first()
    return None if row is None else InsightRow(**row)


def keep(connection: sa.Connection, found: Sequence[dict[str, Any]], at: datetime) -> list[str]:
    """Found now, as rows with the columns of the table but its times of finding. Answers the ids of the new ones."""
    ids = [row["id"] for row in found]
    known = set(connection.scalars(sa.select(insights.c.id).where(insights.c.id.in_(ids))))
    for row in found:
        if row["id"] in known:
            connection.execute(insights.update().where(insights.c.id == row["id"]).values(**row, seen_at=at))
        else:
            connection.execute(insights.insert().values(**row, found_at=at, seen_at=at))
        _link(connection, row)
    return [id for id in ids if id not in known]


def _link(connection: sa.Connection, row: dict[str, Any]) -> None:
    """To all its pipelines: what lasts reaches further ones."""
    own = insight_pipelines.c
    linked = set(connection.scalars(sa.select(own.pipeline_id).where(own.insight_id == row["id"])))
    wanted = dict.fromkeys(row["pipelines"])
    if links := [{"pipeline_id": id, "insight_id": row["id"]} for id in wanted if id not in linked]:
        connection.execute(insight_pipelines.insert(), links)
    if gone := linked - wanted.keys():
        connection.execute(insight_pipelines.delete().where(own.insight_id == row["id"], own.pipeline_id.in_(gone)))


def end_unseen(connection: sa.Connection, *, since: datetime, at: datetime) -> int:
    """Those that lasted, began after `since` and were not found again at `at`: they are over. Answers how many."""
    ended = connection.execute(
        insights.update()
        .where(insights.c.until.is_(None), insights.c.seen_at < at, insights.c.since >= since)
        .values(until=at)
    )
    return ended.rowcount


def acknowledge(connection: sa.Connection, id: str, by: str, at: datetime) -> None:
    """The first one counts."""
    connection.execute(
        insights.update()
        .where(insights.c.id == id, insights.c.acknowledged_at.is_(None))
        .values(acknowledged_at=at, acknowledged_by=by)
    )


def set_verdict(connection: sa.Connection, row: InsightRow, by: str, verdict: str, at: datetime) -> None:
    """In place of what the same person said before."""
    mine = (insight_verdicts.c.insight_id == row.id) & (insight_verdicts.c.by == by)
    connection.execute(insight_verdicts.delete().where(mine))
    connection.execute(
        insight_verdicts.insert().values(
            insight_id=row.id, by=by, rule=row.rule, subject=row.subject, verdict=verdict, at=at
        )
    )


def verdicts(connection: sa.Connection) -> list[VerdictRow]:
    """In the order in which they were given."""
    columns = (insight_verdicts.c.rule, insight_verdicts.c.subject, insight_verdicts.c.verdict)
    return [VerdictRow(*row) for row in connection.execute(sa.select(*columns).order_by(insight_verdicts.c.at))]


def _filtered(query: sa.Select[Any], wanted: InsightFilter) -> sa.Select[Any]:
    if wanted.states:
        query = query.where(sa.or_(*(_STATES[state] for state in wanted.states)))
    if wanted.rules:
        query = query.where(insights.c.rule.in_(wanted.rules))
    if wanted.pipeline_id is not None:
        linked = sa.select(insight_pipelines.c.insight_id).where(insight_pipelines.c.pipeline_id == wanted.pipeline_id)
        query = query.where(insights.c.id.in_(linked))
    return query
