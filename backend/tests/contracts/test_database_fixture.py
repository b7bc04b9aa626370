from __future__ import annotations

from flexiroaster.store.database import Database
from flexiroaster.store.migrate import HEAD, revision


def test_database_is_migrated_and_empty(database: Database) -> None:
    assert revision(database) == HEAD
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM pipelines").scalar() == 0
