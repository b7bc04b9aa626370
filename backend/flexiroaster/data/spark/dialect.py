"""Spark's SQL with DuckDB's meaning: a dialect over sqlglot's own.

The trees are DuckDB's. What the two understand differently is written here and in `functions`, so that both give the
same rows; what is in neither is refused. Nodes carry DuckDB's type of them (`typing`) where its meaning depends on it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp
from sqlglot.generators.spark import SparkGenerator

from flexiroaster.data.spark.casting import CannotCast, cast, text
from flexiroaster.data.spark.patterns import NotInJava, java_pattern
from flexiroaster.data.spark.types import FLOATS, INTEGERS, MOMENTS, CannotCarry

TYPE = "duckdb_type"
"""The key of a node's DuckDB type among its `meta`."""
_INFINITY, _NAN = "DOUBLE('Infinity')", "DOUBLE('NaN')"
_MONTHS = {"year": 12, "quarter": 3, "month": 1, "decade": 120, "century": 1200}
_SECONDS = {"week": 604_800, "day": 86_400, "hour": 3_600, "minute": 60, "second": 1}


class NotInSpark(Exception):
    """`what` cannot be said in Spark; `cure` is a sentence without a full stop."""

    def __init__(self, what: str, cure: str = "") -> None:
        super().__init__(what)
        self.what, self.cure = what, cure


def kind(node: exp.Expr | None) -> str:
    """DuckDB's type of a node, empty where nobody asked or it has none."""
    node = node.unnest() if node is not None else None
    return str(node.meta.get(TYPE, "")) if node is not None else ""


def typed(node: exp.Expr, what: str) -> str:
    found = kind(node)
    if not found:
        raise NotInSpark(f"{what} of a value whose type is not known before it runs", "cast the value first")
    return found


class SparkWords(SparkGenerator):
    def both(self, node: exp.Binary) -> tuple[str, str]:
        return self.wrapped(node.left), self.wrapped(node.right)

    def wrapped(self, node: exp.Expr | None) -> str:
        """Safe to stand beside any operator."""
        sql = self.sql(node)
        simple = (exp.Column, exp.Literal, exp.Paren, exp.Func, exp.Cast, exp.Null, exp.Boolean)
        return sql if isinstance(node, simple) and not isinstance(node, exp.Connector) else f"({sql})"

    def text(self, node: exp.Expr) -> str:
        """The value as text, as DuckDB would write it."""
        if isinstance(node, exp.Literal):
            return self.sql(node) if node.is_string else self.sql(exp.Literal.string(node.this))
        try:
            return text(self.wrapped(node), typed(node, "the text"))
        except CannotCast as error:
            raise NotInSpark(f"the text of a {kind(node)}", "leave it as it is") from error

    def pattern(self, node: exp.Expr | None, options: str = "") -> str:
        """Java's form of a regular expression, without its quotes."""
        if not isinstance(node, exp.Literal) or not node.is_string:
            raise NotInSpark("a regular expression that is not a text in quotes", "write the pattern in quotes")
        try:
            return java_pattern(str(node.this), options)
        except NotInJava as error:
            raise NotInSpark(f"{error} in a regular expression", "write the pattern without it") from error

    def literal(self, value: str) -> str:
        return self.sql(exp.Literal.string(value))


def _divided(self: SparkWords, node: exp.Div) -> str:
    if "INTERVAL" in (kind(node.left), kind(node.right)):
        raise NotInSpark("a share of an interval", "divide a number instead")
    if isinstance(node.right, exp.Literal) and float(node.right.this or 0) != 0:
        return f"CAST({self.sql(node.left)} AS DOUBLE) / CAST({self.sql(node.right)} AS DOUBLE)"
    left, right = (f"CAST({self.sql(side)} AS DOUBLE)" for side in (node.left, node.right))
    if _never_zero(node.right):
        return f"{left} / {right}"
    by_zero = f"CASE WHEN {left} = 0 OR isnan({left}) THEN {_NAN} WHEN {left} > 0 THEN {_INFINITY} "
    by_zero += f"WHEN {left} < 0 THEN -{_INFINITY} END"
    return f"CASE WHEN {right} <> 0 THEN {left} / {right} WHEN {right} = 0 THEN {by_zero} END"


def _never_zero(node: exp.Expr) -> bool:
    return isinstance(node, exp.Nullif) and node.expression.name == "0"


