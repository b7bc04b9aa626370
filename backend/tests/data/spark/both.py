"""Running operations on DuckDB and on Spark, and comparing the tables."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from flexiroaster.data.table import Column, TableRef
from flexiroaster.engine.errors import StageFailed
from flexiroaster.engine.outcome import Succeeded
from flexiroaster.stages.processing import ProcessingConfig, ProcessingStage
from tests.stages.conftest import Bench

Op = dict[str, Any]


@dataclass(frozen=True)
class Table:
    types: list[tuple[str, str]]
    rows: list[tuple[Any, ...]]


class Both:
    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._numbers = itertools.count(1)

    def made(self, query: str) -> dict[str, Any]:
        """A reference to a query's rows, kept as an artifact."""
        folder = self.bench.root / "artifacts"
        folder.mkdir(exist_ok=True)
        path = folder / f"made-{next(self._numbers)}.parquet"
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
            described = connection.execute(f"DESCRIBE FROM '{path}'").fetchall()
        return TableRef(table=path.as_uri(), columns=[Column(name=n, type=t) for n, t, *_ in described]).to_json()

    def run(self, engine: str, data: Any, operations: Sequence[Op]) -> dict[str, Any]:
        config = ProcessingConfig.model_validate({"data": data, "operations": operations, "engine": engine})
        outcome = ProcessingStage().run(config, self.bench.context())
        assert isinstance(outcome, Succeeded)
        return dict(outcome.result)  # type: ignore[arg-type]

    def table(self, result: dict[str, Any]) -> Table:
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            path = Path(TableRef.model_validate(result["data"]).table.removeprefix("file://"))
            described = connection.execute(f"DESCRIBE FROM '{path}'").fetchall()
            rows = connection.execute(f"FROM '{path}'").fetchall()
        assert [(c["name"], c["type"]) for c in result["columns"]] == [(n, t) for n, t, *_ in described]
        return Table([(n, t) for n, t, *_ in described], rows)

    def tables(self, data: Any, *operations: Op) -> tuple[Table, Table]:
        return tuple(self.table(self.run(engine, data, operations)) for engine in ("duckdb", "spark"))  # type: ignore[return-value]

    def agree(self, data: Any, *operations: Op, in_order: bool = True) -> Table:
        ours, theirs = self.tables(data, *operations)
        assert theirs.types == ours.types
        differing = differences(ours, theirs, in_order=in_order)
        assert not differing, "\n".join(differing[:20])
        return ours

    def outcome(self, engine: str, data: Any, operations: Sequence[Op]) -> Table | StageFailed:
        try:
            return self.table(self.run(engine, data, operations))
        except StageFailed as failure:
            return failure


def differences(ours: Table, theirs: Table, *, in_order: bool = True) -> list[str]:
    one, other = ours.rows, theirs.rows
    if not in_order:
        one, other = sorted(one, key=_sortable), sorted(other, key=_sortable)
    if len(one) != len(other):
        return [f"{len(one)} rows on DuckDB, {len(other)} on Spark: {one[:5]} {other[:5]}"]
    return [
        f"row {number} {name}: {left!r} on DuckDB, {right!r} on Spark"
        for number, (a, b) in enumerate(zip(one, other, strict=True))
        for (name, _), left, right in zip(ours.types, a, b, strict=True)
        if not same(left, right)
    ]


def same(left: Any, right: Any) -> bool:
    """Equal; floating point numbers nearly, as sums depend on the order of their parts."""
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-12) or (math.isnan(left) and math.isnan(right))
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    return type(left) is type(right) and bool(left == right)


def _sortable(row: tuple[Any, ...]) -> str:
    return repr([round(cell, 6) if isinstance(cell, float) else cell for cell in row])
