"""Small pieces of SQL as syntax trees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlglot
from sqlglot import exp


def table(name: str, alias: str | None = None) -> exp.Table:
    return exp.Table(
        this=exp.to_identifier(name, quoted=True),
        alias=exp.TableAlias(this=exp.to_identifier(alias)) if alias else None,
    )


def column(name: str, table: str | None = None) -> exp.Column:
    return exp.Column(this=exp.to_identifier(name, quoted=True), table=exp.to_identifier(table) if table else None)


def aliased(value: exp.Expr, name: str) -> exp.Alias:
    return exp.Alias(this=value, alias=exp.to_identifier(name, quoted=True))


def quoted(name: str) -> str:
    return exp.to_identifier(name, quoted=True).sql(dialect="duckdb")


def parsed(sql: str) -> exp.Expr:
    return sqlglot.parse_one(sql, read="duckdb")


def only_where(cell: exp.Expr, narrowed_by: str, value: Any) -> exp.Expr:
    """`sum(x)` → `sum(x) FILTER (WHERE column IS NOT DISTINCT FROM value)`, for every aggregate in the cell."""
    same = exp.NullSafeEQ(this=column(narrowed_by), expression=exp.convert(value))

    def narrowed(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.AggFunc):
            return exp.Filter(this=node.copy(), expression=exp.Where(this=same.copy()))
        if isinstance(node, exp.Filter):
            both = exp.and_(node.expression.this.copy(), same.copy())
            return exp.Filter(this=node.this.copy(), expression=exp.Where(this=both))
        return node

    return transform_top(cell, narrowed)


def windowed(value: exp.Expr, over: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    """`round(avg(x), 2)` → `round(avg(x) OVER (…), 2)`; an expression with its own OVER stays as it is."""
    if value.find(exp.Window):
        return value
    functions = (exp.AggFunc, exp.RowNumber, exp.Filter, exp.IgnoreNulls, exp.RespectNulls)
    found = transform_top(value, lambda node: over(node) if isinstance(node, functions) else node)
    return found if found.find(exp.Window) else over(value)


def transform_top(node: exp.Expr, change: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    """Like `transform`, but not into what was changed."""
    changed = change(node)
    if changed is not node:
        return changed
    copy = node.copy()
    for child in list(copy.iter_expressions()):
        child.replace(transform_top(child, change))
    return copy


def as_name(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def frame(rows: tuple[int | None, int | None] | None) -> exp.WindowSpec | None:
    if rows is None:
        return None

    def bound(offset: int | None, unbounded: str) -> tuple[str | exp.Expr, str | None]:
        if offset is None:
            return "UNBOUNDED", unbounded
        if offset == 0:
            return "CURRENT ROW", None
        return exp.Literal.number(abs(offset)), "PRECEDING" if offset < 0 else "FOLLOWING"

    start, start_side = bound(rows[0], "PRECEDING")
    end, end_side = bound(rows[1], "FOLLOWING")
    return exp.WindowSpec(kind="ROWS", start=start, start_side=start_side, end=end, end_side=end_side)