def _whole_quotient(self: SparkWords, node: exp.IntDiv) -> str:
    left, right = self.both(node)
    if kind(node) in FLOATS:
        return f"CAST({left} AS DOUBLE) / CAST({right} AS DOUBLE)"
    if not kind(node):
        raise NotInSpark("the operator `//` of values whose types are not known", "cast the values first")
    return f"{left} DIV {right}"


def remainder(self: SparkWords, node: exp.Mod) -> str:
    left, right = self.both(node)
    if kind(node) in FLOATS:
        return f"CASE WHEN {right} = 0 THEN {left} + {right} + {_NAN} ELSE {left} % {right} END"
    return f"{left} % {right}"


def _added(self: SparkWords, node: exp.Add | exp.Sub) -> str:
    left, right = kind(node.left), kind(node.right)
    minus = isinstance(node, exp.Sub)
    if right == "INTERVAL":
        return f"{_from_moment(self, node.left)} {'-' if minus else '+'} {_interval(self, node.right)}"
    if left == "INTERVAL" and not minus:
        return f"{_from_moment(self, node.right)} + {_interval(self, node.left)}"
    if left == "DATE" and right in INTEGERS:
        return f"{'date_sub' if minus else 'date_add'}({self.sql(node.left)}, CAST({self.sql(node.right)} AS INT))"
    if right == "DATE" and left in INTEGERS:
        return f"date_add({self.sql(node.right)}, CAST({self.sql(node.left)} AS INT))"
    if left == right == "DATE":
        return f"CAST(datediff({self.sql(node.left)}, {self.sql(node.right)}) AS BIGINT)"
    if {left, right} & MOMENTS:
        raise NotInSpark("the difference of two moments", "use date_diff('second', …, …), which gives a number")
    one, other = self.both(node)
    return f"{one} {'-' if minus else '+'} {other}"


def _from_moment(self: SparkWords, node: exp.Expr) -> str:
    if kind(node) == "DATE":
        return f"CAST({self.sql(node)} AS TIMESTAMP_NTZ)"
    if kind(node) not in MOMENTS:
        raise NotInSpark("a sum of intervals", "add each of them to the moment")
    return self.wrapped(node)


def _interval(self: SparkWords, node: exp.Expr) -> str:
    node = node.unnest()
    if isinstance(node, exp.Interval):
        return interval(self, node.this, str(node.args.get("unit") or "").lower())
    if isinstance(node, exp.Func) and (unit := type(node).__name__.lower()).startswith("to"):
        return interval(self, node.this, unit.removeprefix("to"))
    if isinstance(node, exp.Anonymous) and node.name.lower().startswith("to_"):
        return interval(self, node.expressions[0], node.name.lower().removeprefix("to_"))
    raise NotInSpark("this interval", "write `interval 3 day`, a number and one unit")


def interval(self: SparkWords, amount: exp.Expr | None, unit: str) -> str:
    unit = unit.removesuffix("s")
    if isinstance(amount, exp.Literal) and not str(amount.this).strip().lstrip("-").isdigit():
        raise NotInSpark("this interval", "write `interval 3 day`, a whole number and one unit")
    number = str(amount.this).strip() if isinstance(amount, exp.Literal) else f"CAST({self.sql(amount)} AS INT)"
    if unit in _MONTHS:
        return f"make_ym_interval(0, {number} * {_MONTHS[unit]})"
    if unit == "millisecond":
        return f"make_dt_interval(0, 0, 0, {number} / 1000.0)"
    if unit not in _SECONDS:
        raise NotInSpark(f"an interval of '{unit}'", "use year, month, week, day, hour, minute or second")
    if unit in ("week", "day"):
        return f"make_dt_interval({number} * {_SECONDS[unit] // 86_400})"
    return f"make_dt_interval(0, 0, 0, CAST({number} AS DECIMAL(18, 6)) * {_SECONDS[unit]})"


def _multiplied(self: SparkWords, node: exp.Mul) -> str:
    if "INTERVAL" in (kind(node.left), kind(node.right)):
        raise NotInSpark("a multiple of an interval", "write to_days(…) or interval (…) day")
    left, right = self.both(node)
    return f"{left} * {right}"


def _cast(self: SparkWords, node: exp.Cast) -> str:
    wanted, given = wanted_type(node), kind(node.this)
    value = node.this
    if isinstance(value, exp.Literal) and value.is_string:
        given = "VARCHAR"
    elif isinstance(value, exp.Null):
        given = '"NULL"'
    elif not given:
        given = typed(value, "a cast")
    try:
        return cast(self.wrapped(value), given, wanted, lenient=isinstance(node, exp.TryCast))
    except (CannotCast, CannotCarry) as error:
        raise NotInSpark(f"a cast of {given} to {wanted}") from error


