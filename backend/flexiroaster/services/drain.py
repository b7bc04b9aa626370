"""Emptying a server before it stops: it takes no more work, and what runs ends or is handed back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal, NamedTuple

import structlog

from flexiroaster.engine.plurals import counted

log = structlog.get_logger(__name__)


class DrainState(NamedTuple):
    state: Literal["working", "draining", "drained"]
    running: int

    @property
    def message(self) -> str:
        match self.state:
            case "working":
                return f"working: {counted(self.running, 'stage')} running"
            case "draining":
                return f"stopping: {counted(self.running, 'stage')} running"
            case "drained":
                return "stopped: nothing runs any more, what waits goes on after a restart"


class Drain:
    """`stop` takes the grace in seconds and returns when nothing runs; it is called once, in a thread of its own.

    There is no way back but a restart: what was not done is in the database.
    """

    def __init__(self, stop: Callable[[float], None], running: Callable[[], int], grace_seconds: float) -> None:
        self._stop = stop
        self._running = running
        self._grace_seconds = grace_seconds
        self._begun = threading.Lock()  # taken once, and never given back
        self._ended = threading.Event()

    @property
    def now(self) -> DrainState:
        if not self._begun.locked():
            return DrainState("working", self._running())
        return DrainState("drained" if self._ended.is_set() else "draining", self._running())

    def begin(self, grace_seconds: float | None = None, by: str | None = None) -> DrainState:
        """Returns at once. The first call decides on the grace; asking again does no harm."""
        # Not `with`: the signal that asks may interrupt this very call.
        if self._begun.acquire(blocking=False):
            grace = self._grace_seconds if grace_seconds is None else grace_seconds
            log.info("server.stopping", running_stages=self._running(), grace_seconds=grace, by=by)
            threading.Thread(target=self._empty, args=(grace,), name="last-work").start()
        return self.now

    def wait(self) -> None:
        """Until nothing runs. After `begin`."""
        self._ended.wait()

    def _empty(self, grace_seconds: float) -> None:
        try:
            self._stop(grace_seconds)
        finally:
            self._ended.set()
