"""The stage that computes a table from tables, as one SQL query."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pydantic import Field

from flexiroaster.data import operations as ops
from flexiroaster.data.operations import INPUT
from flexiroaster.data.quoting import name
from flexiroaster.data.reading import Tables
from flexiroaster.data.table import TableRef
from flexiroaster.data.values import json_safe
from flexiroaster.engine.errors import StageFailed
from flexiroaster.engine.outcome import Succeeded
from flexiroaster.stages.base import Stage, StageConfig, StageContext, StageExample
from flexiroaster.stages.tables import ENGINE, Engine, as_table, given_table, keep, open_tables, result_of

if TYPE_CHECKING:
    from flexiroaster.data.compiling import Compiled

MAX_GROUPS = 1_000


class ProcessingConfig(StageConfig):
    """Operations run in order, each on the result of the one before."""

    data: Any = Field(
        None, description="The table: `${{ results.<stage>.data }}`. Left out, it is the one needed stage's."
    )
    operations: list[ops.Operation] = Field([], description="What to do, in order.", max_length=200)
    engine: Engine = ENGINE


class ProcessingStage(Stage):
    type = "processing"
    summary = "Filters, joins, aggregates and reshapes tables."
    description = (
        "All operations are compiled into one SQL query, run by DuckDB without a row passing through Python; it spills "
        "to disk when memory is short. The result is kept as a Parquet artifact, and the SQL is shown with it. "
        "Expressions are DuckDB's SQL over the columns there are; functions that read files or settings are refused."
    )
    Config = ProcessingConfig
    takes_data = True
    examples = (
        StageExample(
            "Revenue by region",
            {
                "operations": [
                    {"op": "filter", "expr": "amount > 0"},
                    {"op": "derive", "columns": {"month": "date_trunc('month', ordered_at)"}},
                    {"op": "aggregate", "by": ["region", "month"], "values": {"revenue": "sum(amount)"}},
                    {"op": "sort", "by": ["region", "-revenue"]},
                ]
            },
        ),
        StageExample(
            "Add names from another table",
            {
                "data": "${{ results.flights.data }}",
                "operations": [
                    {"op": "join", "with": "${{ results.airlines.data }}", "on": ["carrier"], "how": "left"}
                ],
            },
        ),
        StageExample(
            "A seven-day average",
            {
                "operations": [
                    {
                        "op": "window",
                        "columns": {"average": "avg(amount)"},
                        "partition_by": ["shop"],
                        "order_by": ["day"],
                        "rows": [-6, 0],
                    }
                ]
            },
        ),
        StageExample(
            "Your own SQL",
            {
                "operations": [
                    {
                        "op": "sql",
                        "query": "select r.name, count(*) as orders from input join r using (region) group by all",
                        "with": {"r": "${{ results.regions.data }}"},
                    }
                ]
            },
        ),
        StageExample(
            "A table for each region",
            {"operations": [{"op": "group", "by": "region"}]},
            "A later stage can run for each: `foreach: {items: ${{ keys(results.split.groups) }}}`.",
        ),
    )

    def run(self, config: ProcessingConfig, context: StageContext) -> Succeeded:
        tables = {INPUT: given_table(config.data, context)}
        others: dict[int, dict[str, str]] = {}
        for index, operation in enumerate(config.operations):
            others[index] = {}
            for called, data in _further(operation).items():
                table = f"table_{index + 1}_{called}"
                tables[table] = as_table(data, context, f"{table}.parquet")
                others[index][called] = table
        return _process(config, tables, others, context)


def _further(operation: ops.Operation) -> Mapping[str, Any]:
    """The other tables that an operation reads, by the name it calls them."""
    match operation:
        case ops.Join():
            return {"with": operation.with_}
        case ops.Union():
            several = operation.with_ if _is_list_of_tables(operation.with_) else [operation.with_]
            return {str(number): data for number, data in enumerate(several, 1)}
        case ops.Sql():
            return operation.with_
        case _:
            return {}


def _is_list_of_tables(data: Any) -> bool:
    return isinstance(data, list) and bool(data) and all(isinstance(item, dict) and "table" in item for item in data)


def _process(
    config: ProcessingConfig, refs: dict[str, TableRef], others: dict[int, dict[str, str]], context: StageContext
) -> Succeeded:
    with open_tables(refs, context) as tables, _compiled(config, others, tables, context) as compiled:
        context.log("debug", "The operations are one query.", sql=compiled.pretty)
        sql = compiled.sql
        if compiled.group is not None:
            # Sorted by group, so that reading one of them skips the others' row groups.
            sql = f"SELECT * FROM ({sql}) ORDER BY {name(compiled.group)}"
        ref = keep(context, tables.session, sql, columns=compiled.columns)
    result = result_of(ref, sql=compiled.pretty, columns=[column.model_dump() for column in ref.columns])
    result["processed_data"] = result["data"]  # the specification's name
    if compiled.group is not None:
        result["groups"] = _groups(ref, compiled.group, context)
    return Succeeded(result, rows=ref.rows, bytes=ref.bytes)


@contextmanager
def _compiled(
    config: ProcessingConfig, others: dict[int, dict[str, str]], tables: Tables, context: StageContext
) -> Iterator[Compiled]:
    """The operations as a query of DuckDB's: of what they are computed from, or of what Spark has computed."""
    if config.engine == "spark":
        from flexiroaster.data.spark.computing import computed

        with computed(config.operations, others, tables, context.scratch_dir, context.on_cancel) as compiled:
            yield compiled
    else:
        from flexiroaster.data.compiling import compile_operations  # sqlglot: only when a stage runs

        yield compile_operations(config.operations, others, tables.session, tables.columns)


def _groups(ref: TableRef, column: str, context: StageContext) -> dict[str, Any]:
    """A narrowed reference for each value of the column: one file, many tables."""
    with open_tables({"groups": ref}, context) as tables:
        counted = tables.session.rows(
            f'SELECT {name(column)}, count(*) FROM "groups" GROUP BY 1 ORDER BY 1 LIMIT {MAX_GROUPS + 1}'
        )
    if len(counted) > MAX_GROUPS:
        raise StageFailed(
            f"'{column}' has more than {MAX_GROUPS} values, too many to split the table by: group by another column.",
            code="too_many_groups",
        )
    return {
        _group_name(value): ref.model_copy(update={"equals": {column: json_safe(value)}, "rows": rows}).to_json()
        for value, rows in counted
    }


def _group_name(value: Any) -> str:
    return "null" if value is None else str(json_safe(value))
