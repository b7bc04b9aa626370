"""Triggers: what comes is started once, whoever comes to it first; what was missed is said.

Any number of servers may look at the same time. What becomes of an instant is written in the transaction that moves the
trigger on to the next one, so that a crash leaves exactly what is still to be done. Many that are due share one;
where that fails each has its own, so that one which is at fault holds up no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import structlog

from flexiroaster.engine.errors import NotFound
from flexiroaster.engine.events import EventType, of_pipeline
from flexiroaster.engine.parts import parts
from flexiroaster.engine.schedule import MOST_LOOKED_AT, NEVER, ON_TIME, Missed
from flexiroaster.services.arming import go_on, moment, schedule_of
from flexiroaster.services.changes import Changes, Tally
from flexiroaster.services.firing import Decision, Firing, Span
from flexiroaster.services.paging import Page, cut, decode, decode_moment
from flexiroaster.services.starting import Starting
from flexiroaster.store import pipelines as pipeline_store
from flexiroaster.store import triggers as store
from flexiroaster.store.database import Database, StoreUnavailable, Transaction
from flexiroaster.store.triggers import FiringEntry, FiringRow, TriggerRow

if TYPE_CHECKING:
    from flexiroaster.services.backfill import Backfilled

log = structlog.get_logger(__name__)

AT_ONCE = 100
"""Triggers that one look deals with, and about as many instants: they take turns, and a stop waits for no more."""
TOGETHER = 50
"""Triggers that share a transaction: bounds how long other writers wait for it."""
UPCOMING = 5


class Step(NamedTuple):
    """A trigger that is where `row` says goes on to `then`; a decision of None leaves nothing to be said."""

    row: TriggerRow
    decision: Decision | None
    then: datetime


@dataclass(frozen=True, slots=True)
class TriggerEntry:
    """`upcoming` is empty while it does not fire, and `reason` says why."""

    row: TriggerRow
    upcoming: list[datetime]
    last: FiringEntry | None
    reason: str | None


class Triggers:
    def __init__(self, changes: Changes, starting: Starting) -> None:
        self._changes = changes
        self._starting = starting
        self._firing = Firing(changes, starting)
        self._database: Database = changes.database
        self._seen: datetime | None = None
        """When the last look was."""

    # Firing

    def fire_due(self) -> timedelta:
        """Deal with instants that have come; answers how long until the next, which may be no time at all.

        Raises StoreUnavailable, and at the end what a single trigger raised that cannot be looked at; then, and after
        a crash, the next call goes on where this one was.
        """
        now = self._now()
        self._follow_clock(now)
        with self._database.read() as connection:
            due = store.due(connection, now, AT_ONCE)
        broken: Exception | None = None
        # In this order two servers that look at once never wait for each other in a circle.
        for rows in parts(sorted(due, key=lambda row: (row.pipeline_id, row.id)), TOGETHER):
            broken = self._fire(rows, now, at_most=AT_ONCE // len(due)) or broken
        if broken is not None:
            raise broken
        with self._database.read() as connection:
            following = store.next_due(connection)
        return timedelta.max if following is None else max(timedelta(), following - self._now())

    def _follow_clock(self, now: datetime) -> None:
        """Where it was put back, now or while nothing ran, no trigger waits until it has come round again."""
        if self._seen is None or self._seen - now > ON_TIME:
            with self._database.read() as connection:
                rows = store.to_come(connection, now)
            earlier = [(row, then) for row in rows if (then := schedule_of(row.document).next(now)) < row.due_at]
            if earlier:
                log.warning("triggers.clock_put_back", triggers=len(earlier), now=now.isoformat())
                self._database.write(lambda tx: [store.take(tx.sa, row, then) for row, then in earlier], durable=True)
        self._seen = now

    def _fire(self, rows: Sequence[TriggerRow], now: datetime, *, at_most: int) -> Exception | None:
        """Answers what a single one raised that cannot be looked at."""
        broken: Exception | None = None
        found: list[list[Step]] = []
        for row in rows:
            try:
                found.append(self._steps(row, now, at_most))
            except StoreUnavailable:
                raise
            except Exception as failure:  # whatever it is: the others must not suffer
                broken = _broken(row, failure)
        try:
            self._write([step for steps in found for step in steps])
        except StoreUnavailable:
            raise
        except Exception:  # of one of them, which doing each alone will show
            for steps in found:
                try:
                    self._write_each(steps)
                except StoreUnavailable:
                    raise
                except Exception as failure:  # as above
                    broken = _broken(steps[0].row, failure)
        return broken

    def _steps(self, row: TriggerRow, now: datetime, at_most: int) -> list[Step]:
        """What is to be done about a trigger, one after the other."""
        schedule = schedule_of(row.document)
        due = schedule.due(row.due_at, now)
        first, *others = *due.instants, schedule.next(now)
        steps = []
        if first != row.due_at:
            missed = None if due.missed is None else Decision(_missed(row, due.missed, now), None)
            steps.append(Step(row, missed, first))
        for instant, then in islice(zip(due.instants, others, strict=True), at_most):
            row = replace(row, due_at=instant)
            steps.append(Step(row, self._firing.decide(row, instant, now), then))
        return steps

    def _write_each(self, steps: Sequence[Step]) -> None:
        for step in steps:
            try:
                self._write([step])
            except StoreUnavailable:
                raise
            except Exception as failure:  # whatever it is: this instant is over
                if step.decision is None or step.decision.checked is None:
                    raise
                refused = self._firing.refused(step.decision.firing, failure)
                self._write([step._replace(decision=refused)])

    def _write(self, steps: Sequence[Step]) -> None:
        """Record what becomes of instants, and start what is to be started: once, in one transaction."""
        tally = Tally()

        def operation(tx: Transaction) -> None:
            for row, decision, then in steps:
                # A version was published since the look: the next one goes by its trigger.
                if decision is not None and decision.firing.state == "refused" and not store.hold_as(tx.sa, row):
                    continue
                # Another server may have been faster, and has dealt with all that follows of this trigger too.
                if not store.take(tx.sa, row, then) or decision is None:
                    continue
                # It was dealt with before where a clock was put back, or a schedule changed to and fro.
                if store.record(tx.sa, decision.firing):
                    self._firing.carry_out(tx, tally, decision)

        if steps:
            self._changes.write(operation, tally, durable=True)

    # Looking

    def of_pipeline(self, pipeline_id: str) -> list[TriggerEntry]:
        """In the order of their ids. Raises NotFound, also for a deleted pipeline."""
        with self._database.read() as connection:
            pipeline = pipeline_store.find(connection, pipeline_id)
            rows = store.of_pipeline(connection, pipeline_id)
        if pipeline is None or pipeline.deleted_at is not None:
            raise NotFound("pipeline", pipeline_id)
        return self._entries(rows)

    def page(self, *, limit: int, cursor: str | None = None) -> Page[TriggerEntry]:
        """Of all pipelines, the one that comes next first."""
        after = None
        if cursor:
            at, pipeline_id, id = decode(cursor, [str, str, str])
            after = (decode_moment(at, cursor), str(pipeline_id), str(id))
        with self._database.read() as connection:
            rows = store.page(connection, after=after, limit=limit + 1)
        page = cut(rows, limit, lambda row: [row.due_at.isoformat(), row.pipeline_id, row.id])
        return Page(self._entries(page.items), page.next_cursor)

    def firings(self, pipeline_id: str, id: str, *, limit: int, cursor: str | None = None) -> Page[FiringEntry]:
        """The latest instant first; also of a trigger that is gone. Raises NotFound where nothing is known of it."""
        before = decode_moment(decode(cursor, [str])[0], cursor) if cursor else None
        with self._database.read() as connection:
            rows = store.firings_of(connection, pipeline_id, id, before=before, limit=limit + 1)
            if not rows and before is None and store.find(connection, pipeline_id, id) is None:
                raise NotFound("trigger", f"{pipeline_id}/{id}")
        return cut(rows, limit, lambda row: [row.instant.isoformat()])

    def _entries(self, rows: Sequence[TriggerRow]) -> list[TriggerEntry]:
        with self._database.read() as connection:
            latest = store.latest(connection, [(row.pipeline_id, row.id) for row in rows]) if rows else {}
        return [_entry(row, latest.get((row.pipeline_id, row.id))) for row in rows]

    # Making up for what passed

    def backfill(
        self, pipeline_id: str, id: str, span: Span, *, by: str | None = None, dry_run: bool = False
    ) -> Backfilled:
        """Start what was not started in a span of time. Safe to call again. Raises NotFound and InvalidRequest."""
        from flexiroaster.services.backfill import Backfill  # an idle server needs nothing of it

        return Backfill(self._changes, self._starting, self._firing).run(pipeline_id, id, span, by=by, dry_run=dry_run)

    # Pausing

    def pause(self, pipeline_id: str, id: str, by: str | None = None) -> TriggerEntry:
        """It starts nothing until `resume`. Safe to call twice. Raises NotFound."""

        def pause(tx: Transaction, row: TriggerRow, now: datetime) -> None:
            store.change(tx.sa, pipeline_id, id, paused_at=now, paused_by=by)

        return self._set_paused(pipeline_id, id, by, paused=True, change=pause)

    def resume(self, pipeline_id: str, id: str, by: str | None = None) -> TriggerEntry:
        """It goes on with its next instant; one that makes up for all does so now. Safe to call twice.

        Raises NotFound.
        """

        def resume(tx: Transaction, row: TriggerRow, now: datetime) -> None:
            store.change(tx.sa, pipeline_id, id, paused_at=None, paused_by=None)
            go_on(tx.sa, row, now, f"paused{_by(row.paused_by)}")

        return self._set_paused(pipeline_id, id, by, paused=False, change=resume)

    def _set_paused(
        self,
        pipeline_id: str,
        id: str,
        by: str | None,
        *,
        paused: bool,
        change: Callable[[Transaction, TriggerRow, datetime], None],
    ) -> TriggerEntry:
        now = self._now()

        def operation(tx: Transaction) -> bool:
            row = store.find(tx.sa, pipeline_id, id)
            if row is None:
                raise NotFound("trigger", f"{pipeline_id}/{id}")
            if (row.paused_at is not None) is paused:
                return False
            change(tx, row, now)
            told = of_pipeline(EventType.TRIGGER_CHANGED, pipeline_id, now, trigger=id, paused=paused, by=by)
            tx.after_commit(partial(self._changes.bus.publish, [told]))
            return True

        if self._database.write(operation, durable=True):
            log.info("trigger.paused" if paused else "trigger.resumed", pipeline=pipeline_id, trigger=id, by=by)
        with self._database.read() as connection:
            row = store.find(connection, pipeline_id, id)
        if row is None:  # removed in this moment
            raise NotFound("trigger", f"{pipeline_id}/{id}")
        return self._entries([row])[0]

    def _now(self) -> datetime:
        with self._database.read() as connection:
            return moment(connection, self._changes.clock)


def _broken(row: TriggerRow, failure: Exception) -> Exception:
    log.warning("trigger.broken", pipeline=row.pipeline_id, trigger=row.id, error=str(failure))
    return failure


def _entry(row: TriggerRow, last: FiringEntry | None) -> TriggerEntry:
    reason = None
    if row.due_at == NEVER:
        reason = f"ended at {row.document['end']}" if "end" in row.document else "never comes again"
    elif row.paused_at is not None:
        reason = f"paused{_by(row.paused_by)}"
    elif not row.pipeline_enabled:
        reason = "its pipeline is paused"
    return TriggerEntry(row, [] if reason else list(islice(_upcoming(row), UPCOMING)), last, reason)


def _upcoming(row: TriggerRow) -> Iterator[datetime]:
    yield row.due_at
    yield from schedule_of(row.document).after(row.due_at)


def _missed(row: TriggerRow, missed: Missed, now: datetime) -> FiringRow:
    catchup = row.document.get("catchup", "latest")
    more = ", and there were more before" if missed.count == MOST_LOOKED_AT else ""
    reason = f"No server came within a minute, and `catchup` is {catchup}{more}"
    return FiringRow(row.pipeline_id, row.id, missed.last, "missed", now, count=missed.count, reason=reason)


def _by(who: str | None) -> str:
    return f" by {who}" if who else ""
