"""Operations become one SQL query: each is a step (`WITH step_1 AS (…)`) over the step before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, assert_never

from sqlglot import exp

from flexiroaster.data import expressions, nodes
from flexiroaster.data import operations as ops
from flexiroaster.data.operations import INPUT
from flexiroaster.data.quoting import did_you_mean
from flexiroaster.data.table import Column
from flexiroaster.data.types import duckdb_type
from flexiroaster.engine.errors import Location, StageFailed

ORDER_COLUMN = "_order"
_ORDER = ORDER_COLUMN
_PRIME = 2**31 - 1
MAX_PIVOT_COLUMNS = 1_000


class Binder(Protocol):
    """What compiling needs to know of the data; a session answers it."""

    def columns(self, sql: str) -> tuple[Column, ...]:
        """The columns of a query, without running it. Raises StageFailed where it does not make sense."""
        ...

    def rows(self, sql: str) -> list[tuple[Any, ...]]: ...


@dataclass(frozen=True, slots=True)
class Step:
    """One operation as a query over the step before, in DuckDB's words. `where` begins every sentence about it."""

    where: str
    name: str
    query: exp.Query
    operation: ops.Operation


Tables = Callable[[str], Sequence[Column]]
Values = Callable[[Sequence[Step], str], list[Any]]
"""The different values of a column after some steps, in order, one more than a pivot may have at most."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """`sql` reads the tables by their names; `pretty` is the same for people; `group` is the column of a final
    `group` operation."""

    sql: str
    pretty: str
    columns: tuple[Column, ...]
    group: str | None = None
    steps: tuple[Step, ...] = ()


def compile_operations(
    operations: Sequence[ops.Operation],
    others: Mapping[int, Mapping[str, str]],
    binder: Binder,
    tables: Tables,
    values: Values | None = None,
) -> Compiled:
    """Compile operations over the table `input`.

    `others` gives per operation (by index) the names under which its further tables can be read: `with` → table name,
    for `sql` each name of its `with`. `tables` gives the columns of a table. `values` looks at data that the binder
    does not have.
    """
    compiler = _Compiler(binder, tables, values)
    for index, operation in enumerate(operations):
        if isinstance(operation, ops.Group) and index != len(operations) - 1:
            raise StageFailed(
                f"Operation {index + 1} (group) must be the last one: it splits the result.", code="bad_operation"
            )
        compiler.add(index, operation, others.get(index, {}))
    return compiler.compiled()


def sample_hash(number: str, seed: int) -> str:
    """A hash of a row's number (from 1): unlike TABLESAMPLE, the same rows whatever the number of threads, and on Spark
    as on DuckDB. Its upper half is mixed by squaring, the lower half is the number, so that no two are equal."""
    start = f"(({number}) % {_PRIME} * 48271 + {seed * 69621 % _PRIME}) % {_PRIME}"
    mixed = f"(({start}) * ({start}) % {_PRIME} * 16807 + {start}) % {_PRIME}"
    return f"({mixed}) * 4294967296 + ({number}) % 4294967296"


def sample_bound(percent: float) -> int:
    """The hashes below it are so many per cent of all."""
    return round(percent / 100 * _PRIME) << 32


class _Compiler:
    def __init__(self, binder: Binder, tables: Tables, values: Values | None) -> None:
        self._binder = binder
        self._tables = tables
        self._values = values or self._values_found
        self._steps: list[Step] = []
        self._current = INPUT
        self._names = [column.name for column in tables(INPUT)]
        self._group: str | None = None
        self._where = ""
        self._others: Mapping[str, str] = {}

    def add(self, index: int, operation: ops.Operation, others: Mapping[str, str]) -> None:
        self._where = f"Operation {index + 1} ({operation.op})"
        self._others = others
        query = self._query(operation)
        if query is None:
            return
        self._current = f"step_{index + 1}"
        self._steps.append(Step(self._where, self._current, query, operation))
        self._names = self._names_after(query)
        self._refuse_repeated_names()

    def compiled(self) -> Compiled:
        query = self._whole(self._steps)
        sql = query.sql(dialect="duckdb", comments=False)
        columns = self._bound(sql)
        pretty = query.sql(dialect="duckdb", pretty=True, copy=False)
        return Compiled(sql, pretty, columns, self._group, tuple(self._steps))

    @staticmethod
    def _whole(steps: Sequence[Step]) -> exp.Query:
        if not steps:
            return exp.select("*").from_(nodes.table(INPUT), copy=False)
        if len(steps) == 1:
            return steps[0].query
        query = exp.select("*").from_(nodes.table(steps[-1].name))
        for step in steps:
            query = query.with_(exp.to_identifier(step.name), as_=step.query, copy=False)
        return query

    def _sql(self) -> str:
        return self._whole(self._steps).sql(dialect="duckdb", comments=False)

    def _bound(self, sql: str) -> tuple[Column, ...]:
        """The result's columns. Where DuckDB cannot make sense of the query, the first operation to blame is found."""
        try:
            return self._binder.columns(sql)
        except StageFailed as error:
            for number in range(1, len(self._steps) + 1):
                self._bind_alone(self._steps[:number])
            raise error

    def _bind_alone(self, steps: Sequence[Step]) -> None:
        try:
            self._binder.columns(self._whole(steps).sql(dialect="duckdb", comments=False))
        except StageFailed as error:
            reason = str(error).removeprefix("The query failed: ")
            raise StageFailed(
                f"{steps[-1].where}: {reason}",
                code=error.code,
                kind=error.kind,
                location=error.location,
                suggestion=error.suggestion,
            ) from error

    def _names_after(self, query: exp.Query) -> list[str]:
        """Without asking DuckDB, where the query says it: `*` alone keeps the columns, a list names them."""
        if isinstance(query, exp.Select) and not isinstance(self._steps[-1].query, exp.SetOperation):
            selected = query.expressions
            if len(selected) == 1 and isinstance(selected[0], exp.Star) and not self._is_users(query):
                return self._names
            if not any(expression.is_star or isinstance(expression, exp.Columns) for expression in selected):
                return [expression.alias_or_name for expression in selected]
        try:
            return [column.name for column in self._binder.columns(self._sql())]
        except StageFailed:
            self._bound(self._sql())
            raise

    @staticmethod
    def _is_users(query: exp.Query) -> bool:
        return bool(query.meta.get("users"))

    def _refuse_repeated_names(self) -> None:
        seen: set[str] = set()
        for column in self._names:
            if column.lower() in seen:
                raise StageFailed(
                    f"{self._where} gives two columns named '{column}': rename one first.",
                    code="duplicate_column",
                    location=Location(column=column),
                )
            seen.add(column.lower())

    def _query(self, operation: ops.Operation) -> exp.Query | None:
        match operation:
            case ops.Filter():
                return self._all().where(self._value(operation.expr), copy=False)
            case ops.Select():
                return self._select(operation)
            case ops.Rename():
                return self._rename(operation)
            case ops.Cast():
                return self._cast(operation)
            case ops.Derive():
                return self._with_columns({name: self._value(text) for name, text in operation.columns.items()})
            case ops.Sort():
                return self._all().order_by(*self._ordered(operation.by), copy=False)
            case ops.Limit():
                return self._all().limit(operation.rows).offset(operation.offset)
            case ops.Sample():
                return self._sample(operation)
            case ops.Dedupe():
                return self._dedupe(operation)
            case ops.Aggregate():
                return self._aggregate(operation)
            case ops.Join():
                return self._join(operation)
            case ops.Union():
                return self._union(operation)
            case ops.Pivot():
                return self._pivot(operation)
            case ops.Unpivot():
                return self._unpivot(operation)
            case ops.Window():
                return self._window(operation)
            case ops.FillNull():
                filled = {
                    self._column(name): exp.func("coalesce", nodes.column(self._column(name)), exp.convert(value))
                    for name, value in operation.columns.items()
                }
                return self._with_columns(filled)
            case ops.Split():
                return self._split(operation)
            case ops.Explode():
                return self._explode(operation)
            case ops.Sql():
                return self._user_query(operation)
            case ops.Group():
                self._group = self._column(operation.by)
                return None
            case _:
                assert_never(operation)

    # Pieces

    def _all(self) -> exp.Select:
        return exp.select("*").from_(nodes.table(self._current), copy=False)

    def _value(self, text: str) -> exp.Expr:
        return expressions.value(text, self._names, self._where)

    def _column(self, wanted: str, known: Iterable[str] | None = None, of: str = "") -> str:
        """The column's name as the table spells it."""
        names = list(known) if known is not None else self._names
        found = {name.lower(): name for name in names}.get(wanted.lower())
        if found is None:
            raise StageFailed(
                f"{self._where}: there is no column '{wanted}'{of}.{did_you_mean(wanted, names)}",
                code="unknown_column",
                location=Location(column=wanted),
            )
        return found

    def _resolved(self, wanted: Iterable[str]) -> list[str]:
        return [self._column(name) for name in wanted]

    def _ordered(self, by: Iterable[str]) -> list[exp.Expr]:
        """`-amount` → `amount DESC NULLS LAST`, unless a column is really called so."""
        names = {name.lower() for name in self._names}
        result: list[exp.Expr] = []
        for text in by:
            descending = text.startswith("-") and text.lower() not in names
            column = self._column(text[1:] if descending else text)
            result.append(exp.Ordered(this=nodes.column(column), desc=descending, nulls_first=False))
        return result

    def _with_columns(self, values: Mapping[str, exp.Expr]) -> exp.Select:
        """Every column, with some replaced in place and new ones at the end."""
        by_lower = {name.lower(): value for name, value in values.items()}
        chosen = [
            nodes.aliased(by_lower[name.lower()], name) if name.lower() in by_lower else nodes.column(name)
            for name in self._names
        ]
        present = {name.lower() for name in self._names}
        chosen += [nodes.aliased(value, name) for name, value in values.items() if name.lower() not in present]
        return exp.select(*chosen).from_(nodes.table(self._current), copy=False)

    # One method for each operation that is more than a line

    def _select(self, operation: ops.Select) -> exp.Select:
        left_out = {name.lower() for name in self._resolved(operation.exclude)}
        chosen = self._resolved(operation.columns) or [name for name in self._names if name.lower() not in left_out]
        if not chosen:
            raise StageFailed(f"{self._where} would leave no column.", code="bad_operation")
        return exp.select(*map(nodes.column, chosen)).from_(nodes.table(self._current), copy=False)

    def _rename(self, operation: ops.Rename) -> exp.Select:
        new = {self._column(old): name for old, name in operation.columns.items()}
        renamed = (nodes.aliased(nodes.column(name), new.get(name, name)) for name in self._names)
        return exp.select(*renamed).from_(nodes.table(self._current), copy=False)

    def _cast(self, operation: ops.Cast) -> exp.Select:
        make: Callable[..., exp.Expr] = exp.Cast if operation.on_error == "fail" else exp.TryCast
        casts = {}
        for wanted, text in operation.columns.items():
            column = self._column(wanted)
            type_name = duckdb_type(text, f"{self._where}: ")
            casts[column] = make(this=nodes.column(column), to=exp.DataType.build(type_name, dialect="duckdb"))
        return self._with_columns(casts)

    def _sample(self, operation: ops.Sample) -> exp.Select:
        number = nodes.parsed(f"SELECT {sample_hash('row_number() OVER ()', operation.seed)} AS {_ORDER}").expressions[
            0
        ]
        numbered = exp.select("*", number).from_(nodes.table(self._current), copy=False)
        columns = exp.select(*map(nodes.column, self._names)).from_(numbered.subquery("numbered"))
        if operation.percent is not None:
            return columns.where(exp.condition(f"{_ORDER} < {sample_bound(operation.percent)}", dialect="duckdb"))
        return columns.order_by(_ORDER).limit(operation.rows or 0)

    def _dedupe(self, operation: ops.Dedupe) -> exp.Select:
        keys = self._resolved(operation.keys) or self._names
        numbered = exp.select("*", f"row_number() OVER () AS {_ORDER}").from_(nodes.table(self._current), copy=False)
        position = exp.Ordered(this=exp.column(_ORDER), desc=operation.keep == "last", nulls_first=False)
        by = self._ordered(operation.order_by)
        if by and operation.keep == "last":
            by = [exp.Ordered(this=o.this, desc=not o.args["desc"], nulls_first=False) for o in by]
        ranked = exp.Window(
            this=exp.RowNumber(),
            partition_by=[nodes.column(key) for key in keys],
            order=exp.Order(expressions=[*by, position]),
        )
        return (
            exp.select(*map(nodes.column, self._names))
            .from_(numbered.subquery("numbered"))
            .qualify(exp.EQ(this=ranked, expression=exp.Literal.number(1)))
            .order_by(_ORDER)
        )

    def _aggregate(self, operation: ops.Aggregate) -> exp.Select:
        keys = self._resolved(operation.by)
        values = [nodes.aliased(self._value(text), name) for name, text in operation.values.items()]
        query = exp.select(*map(nodes.column, keys), *values).from_(nodes.table(self._current), copy=False)
        return query.group_by(*map(nodes.column, keys), copy=False) if keys else query

    def _join(self, operation: ops.Join) -> exp.Select:
        other = self._others["with"]
        theirs = [column.name for column in self._tables(other)]
        pairs = operation.on if isinstance(operation.on, dict) else {key: key for key in operation.on}
        on = {self._column(own): self._column(their, theirs, " in the other table") for own, their in pairs.items()}
        condition = exp.and_(
            *(exp.EQ(this=nodes.column(own, "l"), expression=nodes.column(their, "r")) for own, their in on.items())
        )
        chosen = [self._joined_key(name, on, operation.how) for name in self._names]
        if operation.how not in ("semi", "anti"):
            chosen += self._their_columns(theirs, set(on.values()), operation.suffix)
        return (
            exp.select(*chosen)
            .from_(nodes.table(self._current, "l"), copy=False)
            .join(nodes.table(other, "r"), on=condition, join_type=operation.how, copy=False)
        )

    @staticmethod
    def _joined_key(name: str, on: Mapping[str, str], how: str) -> exp.Expr:
        if name in on and how in ("right", "full"):
            return nodes.aliased(exp.func("coalesce", nodes.column(name, "l"), nodes.column(on[name], "r")), name)
        return nodes.column(name, "l")

    def _their_columns(self, theirs: Sequence[str], keys: set[str], suffix: str) -> list[exp.Expr]:
        own = {name.lower() for name in self._names}
        return [
            nodes.aliased(nodes.column(name, "r"), name + suffix) if name.lower() in own else nodes.column(name, "r")
            for name in theirs
            if name not in keys
        ]

    def _union(self, operation: ops.Union) -> exp.Query:
        query: exp.Query = self._all()
        for other in self._others.values():
            further = exp.select("*").from_(nodes.table(other))
            query = exp.Union(this=query, expression=further, distinct=operation.distinct, by_name=True)
        return query

    def _pivot(self, operation: ops.Pivot) -> exp.Select:
        column, keys = self._column(operation.column), self._resolved(operation.by)
        values = operation.values if operation.values is not None else self._found_values(column)
        cell = self._value(operation.value)
        aggregates = [node for node in cell.find_all(exp.AggFunc) if not isinstance(node.parent, exp.Filter)]
        if not aggregates:
            raise StageFailed(
                f"{self._where}: `value` must be an aggregate such as sum(amount), not `{operation.value}`.",
                code="bad_operation",
            )
        cells = [nodes.aliased(nodes.only_where(cell, column, value), nodes.as_name(value)) for value in values]
        query = exp.select(*map(nodes.column, keys), *cells).from_(nodes.table(self._current), copy=False)
        return query.group_by(*map(nodes.column, keys)).order_by(*map(nodes.column, keys)) if keys else query

    def _found_values(self, column: str) -> list[Any]:
        """The pivot's columns must be known before it runs: one look at the data."""
        values = self._values(self._steps, column)
        if len(values) > MAX_PIVOT_COLUMNS:
            raise StageFailed(
                f"{self._where}: '{column}' has more than {MAX_PIVOT_COLUMNS} values: list those needed in `values`.",
                code="too_many_columns",
                location=Location(column=column),
            )
        return values

    def _values_found(self, steps: Sequence[Step], column: str) -> list[Any]:
        distinct = (
            exp.select(nodes.column(column))
            .distinct()
            .from_(exp.Subquery(this=nodes.parsed(self._whole(steps).sql(dialect="duckdb")), alias="rows_so_far"))
        )
        query = distinct.order_by(nodes.column(column)).limit(MAX_PIVOT_COLUMNS + 1).sql(dialect="duckdb")
        return [row[0] for row in self._binder.rows(query)]

    def _unpivot(self, operation: ops.Unpivot) -> exp.Query:
        turned = self._resolved(operation.columns)
        kept = [name for name in self._names if name not in turned]
        nulls = "INCLUDE NULLS " if operation.keep_empty else ""
        value, name = nodes.quoted(operation.value), nodes.quoted(operation.name)
        sql = (
            f"SELECT * FROM (SELECT * FROM {nodes.quoted(self._current)}) UNPIVOT {nulls}"
            f"({value} FOR {name} IN ({', '.join(map(nodes.quoted, turned))}))"
        )
        query = nodes.parsed(sql)
        assert isinstance(query, exp.Query)
        wanted = [*kept, operation.name, operation.value]
        return exp.select(*map(nodes.column, wanted)).from_(query.subquery("unpivoted"))

    def _window(self, operation: ops.Window) -> exp.Select:
        partition = self._resolved(operation.partition_by)
        order = self._ordered(operation.order_by)

        def over(function: exp.Expr) -> exp.Expr:
            return exp.Window(
                this=function.copy(),
                partition_by=[nodes.column(key) for key in partition],
                order=exp.Order(expressions=[item.copy() for item in order]) if order else None,
                spec=nodes.frame(operation.rows),
            )

        return self._with_columns(
            {name: nodes.windowed(self._value(text), over) for name, text in operation.columns.items()}
        )

    def _split(self, operation: ops.Split) -> exp.Select:
        column = self._column(operation.column)
        text = exp.cast(nodes.column(column), "VARCHAR", dialect="duckdb")
        separator = exp.Literal.string(operation.separator)
        parts = {
            name: exp.func(
                "nullif", exp.func("split_part", text.copy(), separator.copy(), exp.convert(position)), exp.convert("")
            )
            for position, name in enumerate(operation.into, 1)
        }
        query = self._with_columns(parts)
        if operation.keep or column.lower() in {name.lower() for name in operation.into}:
            return query
        query.set("expressions", [e for e in query.expressions if e.alias_or_name != column])
        return query

    def _explode(self, operation: ops.Explode) -> exp.Select:
        column = self._column(operation.column)
        items: exp.Expr = nodes.column(column)
        if operation.separator is not None:
            items = exp.Anonymous(this="string_split", expressions=[items, exp.Literal.string(operation.separator)])
        return self._with_columns({column: exp.Anonymous(this="unnest", expressions=[items])})

    def _user_query(self, operation: ops.Sql) -> exp.Query:
        query = expressions.query(operation.query, [INPUT, *self._others], self._where)
        query.meta["users"] = True
        names = {INPUT: self._current, **self._others}
        by_lower = {name.lower(): target for name, target in names.items()}
        ctes = {cte.alias.lower() for cte in query.find_all(exp.CTE)}
        for table in query.find_all(exp.Table):
            called = table.name
            target = by_lower.get(called.lower()) if called.lower() not in ctes else None
            if target is not None and target != called:
                table.set("this", exp.to_identifier(target, quoted=True))
                if not table.alias:
                    table.set("alias", exp.TableAlias(this=exp.to_identifier(called, quoted=True)))
        return query
