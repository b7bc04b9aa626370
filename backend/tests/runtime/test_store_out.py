"""A database that takes no writes for a while: its disk is full, or it is away. Nothing is lost, nothing gets stuck."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from flexiroaster.engine.errors import StageFailed
from flexiroaster.engine.events import Event
from flexiroaster.runtime import logbook, timers, worker
from flexiroaster.stages.base import StageContext
from flexiroaster.store.database import StoreUnavailable
from tests.runtime.engine import Gate, TestEngine
from tests.runtime.test_executions import act


class Outage:
    """Between `begin` and `end` every write is refused; `wait_refused` returns after so many.

    `begin_after` begins in the thread that publishes the event: before anything can come due after it.
    """

    def __init__(self, engine: TestEngine, monkeypatch: pytest.MonkeyPatch) -> None:
        self._write = engine.database.write
        self._out = threading.Event()
        self._refused = threading.Semaphore(0)
        self._after: tuple[str, str] | None = None
        monkeypatch.setattr(engine.database, "write", self._try)
        engine.bus.subscribe(self._see)

    def begin_after(self, type: str, stage: str) -> None:
        """Call it before the execution starts."""
        self._after = (type, stage)

    def begin(self) -> None:
        self._out.set()

    def end(self) -> None:
        self._out.clear()

    def wait_refused(self, times: int) -> None:
        for _ in range(times):
            assert self._refused.acquire(timeout=30)

    def _see(self, seen: Sequence[Event]) -> None:
        if any((event.type.value, event.stage) == self._after for event in seen):
            self.begin()

    def _try(self, operation: Any, **options: Any) -> Any:
        if self._out.is_set():
            self._refused.release()
            raise StoreUnavailable("The disk that holds the database is full.")
        return self._write(operation, **options)


@pytest.fixture
def outage(engine: TestEngine, monkeypatch: pytest.MonkeyPatch) -> Outage:
    monkeypatch.setattr(timers, "STORE_PAUSE", 0.001)
    monkeypatch.setattr(logbook, "STORE_PAUSE", 0.001)
    return Outage(engine, monkeypatch)


def test_wait_that_was_due_meanwhile_goes_on_afterwards(engine: TestEngine, outage: Outage) -> None:
    outage.begin_after("stage_waiting", "a")
    execution = engine.execute({"a": {"type": "wait", "config": {"seconds": 0.5}}, "b": ["a"]})
    outage.wait_refused(3)
    outage.end()
    assert engine.wait_end(execution) == "success"


def test_retry_that_was_due_meanwhile_is_made_afterwards(engine: TestEngine, outage: Outage) -> None:
    def flaky(context: StageContext) -> int:
        if context.attempt == 1:
            raise StageFailed("busy", kind="transient")
        return context.attempt

    outage.begin_after("stage_retrying", "a")
    retry = {"max_attempts": 2, "delay": "500ms", "backoff": "constant", "jitter": False}
    execution = engine.execute({"a": act(engine.act(flaky), retry=retry)})
    outage.wait_refused(3)
    outage.end()
    assert engine.wait_end(execution) == "success"


def test_timeout_that_passed_meanwhile_ends_the_execution(engine: TestEngine, outage: Outage) -> None:
    outage.begin_after("stage_waiting", "a")
    execution = engine.execute({"a": {"type": "wait", "config": {"seconds": 3600}}}, timeout="1500ms")
    outage.wait_refused(3)
    outage.end()
    assert engine.wait_end(execution) == "timed_out"


def test_log_lines_of_the_outage_are_kept_in_order(engine: TestEngine, outage: Outage) -> None:
    gate = Gate()

    def talk(context: StageContext) -> None:
        outage.begin()
        for number in range(5):
            context.log("info", f"line {number}")
        gate(context)

    execution = engine.execute({"a": act(engine.act(talk))})
    gate.wait_entered()
    outage.wait_refused(3)
    outage.end()
    gate.open.set()
    assert engine.wait_end(execution) == "success"
    assert [line for line in engine.messages(execution) if line.startswith("line")] == [f"line {n}" for n in range(5)]


def test_stage_that_does_not_listen_is_recorded_after_the_outage(
    engine: TestEngine, outage: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import timedelta

    monkeypatch.setattr(worker, "KILL_AFTER", timedelta(milliseconds=50))
    release, begun = threading.Event(), threading.Event()

    def deaf(_: StageContext) -> None:
        outage.begin()
        begun.set()
        release.wait(30)

    execution = engine.execute({"a": act(engine.act(deaf), timeout="50ms")})
    assert begun.wait(30)
    outage.wait_refused(3)
    outage.end()
    assert engine.wait_end(execution) == "failed"
    assert engine.stage(execution, "a")["status"] == "timed_out"
    release.set()
    assert engine.run({"a": []}) == "success"
