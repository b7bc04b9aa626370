"""The threads that do the work: claim, run, record, and go on with what follows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import structlog

from flexiroaster.dispatch.inprocess import InProcessDispatch
from flexiroaster.dispatch.port import Work
from flexiroaster.engine.errors import StageError
from flexiroaster.engine.outcome import Failed, Outcome, Succeeded
from flexiroaster.runtime.attempt import Attempt, World
from flexiroaster.runtime.executor import Executor, timeout_error
from flexiroaster.runtime.logbook import Logbook
from flexiroaster.runtime.recordable import recordable
from flexiroaster.runtime.timers import Timers
from flexiroaster.services.stage_runs import LEASE, Claimed, Produced, StageRuns
from flexiroaster.store.database import StoreUnavailable

log = structlog.get_logger(__name__)

T = TypeVar("T")

KILL_AFTER = timedelta(seconds=15)
"""A stage that was told to stop and does not within this time is recorded without it."""
LONGEST_PAUSE = 5.0
"""Seconds between two tries to write an outcome while the database does not take it."""


class Worker:
    """`start` once; `stop` may be called twice and returns when nothing runs any more."""

    def __init__(
        self,
        stage_runs: StageRuns,
        dispatch: InProcessDispatch,
        executor: Executor,
        timers: Timers,
        world: World,
        logbook: Logbook,
        *,
        concurrency: int,
    ) -> None:
        self._stage_runs = stage_runs
        self._dispatch = dispatch
        self._executor = executor
        self._timers = timers
        self._world = world
        self._logbook = logbook
        self._concurrency = concurrency
        self._running: dict[Work, Attempt] = {}
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._handing_over = threading.Lock()
        dispatch.on_stop(self._stop_attempt)

    def start(self) -> None:
        for _ in range(self._concurrency):
            self._add_thread()
        self._spawn(self._beat, "heartbeat")

    def stop(self, grace_seconds: float) -> None:
        """Take no more work; what still runs after the grace is told to stop and handed back."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._dispatch.close()
        if not self._join(grace_seconds):
            log.info("worker.handing_back", stages=len(self._running))
            for attempt in list(self._running.values()):
                attempt.stop("shutdown")
            self._join(KILL_AFTER.total_seconds())

    @property
    def running(self) -> int:
        """How many stages run at this moment."""
        return len(self._running)

    def _join(self, seconds: float) -> bool:
        """Wait for all threads; False when the time is over before."""
        until = time.monotonic() + seconds
        for thread in list(self._threads):
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _add_thread(self) -> None:
        self._spawn(self._work, f"worker-{len(self._threads)}")

    def _spawn(self, target: Callable[[], object], name: str) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while self._dispatch.wait():
            try:
                claimed = self._stage_runs.claim_next()
            except Exception:
                log.exception("worker.claim_failed")
                self._stopping.wait(1)
                continue
            while claimed is not None:
                attempt = self._begin(claimed)
                outcome, produced = self._executor.run(attempt)
                claimed = self._end(attempt, outcome, produced)
                if attempt.abandoned:
                    return  # another thread has taken this one's place

    def _begin(self, claimed: Claimed) -> Attempt:
        attempt = Attempt(claimed, self._world, on_log=self._logbook.watch)
        self._running[Work(claimed.execution_id, claimed.key)] = attempt
        if attempt.deadline is not None:
            attempt.timer = self._timers.at(attempt.deadline, lambda: self._time_out(attempt))
        return attempt

    def _end(self, attempt: Attempt, outcome: Outcome, produced: Produced) -> Claimed | None:
        claimed = attempt.claimed
        if attempt.timer is not None:
            attempt.timer.cancel()
        produced.logs = self._logbook.take(attempt)
        with self._handing_over:
            attempt.ended = True
        go_on = not (self._stopping.is_set() or attempt.abandoned)
        following = None
        try:
            if attempt.why == "shutdown" and not isinstance(outcome, Succeeded):
                self._persist(lambda: self._stage_runs.release(claimed))
            else:
                following = self._record(claimed, outcome, produced, go_on=go_on)
        except Exception:  # the next start runs it again; this thread has others to serve
            log.exception("worker.outcome_lost", execution=claimed.execution_id, stage=attempt.stage_id)
        work = Work(claimed.execution_id, claimed.key)
        if self._running.get(work) is attempt:
            del self._running[work]
        return following

    def _record(self, claimed: Claimed, outcome: Outcome, produced: Produced, *, go_on: bool) -> Claimed | None:
        try:
            return self._persist(lambda: self._stage_runs.record(claimed, outcome, produced, go_on=go_on))
        except StoreUnavailable:
            raise
        except Exception as failure:
            log.exception("worker.record_failed", execution=claimed.execution_id)
            error = StageError(f"The outcome could not be recorded: {failure}", code="record_failed", kind="internal")
            without_it = Failed(recordable(error))
            return self._persist(lambda: self._stage_runs.record(claimed, without_it, Produced(), go_on=go_on))

    def _persist(self, write: Callable[[], T]) -> T:
        """A stage's work is not thrown away because the database is out for a while or the disk is full."""
        pause = 0.1
        while True:
            try:
                return write()
            except StoreUnavailable as failure:
                log.warning("worker.write_failed", error=str(failure), next_try_seconds=pause)
                if self._stopping.wait(pause):
                    raise
                pause = min(pause * 2, LONGEST_PAUSE)

    def _time_out(self, attempt: Attempt) -> None:
        attempt.stop("timeout")
        self._give_up_later(attempt)

    def _stop_attempt(self, work: Work) -> None:
        attempt = self._running.get(work)
        if attempt is not None:
            # Callbacks of a stage may block (a process gets its grace): not in the thread that holds the writer.
            self._timers.at(self._world.clock(), lambda: self._cancel(attempt))

    def _cancel(self, attempt: Attempt) -> None:
        attempt.stop("cancel")
        self._give_up_later(attempt)

    def _give_up_later(self, attempt: Attempt) -> None:
        self._timers.at(self._world.clock() + KILL_AFTER, lambda: self._give_up(attempt))

    def _give_up(self, attempt: Attempt) -> None:
        """The stage does not listen: record without it, and let another thread take its place."""
        work = Work(attempt.execution_id, attempt.claimed.key)
        with self._handing_over:
            if attempt.ended or self._running.get(work) is not attempt:
                return
            attempt.abandoned = True
            del self._running[work]
        log.warning("worker.stage_abandoned", execution=attempt.execution_id, stage=attempt.stage_id)
        if not self._stopping.is_set():
            self._add_thread()
        # A call of its own: it is the one to be repeated while the database takes no writes.
        self._timers.at(self._world.clock(), lambda: self._record_without(attempt))

    def _record_without(self, attempt: Attempt) -> None:
        self._stage_runs.record(attempt.claimed, Failed(timeout_error(attempt)), Produced(), go_on=False)

    def _beat(self) -> None:
        """Renew the leases, from a thread that no stage can hold up."""
        while not self._stopping.wait(LEASE.total_seconds() / 3):
            try:
                self._stage_runs.renew_leases()
            except Exception:
                log.exception("worker.heartbeat_failed")
