"""What was expected of executions, and what is expected of the next one of each pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from flexiroaster.store.expressions import counted
from flexiroaster.store.tables import ai_forecasts, ai_predictions, executions, pipelines


class PredictionRow(NamedTuple):
    """`body` is what is shown; `outlook` is what was left of the execution when something of it last ended."""

    execution_id: str
    pipeline_id: str
    made_at: datetime
    as_of: datetime
    model_id: str | None
    probability: float
    body: dict[str, Any]
    outlook: dict[str, Any] | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class NewPrediction:
    """`features` holds None for what was not known."""

    execution_id: str
    pipeline_id: str
    made_at: datetime
    as_of: datetime
    model_id: str | None
    features: list[float | None]
    schema: str
    probability: float
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ForecastRow:
    pipeline_id: str
    made_at: datetime
    body: dict[str, Any]


_columns = [ai_predictions.c[name] for name in PredictionRow._fields]


def of_executions(connection: sa.Connection, ids: Sequence[str]) -> dict[str, PredictionRow]:
    """By execution; those that nothing was predicted for are left out."""
    query = sa.select(*_columns).where(ai_predictions.c.execution_id.in_(ids))
    return {row["execution_id"]: PredictionRow(**row) for row in connection.execute(query).mappings()}


def forecasts(connection: sa.Connection, pipeline_ids: Sequence[str]) -> dict[str, ForecastRow]:
    query = sa.select(ai_forecasts).where(ai_forecasts.c.pipeline_id.in_(pipeline_ids))
    return {row["pipeline_id"]: ForecastRow(**row) for row in connection.execute(query).mappings()}


def behind(connection: sa.Connection) -> dict[str, Any]:
    """The labels of pipelines with an execution that has ended since their forecast was made, by pipeline. Each is one
    step down the index of numbers.
    """
    last_end = (
        sa.select(executions.c.ended_at)
        .where(executions.c.pipeline_id == pipelines.c.id, executions.c.ended_at.is_not(None), counted)
        .order_by(executions.c.number.desc())
        .limit(1)
        .scalar_subquery()
    )
    made_at = ai_forecasts.c.made_at
    query = (
        sa.select(pipelines.c.id, pipelines.c.labels)
        .join_from(pipelines, ai_forecasts, ai_forecasts.c.pipeline_id == pipelines.c.id, isouter=True)
        .where(pipelines.c.deleted_at.is_(None), last_end.is_not(None), made_at.is_(None) | (made_at < last_end))
    )
    return {row.id: row.labels for row in connection.execute(query)}


def features(connection: sa.Connection, execution_id: str) -> tuple[str, list[float | None]] | None:
    """The schema and the values as they were at the start of the execution."""
    query = sa.select(ai_predictions.c.schema, ai_predictions.c.features)
    row = connection.execute(query.where(ai_predictions.c.execution_id == execution_id)).first()
    return None if row is None else (row.schema, row.features)


def insert(connection: sa.Connection, new: Sequence[NewPrediction]) -> list[str]:
    """What was predicted before stays as it was. Answers the executions whose prediction is new."""
    ids = [one.execution_id for one in new]
    there = set(connection.scalars(sa.select(executions.c.id).where(executions.c.id.in_(ids))))
    known = set(
        connection.scalars(sa.select(ai_predictions.c.execution_id).where(ai_predictions.c.execution_id.in_(ids)))
    )
    rows = [
        {name: getattr(one, name) for name in NewPrediction.__slots__} | {"updated_at": one.made_at}
        for one in new
        if one.execution_id in there - known
    ]
    if rows:
        connection.execute(ai_predictions.insert(), rows)
    return [row["execution_id"] for row in rows]


def set_outlook(connection: sa.Connection, execution_id: str, outlook: dict[str, Any] | None, at: datetime) -> None:
    """None once it has ended."""
    connection.execute(
        ai_predictions.update()
        .where(ai_predictions.c.execution_id == execution_id)
        .values(outlook=outlook, updated_at=at)
    )


def set_forecasts(connection: sa.Connection, found: Sequence[ForecastRow]) -> None:
    """In place of those before."""
    ids = [one.pipeline_id for one in found]
    if not ids:
        return
    connection.execute(ai_forecasts.delete().where(ai_forecasts.c.pipeline_id.in_(ids)))
    rows = [{name: getattr(one, name) for name in ForecastRow.__slots__} for one in found]
    connection.execute(ai_forecasts.insert(), rows)


def withdraw(connection: sa.Connection, pipeline_id: str) -> None:
    """Of a pipeline that is gone nothing more is expected."""
    connection.execute(ai_forecasts.delete().where(ai_forecasts.c.pipeline_id == pipeline_id))