def wanted_type(node: exp.Cast) -> str:
    """The type of a cast by DuckDB's own name for it."""
    found = kind(node)
    if found:
        return found
    name = node.to.sql(dialect="duckdb")
    return {"TEXT": "VARCHAR", "INT": "INTEGER", "TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE", "REAL": "FLOAT"}.get(
        name, name.replace(", ", ",") if name.startswith("DECIMAL") else name
    )


def _joined_text(self: SparkWords, node: exp.DPipe) -> str:
    left, right = node.left, node.right
    if any(kind(side).endswith("[]") for side in (left, right)):
        return f"concat({self.sql(left)}, {self.sql(right)})"
    return f"concat({self.text(left)}, {self.text(right)})"


def _like(self: SparkWords, node: exp.Like | exp.ILike) -> str:
    """Spark takes a backslash as an escape unless another one is named."""
    called = "ILIKE" if isinstance(node, exp.ILike) else "LIKE"
    negated = "NOT " if node.args.get("negate") else ""
    pattern = node.expression
    if isinstance(node.parent, exp.Escape):
        said = self.sql(pattern)
    elif isinstance(pattern, exp.Literal):
        said = self.literal(str(pattern.this).replace("\\", "\\\\"))
    else:
        said = f"replace({self.sql(pattern)}, '\\\\', '\\\\\\\\')"
    return f"{self.wrapped(node.this)} {negated}{called} {said}"


def _element(self: SparkWords, node: exp.Bracket) -> str:
    of = typed(node.this, "an element")
    items = node.expressions
    if len(items) != 1 or isinstance(items[0], exp.Slice):
        raise NotInSpark("a slice `[a:b]`", "use substring for texts")
    item = items[0]
    if of.startswith("STRUCT("):
        return f"{self.wrapped(node.this)}.{self.sql(exp.to_identifier(item.name, quoted=True))}"
    if of.startswith("MAP("):
        return f"try_element_at({self.sql(node.this)}, {self.sql(item)})"
    if not of.endswith("[]"):
        raise NotInSpark(f"an element of a {of}", "use substring for texts")
    # The tree counts from 0 where the position is written as a number, as sqlglot reads DuckDB.
    if isinstance(item, exp.Literal):
        return element(self.sql(node.this), str(int(item.this) + 1))
    if isinstance(item, exp.Neg) and isinstance(item.this, exp.Literal):
        return element(self.sql(node.this), str(1 - int(item.this.this)))
    raise NotInSpark("an element whose number is computed", "use list_extract(list, number)")


def element(items: str, position: str) -> str:
    """Counted from 1, or from the end where negative; NULL where there is none."""
    return f"CASE WHEN {position} <> 0 THEN try_element_at({items}, CAST({position} AS INT)) END"


def _struct(self: SparkWords, node: exp.Struct) -> str:
    parts = []
    for item in node.expressions:
        if not isinstance(item, exp.PropertyEQ):
            raise NotInSpark("a struct without names", "write {'name': value}")
        parts += [self.literal(item.this.name), self.sql(item.expression)]
    return f"named_struct({', '.join(parts)})"


def _only(*allowed: str) -> Callable[[SparkWords, Any], str]:
    """A node that both write alike, refused with what is not among its plain parts."""

    def said(self: SparkWords, node: exp.Expr) -> str:
        raise NotInSpark(f"`{node.sql(dialect='duckdb')[:60]}`", *allowed)

    return said


def _literal(self: SparkWords, node: exp.Literal) -> str:
    """A number with a point is a decimal in both; one too large for its digits would be a double in Spark."""
    if not node.is_string and "e" in str(node.this).lower():
        return f"DOUBLE('{node.this}')"
    return self.literal_sql(node)


OPERATORS: dict[type[exp.Expr], Callable[[Any, Any], str]] = {
    exp.Div: _divided,
    exp.IntDiv: _whole_quotient,
    exp.Mod: remainder,
    exp.Add: _added,
    exp.Sub: _added,
    exp.Mul: _multiplied,
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.DPipe: _joined_text,
    exp.Like: _like,
    exp.ILike: _like,
    exp.Bracket: _element,
    exp.Struct: _struct,
    exp.Literal: _literal,
    exp.Array: lambda self, node: f"array({self.expressions(node, flat=True)})",
    exp.Glob: _only("use LIKE"),
    exp.Interval: _only("add it to a moment"),
}
