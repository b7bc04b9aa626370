"""The steps of compiled operations as one query of Spark's.

Rows of a Spark table have no order. Each table comes with a column that numbers its rows (`ROW`), and steps carry it,
and what a `sort` sorts by, beside the columns that people see: so that the first rows are the first, and the result is
in the order that the operations promise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from flexiroaster.data import compiling, nodes
from flexiroaster.data import operations as ops
from flexiroaster.data.operations import INPUT
from flexiroaster.data.quoting import name as double_quoted
from flexiroaster.data.reading import ROW
from flexiroaster.data.spark.aggregates import ORDER, ORDERED
from flexiroaster.data.spark.casting import CannotCast, cast
from flexiroaster.data.spark.dialect import NotInSpark
from flexiroaster.data.spark.functions import split
from flexiroaster.data.spark.language import SparkSql
from flexiroaster.data.spark.refusing import refuse_unsaid, sentence
from flexiroaster.data.spark.types import column_type, quoted, text_literal
from flexiroaster.data.spark.typing import annotate
from flexiroaster.data.spark.windows import order_windows
from flexiroaster.data.table import Column

Order = tuple[tuple[str, bool], ...]
"""Hidden columns to order by, each with whether it descends."""
Describe = Callable[[str], tuple[Column, ...]]
_OUR_WORDS = (ops.Union, ops.Unpivot, ops.Explode)
"""Operations that are written anew for Spark, and have no expressions of the user's."""


@dataclass(frozen=True, slots=True)
class Planned:
    """`sql` gives the columns that people see, in order."""

    sql: str
    pretty: str


