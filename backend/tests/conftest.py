"""Databases for the tests: SQLite in the test's own folder, PostgreSQL from a server of this session; Redis and S3.

A test that takes `database` runs on both. Where a server cannot be started the tests fail: a contract that was not
checked is not kept.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import event

from flexiroaster.log_output import configure_logs
from flexiroaster.store.database import Database
from flexiroaster.store.migrate import upgrade
from tests.history import History
from tests.postgres import Postgres

if TYPE_CHECKING:
    from tests.rabbitmq import RabbitServer
    from tests.redis_server import RedisServer
    from tests.s3 import S3Server

# How long an example takes says how busy the machine is: what must be quick has a test that counts processor time.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

configure_logs("info", json=False)

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The session's PostgreSQL server, with a migrated template."""
    server = Postgres.start()
    try:
        migrated = Database.open(server.create("migrated"))
        upgrade(migrated)
        migrated.close()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """The session's S3 server."""
    from tests.s3 import S3Server  # takes seconds

    server = S3Server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A Redis server of this test, which may be paused, killed and started again."""
    from tests.redis_server import RedisServer

    server = RedisServer.begin()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def rabbit_server() -> Iterator[RabbitServer]:
    """The session's RabbitMQ; who breaks one starts its own."""
    from tests.rabbitmq import RabbitServer

    server = RabbitServer.begin()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy: a migration takes a second, a copy a millisecond."""
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    migrated = Database.open(f"sqlite:///{path}")
    upgrade(migrated)
    migrated.close()
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """The URL of a migrated, empty SQLite database of this test."""
    path = tmp_path / "flexiroaster.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """The URL of a migrated, empty PostgreSQL database of this test."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    yield postgres.create(name, template="migrated")
    postgres.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a migrated, empty database; the test runs once on SQLite and once on PostgreSQL."""
    fixture = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    return str(request.getfixturevalue(fixture))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated, empty database, open; the test runs once on SQLite and once on PostgreSQL."""
    opened = Database.open(database_url)
    yield opened
    opened.close()


@pytest.fixture
def history(database: Database) -> History:
    """Writes what a test is to read."""
    return History(database)


@pytest.fixture
def statements(database: Database) -> Iterator[list[str]]:
    """Every statement sent to the database while the test runs."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        sent.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    yield sent
    event.remove(database.engine, "before_cursor_execute", note)
