"""Pages and profiles of tables, straight from Parquet or from the source."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from flexiroaster.data.confinement import Confinement
from flexiroaster.data.detecting import Hints, detect
from flexiroaster.data.preview import preview
from flexiroaster.data.profile import profile
from flexiroaster.data.table import Column, TableRef
from flexiroaster.data.values import json_safe, spreadsheet_safe


@pytest.fixture
def allowed(tmp_path: Path) -> Confinement:
    return Confinement((tmp_path,))


@pytest.fixture
def table(tmp_path: Path) -> TableRef:
    query = """
        SELECT range AS n, CASE WHEN range % 4 = 0 THEN NULL ELSE range / 2 END AS half, 'v' || range % 3 AS word,
               TIMESTAMP '2026-01-01' + to_days(range::INT) AS at, [range] AS list, range > 50 AS late
        FROM range(100)
    """
    duckdb.execute(f"COPY ({query}) TO '{tmp_path}/t.parquet'")
    described = duckdb.execute(f"DESCRIBE ({query})").fetchall()
    columns = tuple(Column(name=row[0], type=row[1]) for row in described)
    return TableRef(table=(tmp_path / "t.parquet").as_uri(), columns=columns, rows=100, bytes=5)


def test_pages(table: TableRef, allowed: Confinement) -> None:
    page = preview(table, allowed, offset=98, limit=10)
    assert [row[0] for row in page.rows] == [98, 99]
    assert (page.offset, page.total_rows) == (98, 100)
    assert page.rows[0][1:] == [49.0, "v2", "2026-04-09T00:00:00", [98], True]
    assert preview(table, allowed, offset=200).rows == []


def test_a_preview_of_a_source_counts_when_nobody_has(tmp_path: Path, allowed: Confinement) -> None:
    file = tmp_path / "a.csv"
    file.write_text("a\n1\n2\n")
    ref = detect([file], "csv", Hints(), allowed, tmp_path / "scratch").model_copy(update={"rows": None})
    assert preview(ref, allowed, limit=1).total_rows == 2


def test_a_page_with_a_cell_that_does_not_fit_is_shown_as_text(tmp_path: Path, allowed: Confinement) -> None:
    file = tmp_path / "a.csv"
    file.write_text("n,t\n1,x\nbad,y\n3,z\n")
    columns = (Column(name="n", type="BIGINT"), Column(name="t", type="VARCHAR"))
    page = preview(TableRef(table=file.as_uri(), format="csv", columns=columns), allowed, offset=1, limit=1)
    assert (page.rows, page.total_rows) == ([["bad", "y"]], 3)
    assert [column.type for column in page.columns] == ["VARCHAR", "VARCHAR"]


def test_a_page_with_an_odd_number_is_shown_as_text(tmp_path: Path, allowed: Confinement) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"n": 1.5}\n{"n": NaN}\n')
    ref = TableRef(table=file.as_uri(), format="jsonl", columns=(Column(name="n", type="DOUBLE"),))
    assert preview(ref, allowed).rows == [[1.5], ["NaN"]]


def test_profiles(table: TableRef, allowed: Confinement) -> None:
    found = profile(table, allowed)
    columns = {column.name: column for column in found.columns}
    assert found.rows == 100
    assert (columns["half"].nulls, columns["half"].min, columns["half"].max) == (25, 0.5, 49.5)
    assert columns["n"].mean == 49.5
    assert sum(bucket["count"] for bucket in columns["n"].histogram) == 100
    assert [bucket["count"] for bucket in columns["n"].histogram] == [5] * 20
    assert (columns["n"].histogram[0]["from"], columns["n"].histogram[-1]["to"]) == (0.0, 99.0)
    assert columns["word"].histogram == [
        {"value": "v0", "count": 34},
        {"value": "v1", "count": 33},
        {"value": "v2", "count": 33},
    ]
    assert columns["at"].histogram[0]["from"] == "2026-01-01T00:00:00"
    assert columns["late"].distinct == 2
    json.dumps([column.histogram for column in found.columns], allow_nan=False)


def test_empty_and_constant_columns_have_a_profile(tmp_path: Path, allowed: Confinement) -> None:
    duckdb.execute(
        f"COPY (SELECT NULL::DOUBLE AS a, 1 AS b, 'nan'::DOUBLE AS c FROM range(3)) TO '{tmp_path}/t.parquet'"
    )
    columns = (Column(name="a", type="DOUBLE"), Column(name="b", type="INTEGER"), Column(name="c", type="DOUBLE"))
    found = profile(TableRef(table=(tmp_path / "t.parquet").as_uri(), columns=columns), allowed)
    assert [column.nulls for column in found.columns] == [3, 0, 0]
    assert found.columns[1].histogram == [{"value": 1, "count": 3}]
    assert found.columns[2].mean is None


def test_values_are_exact_or_text() -> None:
    row = duckdb.execute(
        "SELECT 1.10::DECIMAL(9,2), 12345678901234567890.123456789::DECIMAL(38,9), 'nan'::DOUBLE, 2::HUGEINT ** 70, "
        "'\\xFF'::BLOB, INTERVAL 1 DAY, TIME '10:00', MAP {'a': [1]}, "
        "TIMESTAMPTZ '2026-01-05 12:00:00+00', 7::DECIMAL(9,0)"
    ).fetchone()
    assert row is not None
    safe = json_safe(list(row))
    assert safe[:2] == [1.1, "12345678901234567890.123456789"]
    assert safe[2] == "nan"
    assert safe[4:8] == ["/w==", "1 day, 0:00:00", "10:00:00", {"a": [1]}]
    assert safe[8].startswith("2026-01-05T12:00:00")
    assert safe[9] == 7
    json.dumps(safe, allow_nan=False)


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-2+3", "@sum", "\tx", "  =1"])
def test_formulas_are_defused(text: str) -> None:
    assert spreadsheet_safe(text) == f"'{text}"


@pytest.mark.parametrize("value", ["-5", "+1.5", "a=b", "", None, 5])
def test_harmless_values_stay(value: object) -> None:
    assert spreadsheet_safe(value) == value
