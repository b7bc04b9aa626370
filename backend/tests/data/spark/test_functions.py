"""Every expression of `cases` gives the same on DuckDB and on Spark, of the same type."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.data.spark import cases
from tests.data.spark.both import Both


def _lenient(cast: str) -> str:
    """`i::double` → `try_cast(i as double)`."""
    return re.sub(r"(.*)::([^:]+)$", r"try_cast(\1 as \2)", cast)


def _numbered(expressions: list[str]) -> dict[str, str]:
    return {f"c{number}": expression for number, expression in enumerate(expressions)}


def _agree(both: Both, expressions: list[str], *operations: dict[str, Any]) -> None:
    """One query for all; a difference names its expression."""
    try:
        both.agree(both.made(cases.VALUES), *operations, in_order=True)
    except AssertionError as error:
        told = re.sub(r"\bc(\d+):", lambda found: f"`{expressions[int(found[1])]}`:", str(error))
        raise AssertionError(told) from None


@pytest.mark.parametrize(
    "expressions",
    [cases.NUMBERS, cases.TEXTS, cases.PATTERNS, cases.MOMENTS, list(map(_lenient, cases.CASTS)), cases.NESTED,
     cases.CONDITIONS],
    ids=["numbers", "texts", "patterns", "moments", "casts", "nested", "conditions"],
)  # fmt: skip
def test_values_agree(both: Both, expressions: list[str]) -> None:
    columns = _numbered(expressions)
    _agree(both, expressions, {"op": "derive", "columns": columns}, {"op": "select", "columns": list(columns)})


def test_aggregates_agree(both: Both) -> None:
    values = _numbered(cases.AGGREGATES)
    _agree(
        both, cases.AGGREGATES,
        {"op": "aggregate", "by": ["b"], "values": values},
        {"op": "sort", "by": ["b"]},
    )  # fmt: skip


def test_aggregates_of_sorted_rows_agree(both: Both) -> None:
    _agree(
        both, cases.AGGREGATES,
        {"op": "sort", "by": ["-t", "id"]},
        {"op": "aggregate", "by": ["j"], "values": _numbered(cases.AGGREGATES)},
        {"op": "sort", "by": ["j"]},
    )  # fmt: skip


def test_aggregates_of_no_rows_agree(both: Both) -> None:
    _agree(
        both, cases.AGGREGATES,
        {"op": "filter", "expr": "id < 0"},
        {"op": "aggregate", "values": _numbered(cases.AGGREGATES)},
    )  # fmt: skip


@pytest.mark.parametrize(
    "over",
    [
        {},
        {"order_by": ["id"]},
        {"partition_by": ["b"], "order_by": ["-j", "id"]},
        {"partition_by": ["b"], "order_by": ["id"], "rows": [-1, 0]},
        {"rows": [-2, 1]},
    ],
    ids=["all", "ordered", "partitioned", "frame", "frame-of-table"],
)
def test_window_functions_agree(both: Both, over: dict[str, Any]) -> None:
    columns = _numbered(cases.WINDOWS)
    _agree(
        both, cases.WINDOWS,
        {"op": "window", "columns": columns, **over},
        {"op": "sort", "by": ["id"]},
        {"op": "select", "columns": ["id", *columns]},
    )  # fmt: skip
