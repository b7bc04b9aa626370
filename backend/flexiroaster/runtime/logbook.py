"""Stages' log lines on their way to the database: a few times a second while a stage runs, the rest with its record."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from flexiroaster.runtime.attempt import Attempt
from flexiroaster.store.database import StoreUnavailable
from flexiroaster.store.progress import LogEntry

log = structlog.get_logger(__name__)

PAUSE = 0.2
"""Seconds between two writes: what a reader of a live log waits at most."""
STORE_PAUSE = 2.0
"""Seconds until lines are written again that the database did not take."""


class Logbook:
    """`watch` is called by an attempt with its first unwritten line. `stop` may be called twice."""

    def __init__(self, write: Callable[[list[LogEntry]], None]) -> None:
        self._write = write
        self._attempts: set[Attempt] = set()
        self._lock = threading.Lock()
        self._waiting = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop, name="logbook", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._waiting.set()
        if self._thread is not None:
            self._thread.join()

    def watch(self, attempt: Attempt) -> None:
        with self._lock:
            self._attempts.add(attempt)
        self._waiting.set()

    def wake(self) -> None:
        """There is something to write that no attempt has."""
        self._waiting.set()

    def take(self, attempt: Attempt) -> list[LogEntry]:
        """What is left of an attempt that has ended: written together with its outcome."""
        with self._lock:
            self._attempts.discard(attempt)
            return attempt.take_lines(last=True)

    def _loop(self) -> None:
        while not self._stopped.is_set():
            self._waiting.wait()
            self._stopped.wait(PAUSE)
            self._waiting.clear()
            if not self._flush():
                self._stopped.wait(STORE_PAUSE)
                self._waiting.set()

    def _flush(self) -> bool:
        """False when the database does not take lines now: the attempts have them back."""
        # Written under the lock, so that the lines of an attempt that ends meanwhile come after these.
        with self._lock:
            taken = {attempt: attempt.take_lines() for attempt in self._attempts}
            entries = [line for lines in taken.values() for line in lines]
            try:
                self._write(entries)
            except StoreUnavailable as failure:
                log.warning("logbook.put_off", lines=len(entries), error=str(failure))
                for attempt, lines in taken.items():
                    attempt.put_back(lines)
                return False
            except Exception:
                log.exception("logbook.write_failed", lines=len(entries))
            self._attempts.clear()
            return True
