"""Every operation gives the same table on DuckDB and on Spark; so do chains of them, over random tables."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from flexiroaster.data import operations as ops
from tests.data.spark.both import Both, Op, differences
from tests.stages import test_processing
from tests.stages.test_processing import REGIONS, ROWS

_OF_THE_STAGE: list[Any] = [
    case for mark in test_processing.test_operations.pytestmark if mark.name == "parametrize" for case in mark.args[1]
]
_WITHOUT_ORDER = {"aggregate", "join", "window"}
"""DuckDB promises no order of their rows."""

MORE: list[list[Op]] = [
    [{"op": "sample", "rows": 3, "seed": 7}],
    [{"op": "sample", "percent": 60}],
    [{"op": "filter", "expr": "id > 1"}, {"op": "sample", "rows": 2}],
    [{"op": "sort", "by": ["-id", "amount"]}, {"op": "dedupe", "keys": ["region"]}, {"op": "limit", "rows": 9}],
    [{"op": "sort", "by": ["-amount"]}, {"op": "rename", "columns": {"amount": "a"}}, {"op": "limit", "rows": 2}],
    [{"op": "union", "with": [REGIONS, ROWS]}],
    [{"op": "select", "columns": ["id"]}, {"op": "union", "with": [{"id": 3}], "distinct": True},
     {"op": "sort", "by": ["id"]}],
    [{"op": "explode", "column": "tags"}, {"op": "derive", "columns": {"n": "row_number() over ()"}}],
    [{"op": "unpivot", "columns": ["id", "amount"], "keep_empty": False, "name": "what", "value": "how_much"}],
    [{"op": "pivot", "column": "id", "value": "max(text)", "by": ["region"]},
     {"op": "rename", "columns": {"1": "one"}}],
    [{"op": "join", "with": REGIONS, "on": ["region"], "how": "left"}, {"op": "sort", "by": ["id", "amount"]}],
    [{"op": "join", "with": REGIONS, "on": {"id": "id"}, "how": "right"}, {"op": "sort", "by": ["id"]}],
    [{"op": "join", "with": ROWS, "on": ["region", "text"], "suffix": "_2"},
     {"op": "sort", "by": ["id", "id_2", "amount", "amount_2"]}],
    [{"op": "sql", "query": "select region, count(*) as n from input group by all order by n desc, region"},
     {"op": "limit", "rows": 1}],
    [{"op": "sql", "query": "select *, sum(amount) over (partition by region) as s from input order by id, amount"}],
    [{"op": "sql", "query": "select count(*), max(range) from range(10) r"}],
    [{"op": "sql", "query": "from input select id, text where amount > (select avg(amount) from input) order by id"}],
    [{"op": "sql", "with": {"r": REGIONS}, "query": "select i.id, r.name from input i semi join r using (region) "
      "left join r on r.region = i.region where i.id not in (select id from r) order by 1, 2"}],
    [{"op": "sql", "query": "select distinct region from input union all select 'x' order by region"}],
    [{"op": "sql", "query": "with a as (select id, amount / 2 as half from input), b as (select id, half // 1 as w "
      "from a) select * from b order by id, w"}],
    [{"op": "cast", "columns": {"id": "text", "amount": "decimal(12,2)"}}, {"op": "filter", "expr": "id = '3'"}],
    [{"op": "split", "column": "text", "into": ["text", "rest"], "separator": "-", "keep": True}],
    [{"op": "fill_null", "columns": {"text": ""}}],
    [{"op": "aggregate", "by": ["region"], "values": {"ids": "list(id)", "last": "last(text)"}},
     {"op": "sort", "by": ["region"]}],
]  # fmt: skip


def _name(operations: list[Op]) -> str:
    return "-".join(operation["op"] for operation in operations)


@pytest.mark.parametrize("operations", [case[0] for case in _OF_THE_STAGE], ids=_name)
def test_operations_of_the_stage_agree(both: Both, operations: list[Op]) -> None:
    both.agree(ROWS, *operations, in_order=operations[-1]["op"] not in _WITHOUT_ORDER)


@pytest.mark.parametrize("operations", MORE, ids=_name)
def test_more_operations_agree(both: Both, operations: list[Op]) -> None:
    both.agree(ROWS, *operations)


def test_every_operation_is_compared() -> None:
    kinds = {kind.model_fields["op"].annotation.__args__[0] for kind in ops.Operation.__args__[0].__args__}  # type: ignore[union-attr,attr-defined]
    compared = {operation["op"] for case in [*(c[0] for c in _OF_THE_STAGE), *MORE] for operation in case}
    assert kinds - compared == {"group"}  # see test_groups_agree


def test_groups_agree(both: Both) -> None:
    results = [both.run(engine, ROWS, [{"op": "group", "by": "region"}]) for engine in ("duckdb", "spark")]
    ours, theirs = ({name: ref["rows"] for name, ref in result["groups"].items()} for result in results)
    assert ours == theirs == {"eu": 3, "us": 1}
    assert [row["id"] for row in both.bench.rows(results[1]["groups"], "us")] == [2]


# Random chains over random tables

_numbers = st.one_of(st.none(), st.integers(-3, 3))
_texts = st.one_of(st.none(), st.sampled_from(["", "a", "A", "b ", "é", "a-b", "10", "NULL"]))
_doubles = st.one_of(st.none(), st.sampled_from([0.0, 1.5, -2.5, 1e20, float("nan"), float("inf")]))
_rows = st.lists(st.tuples(_numbers, _numbers, _texts, _doubles), min_size=0, max_size=12)
_step = st.sampled_from(
    [
        {"op": "filter", "expr": "k > 0 or t is null"},
        {"op": "filter", "expr": "t <> 'a'"},
        {"op": "derive", "columns": {"x": "x * 2 + k", "t": "upper(t) || coalesce(t, '?')"}},
        {"op": "derive", "columns": {"k": "coalesce(k, v, 0) + 1"}},
        {"op": "derive", "columns": {"x": "k / v"}},
        {"op": "fill_null", "columns": {"t": "-", "k": 0}},
        {"op": "sort", "by": ["-k", "t"]},
        {"op": "sort", "by": ["x", "-t", "v", "k"]},
        {"op": "limit", "rows": 5, "offset": 1},
        {"op": "limit", "rows": 8},
        {"op": "sample", "percent": 50, "seed": 3},
        {"op": "dedupe", "keys": ["k"]},
        {"op": "dedupe", "keys": ["t"], "keep": "last"},
        {"op": "dedupe", "keys": ["t"], "order_by": ["-v", "k"], "keep": "first"},
        {"op": "dedupe"},
        {"op": "select", "columns": ["t", "k", "x", "v"]},
        {"op": "cast", "columns": {"t": "integer"}, "on_error": "null"},
        {"op": "cast", "columns": {"t": "text"}},
        {"op": "split", "column": "t", "into": ["t", "u"], "separator": "-"},
        {"op": "explode", "column": "t", "separator": "-"},
        {"op": "union", "with": [{"k": 1, "t": "z"}, {"k": None, "t": None}]},
    ]
)  # fmt: skip
_end = st.sampled_from(
    [
        [],
        [{"op": "aggregate", "by": ["k"], "values": {"n": "count(*)", "s": "sum(v)", "m": "max(x)", "a": "avg(v)"}},
         {"op": "sort", "by": ["k"]}],
        [{"op": "aggregate", "values": {"f": "first(k)", "l": "list(v)", "d": "count(distinct k)"}}],
        [{"op": "pivot", "column": "k", "value": "count(*)", "by": ["v"], "values": [0, 1, 2]}],
        [{"op": "unpivot", "columns": ["k", "v"]}],
        [{"op": "join", "with": [{"k": 1, "w": "one"}, {"k": 0, "w": "none"}], "on": ["k"], "how": "left"}],
    ]
)  # fmt: skip


def _value(value: Any, kind: str) -> str:
    return "NULL" if value is None else f"'{value}'::{kind}"


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True,
          phases=[Phase.generate])  # fmt: skip
@given(rows=_rows, steps=st.lists(_step, min_size=1, max_size=4), end=_end)
def test_random_chains_agree(both: Both, rows: list[Any], steps: list[Op], end: list[Op]) -> None:
    kinds = ("INTEGER", "BIGINT", "VARCHAR", "DOUBLE")
    cells = [f"({', '.join(map(_value, row, kinds))})" for row in rows]
    none = f"({', '.join(f'NULL::{kind}' for kind in kinds)}, true)"
    given_rows = ", ".join([*(f"{cell[:-1]}, false)" for cell in cells), none])
    data = both.made(f"SELECT k, v, t, x FROM (VALUES {given_rows}) made(k, v, t, x, gone) WHERE NOT gone")
    operations = [*steps, *end]
    ours, theirs = (both.outcome(engine, data, operations) for engine in ("duckdb", "spark"))
    if isinstance(ours, Exception):
        assert isinstance(theirs, Exception), f"{operations}: only DuckDB fails: {ours}"
        return
    assert not isinstance(theirs, Exception), f"{operations}: only Spark fails: {theirs}"
    assert theirs.types == ours.types, operations
    in_order = not (end and end[-1]["op"] == "join")
    found = differences(ours, theirs, in_order=in_order)
    assert not found, f"{given_rows} {operations}: {found}"
