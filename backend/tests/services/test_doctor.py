from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

from flexiroaster.artifacts.disk import DiskArtifacts
from flexiroaster.services import doctor, integrity
from flexiroaster.services.doctor import DatabaseDoctor, Finding, space
from flexiroaster.store import workers
from flexiroaster.store.database import Database
from flexiroaster.store.tables import artifacts, events, executions, stage_runs
from flexiroaster.store.tables import workers as worker_rows
from tests.runtime.engine import TestEngine


@pytest.fixture
def engine(database: Database, tmp_path: Path) -> TestEngine:
    return TestEngine(database, tmp_path)


@pytest.fixture
def ended(engine: TestEngine) -> str:
    """An execution of everything that leaves something to compare."""
    large = engine.act(lambda _: {"text": "x" * 100_000})
    execution = engine.execute(
        {
            "a": {"needs": [], "type": "act", "config": large},
            "each": {"needs": ["a"], "foreach": {"items": [1, 2, 3]}},
            "never": {"needs": ["each"], "when": "${{ false }}"},
        }
    )
    engine.work_by_hand()
    return execution


def look(engine: TestEngine, *, serving: bool = False, newest: int = 10) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for finding in DatabaseDoctor(engine.database, serving=serving).look(newest, engine.artifacts):
        found.setdefault(finding.check, []).append(finding)
    return found


def wrong(engine: TestEngine, **more: bool) -> list[Finding]:
    return [finding for group in look(engine, **more).values() for finding in group if finding.level != "ok"]


def change(engine: TestEngine, statement: sa.Update | sa.Delete) -> None:
    engine.database.write(lambda tx: tx.sa.execute(statement))


def test_all_is_well(engine: TestEngine, ended: str) -> None:
    assert engine.row(ended)["status"] == "success"
    found = look(engine, serving=True)
    assert {finding.level for group in found.values() for finding in group} == {"ok"}
    assert found["events"][0].message == "1 execution compared, each is as its events say."
    assert {"tables", "events", "leases", "ends", "artifacts"} <= found.keys()
    assert all(finding.cure is None for group in found.values() for finding in group)


@pytest.mark.parametrize(
    ("table", "values", "said"),
    [
        (executions, {"status": "failed"}, "status is failed, its events say success"),
        (executions, {"idle_seconds": 7200.0}, "it took -"),
        (executions, {"error": {"message": "no"}}, "its error is not the one that its events tell"),
        (stage_runs, {"rows": 7}, "a: rows is 7, its events say nothing"),
    ],
)
def test_a_record_that_is_not_what_its_events_say(
    engine: TestEngine, ended: str, table: sa.Table, values: dict[str, object], said: str
) -> None:
    where = table.c.id == ended if table is executions else (table.c.execution_id == ended) & (table.c.stage == "a")
    change(engine, sa.update(table).where(where).values(**values))
    (finding,) = wrong(engine)
    assert (finding.check, finding.level) == ("events", "error")
    assert finding.message.startswith(f"Execution {ended} is not what its events say: {said}")
    assert finding.cure is not None


def test_a_missing_event_and_a_missing_stage_run(engine: TestEngine, ended: str) -> None:
    change(engine, sa.delete(stage_runs).where(stage_runs.c.execution_id == ended, stage_runs.c.idx == 2))
    (finding,) = wrong(engine)
    assert "each[2] has events and no record" in finding.message
    change(engine, sa.delete(events).where(events.c.execution_id == ended, events.c.seq == 3))
    (finding,) = wrong(engine)
    assert "event 3 is missing" in finding.message


def test_an_execution_that_cannot_be_read(engine: TestEngine, ended: str) -> None:
    change(engine, sa.update(events).where(events.c.execution_id == ended, events.c.seq == 2).values(type="nonsense"))
    (finding,) = wrong(engine)
    assert finding.message.startswith(f"Execution {ended} cannot be read: ValueError")


