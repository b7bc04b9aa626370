"""The servers of a database remove what is old, one of them at a time."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from flexiroaster.artifacts.disk import DiskArtifacts
from flexiroaster.runtime.collector import Collector
from flexiroaster.services.leftovers import LeftoverFiles
from flexiroaster.services.retention import Pause, Removed, Retention
from flexiroaster.store.database import Database
from flexiroaster.store.tables import chores, executions
from tests.history import History

DAY = timedelta(days=1)


class Watched(Retention):
    """Says when it was asked; `fail_first` makes the first time fail."""

    def __init__(self, database: Database, folder: Path, *, fail_first: bool = False) -> None:
        super().__init__(database, DiskArtifacts(folder), keep=30 * DAY, keep_lines=None)
        self.asked = 0
        self.done = threading.Event()
        self.fail_first = fail_first

    def apply(self, pause: Pause = lambda: True) -> Removed:
        self.asked += 1
        if self.fail_first and self.asked == 1:
            raise SQLAlchemyError("not now")
        removed = super().apply(pause)
        self.done.set()
        return removed


def collector(database: Database, watched: Watched, folder: Path) -> Collector:
    leftovers = LeftoverFiles(database, DiskArtifacts(folder))
    return Collector(database, watched, leftovers, first_look_seconds=0.0, look_seconds=0.01)


def test_old_executions_go_by_themselves(history: History, database: Database, tmp_path: Path) -> None:
    now, pipeline = datetime.now(UTC), history.pipeline("p")
    history.execution(pipeline, 1, created_at=now - 31 * DAY)
    young = history.execution(pipeline, 2, created_at=now - 29 * DAY)
    watched = Watched(database, tmp_path)
    collecting = collector(database, watched, tmp_path)
    collecting.start()
    assert watched.done.wait(60)
    collecting.stop()
    collecting.stop()
    with database.read() as connection:
        assert list(connection.scalars(sa.select(executions.c.id))) == [young]


def test_of_several_one_does_it_until_it_is_due_again(database: Database, tmp_path: Path) -> None:
    several = [Watched(database, tmp_path) for _ in range(3)]
    for watched in several * 2:
        collector(database, watched, tmp_path).look()
    assert sorted(watched.asked for watched in several) == [0, 0, 1]
    database.write(lambda tx: tx.sa.execute(sa.update(chores).values(due_at=datetime.now(UTC) - DAY)))
    collector(database, several[2], tmp_path).look()
    assert sum(watched.asked for watched in several) == 2


def test_a_failure_is_not_the_end(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flexiroaster.runtime.collector.EVERY", dict.fromkeys(("remove-old", "delete-leftovers"), -DAY))
    watched = Watched(database, tmp_path, fail_first=True)
    collecting = collector(database, watched, tmp_path)
    collecting.start()
    assert watched.done.wait(60)
    collecting.stop()
    assert watched.asked >= 2
