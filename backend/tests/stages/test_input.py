"""The input stage: what it finds out about files, and what it says of malformed ones."""

from __future__ import annotations

import gzip
import io
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from flexiroaster.data import limits as machine
from flexiroaster.engine.errors import StageFailed
from tests.stages.conftest import Bench

ORDERS = "id,region,amount,day\n1,eu,10.5,2026-01-05\n2,us,3,2026-01-06\n"


def types(result: dict[str, Any]) -> dict[str, str]:
    return {column["name"]: column["type"] for column in result["columns"]}


def test_csv_is_handed_on_by_reference_with_its_types(bench: Bench) -> None:
    file = bench.file("orders.csv", ORDERS)
    result = bench.run("input", path="orders.csv")
    assert result["data"]["table"] == file.as_uri()
    assert types(result) == {"id": "BIGINT", "region": "VARCHAR", "amount": "DOUBLE", "day": "DATE"}
    assert result["rows"] == result["count"] == 2
    assert result["read_as"]["delimiter"] == ","
    assert bench.last is not None
    assert bench.last.artifacts == []


@pytest.mark.parametrize(
    ("name", "text", "config"),
    [
        ("tabs.tsv", "a\tb\n1\tx,y\n", {}),
        ("semicolon.csv", "a;b\n1;x,y\n", {}),
        ("pipe.txt", "a|b\n1|x,y\n", {}),
        ("quoted.csv", 'a,b\n1,"x,y"\n', {}),
        ("single.csv", "a,b\n1,'x,y'\n", {"quote": "'"}),
        ("skipped.csv", 'made by a tool\n\na,b\n1,"x,y"\n', {"skip": 2}),
        ("bom.csv", '\ufeffa,b\n1,"x,y"\n', {}),
        ("windows.csv", 'a,b\r\n1,"x,y"\r\n', {}),
        ("no_header.csv", '1,"x,y"\n', {"header": False, "columns": ["a", "b"]}),
        ("unknown_ending.data", 'a,b\n1,"x,y"\n', {}),
    ],
)
def test_dialects_are_found(bench: Bench, name: str, text: str, config: dict[str, Any]) -> None:
    bench.file(name, text)
    result = bench.run("input", path=name, **config)
    assert bench.rows(result) == [{"a": 1, "b": "x,y"}]


def test_one_column_needs_no_delimiter(bench: Bench) -> None:
    bench.file("names.csv", "name\nAda\nGrace\n")
    assert bench.rows(bench.run("input", path="names.csv")) == [{"name": "Ada"}, {"name": "Grace"}]


def test_quotes_beyond_the_sample_are_read(bench: Bench) -> None:
    bench.file("late.csv", "a,b\n" + "1,x\n" * 30_000 + '2,"y,z"\n')
    result = bench.run("input", path="late.csv")
    assert result["rows"] == 30_001
    assert bench.process(result["data"], {"op": "filter", "expr": "a = 2"}) == [{"a": 2, "b": "y,z"}]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "cp437"])
def test_encodings(bench: Bench, encoding: str) -> None:
    bench.file("names.csv", "id,name\n1,café\n".encode(encoding))
    result = bench.run("input", path="names.csv", encoding=encoding)
    assert bench.rows(result) == [{"id": 1, "name": "café"}]


def test_utf16_is_known_by_its_mark(bench: Bench) -> None:
    bench.file("excel_export.csv", "id;name\n1;café\n".encode("utf-16"))
    assert bench.rows(bench.run("input", path="excel_export.csv")) == [{"id": 1, "name": "café"}]


def test_gzip_and_globs_make_one_table(bench: Bench) -> None:
    for month in (1, 2, 3):
        bench.file(f"sales/2026-0{month}.csv.gz", gzip.compress(f"amount\n{month}\n".encode()))
    result = bench.run("input", path="sales/*.csv.gz", file_column="source")
    assert bench.rows(result) == [{"amount": n, "source": f"2026-0{n}.csv"} for n in (1, 2, 3)]


def test_types_of_all_files_count(bench: Bench) -> None:
    bench.file("a.csv", "x\n1\n")
    bench.file("b.csv", "x\n1.5\n")
    assert types(bench.run("input", path="?.csv")) == {"x": "DOUBLE"}