@dataclass(slots=True)
class Planner:
    """Give it the steps one after the other; `view` makes an empty table of a step's columns known to `describe`."""

    tables: Mapping[str, Sequence[Column]]
    describe: Describe
    view: Callable[[str, str], None]
    current: str = INPUT
    order: Order = ((ROW, False),)
    numbered: bool = True
    """Whether ROW still counts the rows from 0 without a gap."""
    columns: Sequence[Column] = ()
    parts: list[tuple[str, str, str]] = field(default_factory=list)
    """What stands in WITH: head, query, and the query for people."""
    _visible: set[str] = field(default_factory=set)
    _where: str = ""
    _number: int = 0

    def __post_init__(self) -> None:
        self.columns = self.columns or self.tables[INPUT]

    def planned(self, columns: Sequence[Column]) -> Planned:
        for column in columns:
            column_type(column)
        chosen = exp.select(*(nodes.column(column.name) for column in columns)).from_(nodes.table(self.current))
        return self._whole(self._ordered(chosen))

    def distinct(self, column: str, most: int) -> str:
        """The different values of a column."""
        query = exp.select(nodes.column(column)).distinct().from_(nodes.table(self.current))
        return self._whole(query.order_by(exp.Ordered(this=nodes.column(column), nulls_first=False)).limit(most)).sql

    def _whole(self, last: exp.Query) -> Planned:
        def joined(number: int, final: str, space: str) -> str:
            if not self.parts:
                return final
            parts = (f"{part[0]} AS ({space}{part[number]}{space})" for part in self.parts)
            return f"WITH {', '.join(parts)}{space or ' '}{final}"

        return Planned(joined(1, self._sql(last), ""), joined(2, self._sql(last, pretty=True), "\n"))

    @staticmethod
    def _sql(tree: exp.Expr, *, pretty: bool = False) -> str:
        return tree.sql(dialect=SparkSql, pretty=pretty, comments=False)

    def add(self, step: compiling.Step) -> None:
        self._where = step.where
        self._number = len(self.parts)
        columns = self.describe(step.query.sql(dialect="duckdb", comments=False))
        query = step.query.copy()
        if not isinstance(step.operation, _OUR_WORDS):
            refuse_unsaid(query, step.where)
            annotate(query, self.describe)
        try:
            built = self._built(step.operation, query, columns)
            self._part(quoted(step.name), built)
        except NotInSpark as error:
            raise sentence(step.where, error.what, error.cure) from error
        self.current, self.columns = step.name, columns
        empty = ", ".join(f"CAST(NULL AS {_bindable(c.type)}) AS {double_quoted(c.name)}" for c in columns)
        self.view(step.name, f"SELECT {empty} WHERE false")

    def _part(self, head: str, query: exp.Query) -> None:
        self.parts.append((head, self._sql(query), self._sql(query, pretty=True)))

    def _built(self, operation: ops.Operation, query: exp.Query, columns: Sequence[Column]) -> exp.Query:
        match operation:
            case ops.Sort():
                return self._sort(query)
            case ops.Limit():
                return self._limited(query)
            case ops.Sample():
                return self._sample(operation)
            case ops.Dedupe():
                return self._dedupe(operation, query)
            case ops.Aggregate():
                return self._aggregate(query, columns)
            case ops.Pivot():
                return self._pivot(operation, query, columns)
            case ops.Join():
                return self._join(operation, query)
            case ops.Union():
                return self._union(operation, query, columns)
            case ops.Unpivot():
                return self._unpivot(operation, columns)
            case ops.Explode():
                return self._explode(operation, columns)
            case ops.Sql():
                return self._users(query, columns)
            case ops.Filter():
                self.numbered = False
                order_windows(query, self._order_by())
                return query
            case _:
                order_windows(query, self._order_by())
                return self._aligned(query, columns, hidden=True)

    # Pieces

    def _hidden(self, table: str | None = None) -> list[exp.Column]:
        return [nodes.column(name, table) for name, _ in self.order]

    def _order_by(self) -> list[exp.Ordered]:
        return [exp.Ordered(this=nodes.column(name), desc=down, nulls_first=False) for name, down in self.order]

    def _ordered(self, query: exp.Select) -> exp.Select:
        return query.order_by(*self._order_by(), copy=False) if self.order else query

    def _new(self, what: str, number: int = 0) -> str:
        return f"_flexiroaster_{what}_{self._number + 1}_{number + 1}"

    def _all(self) -> exp.Select:
        return exp.select("*").from_(nodes.table(self.current), copy=False)

    def _aligned(self, query: exp.Query, columns: Sequence[Column], *, hidden: bool) -> exp.Query:
        """What is computed gets DuckDB's type of it: the next step then means the same by it."""
        types = {column.name: column for column in columns}
        aligned: list[exp.Expr] = []
        for value in query.expressions:
            if isinstance(value, exp.Alias) and not isinstance(value.this, exp.Column):
                said = exp.Var(this=f"CAST({self._sql(value.this)} AS {column_type(types[value.alias], self._prefix)})")
                value = nodes.aliased(said, value.alias)
            aligned.append(value)
        query.set("expressions", aligned + (self._hidden() if hidden else []))
        return query

    @property
    def _prefix(self) -> str:
        return f"{self._where}: "

    # Operations that order, count or rearrange rows

    def _sort(self, query: exp.Query) -> exp.Query:
        keys = query.args["order"].expressions
        names = [self._new("sort", number) for number in range(len(keys))]
        self.order = (*((name, bool(key.args["desc"])) for name, key in zip(names, keys, strict=True)), *self.order)
        copies = (nodes.aliased(key.this.copy(), name) for key, name in zip(keys, names, strict=True))
        return exp.select("*", *copies).from_(nodes.table(self.current))

    def _limited(self, query: exp.Query) -> exp.Query:
        self.numbered = False
        return self._ordered(query) if isinstance(query, exp.Select) else query

    def _ranked(self) -> str:
        """One column that counts the rows in their order, from 0."""
        if not self.order:
            return self._added_row("monotonically_increasing_id()")
        if self.order == ((ROW, False),):
            return ROW
        return self._counted()

    def _counted(self) -> str:
        order = ", ".join(self._sql(item) for item in self._order_by())
        return self._added_row(
            f"CAST(row_number() OVER (ORDER BY {order}) AS BIGINT) - 1" if order else "monotonically_increasing_id()"
        )

    def _added_row(self, sql: str) -> str:
        name, table = self._new("row"), f"{self.current}_ordered"
        self._part(
            quoted(table), exp.select("*", nodes.aliased(exp.Var(this=sql), name)).from_(nodes.table(self.current))
        )
        self.current = table
        return name

    def _sample(self, operation: ops.Sample) -> exp.Query:
        counts = self.numbered and self.order == ((ROW, False),)
        row = ROW if counts else self._counted()
        hashed = compiling.sample_hash(f"{quoted(row)} + 1", operation.seed)
        self.numbered = False
        if operation.percent is not None:
            return self._all().where(exp.Var(this=f"{hashed} < {compiling.sample_bound(operation.percent)}"))
        name = self._new("hash")
        self.order = ((name, False), (row, False))
        chosen = exp.select("*", nodes.aliased(exp.Var(this=hashed), name)).from_(nodes.table(self.current))
        return self._ordered(chosen).limit(operation.rows or 0)

    def _dedupe(self, operation: ops.Dedupe, query: exp.Query) -> exp.Query:
        window = query.args["qualify"].this.this.copy()
        last = operation.keep == "last"
        own = [item for item in window.args["order"].expressions if item.name != compiling.ORDER_COLUMN]
        then = [exp.Ordered(this=nodes.column(name), desc=down != last, nulls_first=False) for name, down in self.order]
        window.set("order", exp.Order(expressions=[*own, *then] or [exp.Var(this="1")]))
        self.numbered = False
        name = self._new("rank")
        ranked = exp.select("*", nodes.aliased(window, name)).from_(nodes.table(self.current))
        chosen = exp.select(*(nodes.column(c.name) for c in self.columns), *self._hidden())
        return chosen.from_(ranked.subquery("ranked")).where(
            exp.EQ(this=nodes.column(name), expression=exp.Literal.number(1))
        )

    def _aggregate(self, query: exp.Query, columns: Sequence[Column]) -> exp.Query:
        if any(query.find_all(*ORDERED)):
            rank = self._ranked()
            query.find(exp.From).set("this", nodes.table(self.current))  # type: ignore[union-attr]
            for node in query.find_all(*ORDERED):
                node.meta[ORDER] = quoted(rank)
        self.order, self.numbered = (), False
        return self._aligned(query, columns, hidden=False)

    def _pivot(self, operation: ops.Pivot, query: exp.Query, columns: Sequence[Column]) -> exp.Query:
        query.set("order", None)
        pivoted = self._aggregate(query, columns)
        keys = [column.name for column in columns[: len(operation.by)]]
        names = [self._new("sort", number) for number in range(len(keys))]
        copies: list[exp.Expr] = [nodes.aliased(nodes.column(key), name) for key, name in zip(keys, names, strict=True)]
        pivoted.set("expressions", pivoted.expressions + copies)
        self.order = tuple((name, False) for name in names)
        return pivoted

    def _join(self, operation: ops.Join, query: exp.Query) -> exp.Query:
        self.numbered = False
        if operation.how in ("right", "full"):
            self.order = ()
            return query
        hidden: list[exp.Expr] = list(self._hidden("l"))
        if operation.how in ("inner", "left"):
            name = self._new("row")
            hidden.append(nodes.aliased(nodes.column(ROW, "r"), name))
            self.order = (*self.order, (name, False))
        query.set("expressions", query.expressions + hidden)
        return query

    def _union(self, operation: ops.Union, query: exp.Query, columns: Sequence[Column]) -> exp.Query:
        """Column by column: Spark's SQL has no UNION BY NAME."""
        part, row = self._new("part"), self._new("row")
        union: exp.Query | None = None
        names = [table.name for table in query.find_all(exp.Table)]
        for number, table in enumerate(dict.fromkeys([self.current, *(n for n in names if n != self.current)])):
            own = self.columns if table == self.current else self.tables[table]
            types = {column.name.lower(): column for column in own}
            chosen: list[exp.Expr] = [self._brought(types.get(column.name.lower()), column) for column in columns]
            if not operation.distinct:
                hidden = exp.Var(this="CAST(NULL AS BIGINT)") if number == 0 else nodes.column(ROW)
                chosen += [nodes.aliased(exp.Literal.number(number), part), nodes.aliased(hidden, row)]
                chosen += self._carried(number)
            select = exp.select(*chosen).from_(nodes.table(table))
            union = select if union is None else exp.Union(this=union, expression=select, distinct=operation.distinct)
        self.numbered = False
        self.order = () if operation.distinct else ((part, False), *self.order, (row, False))
        assert union is not None
        return union

    def _carried(self, number: int) -> list[exp.Expr]:
        if number == 0:
            return list(self._hidden())
        return [nodes.aliased(exp.Null(), name) for name, _ in self.order]

    def _brought(self, own: Column | None, wanted: Column) -> exp.Expr:
        kind = column_type(wanted, self._prefix)
        if own is None:
            return nodes.aliased(exp.Var(this=f"CAST(NULL AS {kind})"), wanted.name)
        return nodes.aliased(exp.Var(this=self._converted(quoted(own.name), own.type, wanted)), wanted.name)

    def _converted(self, sql: str, given: str, wanted: Column) -> str:
        kind = column_type(wanted, self._prefix)
        if given == wanted.type:
            return sql
        try:
            return f"CAST({cast(sql, given, wanted.type)} AS {kind})"
        except CannotCast:
            return f"CAST({sql} AS {kind})"

    def _unpivot(self, operation: ops.Unpivot, columns: Sequence[Column]) -> exp.Query:
        kept, value = columns[:-2], columns[-1]
        by_name = {column.name.lower(): column for column in self.columns}
        items = []
        for wanted in operation.columns:
            own = by_name[wanted.lower()]
            converted = self._converted(quoted(own.name), own.type, value)
            items.append(f"named_struct('name', {text_literal(own.name)}, 'value', {converted})")
        chosen = [
            *(nodes.column(column.name) for column in kept),
            nodes.aliased(exp.Var(this="cell.item.name"), columns[-2].name),
            nodes.aliased(exp.Var(this=f"CAST(cell.item.value AS {column_type(value, self._prefix)})"), value.name),
        ]
        query = self._exploded(f"array({', '.join(items)})", chosen)
        return query if operation.keep_empty else query.where(exp.Var(this="cell.item.value IS NOT NULL"))

    def _explode(self, operation: ops.Explode, columns: Sequence[Column]) -> exp.Query:
        own = next(column for column in self.columns if column.name.lower() == operation.column.lower())
        items = quoted(own.name)
        if operation.separator is not None:
            items = split(items, text_literal(re.escape(operation.separator)))
        elif not own.type.endswith("[]"):
            raise NotInSpark(f"`explode` of a {own.type}", "explode a list, or set `separator`")
        chosen: list[exp.Expr] = [
            nodes.aliased(exp.Var(this="cell.item"), own.name) if column.name == own.name else nodes.column(column.name)
            for column in columns
        ]
        return self._exploded(items, chosen)

    def _exploded(self, items: str, chosen: Sequence[exp.Expr]) -> exp.Select:
        """One row for each item, in order."""
        position = self._new("item")
        chosen = [*chosen, *self._hidden(), nodes.aliased(exp.Var(this="cell.position"), position)]
        self.order, self.numbered = (*self.order, (position, False)), False
        source = f"{quoted(self.current)} LATERAL VIEW posexplode({items}) cell AS position, item"
        return exp.select(*chosen).from_(exp.Var(this=source))

    # The user's own query

    def _users(self, query: exp.Query, columns: Sequence[Column]) -> exp.Query:
        """Over the columns that people see; its own ORDER BY counts."""
        own = {cte.alias.lower() for cte in query.find_all(exp.CTE)}
        for table in query.find_all(exp.Table):
            if isinstance(table.this, exp.GenerateSeries):
                table.replace(_series(table))
            elif table.name.lower() not in own:
                self._show(table)
        ordered = query.args.get("order") is not None
        name, raw = self._new("row"), f"{self.current}_result"
        self._part(f"{quoted(raw)}({', '.join(quoted(column.name) for column in columns)})", query)
        chosen: list[exp.Expr] = [
            nodes.aliased(exp.Var(this=f"CAST({quoted(c.name)} AS {column_type(c, self._prefix)})"), c.name)
            for c in columns
        ]
        self.numbered = False
        self.order = ((name, False),) if ordered else ()
        if ordered:
            chosen.append(nodes.aliased(exp.Var(this="monotonically_increasing_id()"), name))
        return exp.select(*chosen).from_(nodes.table(raw))

    def _show(self, table: exp.Table) -> None:
        """Only the columns that people see, without those of the order."""
        visible = f"{table.name}_rows"
        if visible not in self._visible:
            columns = self.columns if table.name == self.current else self.tables[table.name]
            shown = exp.select(*(nodes.column(column.name) for column in columns)).from_(nodes.table(table.name))
            self._part(quoted(visible), shown)
            self._visible.add(visible)
        if not table.alias:
            table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name, quoted=True)))
        table.set("this", exp.to_identifier(visible, quoted=True))


def _series(table: exp.Table) -> exp.Subquery:
    """`range(…)` and `generate_series(…)`, whose column is called like them."""
    series = table.this
    exclusive = bool(series.args.get("is_end_exclusive"))
    called = "range" if exclusive else "generate_series"
    start, end, step = (
        part.sql(dialect=SparkSql) if part is not None else ""
        for part in map(series.args.get, ("start", "end", "step"))
    )
    if step:
        raise NotInSpark(f"{called} with a step", "multiply its numbers")
    query = exp.select(exp.Var(this=f"id AS {quoted(called)}"))
    source = exp.Var(this=f"range({start}, {end}{'' if exclusive else ' + 1'})")
    return query.from_(source).subquery(table.alias or called)


def _bindable(type_name: str) -> str:
    return "VARCHAR" if type_name == '"NULL"' else type_name
