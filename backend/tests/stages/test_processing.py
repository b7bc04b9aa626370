"""The processing stage: each operation, errors that name operation and column, and what is refused."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flexiroaster.data.preview import preview
from flexiroaster.data.table import TableRef
from flexiroaster.stages.tables import confinement
from tests.stages.conftest import Bench

ROWS: list[dict[str, Any]] = [
    {"id": 1, "region": "eu", "amount": 10.0, "tags": ["a", "b"], "text": "x-y"},
    {"id": 2, "region": "us", "amount": None, "tags": [], "text": "z"},
    {"id": 3, "region": "eu", "amount": 5.0, "tags": ["c"], "text": None},
    {"id": 3, "region": "eu", "amount": 7.0, "tags": None, "text": "x-y"},
]
REGIONS = [{"region": "eu", "name": "Europe", "id": 7}, {"region": "asia", "name": "Asia", "id": 8}]
Op = dict[str, Any]


@pytest.mark.parametrize(
    ("operations", "columns", "expected"),
    [
        ([{"op": "filter", "expr": "amount > 5"}], ["id", "amount"], [(1, 10.0), (3, 7.0)]),
        ([{"op": "select", "columns": ["Region", "id"]}, {"op": "limit", "rows": 1}], ["region", "id"], [("eu", 1)]),
        (
            [{"op": "select", "exclude": ["tags", "text"]}, {"op": "limit", "rows": 1, "offset": 1}],
            None,
            [(2, "us", None)],
        ),
        ([{"op": "rename", "columns": {"id": "key"}}, {"op": "limit", "rows": 1}], ["key"], [(1,)]),
        ([{"op": "cast", "columns": {"id": "text"}}, {"op": "limit", "rows": 1}], ["id"], [("1",)]),
        (
            [{"op": "cast", "columns": {"text": "integer"}, "on_error": "null"}, {"op": "limit", "rows": 1}],
            ["text"],
            [(None,)],
        ),
        (
            [{"op": "derive", "columns": {"double": "amount * 2", "id": "id + 1"}}, {"op": "limit", "rows": 2}],
            ["id", "double"],
            [(2, 20.0), (3, None)],
        ),
        ([{"op": "sort", "by": ["-id", "amount"]}], ["id", "amount"], [(3, 5.0), (3, 7.0), (2, None), (1, 10.0)]),
        ([{"op": "sort", "by": ["-amount"]}], ["amount"], [(10.0,), (7.0,), (5.0,), (None,)]),
        ([{"op": "dedupe", "keys": ["id"]}], ["id", "amount"], [(1, 10.0), (2, None), (3, 5.0)]),
        ([{"op": "dedupe", "keys": ["id"], "keep": "last"}], ["id", "amount"], [(1, 10.0), (2, None), (3, 7.0)]),
        (
            [{"op": "dedupe", "keys": ["id"], "order_by": ["-amount"]}],
            ["id", "amount"],
            [(1, 10.0), (2, None), (3, 7.0)],
        ),
        (
            [
                {"op": "aggregate", "by": ["region"], "values": {"n": "count(*)", "sum": "sum(amount)"}},
                {"op": "sort", "by": ["region"]},
            ],
            ["region", "n", "sum"],
            [("eu", 3, 22.0), ("us", 1, None)],
        ),
        ([{"op": "aggregate", "values": {"ids": "sum(id)"}}], ["ids"], [(9,)]),
        (
            [{"op": "join", "with": REGIONS, "on": ["region"]}, {"op": "sort", "by": ["id", "amount"]}],
            ["id", "name", "id_right"],
            [(1, "Europe", 7), (3, "Europe", 7), (3, "Europe", 7)],
        ),
        ([{"op": "join", "with": REGIONS, "on": ["region"], "how": "anti"}], ["id"], [(2,)]),
        ([{"op": "join", "with": REGIONS, "on": ["region"], "how": "semi"}, {"op": "limit", "rows": 1}], None, None),
        (
            [
                {"op": "join", "with": REGIONS, "on": {"region": "region"}, "how": "full"},
                {"op": "sort", "by": ["region", "id", "amount"]},
            ],
            ["region", "id", "name"],
            [("asia", None, "Asia"), ("eu", 1, "Europe"), ("eu", 3, "Europe"), ("eu", 3, "Europe"), ("us", 2, None)],
        ),
        (
            [{"op": "union", "with": REGIONS}, {"op": "filter", "expr": "name is not null"}],
            ["id", "region", "name", "amount"],
            [(7, "eu", "Europe", None), (8, "asia", "Asia", None)],
        ),
        (
            [{"op": "pivot", "column": "region", "value": "sum(amount)", "by": ["id"]}],
            ["id", "eu", "us"],
            [(1, 10.0, None), (2, None, None), (3, 12.0, None)],
        ),
        (
            [{"op": "pivot", "column": "region", "value": "count(*)", "values": ["us", "asia"]}],
            ["us", "asia"],
            [(1, 0)],
        ),
        (
            [{"op": "unpivot", "columns": ["id", "amount"]}, {"op": "limit", "rows": 3}],
            ["region", "name", "value"],
            [("eu", "id", 1.0), ("eu", "amount", 10.0), ("us", "id", 2.0)],
        ),
        (
            [
                {"op": "window", "columns": {"n": "row_number()", "run": "round(sum(amount), 1) + 1"},
                 "partition_by": ["region"], "order_by": ["id", "amount"]},
                {"op": "sort", "by": ["region", "n"]},
            ],
            ["id", "n", "run"],
            [(1, 1, 11.0), (3, 2, 16.0), (3, 3, 23.0), (2, 1, None)],
        ),
        (
            [
                {"op": "window", "columns": {"two": "sum(id)"}, "order_by": ["id", "amount"], "rows": [-1, 0]},
                {"op": "sort", "by": ["id", "amount"]},
            ],
            ["two"],
            [(1,), (3,), (5,), (6,)],
        ),
        ([{"op": "fill_null", "columns": {"amount": 0, "text": "-"}}], ["amount", "text"],
         [(10.0, "x-y"), (0.0, "z"), (5.0, "-"), (7.0, "x-y")]),
        (
            [{"op": "split", "column": "text", "into": ["one", "two"], "separator": "-"}, {"op": "limit", "rows": 3}],
            ["one", "two"],
            [("x", "y"), ("z", None), (None, None)],
        ),
        ([{"op": "explode", "column": "tags"}], ["id", "tags"], [(1, "a"), (1, "b"), (3, "c")]),
        ([{"op": "explode", "column": "text", "separator": "-"}], ["id", "text"],
         [(1, "x"), (1, "y"), (2, "z"), (3, "x"), (3, "y")]),
        (
            [
                {"op": "filter", "expr": "id < 3"},
                {"op": "sql", "with": {"r": REGIONS},
                 "query": "with e as (from r where id = 7) select input.id, e.name from input join e using (region)"},
            ],
            ["id", "name"],
            [(1, "Europe")],
        ),
        ([{"op": "sql", "query": "select input.id from input where id = 1"}], ["id"], [(1,)]),
    ],
    ids=lambda value: value[-1]["op"] if isinstance(value, list) and value and isinstance(value[-1], dict) else None,
)  # fmt: skip
def test_operations(bench: Bench, operations: list[Op], columns: list[str] | None, expected: list[Any] | None) -> None:
    rows = bench.process(ROWS, *operations)
    if expected is None:
        assert rows == [ROWS[0]]
        return
    assert [tuple(row[c] for c in columns or ["id", "region", "amount"]) for row in rows] == expected


def test_dedupe_without_keys_keeps_the_order(bench: Bench) -> None:
    assert [row["value"] for row in bench.process([3, 1, 3, 2, 1], {"op": "dedupe"})] == [3, 1, 2]


def test_sample_is_the_same_every_time(bench: Bench) -> None:
    many = [{"n": n} for n in range(1000)]
    first = bench.process(many, {"op": "sample", "rows": 50, "seed": 1})
    assert len(first) == 50
    assert first == bench.process(many, {"op": "sample", "rows": 50, "seed": 1})
    assert first != bench.process(many, {"op": "sample", "rows": 50, "seed": 2})
    assert 350 < len(bench.process(many, {"op": "sample", "percent": 50})) < 650


def test_the_sql_is_in_the_result(bench: Bench) -> None:
    result = bench.run(
        "processing", data=ROWS, operations=[{"op": "filter", "expr": "id > 1"}, {"op": "limit", "rows": 1}]
    )
    assert result["sql"].startswith('WITH step_1 AS (\n  SELECT\n    *\n  FROM "input"')
    assert result["processed_data"] == result["data"]
    assert result["rows"] == 1


def test_group_gives_a_table_for_each_value(bench: Bench) -> None:
    result = bench.run("processing", data=ROWS, operations=[{"op": "group", "by": "region"}])
    assert {name: ref["rows"] for name, ref in result["groups"].items()} == {"eu": 3, "us": 1}
    assert [row["id"] for row in bench.rows(result["groups"], "us")] == [2]
    assert bench.process(result["groups"]["eu"], {"op": "aggregate", "values": {"n": "count(*)"}}) == [{"n": 3}]


@pytest.mark.parametrize(
    ("operations", "says"),
    [
        ([{"op": "limit", "rows": 9}, {"op": "filter", "expr": "amont > 1"}],
         "Operation 2 (filter): in `amont > 1` (at character 1) there is no column 'amont'. Did you mean 'amount'?"),
        ([{"op": "select", "columns": ["regoin"]}],
         "Operation 1 (select): there is no column 'regoin'. Did you mean 'region'?"),
        ([{"op": "join", "with": REGIONS, "on": {"region": "regio"}}], "no column 'regio' in the other table"),
        ([{"op": "filter", "expr": "amount >"}], "Operation 1 (filter)"),
        ([{"op": "filter", "expr": "amount > 'x"}], "a quote or bracket is not closed"),
        ([{"op": "derive", "columns": {"x": "amount + tags"}}, {"op": "limit", "rows": 1}],
         "Operation 1 (derive): no function matches"),
        ([{"op": "filter", "expr": "id > 0"}, {"op": "filter", "expr": "sum(id) > 1"}],
         "Operation 2 (filter): WHERE clause cannot contain aggregates"),
        ([{"op": "rename", "columns": {"id": "amount"}}], "gives two columns named 'amount'"),
        ([{"op": "group", "by": "id"}, {"op": "limit", "rows": 1}], "must be the last one"),
        ([{"op": "pivot", "column": "region", "value": "amount"}], "must be an aggregate"),
        ([{"op": "cast", "columns": {"id": "nonsense"}}], "no column type 'nonsense'"),
        ([{"op": "cast", "columns": {"text": "integer"}}], "could not convert string 'x-y'"),
        ([{"op": "sql", "query": "select nope from input"}], "Operation 1 (sql)"),
        ([{"op": "sql", "query": "select * from inputs"}], "there is no table 'inputs'. Did you mean 'input'?"),
        ([{"op": "select", "exclude": ["id", "region", "amount", "tags", "text"]}], "would leave no column"),
    ],
)  # fmt: skip
def test_errors_name_operation_and_cure(bench: Bench, operations: list[Op], says: str) -> None:
    assert says in str(bench.fails("processing", data=ROWS, operations=operations))


FORBIDDEN_VALUES = [
    "read_text('/etc/passwd')", "read_csv('x')", "(select 1)", "exists(select 1)", "id; drop table x", "getenv('HOME')",
    "current_setting('temp_directory')", "getvariable('x')", "nextval('x')", "sleep_ms(10)", "query('select 1')", "$1",
    "columns('i.*')", "id in (select 1)", "glob('/etc/*')", "*", "id, region", "pg_sleep(1)",
]  # fmt: skip
FORBIDDEN_QUERIES = [
    "select * from read_text('/etc/passwd')", "select * from '/etc/passwd'", "select * from \"/etc/passwd\"",
    "copy input to '/tmp/x'", "select 1; select 2", "attach '/tmp/x'", "pragma version", "install httpfs",
    "select * from information_schema.tables", "select * from duckdb_settings()", "select * into x from input",
    "insert into input select 1", "create table x as select 1", "set threads = 1", "call pragma_version()",
    "select * from input, read_csv('/etc/passwd')", "with x as (from read_blob('/etc/passwd')) select * from x",
    "select * from query('select 1')", "from sniff_csv('/etc/passwd')", "select (select count(*) from glob('/*'))",
    "explain select 1", "describe input", "load httpfs", "export database '/tmp/x'", "select * from main.input",
]  # fmt: skip


@pytest.mark.parametrize("expr", FORBIDDEN_VALUES)
def test_expressions_may_not_reach_out(bench: Bench, expr: str) -> None:
    failure = bench.fails("processing", data=ROWS, operations=[{"op": "derive", "columns": {"x": expr}}])
    assert failure.code in ("bad_expression", "unknown_function")


@pytest.mark.parametrize("query", FORBIDDEN_QUERIES)
def test_queries_may_not_reach_out(bench: Bench, query: str) -> None:
    failure = bench.fails("processing", data=ROWS, operations=[{"op": "sql", "query": query}])
    assert failure.code in ("bad_expression", "unknown_function", "unknown_table")


def test_sums_of_integers_stay_integers(bench: Bench) -> None:
    big = 2**53 + 1
    rows = bench.process([{"n": big}, {"n": 0}], {"op": "aggregate", "values": {"s": "sum(n)"}})
    assert rows == [{"s": str(big)}]


def test_a_cancel_stops_the_query(bench: Bench) -> None:
    context = bench.context()
    started = threading.Event()
    original = context.log

    def log(level: Any, message: str, **fields: Any) -> None:
        original(level, message, **fields)
        started.set()

    context.log = log  # type: ignore[method-assign]
    stopper = threading.Thread(target=lambda: started.wait(60) and context.cancel())
    stopper.start()
    query = "select sum(a.range * b.range) as s from range(4000000) a, range(4000000) b"
    failure = bench.fails("processing", context, data=ROWS, operations=[{"op": "sql", "query": query}])
    stopper.join()
    assert failure.kind == "cancelled"
    assert [artifact.path.name for artifact in context.artifacts] == ["100-input.parquet"]
    assert list(bench.root.glob("artifacts/*data.parquet")) == []


values = st.one_of(st.none(), st.integers(-5, 5))
tables = st.lists(st.fixed_dictionaries({"k": st.sampled_from("abc"), "v": values}), min_size=1, max_size=12)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=tables, bound=st.integers(-5, 5))
def test_a_chain_agrees_with_python(bench: Bench, rows: list[dict[str, Any]], bound: int) -> None:
    """filter → dedupe → aggregate → sort, against the same in Python."""
    if all(row["v"] is None for row in rows):
        rows = [*rows, {"k": "a", "v": 0}]
    kept = list({(r["k"], r["v"]): r for r in rows if r["v"] is not None and r["v"] >= bound}.values())
    expected = sorted(
        (key, len(group), sum(group))
        for key in {r["k"] for r in kept}
        if (group := [r["v"] for r in kept if r["k"] == key])
    )
    result = bench.process(
        rows,
        {"op": "filter", "expr": f"v >= {bound}"},
        {"op": "dedupe"},
        {"op": "aggregate", "by": ["k"], "values": {"n": "count(*)", "s": "sum(v)"}},
        {"op": "sort", "by": ["k"]},
    )
    assert [(row["k"], row["n"], row["s"]) for row in result] == expected


def test_reading_a_group_of_a_date(bench: Bench) -> None:
    bench.file("days.csv", "day,n\n2026-01-01,1\n2026-01-02,2\n")
    data = bench.run("input", path="days.csv")["data"]
    groups = bench.run("processing", data=data, operations=[{"op": "group", "by": "day"}])["groups"]
    page = preview(TableRef.model_validate(groups["2026-01-02"]), confinement(bench.context()))
    assert page.rows == [["2026-01-02", 2]]