def test_files_with_other_columns_are_refused_or_put_together_by_name(bench: Bench) -> None:
    bench.file("a.csv", "x,y\n1,2\n")
    bench.file("b.csv", "y,x\n2,1\n")
    failure = bench.fails("input", path="?.csv")
    assert "b.csv has the columns y, x, but a.csv has x, y" in str(failure)
    bench.file("c.csv", "x,z\n1,3\n")
    result = bench.run("input", path="?.csv", by_name=True)
    assert bench.rows(result) == [{"x": 1, "y": 2, "z": None}, {"x": 1, "y": 2, "z": None}, {"x": 1, "y": None, "z": 3}]


def test_a_late_file_with_other_columns_is_noticed(bench: Bench) -> None:
    for number in range(20):
        bench.file(f"{number:02}.csv", "x,y\n1,2\n")
    bench.file("99.csv", "y,x\n2,1\n")
    assert bench.fails("input", path="*.csv").code == "different_columns"


def test_european_numbers_and_dates(bench: Bench) -> None:
    bench.file("umsatz.csv", "tag;betrag\n31.12.2025;1234,5\n")
    result = bench.run(
        "input", path="umsatz.csv", decimal=",", date_format="%d.%m.%Y", types={"tag": "date", "betrag": "number"}
    )
    assert bench.rows(result) == [{"tag": "2025-12-31", "betrag": 1234.5}]


def test_null_values_and_type_hints(bench: Bench) -> None:
    bench.file("codes.csv", "postcode,amount\n01234,NA\n,1\n")
    result = bench.run(
        "input", path="codes.csv", null_values=["NA"], types={"postcode": "text", "amount": "decimal(9,2)"}
    )
    assert types(result) == {"postcode": "VARCHAR", "amount": "DECIMAL(9,2)"}
    assert bench.rows(result) == [{"postcode": "01234", "amount": None}, {"postcode": None, "amount": 1.0}]


def test_json_forms(bench: Bench) -> None:
    expected = [{"id": 1, "tags": ["a"]}, {"id": 2, "tags": None}]
    bench.file("a.json", '[{"id": 1, "tags": ["a"]}, {"id": 2}]')
    bench.file("b.jsonl", '{"id": 1, "tags": ["a"]}\n{"id": 2}\n')
    bench.file("c.json", '{\n  "id": 1,\n  "tags": ["a"]\n}\n{"id": 2}\n')
    bench.file("d.jsonl.gz", gzip.compress(b'{"id": 1, "tags": ["a"]}\n{"id": 2}\n'))
    for name in ("a.json", "b.jsonl", "c.json", "d.jsonl.gz"):
        assert bench.rows(bench.run("input", path=name)) == expected, name


def test_short_line_is_named_rather_than_skipped_with_all_before_it(bench: Bench) -> None:
    bench.file("ragged.csv", "a,b\n1,2\n3\n4,5,6\n")
    with pytest.raises(StageFailed, match=r"ragged\.csv, line 3"):
        bench.run("input", path="ragged.csv")


def test_json_list_that_breaks_off_after_a_comma_is_refused(bench: Bench) -> None:
    bench.file("cut.json", '[{"a": 1},\n')
    with pytest.raises(StageFailed, match="cut off"):
        bench.run("input", path="cut.json")


def test_json_values_become_one_column(bench: Bench) -> None:
    bench.file("numbers.json", "[3, 1, 2]")
    assert bench.rows(bench.run("input", path="numbers.json")) == [{"value": 3}, {"value": 1}, {"value": 2}]


def test_parquet_is_handed_on_with_its_rows(bench: Bench) -> None:
    made = bench.run("input", data=[{"id": 1, "x": None}, {"id": 2, "x": "a"}])
    bench.run("output", data=made["data"], path="a.parquet")
    result = bench.run("input", path="a.parquet")
    assert result["rows"] == 2
    assert bench.rows(result) == [{"id": 1, "x": None}, {"id": 2, "x": "a"}]


def workbook(rows: list[list[Any]], sheet: str = "Data") -> bytes:
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    book.add_worksheet("Cover")
    page = book.add_worksheet(sheet)
    for line, row in enumerate(rows):
        page.write_row(line, 0, row)
    book.close()
    return out.getvalue()


