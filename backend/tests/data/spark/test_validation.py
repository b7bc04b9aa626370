"""The validation stage finds the same bad rows on Spark as on DuckDB, and hands on the same table."""

from __future__ import annotations

from typing import Any

import pytest

from tests.data.spark.both import Both
from tests.stages.conftest import Bench
from tests.stages.test_validation import ORDERS, RULES

ROWS: list[dict[str, Any]] = [
    {"id": 1, "code": "ab-1", "n": "5", "day": "2026-01-01", "kind": "x"},
    {"id": 2, "code": "zz", "n": "x", "day": "2026-01-02", "kind": "y"},
    {"id": 2, "code": "ab-1", "n": "7.5", "day": "2026-02-30", "kind": None},
    {"id": None, "code": None, "n": None, "day": None, "kind": "z"},
    {"id": -4, "code": "AB-2\n", "n": "-1", "day": "2025-12-31", "kind": "x"},
]
EVERY_RULE: dict[str, Any] = {
    "columns": {
        "id": {"not_null": True, "unique": True, "min": 0, "references": {"data": [{"k": 1}, {"k": 2}, {"k": None}],
               "column": "k"}},
        "code": {"pattern": "^[a-z]{2}-[0-9]$", "min_length": 3, "max_length": 4},
        "n": {"type": "integer", "below": 8},
        "day": {"type": "date", "above": "2025-12-31"},
        "kind": {"allowed": ["x", "y"]},
        "absent": {"required": False, "not_null": True},
    },
    "unique": [["code", "kind"]],
    "checks": [{"name": "small", "expr": "id * 2 < 4 or kind = 'y'"}, {"expr": "day is null or month(day) <= 2"}],
}  # fmt: skip


def _results(bench: Bench, data: Any, **config: Any) -> list[dict[str, Any]]:
    return [bench.run("validation", data=data, engine=engine, **config) for engine in ("duckdb", "spark")]


def _without_places(result: dict[str, Any]) -> dict[str, Any]:
    return {key: result[key] for key in ("rows", "valid", "checked", "invalid_count", "digest", "report")}


@pytest.mark.parametrize("read_from", ["parquet", "csv"])
def test_every_rule_finds_the_same_rows(both: Both, read_from: str) -> None:
    bench = both.bench
    config: dict[str, Any] = EVERY_RULE
    data: Any = bench.run("input", data=ROWS)["data"]
    if read_from == "csv":
        bench.file("orders.csv", ORDERS)
        data, config = bench.run("input", path="orders.csv")["data"], {"columns": RULES}
    ours, theirs = _results(bench, data, **config, max_invalid="100%")
    assert _without_places(theirs) == _without_places(ours)
    assert ours["invalid_count"] > 3
    assert bench.rows(theirs, "quarantine") == bench.rows(ours, "quarantine")
    assert bench.rows(theirs) == bench.rows(ours)
    again = _results(bench, theirs["data"], checks=[{"expr": "id = 1"}], max_invalid="100%")
    assert _without_places(again[1]) == _without_places(again[0])


def test_the_first_bad_row_is_named(both: Both) -> None:
    failures = [
        both.bench.fails("validation", data=ROWS, engine=engine, **EVERY_RULE) for engine in ("duckdb", "spark")
    ]
    assert str(failures[0]) == str(failures[1])


def test_rows_that_were_set_aside_do_not_count(both: Both) -> None:
    """A table of which rows were left out is read by Spark without them."""
    checked = both.bench.run("validation", data=ROWS, columns={"id": {"not_null": True}}, max_invalid=1)
    table = both.agree(checked["data"], {"op": "select", "columns": ["id", "code"]}, {"op": "limit", "rows": 4})
    assert len(table.rows) == 4
