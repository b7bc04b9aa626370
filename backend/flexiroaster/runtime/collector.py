"""Removes now and then what is not to be kept any longer: every server has one, and one of them does it at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from flexiroaster.engine.errors import ArtifactsUnavailable
from flexiroaster.services.leftovers import LeftoverFiles
from flexiroaster.services.retention import Retention
from flexiroaster.store import workers
from flexiroaster.store.database import Database
from flexiroaster.store.retention import take_chore
from flexiroaster.store.shrinking import give_back

log = structlog.get_logger(__name__)

FIRST_LOOK_SECONDS = 60.0
"""After a start, which has better things to do."""
LOOK_SECONDS = 600.0
BETWEEN_SECONDS = 0.05
"""Between two transactions: others write then."""
REMOVING, LEFTOVERS = "remove-old", "delete-leftovers"
EVERY = {REMOVING: timedelta(hours=1), LEFTOVERS: timedelta(days=1)}
"""How often, for all servers together; who takes it on and dies is followed by another one then."""


class Collector:
    """`start` once; `stop` may be called twice, and waits for the transaction that is under way."""

    def __init__(
        self,
        database: Database,
        retention: Retention,
        leftovers: LeftoverFiles,
        *,
        first_look_seconds: float = FIRST_LOOK_SECONDS,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._database = database
        self._retention = retention
        self._leftovers = leftovers
        self._first_look_seconds = first_look_seconds
        self._look_seconds = look_seconds
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop, name="collector", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def look(self) -> None:
        """Do what is due."""
        self._if_due(REMOVING, self._remove)
        self._if_due(LEFTOVERS, self._delete_leftovers)

    def _loop(self) -> None:
        wait = self._first_look_seconds
        while not self._stopped.wait(wait):
            wait = self._look_seconds
            try:
                self.look()
            except Exception as failure:  # whatever it is: the next look begins anew
                log.warning("collector.failed", error=f"{type(failure).__name__}: {failure}")

    def _if_due(self, chore: str, do: Callable[[], None]) -> None:
        now = self._now()
        if not self._stopped.is_set() and workers.aside(
            self._database, lambda connection: take_chore(connection, chore, now, now + EVERY[chore])
        ):
            do()

    def _now(self) -> datetime:
        with self._database.read() as connection:
            return workers.now(connection)

    def _remove(self) -> None:
        if self._retention.keeps_everything:
            return
        removed = self._retention.apply(self._pause)
        freed = give_back(self._database, self._pause)
        if not removed.nothing or freed:
            log.info(
                "collector.removed",
                executions=removed.executions,
                artifacts=removed.artifacts,
                bytes=removed.bytes,
                log_lines=removed.lines,
                findings=removed.findings,
                firings=removed.firings,
                windows=removed.windows,
                file_bytes_freed=freed,
            )

    def _delete_leftovers(self) -> None:
        try:
            deleted = self._leftovers.delete(self._pause)
        except ArtifactsUnavailable as failure:
            log.warning("collector.no_look_for_leftovers", error=str(failure))
            return
        if deleted.files:
            log.info("collector.leftovers_deleted", files=deleted.files, bytes=deleted.bytes)

    def _pause(self) -> bool:
        return not self._stopped.wait(BETWEEN_SECONDS)