def test_excel_sheet(bench: Bench) -> None:
    bench.file("budget.xlsx", workbook([["made for Ada"], ["id", "name", "", "id"], [1, "x", True, 1.5], [2, "y"]]))
    result = bench.run("input", path="budget.xlsx", sheet="Data", skip=1)
    assert bench.rows(result) == [
        {"id": 1, "name": "x", "column_3": True, "id_1": 1.5},
        {"id": 2, "name": "y", "column_3": None, "id_1": None},
    ]
    assert "Did you mean 'Data'?" in str(bench.fails("input", path="budget.xlsx", sheet="Date"))


def test_inline_data(bench: Bench) -> None:
    result = bench.run("input", data=[{"region": "eu", "amount": 1}, {"region": "us"}])
    assert result["count"] == 2
    assert result["input_data"] == [{"region": "eu", "amount": 1}, {"region": "us"}]
    assert bench.rows(result) == [{"region": "eu", "amount": 1}, {"region": "us", "amount": None}]
    assert bench.rows(bench.run("input", data=["b", "a"])) == [{"value": "b"}, {"value": "a"}]
    assert bench.rows(bench.run("input", data={"a": {"b": 1}})) == [{"a": {"b": 1}}]
    assert bench.run("input", data=[])["count"] == 0


def test_without_config_the_executions_data_is_taken(bench: Bench) -> None:
    result = bench.run("input", bench.context(data=[3, 1]))
    assert bench.rows(result) == [{"value": 3}, {"value": 1}]


def test_without_any_data_the_table_is_empty(bench: Bench) -> None:
    result = bench.run("input")
    assert (result["count"], result["input_data"]) == (0, [])
    assert "There is no data" in bench.last.messages[0]


def test_mixed_records_and_values_are_refused(bench: Bench) -> None:
    assert "Row 2 of `data` is a number while row 1 is an object" in str(bench.fails("input", data=[{"a": 1}, 2]))


