"""The tables of a new database are made at once, those of an old one by migrations: they must be the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from flexiroaster.store.database import Database
from flexiroaster.store.migrate import HEAD, migrate, revision, upgrade
from tests.postgres import Postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Database]]:
    """Two databases without tables."""
    if request.param == "sqlite":
        urls = [f"sqlite:///{tmp_path}/{name}.db" for name in ("one", "other")]
    else:
        server: Postgres = request.getfixturevalue("postgres")
        urls = [server.create(f"{name}_{tmp_path.name}".lower()) for name in ("one", "other")]
    opened = [Database.open(url) for url in urls]
    yield opened
    for database in opened:
        database.close()


def test_a_new_database_has_the_tables_that_migrations_make(empty: list[Database]) -> None:
    made, migrated = empty
    assert upgrade(made)
    assert migrate(migrated)
    assert revision(made) == revision(migrated) == HEAD
    assert described(made) == described(migrated)


def test_nothing_is_to_do_a_second_time(empty: list[Database]) -> None:
    database = empty[0]
    assert upgrade(database)
    assert not upgrade(database)
    assert not migrate(database)


def test_tables_of_others_are_left_alone(empty: list[Database]) -> None:
    database = empty[0]
    database.write(lambda tx: tx.sa.execute(sa.text("CREATE TABLE users (name TEXT)")))
    with pytest.raises(DBAPIError, match="already exists"):
        upgrade(database)
    assert set(described(database)) == {"users"}


def described(database: Database) -> dict[str, Any]:
    """Everything that the database tells of its tables."""
    inspector = sa.inspect(database.engine)
    return {
        table: {
            "columns": [column | {"type": str(column["type"])} for column in inspector.get_columns(table)],
            "key": inspector.get_pk_constraint(table)["constrained_columns"],
            "foreign": _sorted(inspector.get_foreign_keys(table)),
            "unique": _sorted(inspector.get_unique_constraints(table)),
            "checks": _sorted(inspector.get_check_constraints(table)),
            "indexes": _sorted(inspector.get_indexes(table)),
        }
        for table in inspector.get_table_names()
    }


def _sorted(found: Any) -> list[str]:
    return sorted(_text(one) for one in found)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return str(sorted((key, _text(below)) for key, below in value.items()))
    return str(value)


def test_sqlite_keeps_json_as_text(sqlite_url: str) -> None:
    """A column declared as JSON has numeric affinity there, and makes a number of the text "3"."""
    with Database.open(sqlite_url).read() as connection:
        declared = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE type = 'table'").scalars().all()
    assert declared
    assert not [statement for statement in declared if " JSON" in statement]
