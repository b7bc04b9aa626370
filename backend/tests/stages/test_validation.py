"""The validation stage: which rows break which rule, what is handed on, and how a failure reads."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from flexiroaster.data.table import TableRef
from flexiroaster.stages.validation import ValidationConfig
from tests.stages.conftest import Bench

ORDERS = """id,region,amount,day
1,eu,10.5,2026-01-01
2,us,N/A,2026-01-02
3,xx,7,2026-01-03
3,eu,-4,2026-13-03
,eu,1,
"""
RULES: dict[str, Any] = {
    "id": {"not_null": True, "unique": True},
    "region": {"allowed": ["eu", "us"]},
    "amount": {"type": "decimal(12,2)", "min": 0},
    "day": {"type": "date"},
}


def broken(result: dict[str, Any]) -> dict[str, list[int]]:
    """The rows that break each rule."""
    return {
        f"{entry['column']}.{entry['rule']}" if entry["column"] else entry["rule"]: [s["row"] for s in entry["samples"]]
        for entry in result["report"]
        if entry["failed"]
    }


def orders(bench: Bench, text: str = ORDERS, **hints: Any) -> Any:
    bench.file("orders.csv", text)
    return bench.run("input", path="orders.csv", **hints)["data"]


def test_every_rule_is_reported_with_its_rows(bench: Bench) -> None:
    result = bench.run("validation", data=orders(bench), columns=RULES, max_invalid="90%")
    assert broken(result) == {
        "amount.type": [2],
        "day.type": [4],
        "id.not_null": [5],
        "id.unique": [4],
        "region.allowed": [3],
        "amount.min": [4],
    }
    assert (result["checked"], result["invalid_count"], result["rows"], result["valid"]) == (5, 4, 1, False)


def test_good_rows_are_handed_on_with_their_types(bench: Bench) -> None:
    result = bench.run("validation", data=orders(bench), columns=RULES, max_invalid=4)
    assert bench.rows(result) == [{"id": 1, "region": "eu", "amount": 10.5, "day": "2026-01-01"}]
    doubled = bench.process(result["data"], {"op": "derive", "columns": {"double": "amount * 2", "year": "year(day)"}})
    assert [(row["double"], row["year"]) for row in doubled] == [(21.0, 2026)]


def test_bad_rows_are_kept_as_they_were_written(bench: Bench) -> None:
    result = bench.run("validation", data=orders(bench), columns=RULES, max_invalid=4)
    rows = bench.rows(result, "quarantine")
    assert [(row["_row"], row["amount"], row["_rules"]) for row in rows] == [
        (2, "N/A", ["amount: type"]),
        (3, "7.00", ["region: allowed"]),
        (4, "-4.00", ["day: type", "id: unique", "amount: min"]),
        (5, "1.00", ["id: not_null"]),
    ]


def test_the_quarantine_is_an_artifact_of_its_kind(bench: Bench) -> None:
    context = bench.context()
    bench.run("validation", context, data=orders(bench), columns=RULES, max_invalid=4)
    assert sorted(context.kinds.values()) == ["quarantine", "table"]
    assert sorted(artifact.rows or 0 for artifact in context.artifacts) == [4, 5]


def test_a_failure_names_the_first_bad_row(bench: Bench) -> None:
    context = bench.context()
    failure = bench.fails("validation", context, data=orders(bench), columns=RULES)
    assert str(failure).startswith("orders.csv, row 2: column 'amount' expected decimal(12,2), got 'N/A'.")
    assert "4 of 5 rows are invalid" in str(failure)
    assert failure.location is not None
    assert (failure.location.file, failure.location.row) == ("orders.csv", 2)
    assert (failure.location.column, failure.location.value) == ("amount", "N/A")
    assert failure.suggestion is not None
    assert "max_invalid" in failure.suggestion
    assert failure.details["invalid_count"] == 4
    assert context.artifacts == []


def test_more_than_max_invalid_fails(bench: Bench) -> None:
    data = orders(bench)
    assert bench.fails("validation", data=data, columns=RULES, max_invalid=3).code == "invalid_rows"
    assert bench.fails("validation", data=data, columns=RULES, max_invalid="79%").code == "invalid_rows"
    assert bench.run("validation", data=data, columns=RULES, max_invalid="80%")["rows"] == 1


def test_bad_rows_may_be_kept(bench: Bench) -> None:
    result = bench.run("validation", data=orders(bench), columns=RULES, max_invalid=4, invalid_to="keep")
    assert result["quarantine"] is None
    assert result["rows"] == len(bench.rows(result)) == 5


def test_type_hints_of_the_input_are_a_promise(bench: Bench) -> None:
    data = orders(bench, types={"amount": "decimal", "day": "date"})
    assert broken(bench.run("validation", data=data, max_invalid=5)) == {"amount.type": [2], "day.type": [4]}


def test_a_cell_beyond_the_sample_that_does_not_fit_is_a_bad_row(bench: Bench) -> None:
    bench.file("late.csv", "id,amount\n" + "1,2.5\n" * 30_000 + "2,N/A\n")
    data = bench.run("input", path="late.csv")["data"]
    result = bench.run("validation", data=data, max_invalid=1)
    assert broken(result) == {"amount.type": [30_001]}
    bench.file("late.jsonl", '{"a": 1, "b": "x"}\n' * 30_000 + '{"a": "zz", "b": "y"}\n')
    result = bench.run("validation", data=bench.run("input", path="late.jsonl")["data"], max_invalid=1)
    assert broken(result) == {"a.type": [30_001]}
    assert [row["a"] for row in bench.rows(result, "quarantine")] == ["zz"]


def test_a_misfit_is_not_called_empty_too(bench: Bench) -> None:
    rules = {"amount": {"type": "number", "not_null": True}}
    assert broken(bench.run("validation", data=orders(bench), columns=rules, max_invalid=5)) == {"amount.type": [2]}


def test_clean_parquet_is_handed_on_unchanged(bench: Bench) -> None:
    context = bench.context()
    made = bench.run("input", data=[{"id": 1}, {"id": 2}])["data"]
    result = bench.run("validation", context, data=made, columns={"id": {"unique": True}})
    assert result["data"] == made
    assert context.artifacts == []
    assert result["valid"] is True


def test_parquet_is_not_written_again_to_leave_rows_out(bench: Bench) -> None:
    made = bench.run("input", data=[{"id": 1, "a": "5"}, {"id": 1, "a": "x"}, {"id": 2, "a": "7"}])["data"]
    context = bench.context()
    result = bench.run(
        "validation", context, data=made, columns={"a": {"type": "integer"}, "id": {"unique": True}}, max_invalid=2
    )
    assert list(context.kinds.values()) == ["quarantine"]
    assert result["data"]["table"] == made["table"]
    assert bench.rows(result) == [{"id": 1, "a": 5}, {"id": 2, "a": 7}]
    again = bench.run("validation", data=result["data"], columns={"a": {"max": 6}}, max_invalid=1)
    assert bench.rows(again) == [{"id": 1, "a": 5}]


def test_rows_of_several_files_are_named_in_their_file(bench: Bench) -> None:
    for number in range(3):
        lines = [f"{number}{row},{'bad' if (number, row) == (1, 2) else row}" for row in range(3)]
        bench.file(f"part{number}.csv", "id,amount\n" + "\n".join(lines) + "\n")
    data = bench.run("input", path="part*.csv", types={"amount": "integer"})["data"]
    failure = bench.fails("validation", data=data)
    assert str(failure).startswith("part1.csv, row 3: column 'amount' expected a whole number, got 'bad'")
    result = bench.run("validation", data=data, max_invalid=1)
    assert [row["_file"] for row in bench.rows(result, "quarantine")] == ["part1.csv"]


NUMBERS = [{"n": 1, "t": "a"}, {"n": 5, "t": "abc"}, {"n": 9, "t": "abcde"}, {"n": None, "t": None}]


@pytest.mark.parametrize(
    ("rules", "rows"),
    [
        ({"n": {"min": 5}}, [1]),
        ({"n": {"max": 5}}, [3]),
        ({"n": {"above": 1}}, [1]),
        ({"n": {"below": 9}}, [3]),
        ({"n": {"not_null": True}}, [4]),
        ({"n": {"allowed": [1, 5]}}, [3]),
        ({"t": {"min_length": 2}}, [1]),
        ({"t": {"max_length": 3}}, [3]),
        ({"t": {"pattern": "^ab"}}, [1]),
        ({"t": {"allowed": ["a", "abc"]}}, [3]),
        ({"n": {"references": {"data": [{"x": 1}, {"x": 9}, {"x": None}], "column": "x"}}}, [2]),
        ({"n": {"unique": True}}, []),
        ({"missing": {"required": False, "not_null": True}}, []),
    ],
)
@pytest.mark.parametrize("read_from", ["parquet", "csv"])
def test_each_column_rule(bench: Bench, rules: dict[str, Any], rows: list[int], read_from: str) -> None:
    data = NUMBERS if read_from == "parquet" else orders(bench, "n,t\n1,a\n5,abc\n9,abcde\n,\n")
    result = bench.run("validation", data=data, columns=rules, max_invalid=4)
    assert [row for found in broken(result).values() for row in found] == rows
    kept = [number for number in range(1, 5) if number not in rows]
    assert bench.rows(result) == [NUMBERS[number - 1] for number in kept]


@pytest.mark.parametrize(
    ("ids", "repeats"),
    [
        ([1, 2, 3, 2], [4]),
        ([63, 64, 127, 128, 64, 63], [5, 6]),
        ([-1, 0, -64, -65, -128, -65, -1], [6, 7]),
        ([9, 9, 9], [2, 3]),
        ([2**62, 1, 2**62], [3]),
        ([-(2**63), 2**63 - 1], []),
        ([2**63 - 1, 2**63 - 2, 2**63 - 1], [3]),
        ([None, None, 4, None, 4], [5]),
        ([None, None], []),
        (list(range(200)), []),
        ([*range(1000, 0, -1), 500], [1001]),
    ],
)
def test_repeated_numbers_are_found(bench: Bench, ids: list[int | None], repeats: list[int]) -> None:
    text = "id,x\n" + "".join(f"{'' if id is None else id},1\n" for id in ids)
    data = orders(bench, text, types={"id": "integer"})
    result = bench.run("validation", data=data, columns={"id": {"unique": True}}, max_invalid="100%")
    assert broken(result).get("id.unique", []) == repeats


@pytest.mark.parametrize("column", ["_row", "_ROW", "_file", "_rules", "_flexiroaster_row_"])
def test_columns_may_be_called_like_those_of_the_quarantine(bench: Bench, column: str) -> None:
    data = orders(bench, f"{column},x,{column}_\n7,1,a\n8,b,b\n9,3,c\n")
    result = bench.run("validation", data=data, columns={"x": {"type": "integer"}}, max_invalid=1)
    assert bench.rows(result) == [{column: 7, "x": 1, f"{column}_": "a"}, {column: 9, "x": 3, f"{column}_": "c"}]
    again = bench.run("validation", data=result["quarantine"], columns={"x": {"type": "integer"}}, max_invalid=1)
    values = list(bench.rows(again, "quarantine")[0].values())
    assert values[:2] == [1, ["x: type"]]
    assert all(kept in values for kept in (2, ["x: type"], "8", "b"))


def test_the_other_table_of_a_reference_has_the_column(bench: Bench) -> None:
    rules = {"n": {"references": {"data": [{"code": 1}], "column": "cod"}}}
    failure = bench.fails("validation", data=NUMBERS, columns=rules)
    assert str(failure) == "The column 'cod' is missing. Did you mean 'code'?"


def test_dates_are_compared_as_dates(bench: Bench) -> None:
    data = orders(bench, "day\n2026-01-09\n2026-01-10\n")
    result = bench.run("validation", data=data, columns={"day": {"min": "2026-01-10"}}, max_invalid=1)
    assert broken(result) == {"day.min": [1]}


def test_keys_of_several_columns(bench: Bench) -> None:
    data = [{"a": 1, "b": 1}, {"a": 1, "b": 2}, {"a": 1, "b": 1}, {"a": None, "b": 1}, {"a": None, "b": 1}]
    result = bench.run("validation", data=data, unique=[["a", "b"]], max_invalid=1)
    assert broken(result) == {"unique (a, b)": [3]}


def test_checks_pass_where_nothing_is_known(bench: Bench) -> None:
    data = [{"start": 1, "end": 2}, {"start": 3, "end": 2}, {"start": None, "end": 2}]
    checks = [{"name": "in order", "expr": '"end" >= start'}]
    result = bench.run("validation", data=data, checks=checks, max_invalid=1)
    assert broken(result) == {"in order": [2]}
    failure = bench.fails("validation", data=data, checks=checks)
    assert 'row 2: does not meet `"end" >= start`' in str(failure)


def test_checks_may_not_read_files(bench: Bench) -> None:
    failure = bench.fails("validation", data=NUMBERS, checks=[{"expr": "read_text('/etc/passwd') is null"}])
    assert failure.code == "unknown_function"


def test_row_count_and_freshness(bench: Bench) -> None:
    assert "fewer than 9" in str(bench.fails("validation", data=NUMBERS, rows={"min": 9}))
    assert "more than 3" in str(bench.fails("validation", data=NUMBERS, rows={"max": 3}))
    data = orders(bench, "at\n2026-01-04 22:00:00\n")
    now = datetime(2026, 1, 5, tzinfo=UTC)
    fresh = {"column": "at", "max_age": "3h"}
    bench.run("validation", bench.context(now=now), data=data, freshness=fresh)
    late = bench.fails("validation", bench.context(now=now), data=data, freshness={**fresh, "max_age": "1h"})
    assert "older than 1h" in str(late)


RECORD = {
    "type": "object",
    "required": ["id"],
    "properties": {"id": {"type": "integer", "maximum": 3}, "name": {"type": "string", "pattern": "^[a-z]+$"}},
}


def test_flat_schemas_are_checked_in_sql(bench: Bench) -> None:
    data = [{"id": 1, "name": "a"}, {"id": 5, "name": "b"}, {"id": None, "name": "c"}, {"id": 2, "name": "D"}]
    result = bench.run("validation", data=data, schema=RECORD, max_invalid=3)
    assert broken(result) == {"id.max": [2], "id.not_null": [3], "name.pattern": [4]}


def test_mixed_records_are_checked_one_by_one(bench: Bench) -> None:
    data = [{"id": 1, "name": "a"}, {"id": "1", "name": "b"}, {"name": "c"}, {"id": 9}]
    result = bench.run("validation", data=data, schema=RECORD, max_invalid=3)
    assert broken(result) == {"id.schema type": [2], "schema required": [3], "id.schema maximum": [4]}
    assert bench.rows(result) == [{"id": 1, "name": "a"}]


def test_nested_schemas(bench: Bench) -> None:
    schema = {"properties": {"tags": {"type": "array", "items": {"enum": ["a", "b"]}}}}
    data = [{"tags": ["a"]}, {"tags": ["a", "x"]}]
    assert broken(bench.run("validation", data=data, schema=schema, max_invalid=1)) == {"tags.schema enum": [2]}


def test_array_schemas_speak_of_the_table(bench: Bench) -> None:
    bench.run("validation", data=[3, 1], schema={"type": "array"})
    assert bench.fails("validation", data=[3], schema={"type": "array", "minItems": 2}).code == "too_few_rows"
    result = bench.run(
        "validation", data=[3, "x"], schema={"type": "array", "items": {"type": "integer"}}, max_invalid=1
    )
    assert broken(result) == {"schema type": [2]}


def test_schemas_read_numbers_from_csv(bench: Bench) -> None:
    data = orders(bench, "id,name\n1,a\nx,b\n")
    assert broken(bench.run("validation", data=data, schema=RECORD, max_invalid=1)) == {"id.type": [2]}


def test_wrong_rules_say_what_is_wrong(bench: Bench) -> None:
    data = orders(bench)
    assert "Did you mean 'region'?" in str(bench.fails("validation", data=data, columns={"regio": {}}))
    failure = bench.fails("validation", data=data, columns={"amount": {"min": 0}})
    assert "Add a `type` to its rules" in str(failure)
    assert "is not a JSON Schema" in str(bench.fails("validation", data=data, schema={"type": "nothing"}))
    for wrong in ("x%", "101%", -1, "5"):
        with pytest.raises(ValidationError):
            ValidationConfig.model_validate({"max_invalid": wrong})


def test_equal_data_has_an_equal_digest(bench: Bench) -> None:
    first = bench.run("validation", data=orders(bench), columns=RULES, max_invalid=4)["digest"]
    again = bench.run("validation", data=orders(bench), columns=RULES, max_invalid=4)["digest"]
    changed = bench.run("validation", data=orders(bench, ORDERS.replace("10.5", "10.6")), columns=RULES, max_invalid=4)
    assert first == again != changed["digest"]


def test_data_comes_from_the_one_needed_stage(bench: Bench) -> None:
    upstream = {"load": bench.run("input", data=NUMBERS)}
    assert bench.run("validation", bench.context(upstream=upstream))["checked"] == 4
    failure = bench.fails("validation", bench.context(upstream={**upstream, "other": upstream["load"]}))
    assert "set `data: ${{ results.<stage>.data }}`" in str(failure)


def test_references_survive_json(bench: Bench) -> None:
    result = bench.run("validation", data=orders(bench), columns=RULES, max_invalid=4)
    ref = TableRef.model_validate(result["data"])
    assert ref.to_json() == result["data"]