MALFORMED: list[tuple[str, bytes, dict[str, Any], str, int | None]] = [
    ("long_row.csv", b"a,b\n" + b"1,2\n" * 30_000 + b"1,2,3\n", {}, "has 3 values where 2 are expected", 30_002),
    ("short_row.csv", b"a,b,c\n" + b"1,2,3\n" * 30_000 + b"1,2\n", {}, "has 2 values where 3 are expected", 30_002),
    ("latin.csv", b"a,b\n1,caf\xe9\n", {}, "is not utf-8 at byte 9", 2),
    ("not_utf16.csv", b"a,b\n1,2\n3", {"encoding": "utf-16"}, "is not utf-16", None),
    ("nul.csv", b"a,b\n1,x\0y\n", {}, "there is a NUL byte at byte 7", 2),
    ("empty.csv", b"", {}, "is empty (0 bytes)", None),
    ("open_quote.csv", b'a,b\n1,"x\n2,y\n', {}, "a quoted value is not closed", 2),
    ("long_line.csv", b"a,b\n1," + b"x" * 3_000_000 + b"\n", {}, "longer than 2 MB", 2),
    ("later_line.csv", b"a,b\n" + b"1,2\n" * 10 + b"3," + b"x" * 3_000_000 + b"\n4,5\n", {}, "longer than 2 MB", 12),
    ("wide.csv", b",".join(b"c%d" % n for n in range(20_000)) + b"\n", {}, "has about 20,000 columns", 1),
    ("cut.csv.gz", gzip.compress(b"a,b\n" + os.urandom(4000).hex().encode())[:-500], {}, "ends in the middle", None),
    ("plain.csv.gz", b"a,b\n1,2\n", {}, "is not a gzip file", None),
    ("damaged.csv.gz", b"\x1f\x8b" + b"garbage" * 30, {}, "is not a gzip file or is damaged", None),
    ("broken.jsonl", b'{"a": 1}\n{"a": 2\n{"a": 3}\n', {}, "line 2: not valid JSON (unexpected end of", 2),
    ("first.jsonl", b'{"a":\n{"a": 2}\n', {}, "not valid JSON", 1),
    ("blank_lines.jsonl", b'{"a": 1}\n\n\n{"a": x}\n', {}, "(unexpected character, expected a JSON value at", 4),
    ("many.jsonl", b'{"a": 1}\n' * 4_999 + b'{"a": x}\n', {}, "not valid JSON", 5_000),
    ("list.json", b'[{"a": 1},\n{"a": x},\n{"a": 3}]', {}, "line 2: not valid JSON (expecting value at", 2),
    ("spread.json", b'{\n"a": 1\n}\n{\n"a": x\n}\n', {}, "not valid JSON", 5),
    ("nan.json", b'[{"a": 1},\n{"a": NaN}]', {}, "NaN is not a finite number", 2),
    ("nan.jsonl", b'{"a": "NaN"}\n{"a": [nan]}\n', {}, "nan is not a finite number", 2),
    ("infinite.json", b'[{"a": 1, "b": "Infinity"},\n{"a": -Infinity}]', {}, "-Infinity is not a finite number", 2),
    ("huge.json", b'[{"a": 1},\n\n{"a": 1e999}]', {}, "1e999 is not a finite number", 3),
    ("three.json", b"3", {}, "holds a single value, 3, which is no table", 1),
    ("text.json", b'"x"\n', {}, 'holds a single value, "x", which is no table', 1),
    ("deep.json", b"[" * 200 + b"]" * 200, {}, "nested more than 128 deep", 1),
    ("deep.jsonl", b'{"a": "[[["}\n{"a": ' + b"[" * 200 + b"]" * 200 + b"}\n", {}, "nested more than 128 deep", 2),
    ("case.json", b'[{"A": 1, "a": 2}]', {}, "the keys 'A' and 'a' differ only in upper and lower case", None),
    ("case.jsonl", b'{"A": 1}\n{"a": 2}\n', {}, "differ only in upper and lower case", None),
    ("nested_case.json", b'[{"o": {"A": 1, "a": 2}}]', {}, "only in upper and lower case", None),
    ("cut.json", b'[{"a": 1}, {"a": 2', {}, "not valid JSON", None),
    ("blank.json", b"  \n", {}, "holds no JSON value", None),
    ("no.parquet", b"PAR1" + b"x" * 100, {}, "is not a Parquet file", None),
    ("no.xlsx", b"PK\x03\x04 nonsense", {}, "cannot be read as an Excel workbook", None),
    ("wrong_hint.csv", b"a,b\n1,2\n", {"types": {"A ": "text"}}, "Did you mean 'a'?", None),
    ("wrong_type.csv", b"a,b\n1,2\n", {"types": {"a": "integre"}}, "Did you mean 'integer'?", None),
    ("wrong_names.csv", b"a,b\n1,2\n", {"columns": ["x"]}, "has 2 columns, but `columns` names 1", None),
    ("wrong_codec.csv", b"a,b\n1,2\n", {"encoding": "utf-88"}, "There is no encoding 'utf-88'", None),
    ("no_codec.csv", b"a,b\n1,2\n", {"encoding": "rot13"}, "is not a text encoding", None),
]


@pytest.mark.parametrize(("name", "content", "config", "says", "line"), MALFORMED, ids=[case[0] for case in MALFORMED])
def test_malformed_files(
    bench: Bench, name: str, content: bytes, config: dict[str, Any], says: str, line: int | None
) -> None:
    bench.file(name, content)
    failure = bench.fails("input", path=name, **config)
    assert says in str(failure)
    assert failure.kind in ("data", "permanent")
    if line is not None:
        assert failure.location is not None
        assert failure.location.file == name
        assert failure.location.line == line
    if "types" not in config and "encoding" not in config:
        assert name in str(failure)


def test_texts_and_names_that_look_like_odd_numbers_are_read(bench: Bench) -> None:
    bench.file("a.json", '[{"a": "NaN", "a_1": "x, Infinity \\" nan", "inf": null}, {"a": "1e999", "inf": 1e300}]')
    assert bench.rows(bench.run("input", path="a.json")) == [
        {"a": "NaN", "a_1": 'x, Infinity " nan', "inf": None},
        {"a": "1e999", "a_1": None, "inf": 1e300},
    ]


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_odd_numbers_beyond_the_sample_are_refused_or_set_aside(bench: Bench, number: str) -> None:
    lines = [f'{{"a": {n}.5, "t": "this makes the file larger than its sample"}}' for n in range(40_000)]
    bench.file("late.jsonl", "\n".join([*lines, f'{{"a": {number}}}', '{"a": 1.5}']))
    data = bench.run("input", path="late.jsonl")["data"]
    failure = bench.fails("processing", data=data, operations=[])
    assert str(failure).startswith(f"late.jsonl, line 40001: {number} is not a finite number")
    checked = bench.run("validation", data=data, max_invalid=1)
    assert checked["report"][0]["samples"] == [{"row": 40_001, "value": number}]


