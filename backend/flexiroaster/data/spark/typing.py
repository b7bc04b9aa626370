"""DuckDB's types of the parts of a query, where what they mean in Spark depends on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from sqlglot import exp

from flexiroaster.data.spark.dialect import TYPE
from flexiroaster.data.table import Column
from flexiroaster.engine.errors import StageFailed

Describe = Callable[[str], tuple[Column, ...]]
_UNTYPED = (exp.Star, exp.Interval, exp.Lambda, exp.Identifier, exp.Distinct, exp.Order, exp.Ordered, exp.Query)


def annotate(query: exp.Query, describe: Describe) -> None:
    """Note the type of each value in the query's SELECTs. `describe` gives the columns of a query, without running it.

    What cannot be typed by itself (the parameter of a lambda, a value of an outer query) is left without.
    """
    for select in [query, *query.find_all(exp.Select)] if isinstance(query, exp.Select) else query.find_all(exp.Select):
        _annotate_select(select, describe)
    for node in query.find_all(exp.Interval):
        node.meta[TYPE] = "INTERVAL"


def _annotate_select(select: exp.Select, describe: Describe) -> None:
    rows: list[exp.Expr] = []
    groups: list[exp.Expr] = []
    for node in _values(select):
        (groups if _is_of_group(node) else rows).append(node)
    scope = _scope(select)
    _describe(rows, scope, describe)
    if groups:
        grouped = scope.copy()
        if (group := select.args.get("group")) is not None:
            grouped.set("group", group.copy())
        _describe(groups, grouped, describe)


def _values(select: exp.Select) -> Iterable[exp.Expr]:
    """The values of this SELECT alone, not those of queries in it."""
    for node in select.walk(prune=lambda found: found is not select and isinstance(found, exp.Query | exp.From)):
        if node is select or not isinstance(node, exp.Condition) or isinstance(node, _UNTYPED):
            continue
        if isinstance(node, exp.Literal | exp.Null | exp.Boolean):
            node.meta[TYPE] = _literal_type(node)
        elif isinstance(node, exp.Predicate | exp.Connector | exp.Not):
            node.meta[TYPE] = "BOOLEAN"
        elif not isinstance(node, exp.DataType | exp.PropertyEQ) and not _is_windowed(node):
            yield node


def _literal_type(node: exp.Expr) -> str:
    if isinstance(node, exp.Null):
        return '"NULL"'
    if isinstance(node, exp.Boolean):
        return "BOOLEAN"
    text = str(node.this)
    if node.is_string:
        return "VARCHAR"
    if "e" in text.lower():
        return "DOUBLE"
    if "." in text:
        before, _, after = text.partition(".")
        return f"DECIMAL({max(len(before.lstrip('0')) + len(after), 1)},{len(after)})"
    return "INTEGER" if int(text) < 2**31 else "BIGINT" if int(text) < 2**63 else "HUGEINT"


def _is_of_group(node: exp.Expr) -> bool:
    return any(not _is_windowed(found) for found in node.find_all(exp.AggFunc))


def _is_windowed(node: exp.Expr) -> bool:
    """`sum(x)` in `sum(x) OVER (…)` is of a row; alone it is of a group."""
    parent = node.parent
    while isinstance(parent, exp.Filter | exp.IgnoreNulls | exp.RespectNulls):
        parent = parent.parent
    return isinstance(parent, exp.Window)


def _scope(select: exp.Select) -> exp.Select:
    """A SELECT of nothing over the same rows."""
    scope = exp.Select()
    for part in ("from_", "joins", "laterals"):
        value = select.args.get(part)
        if value is not None:
            scope.set(part, [item.copy() for item in value] if isinstance(value, list) else value.copy())
    for cte in _tables_before(select):
        scope = scope.with_(cte.args["alias"].copy(), as_=cte.this.copy(), copy=False)
    return scope


def _tables_before(select: exp.Expr) -> list[exp.CTE]:
    found: list[exp.CTE] = []
    node: exp.Expr | None = select
    inside: exp.Expr | None = None
    while node is not None:
        defined = node.args.get("with_") if isinstance(node, exp.Query) else None
        if defined is not None:
            before = []
            for cte in defined.expressions:
                if cte is inside:
                    break
                before.append(cte)
            found = before + found
        if isinstance(node, exp.CTE):
            inside = node
        node = node.parent
    return found


def _describe(nodes: Sequence[exp.Expr], scope: exp.Select, describe: Describe) -> None:
    """All at once; where one of them makes no sense by itself, by halves."""
    if not nodes:
        return
    asked = scope.copy()
    asked.set("expressions", [exp.alias_(node.copy(), f"value_{number}") for number, node in enumerate(nodes)])
    try:
        columns = describe(asked.sql(dialect="duckdb", comments=False))
    except StageFailed:
        if len(nodes) > 1:
            middle = len(nodes) // 2
            _describe(nodes[:middle], scope, describe)
            _describe(nodes[middle:], scope, describe)
        return
    if len(columns) == len(nodes):
        for node, column in zip(nodes, columns, strict=True):
            node.meta[TYPE] = column.type
