"""Types come back from Spark as they were, and sources that are not Parquet are read as DuckDB reads them."""

# ruff: noqa: E501

from __future__ import annotations

from typing import Any

import pytest

from flexiroaster.data import clusters
from flexiroaster.data.preview import preview
from flexiroaster.data.profile import profile
from flexiroaster.data.spark.types import CannotCarry, fields_of, is_read_as_it_is, spark_type
from flexiroaster.data.table import TableRef
from flexiroaster.stages.tables import confinement
from tests.data.spark.both import Both
from tests.data.spark.conftest import LOCAL

EVERY_TYPE = """
SELECT * FROM (VALUES
  (true, 1::TINYINT, -2::SMALLINT, 3::INTEGER, 9223372036854775807::BIGINT, 255::UTINYINT, 65535::USMALLINT,
   4294967295::UINTEGER, 18446744073709551615::UBIGINT, 0.1::FLOAT, 'nan'::DOUBLE, 12345678901234567890.12::DECIMAL(38,2),
   1.50::DECIMAL(4,2), 'é😀', '{"a": 1}'::JSON, 'a\\x00b'::BLOB, DATE '0001-01-01', TIMESTAMP '1500-03-01 00:00:00.000001',
   TIMESTAMPTZ '2024-01-01 00:00:00+02', '00000000-0000-0000-0000-0000000000ff'::UUID, [1, NULL], [[1], []]::BIGINT[][],
   {'a': 1, 'B c': ['x', NULL]}, map {'k': 1.5}, [{'x': 1}], ['a'::VARCHAR]),
  (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
   NULL, NULL, NULL, NULL, NULL, NULL),
  (false, -128, 32767, -2147483648, -9223372036854775808, 0, 0, 0, 0, 'inf', '-0.0', -0.01, -99.99, '', '[]', '', DATE
   '9999-12-31', TIMESTAMP '2024-03-31 02:30:00', TIMESTAMPTZ '1969-12-31 23:59:59.999999+00', gen_random_uuid(), [], [],
   {'a': NULL, 'B c': NULL}, map {}, [NULL], [])
) t(b, i1, i2, i4, i8, u1, u2, u4, u8, f, d, big, small, t, j, bl, day, ts, tz, id, l, ll, s, m, ls, w)
"""


def test_every_type_comes_back_as_it_was(both: Both) -> None:
    table = both.agree(both.made(EVERY_TYPE))
    assert len(table.rows) == 3
    assert dict(table.types)["u8"] == "UBIGINT"


def test_previews_and_profiles_work_as_for_any_table(both: Both) -> None:
    result = both.run("spark", both.made(EVERY_TYPE), [{"op": "derive", "columns": {"n": "i8::decimal(38,0) + 1"}}])
    ref = TableRef.model_validate(result["data"])
    allowed = confinement(both.bench.context())
    assert preview(ref, allowed).total_rows == 3
    assert profile(ref, allowed) is not None


def test_sources_are_read_as_duckdb_reads_them(both: Both) -> None:
    """CSV with its options, JSON, several files with the name of each, a gzip."""
    bench = both.bench
    bench.file("a.csv", "id;amount;day\n1;1,5;05.01.2026\n2;NA;06.01.2026\n")
    bench.file("b.csv", "id;amount;day\n3;-2,25;07.01.2026\n")
    european = bench.run(
        "input",
        path="*.csv",
        delimiter=";",
        decimal=",",
        date_format="%d.%m.%Y",
        null_values=["NA"],
        file_column="file",
    )["data"]
    both.agree(european, {"op": "derive", "columns": {"double": "amount * 2"}}, {"op": "limit", "rows": 5})
    bench.file("rows.jsonl", '{"a": 1, "b": {"c": [1, 2]}}\n{"a": null, "b": null}\n')
    both.agree(bench.run("input", path="rows.jsonl")["data"], {"op": "filter", "expr": "a = 1"})


def test_rows_of_several_parquet_files_keep_their_order(both: Both) -> None:
    import duckdb

    for number, name in enumerate(["b c", "_a", "z"]):
        path = both.bench.data / f"{name}.parquet"
        duckdb.sql(f"COPY (SELECT range + {number * 1000} AS n FROM range({5 + number})) TO '{path}' (FORMAT parquet)")
    data = both.bench.run("input", path=["b c.parquet", "z.parquet", "_a.parquet"])["data"]
    both.agree(data, {"op": "filter", "expr": "n % 2 = 0"}, {"op": "limit", "rows": 6})


def test_rows_of_many_partitions_stay_in_order(both: Both) -> None:
    """Spark writes a part for each partition, and they are put together in order."""
    options = {**LOCAL.options, "spark.sql.shuffle.partitions": "4", "spark.sql.files.maxPartitionBytes": "4096"}
    clusters.configure(clusters.Cluster(LOCAL.url, options))
    data = both.made("SELECT range AS n, hash(range) % 1000 AS h, md5(range::varchar) AS t FROM range(20000)")
    both.agree(
        data,
        {"op": "filter", "expr": "n % 3 = 0"},
        {"op": "derive", "columns": {"before": "lag(h) over ()"}},
        {"op": "limit", "rows": 5000, "offset": 100},
    )
    both.agree(data, {"op": "sort", "by": ["h", "-t"]}, {"op": "select", "columns": ["t", "n"]})


@pytest.mark.parametrize(
    ("type_name", "said"),
    [
        ("BIGINT[][]", "ARRAY<ARRAY<BIGINT>>"),
        ('STRUCT(a INTEGER, "b ""c" DECIMAL(4,2)[])', 'STRUCT<`a`: INT, `b "c`: ARRAY<DECIMAL(4,2)>>'),
        ("MAP(VARCHAR, STRUCT(x DOUBLE))", "MAP<STRING, STRUCT<`x`: DOUBLE>>"),
        ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP_LTZ"),
        ("HUGEINT", "DECIMAL(38,0)"),
    ],
)
def test_types_are_said(type_name: str, said: str) -> None:
    assert spark_type(type_name) == said


@pytest.mark.parametrize("type_name", ["TIME", "INTERVAL[]", "STRUCT(a TIME)", "TIMESTAMP_NS"])
def test_types_that_spark_lacks_are_refused(type_name: str) -> None:
    with pytest.raises(CannotCarry):
        spark_type(type_name)


def test_names_of_fields_may_hold_anything() -> None:
    fields: list[Any] = list(fields_of('STRUCT("a, (b" INTEGER, c STRUCT(d VARCHAR))'))
    assert fields == [("a, (b", "INTEGER"), ("c", "STRUCT(d VARCHAR)")]
    assert not is_read_as_it_is("STRUCT(id UUID)")
