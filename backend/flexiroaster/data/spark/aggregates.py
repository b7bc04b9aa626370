"""Functions over the rows of a group. What depends on their order asks for the column that keeps it (`ORDER`)."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from flexiroaster.data.spark.dialect import TYPE, NotInSpark, SparkWords, kind, typed
from flexiroaster.data.spark.functions import Said
from flexiroaster.data.spark.types import is_decimal, is_numeric, spark_type

ORDER = "spark_order"
"""The key of the name of the column that keeps the rows' order, among a node's `meta`."""
_ONLY = "spark_only"
_LONG = frozenset(("BIGINT", "HUGEINT", "UBIGINT"))


def _value(self: SparkWords, node: exp.Expr) -> tuple[str, str, str]:
    """`DISTINCT ` or nothing, the value, and its type."""
    value = node.this
    if isinstance(value, exp.Distinct):
        if len(value.expressions) != 1 or value.args.get("on") is not None:
            raise NotInSpark("DISTINCT of several values", "put them into one with concat_ws")
        return "DISTINCT ", self.sql(value.expressions[0]), kind(value.expressions[0])
    if isinstance(value, exp.Order | exp.Limit | exp.HavingMax):
        raise NotInSpark("an aggregate with its own ORDER BY", "put a `sort` operation before")
    return "", self.sql(value), kind(value)


def _sum(self: SparkWords, node: exp.Sum) -> str:
    distinct, value, of = _value(self, node)
    if not of:
        typed(node.this, "sum")
    if of == "BOOLEAN":
        value = f"CAST({value} AS INT)"
    elif of in _LONG:
        value = f"CAST({value} AS DECIMAL(28, 0))"  # a sum of BIGINT may be larger than one
    elif not is_numeric(of):
        raise NotInSpark(f"the sum of {of}", "sum a number")
    return f"sum({distinct}{value})"


def _average(self: SparkWords, node: exp.Expr) -> str:
    distinct, value, of = _value(self, node) if isinstance(node, exp.Avg) else ("", "", "")
    if isinstance(node, exp.Anonymous):
        value, of = self.sql(node.expressions[0]), kind(node.expressions[0])
    if not is_numeric(of):
        raise NotInSpark(f"the average of {of or 'a value whose type is not known'}", "average a number")
    return f"avg({distinct}{f'CAST({value} AS DOUBLE)' if is_decimal(of) else value})"


def _median(self: SparkWords, node: exp.Median) -> str:
    return _between(self, node, "0.5D")


def _quantile(self: SparkWords, node: exp.PercentileCont) -> str:
    return _between(self, node, f"{_share(node.expression)}D")


def _between(self: SparkWords, node: exp.Expr, share: str) -> str:
    distinct, value, of = _value(self, node)
    if not is_numeric(of):
        raise NotInSpark(f"the quantile of {of or 'a value whose type is not known'}", "take it of a number")
    called = f"percentile({distinct}{value}, {share})"
    windowed = node.find_ancestor(exp.Window) is not None
    return called if windowed or not is_decimal(kind(node)) else f"CAST({called} AS {spark_type(kind(node))})"


def _share(node: exp.Expr | None) -> float:
    if not isinstance(node, exp.Literal) or node.is_string:
        raise NotInSpark("a quantile that is not written as one number", "take each quantile by itself")
    return float(node.this)


def _quantile_value(self: SparkWords, node: exp.Expr) -> str:
    distinct, value, of = _value(self, node)
    if not is_numeric(of) or distinct:
        raise NotInSpark(f"the quantile of {of or 'a value whose type is not known'}", "take it of a number")
    share = _share(node.args.get("quantile") or node.args.get("expression"))
    return f"CAST(percentile_disc({share}D) WITHIN GROUP (ORDER BY {value}) AS {spark_type(of)})"


def _order(node: exp.Expr, called: str) -> str:
    if node.find_ancestor(exp.Window) is not None:
        raise NotInSpark(f"{called} over a window", "use first_value or last_value")
    found = node.meta.get(ORDER)
    if found is None:
        raise NotInSpark(
            f"{called} here, where rows have no order", "use it in an `aggregate` operation, after a `sort`"
        )
    return str(found)


def _only(self: SparkWords, node: exp.Expr, *conditions: str) -> str:
    condition = node.meta.get(_ONLY)
    return " AND ".join([*([f"({self.sql(condition)})"] if condition is not None else []), *conditions]) or "TRUE"


def _at_end(which: str, called: str) -> Said:
    """first, last: the value of the row, be it NULL."""

    def said(self: SparkWords, node: exp.Expr) -> str:
        order = _order(node, called)
        _, value, _ = _value(self, node)
        return f"{which}({value}, CASE WHEN {_only(self, node)} THEN {order} END)"

    return said


def _any(self: SparkWords, node: exp.Expr) -> str:
    """The first value that is not NULL; any of them where rows have no order."""
    inner = node.this if isinstance(node, exp.IgnoreNulls) else node
    if node.find_ancestor(exp.Window) is not None:
        return f"{type(inner).__name__.lower().replace('anyvalue', 'any_value')}({self.sql(inner.this)}) IGNORE NULLS"
    which = "max_by" if isinstance(inner, exp.Last) else "min_by"
    order = node.meta.get(ORDER) or inner.meta.get(ORDER)
    _, value, _ = _value(self, inner)
    if order is None:
        return f"any_value(CASE WHEN {_only(self, node)} THEN {value} END, TRUE)"
    return f"{which}({value}, CASE WHEN {_only(self, node, f'{value} IS NOT NULL')} THEN {order} END)"


def _row_with(which: str, sign: str) -> Said:
    """arg_min, arg_max: of equal ones the first row."""

    def said(self: SparkWords, node: exp.Expr) -> str:
        if node.args.get("count") is not None:
            raise NotInSpark("arg_min and arg_max with a number of rows", "use a `window` operation with row_number()")
        value, by = self.sql(node.this), self.sql(node.expression)
        order = node.meta.get(ORDER)
        rank = f"struct({by}, {sign}{order})" if order is not None else by
        known = _only(self, node, f"{value} IS NOT NULL", f"{by} IS NOT NULL")
        return f"{which}({value}, CASE WHEN {known} THEN {rank} END)"

    return said


def _listed(self: SparkWords, node: exp.ArrayAgg) -> str:
    order = _order(node, "list")
    distinct, value, _ = _value(self, node)
    if distinct:
        raise NotInSpark("list(DISTINCT …)", "put a `dedupe` operation before")
    return _collected(value, order, _only(self, node))


def _collected(value: str, order: str, condition: str) -> str:
    rows = f"collect_list(CASE WHEN {condition} THEN named_struct('at', {order}, 'item', {value}) END)"
    return f"CASE WHEN size({rows}) > 0 THEN transform(array_sort({rows}), row -> row.item) END"


def _joined(self: SparkWords, node: exp.GroupConcat) -> str:
    order = _order(node, "string_agg")
    distinct, value, of = _value(self, node)
    if distinct or of != "VARCHAR":
        raise NotInSpark("string_agg of other than texts, or DISTINCT", "cast to text, or put a `dedupe` before")
    separator = node.args.get("separator")
    items = _collected(value, order, _only(self, node, f"{value} IS NOT NULL"))
    return f"array_join({items}, {self.sql(separator) if separator is not None else chr(39) + ',' + chr(39)})"


def _extreme(name: str) -> Said:
    def said(self: SparkWords, node: exp.Expr) -> str:
        if node.args.get("count") is not None:
            raise NotInSpark(f"{name} with a number of values", "use a `window` operation with row_number()")
        distinct, value, _ = _value(self, node)
        return f"{name}({distinct}{value})"

    return said


def _filtered(self: SparkWords, node: exp.Filter) -> str:
    """`FILTER` as a CASE in the aggregate: Spark has none over windows."""
    condition = node.expression.this
    inner = node.this.copy()
    if isinstance(
        inner,
        exp.IgnoreNulls
        | exp.First
        | exp.Last
        | exp.ArrayAgg
        | exp.GroupConcat
        | exp.ArgMax
        | exp.ArgMin
        | exp.AnyValue,
    ):
        inner.meta[_ONLY] = condition
    elif isinstance(inner, exp.CountIf):
        inner.set("this", exp.and_(condition.copy(), inner.this))
    elif isinstance(inner.this, exp.Star):
        inner.set("this", exp.Case(ifs=[exp.If(this=condition.copy(), true=exp.Literal.number(1))]))
    elif isinstance(inner.this, exp.Distinct):
        inner.this.set("expressions", [_where(condition, value) for value in inner.this.expressions])
    else:
        inner.set("this", _where(condition, inner.this))
    return self.sql(inner)


def _where(condition: exp.Expr, value: Any) -> exp.Case:
    case = exp.Case(ifs=[exp.If(this=condition.copy(), true=value.copy())])
    case.meta[TYPE] = kind(value)
    return case


def _correlation(self: SparkWords, node: exp.Corr) -> str:
    one, other = self.sql(node.this), self.sql(node.expression)
    called = f"corr({one}, {other})"
    if node.find_ancestor(exp.Window) is not None:
        return called
    return f"CASE WHEN regr_count({one}, {other}) > 0 THEN coalesce({called}, DOUBLE('NaN')) END"


AGGREGATES: dict[type[exp.Expr], Said] = {
    exp.Sum: _sum,
    exp.Avg: _average,
    exp.Median: _median,
    exp.PercentileCont: _quantile,
    exp.PercentileDisc: _quantile_value,
    exp.Quantile: _quantile_value,
    exp.First: _at_end("min_by", "first"),
    exp.Last: _at_end("max_by", "last"),
    exp.AnyValue: _any,
    exp.IgnoreNulls: _any,
    exp.ArgMax: _row_with("max_by", "-"),
    exp.ArgMin: _row_with("min_by", ""),
    exp.ArrayAgg: _listed,
    exp.GroupConcat: _joined,
    exp.Corr: _correlation,
    exp.CountIf: lambda self, node: f"sum(CAST(({self.sql(node.this)}) AS INT))",
    exp.Min: _extreme("min"),
    exp.Max: _extreme("max"),
    exp.Filter: _filtered,
}
ORDERED: tuple[type[exp.Expr], ...] = (
    exp.First, exp.Last, exp.AnyValue, exp.IgnoreNulls, exp.ArgMax, exp.ArgMin, exp.ArrayAgg, exp.GroupConcat,
)  # fmt: skip
AGGREGATES_BY_NAME: dict[str, Said] = {"mean": _average}
