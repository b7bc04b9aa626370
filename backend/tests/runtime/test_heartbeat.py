"""Leases are renewed whatever the stages do: one that computes for minutes is not taken for dead."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from flexiroaster.runtime.embedded import Embedded
from flexiroaster.services import stage_runs
from flexiroaster.stages.base import StageContext
from flexiroaster.store.database import Database
from flexiroaster.store.tables import stage_runs as rows
from tests.runtime.engine import PATIENCE, TestEngine, running
from tests.runtime.test_code_stages import engine as local
from tests.runtime.test_code_stages import python, run_until_ready
from tests.runtime.test_executions import act
from tests.stages.code import linux

LEASE = timedelta(milliseconds=150)


class Beats:
    """Every renewal of the leases, and in which thread it was."""

    def __init__(self, embedded: Embedded, monkeypatch: pytest.MonkeyPatch) -> None:
        self._renew = embedded.stage_runs.renew_leases
        self._beats = threading.Semaphore(0)
        self.threads: set[str] = set()
        monkeypatch.setattr(embedded.stage_runs, "renew_leases", self._note)

    def wait(self, count: int) -> None:
        """For so many from now on."""
        while self._beats.acquire(blocking=False):
            pass
        for _ in range(count):
            assert self._beats.acquire(timeout=PATIENCE)

    def _note(self) -> None:
        self._renew()
        self.threads.add(threading.current_thread().name)
        self._beats.release()


@pytest.fixture(autouse=True)
def short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_runs, "LEASE", LEASE)


def held_for(database: Database) -> list[timedelta]:
    """How long after its start each running stage's lease ends."""
    with database.read() as connection:
        query = sa.select(rows.c.started_at, rows.c.lease_until).where(rows.c.status == "running")
        return [until - started for started, until in connection.execute(query)]


@linux
def test_stage_that_never_lets_go_of_its_interpreter_is_not_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It computes for many times its lease, in a process of its own."""
    code = """
        import os
        os.write(os.open(fifo, os.O_WRONLY), b"ready\\n")
        while not os.path.exists(go): pass
        result = "computed"
    """
    fifo, go = tmp_path / "fifo", tmp_path / "go"
    with local(tmp_path) as engine:
        beats = Beats(engine.embedded, monkeypatch)
        held: list[timedelta] = []

        def look(_execution: str) -> None:
            beats.wait(12)
            held.extend(held_for(engine.database))
            go.touch()

        ended = run_until_ready(engine, python(code, args={"fifo": str(fifo), "go": str(go)}), fifo, look)
    (stage,) = ended.stages
    assert (ended.status, stage.attempt, stage.result) == ("success", 1, "computed")
    assert held[0] > 4 * LEASE
    assert beats.threads == {"heartbeat"}


def busy(release: threading.Event, entered: threading.Semaphore) -> Callable[[StageContext], Any]:
    def compute(_: StageContext) -> None:
        entered.release()
        while not release.is_set():
            pass

    return compute


def test_heartbeat_waits_for_no_other_thread(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every worker's thread computes in this process, that of the timers is held up: the leases are renewed."""
    release, entered = threading.Event(), threading.Semaphore(0)
    with running(database, tmp_path) as engine:
        beats = Beats(engine.embedded, monkeypatch)
        try:
            stages = {f"s{n}": act(engine.act(busy(release, entered))) for n in range(engine.concurrency)}
            execution = engine.execute(stages)
            engine.embedded._timers.at(datetime.now(UTC), lambda: assert_soon(release))
            for _ in stages:
                assert entered.acquire(timeout=PATIENCE)
            beats.wait(12)
            held = held_for(database)
        finally:
            release.set()
        assert engine.wait_end(execution) == "success"
        assert [row["attempt"] for row in engine.rows(rows, execution)] == [1] * engine.concurrency
    assert len(held) == engine.concurrency
    assert min(held) > 4 * LEASE
    assert beats.threads == {"heartbeat"}


def assert_soon(event: threading.Event) -> None:
    assert event.wait(PATIENCE)


def test_lease_ends_soon_after_its_server(database: Database, tmp_path: Path) -> None:
    """Without a heartbeat: what was claimed is not held for longer than a lease."""
    dead = TestEngine(database, tmp_path)  # never started
    dead.execute({"a": []})
    dead.claim_by_hand()
    assert held_for(database) == [LEASE]
