"""Word from other servers that something is ready here, looked up in a thread of its own: who listens must not wait."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import structlog

from flexiroaster.engine.runs import Key

log = structlog.get_logger(__name__)

MOST_WAITING = 20_000
"""What is beyond is found in the database."""


class Doorbell:
    """`ring` from any thread; `start` once, `stop` may be called twice."""

    def __init__(self, take: Callable[[str, list[Key]], None]) -> None:
        self._take = take
        self._waiting: deque[tuple[str, list[Key]]] = deque(maxlen=MOST_WAITING)
        self._something = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def ring(self, execution_id: str, keys: list[Key]) -> None:
        self._waiting.append((execution_id, keys))
        self._something.set()

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop, name="doorbell", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._something.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _loop(self) -> None:
        while True:
            self._something.wait()
            self._something.clear()
            while self._waiting and not self._stopped.is_set():
                execution_id, keys = self._waiting.popleft()
                try:
                    self._take(execution_id, keys)
                except Exception as failure:  # it is found by who looks for work
                    error = f"{type(failure).__name__}: {failure}"
                    log.warning("doorbell.not_heard", execution=execution_id, error=error)
            if self._stopped.is_set():
                return
