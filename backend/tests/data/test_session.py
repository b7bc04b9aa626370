"""DuckDB itself keeps a session inside its folders, whatever SQL reaches it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flexiroaster.data.database import SharedDatabases, shared_databases
from flexiroaster.data.session import Session
from flexiroaster.engine.errors import StageFailed


@pytest.fixture(params=["own", "shared"])
def session(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Session]:
    for folder in ("allowed", "scratch", "secret"):
        (tmp_path / folder).mkdir()
    (tmp_path / "secret" / "a.csv").write_text("a\n1\n")
    (tmp_path / "allowed" / "a.csv").write_text("a\n1\n")
    folders = (tmp_path / "allowed", tmp_path / "scratch")
    shared = folders if request.param == "shared" else ()
    with Session(files=[], folders=folders, scratch=tmp_path / "scratch", shared=shared) as opened:
        yield opened


def test_allowed_folders_can_be_read(session: Session, tmp_path: Path) -> None:
    assert session.rows(f"FROM read_csv('{tmp_path}/allowed/a.csv')") == [(1,)]


@pytest.mark.parametrize(
    "sql",
    [
        "FROM read_csv('{root}/secret/a.csv')",
        "FROM read_csv('{root}/allowed/../secret/a.csv')",
        "FROM read_text('/etc/passwd')",
        "FROM glob('{root}/secret/*')",
        "COPY (SELECT 1) TO '{root}/secret/b.csv'",
        "COPY (SELECT 1) TO '{root}/allowed/../b.csv'",
        "ATTACH '{root}/secret/b.db'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "SET threads = 1",
    ],
)
def test_everything_else_is_refused(session: Session, tmp_path: Path, sql: str) -> None:
    with pytest.raises(StageFailed):
        session.rows(sql.replace("{root}", str(tmp_path)))
    assert sorted(path.name for path in (tmp_path / "secret").iterdir()) == ["a.csv"]


def test_python_variables_are_no_tables(session: Session) -> None:
    secret = [1, 2, 3]
    with pytest.raises(StageFailed):
        session.rows("FROM secret")
    assert secret


def test_times_are_utc(session: Session) -> None:
    row = session.row("SELECT TIMESTAMPTZ '2026-01-05 12:00:00+02'")
    assert row[0].isoformat() == "2026-01-05T10:00:00+00:00"


def test_sessions_of_one_database_do_not_see_each_others_tables(tmp_path: Path) -> None:
    folders = (tmp_path,)
    first = Session(files=[], folders=[], scratch=tmp_path, shared=folders)
    second = Session(files=[], folders=[], scratch=tmp_path, shared=folders)
    with first, second:
        first.run("CREATE TEMP TABLE mine AS SELECT 1")
        with pytest.raises(StageFailed):
            second.rows("FROM mine")


def test_idle_databases_are_closed_but_the_newest(tmp_path: Path) -> None:
    databases = SharedDatabases()
    folders = [(tmp_path / str(number),) for number in range(3)]
    connections = []
    for (folder,) in folders:
        folder.mkdir()
        connections.append(databases.connection((folder,)))
    for key, connection in zip(folders, connections, strict=True):
        databases.release(key, connection)
    assert list(databases._open) == [folders[-1]]
    assert shared_databases is not databases


def test_only_one_stage_is_interrupted(tmp_path: Path) -> None:
    folders = (tmp_path,)
    first = Session(files=[], folders=[], scratch=tmp_path, shared=folders)
    with first, Session(files=[], folders=[], scratch=tmp_path, shared=folders) as second:
        first._stop()
        with pytest.raises(StageFailed) as caught:
            first.rows("SELECT count(*) FROM range(10)")
        assert caught.value.kind == "cancelled"
        assert second.rows("SELECT count(*) FROM range(10)") == [(10,)]
