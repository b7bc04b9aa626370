"""What the two databases spell differently, as expressions of SQLAlchemy."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Float, Integer
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from flexiroaster.store.tables import executions


class epoch_seconds(FunctionElement[int]):
    """Whole seconds since 1970 of a moment."""

    type = BigInteger()
    inherit_cache = True
    name = "epoch_seconds"

    def __init__(self, moment: ColumnElement[datetime] | ColumnElement[datetime | None]) -> None:
        super().__init__(moment)


class seconds_between(FunctionElement[float]):
    """Seconds from one moment to another, to the millisecond; NULL where one is NULL."""

    type = Float()
    inherit_cache = True
    name = "seconds_between"

    def __init__(self, start: ColumnElement[Any], end: ColumnElement[Any]) -> None:
        super().__init__(start, end)


def execution_seconds() -> ColumnElement[float]:
    """How long an execution took: the sum of its rounds; NULL before it has started and ended."""
    return seconds_between(executions.c.started_at, executions.c.ended_at) - executions.c.idle_seconds


counted = executions.c.trial.is_(False)
"""Executions that statistics and learning look at: not those in which somebody tried a draft."""


class stage_count(FunctionElement[int]):
    """How many stages a normalised document has."""

    type = Integer()
    inherit_cache = True
    name = "stage_count"

    def __init__(self, document: ColumnElement[Any]) -> None:
        super().__init__(document)


def _arguments(element: FunctionElement[Any], compiler: SQLCompiler, **kw: Any) -> list[str]:
    return [compiler.process(clause, **kw) for clause in element.clauses]


@compiles(epoch_seconds, "sqlite")
def _(element: epoch_seconds, compiler: SQLCompiler, **kw: Any) -> str:
    (moment,) = _arguments(element, compiler, **kw)
    return f"({moment} / 1000000)"


@compiles(epoch_seconds, "postgresql")
def _(element: epoch_seconds, compiler: SQLCompiler, **kw: Any) -> str:
    (moment,) = _arguments(element, compiler, **kw)
    return f"CAST(floor(extract(epoch FROM {moment})) AS BIGINT)"


@compiles(seconds_between, "sqlite")
def _(element: seconds_between, compiler: SQLCompiler, **kw: Any) -> str:
    start, end = _arguments(element, compiler, **kw)
    return f"round(({end} - {start}) / 1e6, 3)"


@compiles(seconds_between, "postgresql")
def _(element: seconds_between, compiler: SQLCompiler, **kw: Any) -> str:
    start, end = _arguments(element, compiler, **kw)
    return f"CAST(round(CAST(extract(epoch FROM ({end} - {start})) AS NUMERIC), 3) AS DOUBLE PRECISION)"


@compiles(stage_count, "sqlite")
def _(element: stage_count, compiler: SQLCompiler, **kw: Any) -> str:
    (document,) = _arguments(element, compiler, **kw)
    # A document damaged on disk must not take the whole list down with it.
    return f"CASE WHEN json_valid({document}) THEN coalesce(json_array_length({document}, '$.stages'), 0) ELSE 0 END"


@compiles(stage_count, "postgresql")
def _(element: stage_count, compiler: SQLCompiler, **kw: Any) -> str:
    (document,) = _arguments(element, compiler, **kw)
    stages = f"({document} -> 'stages')"
    return f"CASE WHEN jsonb_typeof({stages}) = 'array' THEN jsonb_array_length({stages}) ELSE 0 END"
