"""SQL written by users: parsed, allowed by node type, and checked against the columns there are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from flexiroaster.data.functions import ALLOWED, TABLE_FUNCTIONS
from flexiroaster.data.quoting import did_you_mean
from flexiroaster.data.sizes import oversized
from flexiroaster.engine.errors import Location, StageFailed

_MAX_NODES = 5_000
_VALUE_NODES: tuple[type[exp.Expr], ...] = (
    exp.Condition, exp.Identifier, exp.DataType, exp.DataTypeParam, exp.Order, exp.Ordered, exp.Window, exp.WindowSpec,
    exp.Where, exp.Distinct, exp.Tuple, exp.Alias, exp.PropertyEQ, exp.Interval, exp.Var, exp.Slice, exp.Filter,
    exp.IgnoreNulls, exp.RespectNulls, exp.WithinGroup, exp.Star, exp.Lambda, exp.Kwarg, exp.IntervalSpan, exp.Paren,
    exp.ColumnDef, exp.Cast, exp.AtTimeZone, exp.JSONPath, exp.JSONPathPart,
)  # fmt: skip
_QUERY_NODES: tuple[type[exp.Expr], ...] = (
    exp.Select, exp.Subquery, exp.SetOperation, exp.From, exp.Join, exp.Group, exp.Having, exp.Qualify, exp.Limit,
    exp.Offset, exp.With, exp.CTE, exp.TableAlias, exp.Table, exp.Values, exp.Unnest, exp.Lateral, exp.Pivot,
    exp.UnpivotColumns, exp.TableSample, exp.Cube, exp.Rollup, exp.GroupingSets, exp.Columns, exp.Aliases, exp.Fetch,
    exp.PivotAlias, exp.Exists, exp.Any, exp.All, exp.Tuple,
)  # fmt: skip
_ALLOWED_IN_QUERIES = ALLOWED | TABLE_FUNCTIONS
_NEVER: tuple[type[exp.Expr], ...] = (
    exp.Placeholder, exp.Parameter, exp.SessionParameter, exp.Into, exp.Lock, exp.Command, exp.DDL, exp.DML,
)  # fmt: skip
_ONLY_IN_QUERIES: tuple[type[exp.Expr], ...] = (exp.Query, exp.Exists, exp.Columns, exp.Unnest)


def value(text: str, columns: Iterable[str], where: str) -> exp.Expr:
    """One expression over a row (or, in aggregates, over a group). `where` begins every error's sentence."""
    tree = _parse(text, where, into=exp.Condition)
    known = list(columns)
    _check_nodes(tree, text, where, _VALUE_NODES, in_query=False)
    lower = {column.lower() for column in known}
    for column in tree.find_all(exp.Column):
        first = column.parts[0].name
        if first.lower() not in lower and first.lower() not in _lambda_names(column):
            raise _wrong(
                f"there is no column '{first}'.{did_you_mean(first, known)}", text, where, column.parts[0],
                code="unknown_column", column=first,
            )  # fmt: skip
    return tree


def query(text: str, tables: Iterable[str], where: str) -> exp.Query:
    """One SELECT over the named tables."""
    tree = _parse(text, where)
    if not isinstance(tree, exp.Select | exp.SetOperation | exp.Subquery):
        raise _wrong("only a single SELECT is allowed here", text, where)
    _check_nodes(tree, text, where, _VALUE_NODES + _QUERY_NODES, in_query=True)
    known = list(tables)
    for table in tree.find_all(exp.Table):
        _check_table(table, known, text, where)
    return tree


def _parse(text: str, where: str, into: Any = None) -> exp.Expr:
    try:
        tree: Any = sqlglot.parse_one(text, read="duckdb", into=into)
    except ParseError as error:
        first = error.errors[0] if error.errors else {}
        description = str(first.get("description") or error).split(" for <class")[0].rstrip(".")
        near = f" near '{first['highlight']}'" if first.get("highlight") else ""
        position = _position(text, first.get("line"), first.get("col"))
        raise StageFailed(
            f"{where}: {description[:1].lower()}{description[1:]}{near}{position}, in {_quoted(text)}.",
            code="bad_expression",
        ) from error
    except TokenError as error:
        raise StageFailed(
            f"{where}: a quote or bracket is not closed, in {_quoted(text)}.", code="bad_expression"
        ) from error
    except RecursionError as error:
        raise StageFailed(f"{where}: the expression is nested too deeply.", code="bad_expression") from error
    if tree is None:
        raise StageFailed(f"{where}: the expression is empty.", code="bad_expression")
    return tree  # type: ignore[no-any-return]


