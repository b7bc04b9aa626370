"""A pipeline with `engine: spark` runs through the engine, to the same end as without."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from flexiroaster import run_local
from tests.data.spark.conftest import LOCAL

ROOT = Path(__file__).parents[4]


def _page() -> str:
    text = (ROOT / "docs" / "how-to" / "compute-on-spark.md").read_text()
    found = re.search(r"```yaml\n(id:.*?)```", text, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_pipeline_shown_runs_on_spark(spark: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(ROOT / "backend" / "pipelines" / "data" / "orders" / "orders.csv", tmp_path)
    monkeypatch.chdir(tmp_path)
    text = _page()
    results: list[dict[str, Any]] = []
    for number, source in enumerate([text, text.replace("engine: spark", "engine: duckdb")]):
        ended = run_local(source, data_folder=tmp_path / f"kept-{number}", spark_url=LOCAL.url)
        assert (ended.status, ended.error) == ("success", None)
        results.append({stage.stage: stage.result for stage in ended.stages})
    spark_ones, ours = results
    assert "date_trunc('WEEK', CAST(ordered_at AS TIMESTAMP_LTZ))" in spark_ones["revenue"]["sql"]
    assert {key: spark_ones["check"][key] for key in ("rows", "invalid_count", "report")} == {
        key: ours["check"][key] for key in ("rows", "invalid_count", "report")
    }
    assert spark_ones["revenue"]["columns"] == ours["revenue"]["columns"]
    assert spark_ones["revenue"]["rows"] == ours["revenue"]["rows"] > 1
