"""What a dead server left, taken over by a living one. Several may do so at once: each thing is taken over once.

Who takes over decides as anybody does, by the state as it is committed: two that find the same stage run cannot both
write what follows, and the second one finds it done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial

import structlog

from flexiroaster.dispatch.port import Work, serves
from flexiroaster.engine import planner
from flexiroaster.engine.draft import Draft
from flexiroaster.engine.errors import NotFound
from flexiroaster.engine.state import StageStatus
from flexiroaster.services.changes import Changes, Tally, pool_of
from flexiroaster.services.deadlines import Deadlines
from flexiroaster.services.executions import Executions
from flexiroaster.services.live import Live
from flexiroaster.store import leases, workers
from flexiroaster.store.database import Transaction
from flexiroaster.store.leases import DueRow
from flexiroaster.store.workers import Judge, Me, WorkerRow

log = structlog.get_logger(__name__)

PAGE = 200
"""Rows that one look reads: between two pages others come to write."""
LATE = timedelta(seconds=2)
"""How much later than it was due something must be before others than who armed its timer do it."""
KEPT_LOST = timedelta(days=1)
"""How long a dead worker is remembered."""
TELLING_LASTS = timedelta(seconds=10)
"""How long a living server may take to write the log lines of its events, generously."""


class Rescue:
    """`holds` says whether a stage run is in the hands of this very process, which knows best what it runs. `quiet` is
    how long nothing may happen in an execution that has something ready, before others than who has it take it up.
    `enough` says whether more work is known here than can be done soon.
    """

    def __init__(
        self,
        changes: Changes,
        executions: Executions,
        deadlines: Deadlines,
        me: Me,
        *,
        holds: Callable[[Work], bool],
        instant_types: Iterable[str],
        quiet: timedelta,
        enough: Callable[[], bool] = lambda: False,
    ) -> None:
        self._changes = changes
        self._executions = executions
        self._deadlines = deadlines
        self._me = me
        self._holds = holds
        self._instant_types = frozenset(instant_types)
        self._quiet = quiet
        self._enough = enough
        self._serves = serves(me.pools)
        self._forgotten_after = ""

    def judge(self) -> Judge:
        """Who is alive at this moment."""
        with self._changes.database.read() as connection:
            return workers.judge(connection, self._me.id, self._me.folder)

    def take_over(self) -> int:
        """Every stage run whose lease counts no more is tried again, or fails for good; answers how many."""
        count, after = 0, ""
        while True:
            with self._changes.database.read() as connection:
                judge = workers.judge(connection, self._me.id, self._me.folder)
                page = leases.expired(connection, judge, after=after, limit=PAGE)
            for execution_id in page:
                count += self._each(execution_id, partial(self._take_over, execution_id)) or 0
            if len(page) < PAGE:
                return count
            after = page[-1]

    def _take_over(self, execution_id: str) -> int:
        tally = Tally()

        def operation(tx: Transaction) -> int:
            self._changes.live.current(tx, execution_id)  # who held it may be known to nobody
            live = self._changes.touch(tx, tally, execution_id)
            draft = self._changes.draft(live)
            lost = self.lose(tx, draft)
            self._changes.save(tx, tally, live, draft)
            return lost

        return self._changes.write(operation, tally)

    def lose(self, tx: Transaction, draft: Draft) -> int:
        """Decide about what of this execution is in hands that do not count; answers how many stage runs that were.

        What this process holds without running it was claimed in a transaction whose commit it never heard of.
        """
        count = 0
        execution_id = draft.execution.id
        # Within the transaction, so that whoever claimed something in the meantime is known to be alive.
        for key, attempt, owner in leases.lost(tx.sa, execution_id, workers.judge(tx.sa, self._me.id, self._me.folder)):
            run = draft.find(key)
            if run is None or (run.attempt, run.lease_owner) != (attempt, owner):
                continue
            if owner != self._me.id:
                planner.lose(draft, key, "server")
            elif not self._holds(Work(execution_id, key)):
                planner.release(draft, key)
            else:
                continue
            count += 1
        if count:
            log.info("rescue.taken_over", execution=execution_id, stage_runs=count)
        return count

    def wake_overdue(self) -> None:
        """Retries, waits, timeouts and deadlines whose time came and went: whoever armed a timer for them is gone."""
        before = self._changes.clock() - LATE
        after: DueRow | None = None
        while True:
            with self._changes.database.read() as connection:
                page = leases.overdue(connection, before, after=after, limit=PAGE)
            for row in page:
                self._each(row.execution_id, partial(self._changes.wake, row.execution_id, row.key))
            if len(page) < PAGE:
                break
            after = page[-1]
        with self._changes.database.read() as connection:
            late = leases.late(connection, before, limit=PAGE)
        for execution_id in late:
            self._each(execution_id, partial(self._changes.time_out, execution_id))
        self._deadlines.catch_up(before)

    def hand_out(self, most: int, quiet: timedelta | None = None) -> list[str]:
        """Announce in this process what is ready of so many executions at most; answers their ids.

        Whoever else is about to do it is not disturbed: who claims first has it. What takes microseconds is left to
        who does what comes before it, unless nothing has happened in its execution for `quiet`.
        """
        since = self._changes.clock() - (quiet or self._quiet)
        with self._changes.database.read() as connection:
            found = leases.ready(connection, self._instant_types, since, limit=most, pools=self._me.pools)
        self._announce(found)
        return found

    def take_up_forgotten(self) -> None:
        """Announce what is ready and has been for long without anything happening: its server is gone.

        Who has enough goes on from there the next time. Who runs nothing leaves it to those who do: told again and
        again, it would fill the broker.
        """
        before = self._changes.clock() - self._quiet
        while self._me.pools != () and not self._enough():
            after = self._forgotten_after
            with self._changes.database.read() as connection:
                page = leases.forgotten(connection, before, after=after, limit=PAGE, pools=self._me.pools)
            self._announce(page)
            self._forgotten_after = page[-1] if len(page) == PAGE else ""
            if not self._forgotten_after:
                return

    def _announce(self, execution_ids: Iterable[str]) -> None:
        for execution_id in execution_ids:
            if self._changes.others.present:
                self._changes.live.look_again(execution_id)
            self._each(execution_id, partial(self._changes.change, execution_id, self._announce_ours))

    def _announce_ours(self, live: Live, draft: Draft) -> None:
        """What waits for a slot is announced too: who finds none parks it again."""
        for key, run in live.state.runs.items():
            if run.status is StageStatus.QUEUED and (self._serves is None or self._serves(pool_of(live.version, key))):
                draft.ready.append(key)

    def note_deaths(self, judge: Judge) -> None:
        """Tell in the log what the dead did not come to tell, once each."""
        for row in judge.dead():
            if row.alive_until + TELLING_LASTS < judge.now:
                self._changes.database.write(
                    partial(self._note_death, row, judge.now), on_failure=self._changes.journal.put_back
                )
                log.info("worker.dead", worker=row.id, host=row.host, pid=row.pid, seen_at=row.seen_at.isoformat())
        if any(row.lost_at is not None for row in judge.known.values()):
            self._changes.database.write(lambda tx: workers.forget_lost(tx.sa, judge.now - KEPT_LOST))

    def _note_death(self, row: WorkerRow, now: datetime, tx: Transaction) -> None:
        if workers.mark_lost(tx.sa, row.id, now):
            self._changes.journal.tell_late(tx, row.seen_at - TELLING_LASTS, row.alive_until)

    def tell_since(self, moment: datetime) -> None:
        """Tell in the log what happened since then and was not told: its server never heard of its own commit."""
        until = self._changes.clock() - TELLING_LASTS
        tell = self._changes.journal.tell_late
        self._changes.database.write(
            lambda tx: tell(tx, moment - TELLING_LASTS, until), on_failure=self._changes.journal.put_back
        )

    def _each(self, execution_id: str, act: Callable[[], int | None]) -> int | None:
        """One that cannot be read does not keep the others from being treated."""
        try:
            return act()
        except NotFound:
            return None  # deleted meanwhile
        except (AttributeError, KeyError, TypeError, ValueError) as failure:
            log.exception("execution.unreadable", execution=execution_id)
            self._executions.give_up(execution_id, failure)
            return None
