"""What Spark cannot say or do, in sentences; and that nothing of Spark is loaded before it is asked for."""

# ruff: noqa: E501

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import pytest

from flexiroaster.data import clusters
from flexiroaster.data.spark import cluster
from flexiroaster.engine.errors import StageFailed
from tests.data.spark.both import Both
from tests.stages.conftest import Bench
from tests.stages.test_processing import ROWS

Op = dict[str, Any]


@pytest.mark.parametrize(
    ("operations", "says"),
    [
        ([{"op": "derive", "columns": {"x": "list_distinct(tags)"}}],
         "Operation 1 (derive): with `engine: spark` there is no way to say the function 'list_distinct': run this stage "
         "without `engine: spark`."),
        ([{"op": "limit", "rows": 1}, {"op": "derive", "columns": {"x": "date_trunc('century', date '2024-01-01')"}}],
         "Operation 2 (derive): with `engine: spark` there is no way to say date_trunc to a century: use year"),
        ([{"op": "sql", "query": "select distinct on (region) * from input"}], "DISTINCT ON: use a `dedupe` operation"),
        ([{"op": "sql", "query": "select list(id) from input"}], "use it in an `aggregate` operation, after a `sort`"),
        ([{"op": "derive", "columns": {"x": "regexp_matches(text, region)"}}], "write the pattern in quotes"),
        ([{"op": "derive", "columns": {"x": "time '10:00'"}}], "there is no way to say a cast of VARCHAR to TIME: run"),
        ([{"op": "aggregate", "by": ["region"], "values": {"x": "mode(id)"}}], "the function 'mode'"),
        ([{"op": "filter", "expr": "amont > 1"}], "there is no column 'amont'. Did you mean 'amount'?"),
        ([{"op": "filter", "expr": "id > 0"}, {"op": "filter", "expr": "sum(id) > 1"}],
         "Operation 2 (filter): WHERE clause cannot contain aggregates"),
        ([{"op": "cast", "columns": {"text": "integer"}}], "A value does not fit its type: could not convert string 'x-y'"),
        ([{"op": "derive", "columns": {"x": "(id + 2147483645)::integer"}}], "A value does not fit its type"),
        ([{"op": "derive", "columns": {"x": "id % (id - 1)"}}], "The query failed in Spark"),
        ([{"op": "derive", "columns": {"x": "id + 9223372036854775807"}}], "overflow"),
    ],
)  # fmt: skip
def test_failures_are_sentences(both: Both, operations: list[Op], says: str) -> None:
    failure = both.bench.fails("processing", data=ROWS, operations=operations, engine="spark")
    assert says in str(failure)


def test_the_sql_shown_is_sparks(both: Both) -> None:
    result = both.run("spark", ROWS, [{"op": "derive", "columns": {"half": "id / 2"}}])
    assert "CAST(CAST(id AS DOUBLE) / CAST(2 AS DOUBLE) AS DOUBLE) AS `half`" in result["sql"]
    assert result["rows"] == 4


def test_a_cancel_stops_the_job(both: Both) -> None:
    context = both.bench.context()
    started = threading.Event()

    def run(self: Any, sql: str, columns: Any) -> str:
        started.set()
        return original(self, sql, columns)

    from flexiroaster.data.spark.running import Run

    original = Run.write
    stopper = threading.Thread(target=lambda: started.wait(120) and context.cancel())
    stopper.start()
    query = "select sum(a.range * b.range % 7) as s from range(4000000) a, range(4000000) b"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "write", run)
        failure = both.bench.fails(
            "processing", context, data=ROWS, operations=[{"op": "sql", "query": query}], engine="spark"
        )
    stopper.join()
    assert failure.kind == "cancelled"
    assert list(both.bench.root.glob("artifacts/*data.parquet")) == []
    assert list(context.scratch_dir.glob("spark-*")) == []


def test_without_a_cluster_the_cure_is_said(bench: Bench) -> None:
    failure = bench.fails("processing", data=ROWS, operations=[], engine="spark")
    assert "set FLEXIROASTER_SPARK_URL" in str(failure)


def test_a_cluster_that_does_not_answer_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_session", None)
    clusters.configure(clusters.Cluster("spark://127.0.0.1:1"))
    try:
        failure = bench.fails("processing", data=ROWS, operations=[], engine="spark")
    finally:
        clusters.configure(clusters.Cluster())
    assert "No Spark cluster answers at spark://127.0.0.1:1" in str(failure)
    assert failure.kind == "transient"


def test_without_java_the_cure_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(StageFailed, match="needs Java 17 or later"):
        cluster._require_java()


def test_without_pyspark_the_cure_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(StageFailed, match="pip install 'flexiroaster\\[spark\\]'"):
        cluster._require_library()


def test_nothing_of_spark_is_loaded_before_a_stage_asks_for_it() -> None:
    code = (
        "import sys, flexiroaster.main, flexiroaster.stages.processing, flexiroaster.stages.validation;"
        "loaded = [name for name in sys.modules if 'pyspark' in name or name.startswith('flexiroaster.data.spark')];"
        "sys.exit(str(loaded) if loaded else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