def _check_nodes(tree: exp.Expr, text: str, where: str, allowed: tuple[type[exp.Expr], ...], *, in_query: bool) -> None:
    for count, node in enumerate(tree.walk(), 1):
        if count > _MAX_NODES:
            raise StageFailed(f"{where}: the expression is too long.", code="bad_expression")
        refused = isinstance(node, _NEVER) or not isinstance(node, allowed)
        if refused or (not in_query and isinstance(node, _ONLY_IN_QUERIES)):
            raise _wrong(f"{_called(node)} is not allowed here", text, where, node)
        if isinstance(node, exp.Func) and not _is_allowed_function(node, in_query=in_query):
            called = _function_name(node)
            raise _wrong(
                f"the function '{called}' is not allowed or does not exist.{_similar(called)}", text, where, node,
                code="unknown_function",
            )  # fmt: skip
        if isinstance(node, exp.Func) and (wrong := oversized(node)) is not None:
            raise _wrong(wrong, text, where, node, code="unbounded_size")
        if not in_query and isinstance(node, exp.Star) and not isinstance(node.parent, exp.Count):
            raise _wrong("`*` is not a value: name a column", text, where, node)


def _is_allowed_function(node: exp.Func, *, in_query: bool) -> bool:
    if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc | exp.ParameterizedAgg | exp.CombinedAggFunc):
        return node.name.lower() in ALLOWED
    if isinstance(node, exp.Connector | exp.Cast | exp.Case | exp.If | exp.Array | exp.Struct):
        return True
    if isinstance(node, exp.Table):
        return in_query
    allowed = _ALLOWED_IN_QUERIES if in_query else ALLOWED
    names = {name.lower() for name in type(node).sql_names()}
    return bool(names & allowed) or type(node) in _SPELT_OTHERWISE or _function_name(node) in allowed


def _named(*names: str) -> frozenset[type[exp.Expr]]:
    return frozenset(found for name in names if (found := getattr(exp, name, None)) is not None)


_SPELT_OTHERWISE = _named(
    # Functions whose DuckDB spelling is an operator or keyword, so that no name is looked up.
    "Exists", "Extract", "CurrentDate", "CurrentTimestamp", "Unnest", "ToMap", "Columns", "RowNumber", "Rank",
    "DenseRank", "PercentRank", "CumeDist", "Ntile", "Lag", "Lead", "FirstValue", "LastValue", "NthValue",
    "JSONExtract", "JSONExtractScalar", "RegexpLike", "RegexpFullMatch", "TimeToStr", "Interval", "Coalesce",
    "TryCast", "JSONCast", "Cast", "Case", "If", "AtTimeZone", "Glob", "ArrayContainsAll", "ArrayOverlaps",
    "Transform", "Explode", "GenerateSeries", "Nullif", "Try", "StartsWith", "Pow", "IntDiv", "Mod", "BitwiseXor",
    "TsOrDsToDate", "Date", "Time", "Timestamp", "Quantile", "PercentileCont", "PercentileDisc", "Grouping",
)  # fmt: skip


def _function_name(node: exp.Func) -> str:
    if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc):
        return node.name.lower()
    rendered = node.sql(dialect="duckdb", comments=False)
    head = rendered.partition("(")[0].strip().lower()
    return head if head.replace("_", "").isalnum() else type(node).__name__.lower()


def _similar(called: str) -> str:
    suggestion = did_you_mean(called, ALLOWED)
    return suggestion if suggestion.startswith(" Did") else ""


def _check_table(table: exp.Table, known: list[str], text: str, where: str) -> None:
    if isinstance(table.this, exp.Func):
        called = _function_name(table.this)
        if called not in TABLE_FUNCTIONS:
            raise _wrong(f"'{called}' cannot be read from: use a named table", text, where, table)
        return
    if table.args.get("db") or table.args.get("catalog") or not isinstance(table.this, exp.Identifier):
        raise _wrong(f"'{table.sql()}' is not a named table", text, where, table)
    ctes = {cte.alias.lower() for cte in table.root().find_all(exp.CTE)}
    if table.name.lower() not in {name.lower() for name in known} | ctes:
        raise _wrong(
            f"there is no table '{table.name}'.{did_you_mean(table.name, known)}", text, where, table.this,
            code="unknown_table",
        )  # fmt: skip


def _lambda_names(node: exp.Expr) -> set[str]:
    names: set[str] = set()
    parent = node.parent
    while parent is not None:
        if isinstance(parent, exp.Lambda):
            names |= {parameter.name.lower() for parameter in parent.expressions}
        parent = parent.parent
    return names


def _wrong(
    reason: str,
    text: str,
    where: str,
    node: exp.Expr | None = None,
    *,
    code: str = "bad_expression",
    column: str | None = None,
) -> StageFailed:
    meta = node.meta if node is not None else {}
    start = meta.get("start")
    position = f" (at character {start + 1})" if isinstance(start, int) else ""
    end = "" if reason.endswith((".", "?")) else "."
    return StageFailed(
        f"{where}: in {_quoted(text)}{position} {reason}{end}",
        code=code,
        location=Location(column=column) if column else None,
    )


def _position(text: str, line: int | None, column: int | None) -> str:
    if line is None or column is None:
        return ""
    return f" (line {line}, character {column})" if "\n" in text else f" (character {column})"


def _quoted(text: str) -> str:
    compact = " ".join(text.split())
    return f"`{compact[:120]}{'…' if len(compact) > 120 else ''}`"


def _called(node: exp.Expr) -> str:
    words = {"Subquery": "a sub-query", "Select": "a sub-query", "Placeholder": "a parameter"}
    return words.get(type(node).__name__, f"`{node.sql(dialect='duckdb')[:60]}`")
