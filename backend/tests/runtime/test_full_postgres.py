"""A PostgreSQL whose disk is full, and one that was set to read-only: what was accepted goes on afterwards."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from flexiroaster.runtime import logbook, timers
from flexiroaster.store.database import Database, StoreUnavailable
from tests.postgres import Postgres
from tests.runtime.engine import Gate, TestEngine, running
from tests.runtime.test_executions import act
from tests.small_disk import SmallDisk, small_disk

DATABASE = "on_a_small_disk"
MEGABYTES = 40


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    """Where the server, another user, may look."""
    path = Path(tempfile.mkdtemp(prefix="flexiroaster-disk-"))
    path.chmod(0o755)
    try:
        with small_disk(path, MEGABYTES, mode="755") as made:
            yield made
    finally:
        path.rmdir()


@pytest.fixture
def database(postgres: Postgres, disk: SmallDisk) -> Iterator[Database]:
    folder = disk.path / "tables"
    folder.mkdir()
    shutil.chown(folder, "postgres", "postgres")
    create = "CREATE DATABASE {} TEMPLATE migrated TABLESPACE small"
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE TABLESPACE small LOCATION {}").format(str(folder)))
        connection.execute(sql.SQL(create).format(sql.Identifier(DATABASE)))
        opened = Database.open(postgres.url(DATABASE))
        try:
            yield opened
        finally:
            opened.close()
            disk.free()
            postgres.drop(DATABASE)
            connection.execute("DROP TABLESPACE small")


@pytest.fixture
def engine(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestEngine]:
    for module in (timers, logbook):
        monkeypatch.setattr(module, "STORE_PAUSE", 0.01)
    with running(database, tmp_path) as started:
        yield started


def test_full_disk_is_waited_for(engine: TestEngine, disk: SmallDisk) -> None:
    goes_on_after(engine, disk.fill, disk.free, "The disk of PostgreSQL is full")


def test_read_only_database_is_waited_for(engine: TestEngine, postgres: Postgres) -> None:
    def read_only(yes: bool) -> None:
        with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
            setting = sql.SQL("ALTER DATABASE {} SET default_transaction_read_only TO {}")
            connection.execute(setting.format(sql.Identifier(DATABASE), sql.Literal("on" if yes else "off")))
            end = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s"
            connection.execute(end, (DATABASE,))

    goes_on_after(engine, lambda: read_only(True), lambda: read_only(False), "PostgreSQL takes no writes now")


def goes_on_after(engine: TestEngine, begin: Callable[[], None], end: Callable[[], None], sentence: str) -> None:
    gate = Gate({"n": 1})
    accepted = [engine.execute({"a": act(engine.act(gate)), "b": ["a"]})]
    gate.wait_entered()
    pipeline = engine.add({"a": []})
    begin()
    said: set[str] = set()
    while not any(sentence in each for each in said):  # there is room left in what the tables have
        try:
            accepted.append(engine.executions.start(pipeline).execution_id)
        except StoreUnavailable as refused:
            said.add(str(refused))
    gate.open.set()
    end()
    assert {engine.wait_end(execution) for execution in accepted} == {"success"}
    assert engine.run({"a": []}) == "success"
