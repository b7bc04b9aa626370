"""Whatever statement the process dies at, or fails at, in the end everything is as if nothing had happened."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import sqlalchemy as sa

from flexiroaster.artifacts.disk import DiskArtifacts
from flexiroaster.store import leases, workers
from flexiroaster.store.tables import executions, metadata
from tests.faults.injection import ANSWERED, Faults, Ground, Point, Statement
from tests.faults.lives import Lives
from tests.faults.record import Record, check_ended, check_numbers, check_rebuilt, check_told, differences, gist
from tests.faults.scenarios import Stops, Story, Waits, Work

Manner = Literal["death", "error"]
CHUNKS = 4
EVERY_INSIDE = 5
SAMPLES = None if os.environ.get("FLEXIROASTER_TEST_EVERY_POINT") else 25
"""On PostgreSQL, of each story: all of them take twenty minutes."""
STORIES: dict[str, Callable[[], Story]] = {"work": Work, "waits": Waits, "stops": Stops}


@dataclass(frozen=True)
class Told:
    """How a story ended."""

    gist: Any
    ran: Counter[str]
    records: list[Record]
    statements: list[Statement]

    @property
    def starts(self) -> Counter[tuple[str | None, int]]:
        return sum((record.times("stage_started") for record in self.records), Counter())

    @property
    def restarts(self) -> Counter[tuple[str | None, int]]:
        return sum((record.restarts() for record in self.records), Counter())


def tell(story: Story, ground: Ground, folder: Path, *faults: Faults) -> Told:
    """`faults` are those of one life after the other."""
    lives = Lives(ground, folder, story, *faults)
    lives.run()
    ids = [row["id"] for row in lives.rows(sa.select(executions.c.id))]
    records = [Record.of(ground.observer, id) for id in ids]
    names = {id: name for name, id in story.ids.items()}
    return Told(gist(records, names), Counter(lives.ran), records, faults[0].seen)


def points(statements: list[Statement], manner: Manner) -> list[Point]:
    """Before every statement, and after every one that may have ended a transaction: to fail after any other is to fail
    before the next.

    Of a transaction that a death ends nothing is left, wherever in it that was: a few places in each stand for all.
    SQLite is no server whose answer could be lost: what it says to have failed has not been committed.
    """
    on_sqlite = not any(statement.text == ANSWERED for statement in statements)
    found = []
    inside = 0
    for number, statement in enumerate(statements, start=1):
        text = statement.text
        inside = 0 if text == "COMMIT" else inside + 1 if inside or text.startswith("BEGIN") else 0
        if text != ANSWERED and (manner == "error" or inside % EVERY_INSIDE == 0):
            found.append(Point(number))
        by_itself = not inside and not text.startswith(("PRAGMA", "SELECT"))
        if not statement.queued and (text == ANSWERED or by_itself) and (manner == "death" or not on_sqlite):
            found.append(Point(number, after=True))
    return found


def check(told: Told, good: Told, folder: Path, *, deaths: int = 1, at_least: bool = False) -> None:
    """`deaths`: how often the process died, or a statement failed. `at_least`: its log may say something twice."""
    assert list(differences(told.gist, good.gist)) == []
    for record in told.records:
        check_numbers(record)
        check_ended(record)
        check_rebuilt(record)
        check_told(record, at_least=at_least)
        store = DiskArtifacts(folder / "artifacts")
        assert all(store.size(row["key"]) == row["bytes"] for row in record.artifacts)
    restarts = told.restarts
    assert all(count <= deaths for count in restarts.values()), restarts
    assert told.starts - good.starts <= restarts
    assert told.ran - good.ran <= Counter({f"{stage}[{index}]": count for (stage, index), count in restarts.items()})


class Stage:
    """Where a story is told again and again, each time on a database that `empty` has emptied."""

    def __init__(self, ground: Ground, empty: Callable[[], None], folder: Path) -> None:
        self._ground = ground
        self._empty = empty
        self._folder = folder
        self._count = 0

    def tell(self, story: str, *faults: Faults) -> tuple[Told, Path]:
        self._count += 1
        folder = self._folder / str(self._count)
        folder.mkdir()
        self._ground.clear()
        self._empty()
        return tell(STORIES[story](), self._ground, folder, *faults), folder

    def go_through(self, story: str, manner: Manner, chosen: Callable[[list[Point]], list[Point]]) -> None:
        good, folder = self.tell(story, Faults())
        check(good, good, folder)
        wrong = {}
        for point in chosen(points(good.statements, manner)):
            faults = Faults(point, manner)
            try:
                told, folder = self.tell(story, faults)
                assert faults.hit
                check(told, good, folder, at_least=point.after and manner == "error")
            except AssertionError as failure:
                wrong[f"{point}: {good.statements[point.number - 1].text}"] = failure
        assert not wrong, f"{len(wrong)} points: " + "\n".join(f"{where}\n{why}" for where, why in wrong.items())


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a power cut would tell the difference."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def on_sqlite(sqlite_template: Path, sqlite_url: str, tmp_path: Path) -> Iterator[Stage]:
    path = Path(sqlite_url.removeprefix("sqlite:///"))

    def empty() -> None:
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        shutil.copyfile(sqlite_template, path)

    ground = Ground(sqlite_url)
    yield Stage(ground, empty, tmp_path)
    ground.clear()


@pytest.fixture
def on_postgres(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    def empty() -> None:
        names = ", ".join(table.name for table in metadata.sorted_tables)
        ground.observer.write(lambda tx: tx.sa.execute(sa.text(f"TRUNCATE {names} CASCADE")))

    ground = Ground(postgres_url)
    for module in (leases, workers):
        monkeypatch.setattr(module, "now", lambda connection: ground.now)
    yield Stage(ground, empty, tmp_path)
    ground.observer.close()
    ground.clear()


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("manner", ["death", "error"])
@pytest.mark.parametrize("story", STORIES)
def test_every_statement_on_sqlite(on_sqlite: Stage, story: str, manner: Manner, chunk: int) -> None:
    on_sqlite.go_through(story, manner, lambda points: points[chunk::CHUNKS])


@pytest.mark.parametrize("manner", ["death", "error"])
@pytest.mark.parametrize("story", STORIES)
def test_statements_on_postgresql(on_postgres: Stage, story: str, manner: Manner) -> None:
    on_postgres.go_through(story, manner, lambda points: points[:: max(1, len(points) // (SAMPLES or len(points)))])


@pytest.mark.parametrize("story", STORIES)
def test_a_death_while_the_next_process_takes_up_what_is_left(on_sqlite: Stage, story: str) -> None:
    good, _ = on_sqlite.tell(story, Faults())
    count = len(good.statements)
    for first in range(count // 4, count, count // 4):
        for second in range(8, 32, 4):  # the first ones prepare the connections
            again = Faults(Point(second), "death")
            told, folder = on_sqlite.tell(story, Faults(Point(first), "death"), again)
            assert again.hit or second > 20
            check(told, good, folder, deaths=2)