def test_only_the_newest_are_compared_and_no_giants(
    engine: TestEngine, ended: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(engine, sa.update(executions).where(executions.c.id == ended).values(status="failed"))
    engine.execute({"a": []})
    engine.work_by_hand()
    assert [finding.level for finding in look(engine, newest=1)["events"]] == ["ok"]
    monkeypatch.setattr(doctor, "LARGEST", 3)
    (finding,) = look(engine)["events"]
    assert finding.message == "1 execution compared, each is as its events say; 1 too large to compare."


def test_a_lease_that_nobody_renews(engine: TestEngine) -> None:
    execution = engine.execute({"a": []})
    engine.claim_by_hand()
    assert wrong(engine, serving=True) == []
    past = datetime.now(UTC) - timedelta(minutes=10)
    change(engine, sa.update(stage_runs).values(lease_until=past))
    (finding,) = wrong(engine, serving=True)
    assert (finding.check, finding.level) == ("leases", "error")
    assert finding.message.startswith(
        f"Stage a of execution {execution} is held by a worker that has not been heard of"
    )
    (alone,) = look(engine)["leases"]
    assert (alone.level, alone.message) == ("ok", "No server runs; 1 stage will run again at the next start.")


def test_servers_that_share_the_database(engine: TestEngine) -> None:
    lease = timedelta(seconds=30)

    def came(id: str, version: str) -> None:
        me = workers.Me(id, "here", 7, version, 4)
        workers.aside(engine.database, lambda connection: workers.register(connection, me, lease))

    def servers() -> list[tuple[str, str]]:
        doctor_ = DatabaseDoctor(engine.database, serving=False, version="2.0")
        found = doctor_.look(0, engine.artifacts)
        return [(one.level, one.message) for one in found if one.check in ("servers", "version")]

    assert servers() == [("ok", "0 servers work here.")]
    came("a", "2.0")
    assert servers() == [("ok", "1 server works here.")]
    came("b", "1.0")
    assert servers() == [
        ("warning", "here:7 is version 1.0, this command line is 2.0."),
        ("ok", "2 servers work here."),
    ]
    gone = datetime.now(UTC) - timedelta(hours=1)
    change(engine, sa.update(worker_rows).where(worker_rows.c.id == "b").values(alive_until=gone, seen_at=gone))
    (lost, well) = servers()
    assert lost == ("warning", f"here:7 has not been heard of since {gone:%Y-%m-%d %H:%M:%S} UTC.")
    assert well == ("ok", "1 server works here.")
    assert look(engine)["leases"][0].message == "None has expired."  # somebody serves, whatever the folder says


def test_a_stage_that_is_open_in_what_has_ended(engine: TestEngine, ended: str) -> None:
    run = (stage_runs.c.execution_id == ended) & (stage_runs.c.stage == "never")
    change(engine, sa.update(stage_runs).where(run).values(status="queued", ended_at=None))
    assert "ends" in [finding.check for finding in wrong(engine)]


def test_artifacts_without_file_and_files_without_record(engine: TestEngine, ended: str) -> None:
    (row,) = engine.artifact_rows(ended)
    folder = engine.folder / "artifacts"
    stray, fresh = folder / str(uuid4()) / "a.parquet", folder / "now.parquet"
    stray.parent.mkdir()
    for path in (stray, fresh):
        path.write_bytes(b"x")
    hour_ago = datetime.now(UTC).timestamp() - 2 * 3600
    os.utime(stray, (hour_ago, hour_ago))
    (left,) = wrong(engine)
    assert (left.level, left.check) == ("warning", "artifacts")
    assert left.message.startswith("1 file (0.000 GB) of attempts")
    assert str(stray) in left.message
    stray.unlink()
    (folder / row["key"]).write_bytes(b"cut")
    (cut,) = wrong(engine)
    assert cut.level == "error"
    assert f"has 3 bytes instead of {row['bytes']:,}" in cut.message
    (folder / row["key"]).unlink()
    (gone,) = wrong(engine)
    assert gone.message == f"The file {row['key']} of stage a in execution {ended} is gone."
    change(engine, sa.delete(artifacts))
    assert wrong(engine) == []


def test_many_findings_of_a_kind_are_counted(engine: TestEngine) -> None:
    for _ in range(7):
        engine.execute({"a": []})
    engine.work_by_hand()
    change(engine, sa.update(executions).values(retries=3))
    found = wrong(engine)
    assert len(found) == 6
    assert found[-1].message == "And 2 more of this kind."


@pytest.mark.parametrize(
    ("revision", "said"), [("0000", "this release needs 0001"), ("9999", "this release knows none after 0001")]
)
def test_tables_of_another_release(engine: TestEngine, revision: str, said: str) -> None:
    engine.database.write(lambda tx: tx.sa.execute(sa.text(f"UPDATE alembic_version SET version_num = '{revision}'")))
    (finding,) = wrong(engine)
    assert (finding.check, finding.level) == ("tables", "error")
    assert said in finding.message


def test_no_tables_and_no_database(tmp_path: Path) -> None:
    empty = Database.open(f"sqlite:///{tmp_path}/empty.db")
    (finding,) = DatabaseDoctor(empty, serving=False).look(10, DiskArtifacts(tmp_path))
    assert (finding.message, finding.cure) == ("There are none yet.", "Run `flexiroaster db upgrade`.")
    empty.close()
    (tmp_path / "broken.db").write_bytes(b"this is no database, whatever its name says" * 100)
    broken = Database.open(f"sqlite:///{tmp_path}/broken.db")
    (finding,) = DatabaseDoctor(broken, serving=False).look(10, DiskArtifacts(tmp_path))
    assert (finding.check, finding.level) == ("database", "error")
    assert "file is not a database" in finding.message
    broken.close()


def test_a_database_that_does_not_answer(tmp_path: Path) -> None:
    away = Database.open("postgresql://nobody@127.0.0.1:1/nothing")
    (finding,) = DatabaseDoctor(away, serving=False).look(10, tmp_path)
    assert (finding.check, finding.level) == ("database", "error")
    assert finding.message.startswith("The database does not answer")
    away.close()


def test_space_is_told_once_for_each_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (finding,) = space([tmp_path, other])
    assert f"GB are free where {tmp_path} is." in finding.message
    monkeypatch.setattr(doctor, "LITTLE_SPACE", 1e18)
    (finding,) = space([tmp_path])
    assert (finding.level, finding.cure) == ("warning", "Free some space: a full disk stops every stage.")


def test_differences_name_what_differs(engine: TestEngine, ended: str) -> None:
    with engine.database.read() as connection:
        assert integrity.differences(connection, ended) == []
