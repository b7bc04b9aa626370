"""Whole executions whose artifacts are in S3, on one machine and on two."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flexiroaster.artifacts.s3 import Bucket
from flexiroaster.services.artifacts import Artifacts, Download, Elsewhere
from flexiroaster.stages.base import StageContext
from flexiroaster.store.database import Database
from flexiroaster.store.tables import stage_runs
from tests.contracts.test_artifacts import s3_artifacts
from tests.runtime.engine import TestEngine, running
from tests.s3 import Door, S3Server

LARGE = {"text": "x" * 100_000}
DATA = "${{ results.%s.data }}"


@pytest.fixture
def bucket(s3: S3Server) -> Bucket:
    return s3.bucket()


@pytest.fixture
def engine(sqlite_url: str, bucket: Bucket, tmp_path: Path) -> Iterator[TestEngine]:
    database = Database.open(sqlite_url)
    with running(
        database, tmp_path, artifacts=s3_artifacts(bucket, tmp_path / "artifacts"), code_stages=True
    ) as started:
        yield started
    database.close()


@pytest.fixture
def services(engine: TestEngine) -> Artifacts:
    assert engine.artifacts is not None
    return Artifacts(engine.database, engine.artifacts)


def elsewhere(engine: TestEngine) -> None:
    """From now on the engine is on a machine that has no copies."""
    shutil.rmtree(engine.folder / "artifacts")
    (engine.folder / "artifacts").mkdir()


def tables(engine: TestEngine, last: dict[str, Any]) -> dict[str, Any]:
    """Rows, those of them that are valid, and by `last` what is made of these; each as if on a machine of its own."""

    def leave(_: StageContext) -> None:
        elsewhere(engine)

    rows = [{"id": n, "amount": n if n != 3 else -1} for n in range(5)]
    return {
        "rows": {"needs": [], "type": "input", "config": {"data": rows}},
        "leave": {"needs": ["rows"], "type": "act", "config": engine.act(leave)},
        "valid": {
            "needs": ["rows", "leave"],
            "type": "validation",
            "config": {"data": DATA % "rows", "columns": {"amount": {"min": 0}}, "max_invalid": 1},
        },
        "again": {"needs": ["valid"], "type": "act", "config": engine.act(leave)},
        "last": {"needs": ["valid", "again"], **last},
    }


TOTAL = {
    "type": "processing",
    "config": {"data": DATA % "valid", "operations": [{"op": "aggregate", "values": {"total": "sum(amount)"}}]},
}


def test_tables_go_from_stage_to_stage_through_the_bucket(
    engine: TestEngine, services: Artifacts, s3: S3Server, bucket: Bucket
) -> None:
    execution = engine.execute(tables(engine, TOTAL))
    assert engine.wait_end(execution) == "success", [row["error"] for row in engine.rows(stage_runs, execution)]
    kept = {row["stage"]: row for row in engine.artifact_rows(execution) if row["kind"] == "table"}
    assert {f"some/prefix/{row['key']}" for row in engine.artifact_rows(execution)} == set(s3.keys(bucket))
    elsewhere(engine)
    assert services.preview(kept["last"]["id"], offset=0, limit=5).rows == [[7]]


def test_code_gets_the_path_of_a_copy(engine: TestEngine) -> None:
    code = "def run(context):\n    return open(context.table('valid'), 'rb').read(4).decode()\n"
    execution = engine.execute(tables(engine, {"needs": ["valid"], "type": "python", "config": {"code": code}}))
    assert engine.wait_end(execution) == "success", [row["error"] for row in engine.rows(stage_runs, execution)]
    assert "PAR1" in engine.results(execution).values()


def test_a_spilled_result_is_read_on_another_machine(engine: TestEngine, services: Artifacts) -> None:
    def fail_once(context: StageContext) -> int:
        if context.attempt == 1:
            elsewhere(engine)
            raise RuntimeError("not yet")
        return len(context.upstream["large"]["text"])

    large = {"needs": [], "type": "act", "config": engine.act(lambda _: LARGE)}
    reads = {"needs": ["large"], "type": "act", "config": engine.act(fail_once)}
    execution = engine.execute({"large": large, "reads": reads})
    assert engine.wait_end(execution) == "failed"
    engine.executions.retry(execution)
    assert engine.wait_end(execution, times=2) == "success"
    assert 100_000 in engine.results(execution).values()
    (row,) = engine.artifact_rows(execution)
    link = services.download(row["id"], "original", elsewhere=True)
    assert isinstance(link, Elsewhere)
    assert f"{row['key']}?" in link.url
    streamed = services.download(row["id"], "original")
    assert isinstance(streamed, Download)
    assert len(b"".join(streamed.chunks)) == streamed.size == row["bytes"]


def test_a_stage_fails_with_a_sentence_while_s3_is_away_and_can_be_retried(
    sqlite_url: str, s3: S3Server, tmp_path: Path
) -> None:
    door = Door(s3)
    bucket = s3.bucket(endpoint=door.url)
    database = Database.open(sqlite_url)
    with running(database, tmp_path, artifacts=s3_artifacts(bucket, tmp_path / "artifacts")) as engine:
        shut, away = [True, True], f"the S3 bucket '{bucket.name}' at {door.url} (no connection): check that"

        def make(_: StageContext) -> Any:
            if shut[0]:
                door.shut()
            return LARGE

        def leave(_: StageContext) -> None:
            elsewhere(engine)
            if shut[1]:
                door.shut()

        stages = {
            "rows": {"needs": [], "type": "input", "config": {"data": [{"id": 1}]}},
            "writes": {"needs": ["rows"], "type": "act", "config": engine.act(make)},
            "leave": {"needs": ["writes"], "type": "act", "config": engine.act(leave)},
            "reads": {"needs": ["rows", "leave"], "type": "validation", "config": {"data": DATA % "rows"}},
        }
        execution = engine.execute(stages)
        for times, stage, verb in ((1, "writes", "write"), (2, "reads", "read")):
            assert engine.wait_end(execution, times=times) == "failed"
            error = engine.stage(execution, stage)["error"]
            assert error["message"].startswith(f"It was not possible to {verb} {away}")
            assert (error["code"], error["kind"]) == ("artifacts_unavailable", "transient")
            assert away in str(engine.artifacts and engine.artifacts.trouble())
            door.open()
            shut[times - 1] = False
            engine.executions.retry(execution)
        assert engine.wait_end(execution, times=3) == "success"
    database.close()
