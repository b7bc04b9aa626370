"""The threads that do the work: claim, run, record, and go on with what follows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import structlog

from flexiroaster.dispatch.inprocess import InProcessDispatch
from flexiroaster.dispatch.port import Work
from flexiroaster.engine import planner
from flexiroaster.engine.errors import StageError
from flexiroaster.engine.outcome import Failed, Outcome, Succeeded
from flexiroaster.engine.runs import Key
from flexiroaster.runtime.attempt import Attempt, Why, World
from flexiroaster.runtime.conditions import Clockwork
from flexiroaster.runtime.deadlines import Deadlines
from flexiroaster.runtime.executor import Executor, timeout_error
from flexiroaster.runtime.logbook import Logbook
from flexiroaster.runtime.recordable import recordable
from flexiroaster.services.stage_runs import Claimed, Ended, Produced, StageRuns
from flexiroaster.store.database import StoreUnavailable
from flexiroaster.store.leases import Held, Renewed
from flexiroaster.store.progress import StaleState

log = structlog.get_logger(__name__)

T = TypeVar("T")

KILL_AFTER = timedelta(seconds=15)
"""A stage that was told to stop and does not within this time is recorded without it, unless it has said that it may
need longer (`stop_within`)."""
LONGEST_PAUSE = 5.0
"""Seconds between two tries to write an outcome while the database does not take it."""


class Worker:
    """`start` once; `stop` may be called twice and returns when nothing runs any more."""

    def __init__(
        self,
        stage_runs: StageRuns,
        dispatch: InProcessDispatch,
        executor: Executor,
        timers: Clockwork,
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
        self.concurrency = concurrency
        self._running: dict[tuple[str, Key], Attempt] = {}
        self._deadlines = Deadlines(self._stop_late_ones)
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._handing_over = threading.Lock()
        dispatch.on_stop(self._stop_attempt)
        stage_runs.held = self._held
        stage_runs.on_renewed = self._heed

    def start(self) -> None:
        for _ in range(self.concurrency):
            self._add_thread()
        self._deadlines.start()

    def work_off(self) -> None:
        """Do what is ready, in the calling thread: for who drives an engine by hand instead of starting it."""
        self._dispatch.rejoin()
        try:
            while claimed := self._stage_runs.claim_next():
                while claimed:
                    claimed, _ = self._do(claimed)
        finally:
            self._dispatch.leave()

    def stop(self, grace_seconds: float) -> None:
        """Take no more work; what still runs after the grace is told to stop and handed back."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._dispatch.close()
        if not self._join(grace_seconds):
            log.info("worker.handing_back", stages=len(self._running))
            told = list(self._running.values())
            for attempt in told:
                attempt.stop("shutdown")
            self._join(patience_at_shutdown((attempt.stop_within for attempt in told), grace_seconds))
        self._deadlines.stop()

    @property
    def running(self) -> int:
        """How many stages run at this moment."""
        return len(self._running)

    @property
    def is_idle(self) -> bool:
        """Whether a thread is free, and nothing waits for one."""
        return len(self._running) < self.concurrency and not self._dispatch.waiting and not self._stopping.is_set()

    def holds(self, work: Work) -> bool:
        return (work.execution_id, work.key) in self._running

    def _held(self) -> list[Held]:
        return [Held(*work, attempt.attempt) for work, attempt in list(self._running.items())]

    def _heed(self, renewed: Renewed) -> None:
        """Somebody wants it to stop, or others have it now."""
        for one in (*renewed.cancelling, *renewed.gone):
            attempt = self._running.get((one.execution_id, one.key))
            if attempt is not None and attempt.attempt == one.attempt and attempt.why is None:
                self._stop_attempt(Work(one.execution_id, one.key))

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
            draining = True
            try:
                claimed = self._stage_runs.claim_next()
                while claimed and draining:
                    claimed, draining = self._do(claimed)
            except Exception:
                log.exception("worker.claim_failed")
                self._stopping.wait(1)
            if not draining:
                return  # another thread has taken this one's place
            self._dispatch.leave()
        self._dispatch.leave()

    def _do(self, claimed: list[Claimed]) -> tuple[list[Claimed], bool]:
        """Run what was claimed and record it; answers what to go on with, and whether this thread does."""
        long = not claimed[0].instant
        if long:
            self._dispatch.leave()
        attempts: list[Attempt] = []
        ended: list[Ended] = []
        for one in claimed:
            attempt = self._begin(one)
            outcome, produced = self._executor.run(attempt)
            attempts.append(attempt)
            ended.append(Ended(one, outcome, produced))
        with self._handing_over:
            for attempt in attempts:
                attempt.ended = True
        abandoned = attempts[0].abandoned
        if long and not abandoned:
            self._dispatch.rejoin()
        return self._end(attempts, ended, go_on=not (self._stopping.is_set() or abandoned)), not abandoned

    def _begin(self, claimed: Claimed) -> Attempt:
        attempt = Attempt(claimed, self._world, self._logbook.watch)
        self._running[claimed.execution_id, claimed.key] = attempt
        if not claimed.instant:  # what waits looks at its deadline by itself
            self._deadlines.watch(attempt.deadline)
        return attempt

    def _end(self, attempts: list[Attempt], ended: list[Ended], *, go_on: bool) -> list[Claimed]:
        for attempt, one in zip(attempts, ended, strict=True):
            if attempt.has_lines:
                one.produced.logs = self._logbook.take(attempt)
        following: list[Claimed] = []
        try:
            done: list[Ended] = []
            for attempt, one in zip(attempts, ended, strict=True):
                why = _why_handed_back(attempt, one.outcome)
                if why is None:
                    done.append(one)
                else:
                    self._persist(partial(self._stage_runs.release, one.claimed, why))
            if done:
                following = self._record(done, go_on=go_on)
        except Exception:  # the next start runs it again; this thread has others to serve
            log.exception("worker.outcome_lost", execution=attempts[0].execution_id, stage=attempts[0].stage_id)
        for attempt in attempts:
            work = attempt.execution_id, attempt.claimed.key
            if self._running.get(work) is attempt:
                del self._running[work]
        return following

    def _record(self, ended: list[Ended], *, go_on: bool) -> list[Claimed]:
        try:
            return self._persist(lambda: self._stage_runs.record(ended, go_on=go_on))
        except (StoreUnavailable, StaleState):
            raise
        except Exception as failure:
            if len(ended) > 1:  # one of them is the cause: the others must not suffer
                for one in ended:
                    self._record([one], go_on=False)
                return []
            log.exception("worker.record_failed", execution=ended[0].claimed.execution_id)
            error = StageError(f"The outcome could not be recorded: {failure}", code="record_failed", kind="internal")
            without_it = Ended(ended[0].claimed, Failed(recordable(error)), Produced())
            return self._persist(lambda: self._stage_runs.record([without_it], go_on=go_on))

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

    def _stop_late_ones(self) -> datetime | None:
        """Stop what is past its deadline; answers when to look again, None when nothing runs that has one."""
        now = self._world.clock()
        soonest = None
        for attempt in list(self._running.values()):
            if attempt.claimed.instant or attempt.late or attempt.deadline is None:
                continue
            if attempt.deadline <= now:
                attempt.late = True
                self._timers.at(now, partial(self._time_out, attempt))
            elif soonest is None or attempt.deadline < soonest:
                soonest = attempt.deadline
        return soonest

    def _time_out(self, attempt: Attempt) -> None:
        attempt.stop("timeout")
        self._give_up_later(attempt)

    def _stop_attempt(self, work: Work) -> None:
        attempt = self._running.get((work.execution_id, work.key))
        if attempt is not None:
            # Callbacks of a stage may block (a process gets its grace): not in the thread that holds the writer.
            self._timers.at(self._world.clock(), lambda: self._cancel(attempt))

    def _cancel(self, attempt: Attempt) -> None:
        attempt.stop("cancel")
        self._give_up_later(attempt)

    def _give_up_later(self, attempt: Attempt) -> None:
        patience = max(KILL_AFTER, attempt.stop_within)
        self._timers.at(self._world.clock() + patience, lambda: self._give_up(attempt))

    def _give_up(self, attempt: Attempt) -> None:
        """The stage does not listen: record without it, and let another thread take its place."""
        work = attempt.execution_id, attempt.claimed.key
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
        self._stage_runs.record([Ended(attempt.claimed, Failed(timeout_error(attempt)), Produced())], go_on=False)


def _why_handed_back(attempt: Attempt, outcome: Outcome) -> planner.HandedBack | None:
    """None: its outcome counts."""
    if attempt.why is None or isinstance(outcome, Succeeded):
        return None
    return _HANDED_BACK.get(attempt.why)


_HANDED_BACK: dict[Why, planner.HandedBack] = {
    "shutdown": planner.SERVER_STOPPED,
    "database": planner.DATABASE_SILENT,
}


def patience_at_shutdown(stop_within: Iterable[timedelta], grace_seconds: float) -> float:
    """Seconds for stages that were told to stop: as long as they have said, but not beyond the server's own grace."""
    longest = max((wanted.total_seconds() for wanted in stop_within), default=0.0)
    return max(KILL_AFTER.total_seconds(), min(longest, grace_seconds))