def test_a_value_of_another_type_names_its_line(bench: Bench) -> None:
    bench.file("types.jsonl", '{"a": 1}\n\n{"a": "x"}\n')
    data = bench.run("input", path="types.jsonl", types={"a": "integer"})["data"]
    failure = bench.fails("processing", data=data, operations=[])
    assert str(failure).startswith("types.jsonl, line 3: failed to cast value")
    assert failure.location is not None
    assert (failure.location.line, failure.location.row) == (3, 2)


def test_inline_keys_may_not_differ_by_case_alone(bench: Bench) -> None:
    failure = bench.fails("input", data=[{"A": 1}, {"b": 2}, {"a": 3}])
    assert str(failure).startswith(
        "Row 3 of `data` has the key 'a', which differs from 'A' only in upper and lower case"
    )


@pytest.mark.parametrize("path", ["x" * 300 + ".csv", "/".join(["d" * 200] * 30), "é" * 150 + "*.csv", "/" + "x" * 256])
def test_names_too_long_for_the_system_are_told(bench: Bench, path: str) -> None:
    assert "is too long: a name may have 255 bytes" in str(bench.fails("input", path=path))
    assert "is too long: a name may have 255 bytes" in str(bench.fails("output", data=[{"n": 1}], path=path))


def test_patterns_leave_out_what_is_no_file(bench: Bench) -> None:
    bench.file("a.csv", "n\n1\n")
    os.mkfifo(bench.data / "pipe.csv")
    (bench.data / "folder.csv").mkdir()
    bench.file(".b.csv.0123456789ab.part/half.csv", "n\n2\n")
    assert bench.run("input", path="*.csv")["files"] == ["a.csv"]
    assert bench.run("input", path="**/*.csv")["files"] == ["a.csv"]
    assert "is a device, pipe or socket" in str(bench.fails("input", path="pipe.csv"))
    (bench.data / "broken.csv").symlink_to(bench.data / "gone.csv")
    assert "There is no file 'broken.csv'" in str(bench.fails("input", path="*.csv"))


def test_short_rows_can_be_filled(bench: Bench) -> None:
    bench.file("short.csv", "a,b,c\n1,2,3\n4,5\n")
    assert bench.rows(bench.run("input", path="short.csv", short_rows="fill"))[1] == {"a": 4, "b": 5, "c": None}


def test_a_bad_cell_names_line_column_and_value(bench: Bench) -> None:
    bench.file("late.csv", "id,amount\n" + "1,2.5\n" * 30_000 + "2,N/A\n")
    source = bench.run("input", path="late.csv")
    failure = bench.fails("processing", data=source["data"], operations=[])
    assert "late.csv, line 30002: column 'amount' expected a number, got 'N/A'" in str(failure)
    assert failure.location is not None
    assert (failure.location.line, failure.location.column, failure.location.value) == (30_002, "amount", "N/A")
    assert failure.suggestion is not None


MULTI_LINE = 'id,note,amount\n1,"two\nlines",2.5\n2,"three ""quoted""\n\nlines",3\n'
"""A header and two records on six lines."""


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_lines_are_those_of_the_file_where_values_hold_line_breaks(bench: Bench, packed: bool) -> None:
    name = "late.csv.gz" if packed else "late.csv"
    content = (MULTI_LINE + "3,plain,1\n" * 30_000 + "4,plain,N/A\n").encode()
    bench.file(name, gzip.compress(content) if packed else content)
    source = bench.run("input", path=name)
    failure = bench.fails("processing", data=source["data"], operations=[])
    assert f"{name}, line 30007: column 'amount' expected a number, got 'N/A'" in str(failure)
    assert failure.location is not None
    assert failure.location.line == 30_007


