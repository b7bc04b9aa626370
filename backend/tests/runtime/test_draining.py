"""A worker that stops: what runs ends or is handed back, and is held on to until then."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest

from flexiroaster.runtime import worker
from flexiroaster.services import stage_runs
from flexiroaster.store.database import Database
from tests.runtime.engine import PATIENCE, Gate, TestEngine, running


def stopping(engine: TestEngine, grace_seconds: float) -> threading.Thread:
    thread = threading.Thread(target=engine.embedded.worker.stop, args=(grace_seconds,))
    thread.start()
    return thread


def test_what_runs_ends_within_the_grace_and_nothing_begins(database: Database, tmp_path: Path) -> None:
    gate = Gate()
    with running(database, tmp_path) as engine:
        stages = {"a": {"type": "act", "needs": [], "config": engine.act(gate)}, "b": ["a"]}
        execution = engine.execute(stages)
        gate.wait_entered()
        stop = stopping(engine, PATIENCE)
        other = engine.execute({"c": []})
        gate.open.set()
        stop.join(PATIENCE)
        assert engine.embedded.worker.running == 0
        assert engine.stage(execution, "a")["status"] == "success"
        assert engine.stage(execution, "b")["status"] == "queued"
        assert engine.row(other)["status"] == "queued"
    with running(database, tmp_path) as after:
        assert [after.wait_end(execution), after.wait_end(other)] == ["success", "success"]


def test_what_does_not_end_within_the_grace_is_handed_back(database: Database, tmp_path: Path) -> None:
    gate = Gate()
    with running(database, tmp_path) as engine:
        execution = engine.execute(
            {"a": {"type": "act", "needs": [], "config": engine.act(lambda c: gate(c) or 1 / 0)}}
        )
        gate.wait_entered()
        engine.embedded.worker.stop(0)
        row = engine.stage(execution, "a")
        assert (row["status"], row["lease_owner"], row["lost"]) == ("queued", None, 0)


def test_leases_are_renewed_until_the_last_stage_has_ended(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_runs, "LEASE", timedelta(milliseconds=30))
    gate = Gate()
    with running(database, tmp_path) as engine:
        execution = engine.execute({"a": {"type": "act", "needs": [], "config": engine.act(gate)}})
        gate.wait_entered()
        stop = stopping(engine, PATIENCE)
        renewed = threading.Event()
        beat = engine.embedded.stage_runs.renew_leases

        def told() -> None:
            beat()
            renewed.set()

        monkeypatch.setattr(engine.embedded.stage_runs, "renew_leases", told)
        assert engine.embedded.worker._stopping.wait(PATIENCE)
        renewed.clear()
        assert renewed.wait(PATIENCE)
        gate.open.set()
        stop.join(PATIENCE)
        assert engine.stage(execution, "a")["status"] == "success"


@pytest.mark.parametrize(
    ("stop_within", "grace_seconds", "patience"),
    [
        ([], 60, 15),
        ([timedelta(), timedelta(seconds=5)], 60, 15),
        ([timedelta(seconds=5), timedelta(seconds=45)], 60, 45),
        ([timedelta(minutes=10)], 60, 60),
        ([timedelta(minutes=10)], 0, 15),
    ],
)
def test_who_needs_long_to_stop_is_awaited_within_the_servers_grace(
    stop_within: list[timedelta], grace_seconds: float, patience: float
) -> None:
    assert worker.patience_at_shutdown(stop_within, grace_seconds) == patience
