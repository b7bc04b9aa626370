"""Being seen to be alive: the worker's row and the leases of what it runs, renewed from a thread of their own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
import structlog

from flexiroaster.runtime.worker import Worker
from flexiroaster.services.stage_runs import StageRuns
from flexiroaster.store import workers
from flexiroaster.store.database import Database
from flexiroaster.store.workers import Judge, Me

log = structlog.get_logger(__name__)

RETRY_SECONDS = 1.0


class Presence:
    """`start` before anything is claimed, `stop` when nothing runs any more; `stop` may be called twice.

    It beats three times within a lease. `on_look` hears each time who else is alive; `on_stop_asked` is called when
    somebody has told this worker to take no more work.
    """

    def __init__(
        self,
        database: Database,
        me: Me,
        worker: Worker,
        stage_runs: StageRuns,
        lease: timedelta,
    ) -> None:
        self.me = me
        self.on_look: Callable[[Judge], None] = lambda judge: None
        self.on_stop_asked: Callable[[], object] = lambda: None
        self.has_polled: Callable[[], bool] = lambda: False
        """Whether it has looked for work since this was last asked."""
        self._database = database
        self._worker = worker
        self._stage_runs = stage_runs
        self._lease = lease
        self._stopped = threading.Event()
        self._soon = threading.Event()
        self._troubled_at = float("-inf")
        self._thread: threading.Thread | None = None

    def start(self) -> Judge:
        """Answers who is there."""
        if self._database.dialect == "sqlite":  # one process has the folder, all others are gone
            workers.aside(self._database, lambda connection: workers.forget_others(connection, self.me.id))
        workers.aside(self._database, lambda connection: workers.register(connection, self.me, self._lease))
        judge = self._look()
        with self._database.read() as connection:
            began = workers.began(connection)
        if began is not None and judge.now - began < self._lease:
            self.troubled()  # the others could renew nothing either
        self._thread = threading.Thread(target=self._loop, name="heartbeat", daemon=True)
        self._thread.start()
        return judge

    def stop(self) -> None:
        if self._thread is None:
            return
        self._stopped.set()
        self._soon.set()
        self._thread.join()
        self._thread = None
        try:
            workers.aside(self._database, lambda connection: workers.leave(connection, self.me.id))
        except Exception as failure:  # the others find out by themselves
            log.warning("presence.not_signed_off", error=type(failure).__name__)

    def say_stopping(self) -> None:
        """It takes no more work."""
        try:
            workers.aside(self._database, lambda c: workers.stop(c, self.me.id, workers.now(c)))
        except Exception as failure:  # it stops all the same
            log.warning("presence.stop_not_told", error=type(failure).__name__)

    def look_soon(self) -> None:
        """Others have come or gone, or somebody wants something of this worker."""
        self._soon.set()

    def troubled(self) -> None:
        """The database was away: for a while, that a lease has run out says nothing."""
        self._troubled_at = time.monotonic()

    @property
    def may_judge(self) -> bool:
        """Whether every living worker has had the time to renew its leases since the database was last away."""
        return time.monotonic() - self._troubled_at > self._lease.total_seconds() / 2

    def _loop(self) -> None:
        pause = self._lease.total_seconds() / 3
        wait = pause
        while True:
            self._soon.wait(wait)
            self._soon.clear()
            if self._stopped.is_set():
                return
            try:
                self._beat()
                wait = pause
            except Exception as failure:
                self.troubled()
                log.warning("presence.heartbeat_failed", error=str(failure), next_try_seconds=RETRY_SECONDS)
                wait = min(pause, RETRY_SECONDS)

    def _beat(self) -> None:
        self._stage_runs.renew_leases()
        running, polled = self._worker.running, self.has_polled()
        row = workers.aside(self._database, lambda c: workers.beat(c, self.me.id, running, self._lease, polled=polled))
        if row is None:
            log.warning("presence.was_taken_for_dead", worker=self.me.id)
            workers.aside(self._database, lambda c: workers.register(c, self.me, self._lease))
        elif row.stopping_at is not None:
            self.on_stop_asked()
        self._look()
        if self._database.trouble is not None:  # nobody may have had anything to write since it came back
            self._database.write(lambda tx: tx.sa.execute(sa.text("SELECT 1")))

    def _look(self) -> Judge:
        asked = datetime.now(UTC)
        with self._database.read() as connection:
            judge = workers.judge(connection, self.me.id, self.me.folder)
        self._stage_runs.clock_ahead = judge.now - asked
        self.on_look(judge)
        return judge
