"""The operations of a stage on Spark: compiled and checked as for DuckDB, which knows the types, then said and run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from flexiroaster.data import operations as ops
from flexiroaster.data.compiling import MAX_PIVOT_COLUMNS, Compiled, Step, compile_operations
from flexiroaster.data.operations import INPUT
from flexiroaster.data.reading import Tables
from flexiroaster.data.session import OnCancel
from flexiroaster.data.spark.planning import Planner
from flexiroaster.data.spark.running import Run


@contextmanager
def computed(
    operations: Sequence[ops.Operation],
    others: Mapping[int, Mapping[str, str]],
    tables: Tables,
    scratch: Path,
    on_cancel: OnCancel | None = None,
) -> Iterator[Compiled]:
    """The operations' result: `pretty` is the query in Spark's words, `sql` reads its rows in DuckDB while the block
    lasts."""
    with Run(tables, scratch, on_cancel) as run:
        run.register()

        def values(steps: Sequence[Step], column: str) -> list[Any]:
            found = run.rows(_planner(tables, run, steps).distinct(column, MAX_PIVOT_COLUMNS + 1))
            return [row[0] for row in found]

        compiled = compile_operations(operations, others, tables.session, tables.columns, values)
        planned = _planner(tables, run, compiled.steps).planned(compiled.columns)
        yield replace(compiled, sql=run.write(planned.sql, compiled.columns), pretty=planned.pretty)


def _planner(tables: Tables, run: Run, steps: Sequence[Step]) -> Planner:
    session = tables.session
    planner = Planner(
        {table: tables.columns(table) for table in tables.opened},
        session.columns,
        session.view,
        numbered=INPUT in run.gapless,
    )
    for step in steps:
        planner.add(step)
    return planner
