"""Waiting for the end of an execution without asking again and again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from flexiroaster.bus.port import Bus
from flexiroaster.engine.events import EXECUTION_ENDS, Event
from flexiroaster.store import executions as store
from flexiroaster.store.database import Database
from flexiroaster.store.executions import EndRow

Callback = Callable[[], None]


class Ends:
    """Use from any thread."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._waiting: dict[str, list[Callback]] = {}
        self._lock = threading.Lock()
        self.stopping = False
        """Nobody is to wait any longer."""
        bus.subscribe(self._hear, wanted=lambda: bool(self._waiting), missed=self._look_all)

    def of(self, execution_id: str) -> EndRow | None:
        """How it ended; None while it has not. Raises NotFound."""
        with self._database.read() as connection:
            return store.end_of(connection, execution_id)

    @contextmanager
    def watched(self, execution_id: str, callback: Callback) -> Iterator[None]:
        """`callback` is called from the thread that ends it, and must return at once. Look with `of` after entering:
        what ended before is not told.
        """
        with self._lock:
            self._waiting.setdefault(execution_id, []).append(callback)
        try:
            yield
        finally:
            with self._lock:
                callbacks = self._waiting[execution_id]
                callbacks.remove(callback)
                if not callbacks:
                    del self._waiting[execution_id]

    def stop(self) -> None:
        """Let go whoever waits: the server stops. Safe to call twice."""
        self.stopping = True
        self._look_all()

    def _look_all(self) -> None:
        with self._lock:
            callbacks = [callback for waiting in self._waiting.values() for callback in waiting]
        for callback in callbacks:
            callback()

    def _hear(self, events: Sequence[Event]) -> None:
        if not self._waiting:
            return
        for event in events:
            if event.type in EXECUTION_ENDS:
                with self._lock:
                    callbacks = list(self._waiting.get(event.execution_id, ()))
                for callback in callbacks:
                    callback()