def test_a_ragged_line_is_named_as_the_file_has_it(bench: Bench) -> None:
    bench.file("ragged.csv", MULTI_LINE + "3,plain\n")
    failure = bench.fails("input", path="ragged.csv")
    assert str(failure).startswith("ragged.csv, line 7: has 2 values where 3 are expected")


def test_an_encoding_error_beyond_the_sample_names_byte_and_line(bench: Bench) -> None:
    good = "a,b\n" + "1,café\n" * 400_000
    bench.file("late.csv", good.encode("cp1252") + b"2,\x81\n")
    source = bench.run("input", path="late.csv", encoding="cp1252")
    failure = bench.fails("processing", data=source["data"], operations=[])
    assert f"line 400002: the text is not cp1252 at byte {len(good.encode('cp1252')) + 2}" in str(failure)


@pytest.fixture
def small_limits() -> Iterator[None]:
    machine.configure(machine.Limits(memory_bytes=256 << 20, threads=2, expanded_bytes=200 << 20))
    yield
    machine.configure(None)


@pytest.mark.usefixtures("small_limits")
def test_gzip_bombs_are_stopped(bench: Bench) -> None:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb") as out:
        out.write(b"a,b\n")
        for _ in range(100):
            out.write(b"1,1\n" * 250_000)
    bench.file("bomb.csv.gz", packed.getvalue())
    source = bench.run("input", path="bomb.csv.gz") if len(packed.getvalue()) > 1 << 20 else None
    failure = (
        bench.fails("processing", data=source["data"], operations=[])
        if source is not None
        else bench.fails("input", path="bomb.csv.gz")
    )
    assert failure.code == "expands_too_much"
    assert "decompression bomb" in str(failure)
    assert list(bench.root.rglob("expanded-*/*/*")) == []


OUTSIDE = [
    "/etc/passwd",
    "../../../../../../etc/passwd",
    "/dev/zero",
    "s3://bucket/key",
    "/etc/*",
    "file:///etc/passwd",
]


@pytest.mark.parametrize("path", OUTSIDE)
def test_files_outside_the_data_folders_are_refused(bench: Bench, path: str) -> None:
    failure = bench.fails("input", path=path)
    assert failure.code == "outside_data_dirs"
    assert "root:" not in str(failure)


def test_links_lead_nowhere_outside(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    (bench.data / "link.csv").symlink_to(tmp_path / "secret.csv")
    (bench.data / "folder").symlink_to(tmp_path)
    assert bench.fails("input", path="link.csv").code == "outside_data_dirs"
    assert bench.fails("input", path="folder/secret.csv").code == "outside_data_dirs"
    assert bench.fails("input", path="l*.csv").code == "outside_data_dirs"


def test_a_reference_to_a_file_outside_is_refused(bench: Bench) -> None:
    ref = {"table": "file:///etc/passwd", "format": "csv", "schema": [{"name": "a", "type": "VARCHAR"}]}
    assert bench.fails("processing", data=ref, operations=[]).code == "outside_data_dirs"
    hidden = {**ref, "table": bench.file("a.csv", "a\n1\n").as_uri(), "without": "file:///etc/passwd"}
    assert bench.fails("processing", data=hidden, operations=[]).code == "outside_data_dirs"


def test_devices_pipes_and_folders_are_no_files(bench: Bench) -> None:
    os.mkfifo(bench.data / "pipe.csv")
    (bench.data / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(bench.data / "s.csv"))
        for name in ("pipe.csv", "folder", "s.csv"):
            assert bench.fails("input", path=name).code == "not_a_file"


def test_a_missing_file_is_named_with_a_similar_one(bench: Bench) -> None:
    bench.file("orders.csv", ORDERS)
    assert "Did you mean 'orders.csv'?" in str(bench.fails("input", path="order.csv"))
    assert "No file matches '*.nothing'" in str(bench.fails("input", path="*.nothing"))


def test_names_with_glob_characters_are_read(bench: Bench) -> None:
    bench.file("a[1].csv", "x\n1\n")
    assert bench.rows(bench.run("input", path=["a[[]1].csv"])) == [{"x": 1}]


def test_a_header_without_rows_is_an_empty_table(bench: Bench) -> None:
    bench.file("header.csv", "a,b\n")
    result = bench.run("input", path="header.csv")
    assert result["rows"] == 0
    assert bench.last is not None
    assert "The input has columns but no rows." in bench.last.messages
