"""Starting executions for instants of a schedule that passed without one: missed, or from before there was a trigger.

It is done in transactions of some instants each, and leaves alone what has been started: after a crash in the middle,
asking again starts exactly what is still missing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import assert_never

import structlog

from flexiroaster.engine.errors import Conflict, InvalidRequest, NotFound
from flexiroaster.engine.moments import InvalidMoment, parse_moment
from flexiroaster.engine.parts import parts
from flexiroaster.engine.pipeline import Concurrency
from flexiroaster.engine.plurals import counted
from flexiroaster.engine.schedule import Schedule
from flexiroaster.services.arming import moment, schedule_of
from flexiroaster.services.changes import Changes, Tally
from flexiroaster.services.firing import Decision, Firing, Span
from flexiroaster.services.starting import Starting
from flexiroaster.store import triggers as store
from flexiroaster.store.database import StoreUnavailable, Transaction
from flexiroaster.store.triggers import TriggerRow

log = structlog.get_logger(__name__)

MOST = 1_000
"""Instants in one call: bounds how long it takes, and what a slip of the hand starts."""
AT_ONCE = 50
"""Instants in one transaction: bounds how long other writers wait for it."""


@dataclass(slots=True)
class Backfilled:
    """Of `instants` in the span some were `known`, being started before, and `left` are still to be started.

    `note` says how the pipeline's concurrency treats so many; `reason` is the first one why an instant was refused, or
    why it went no further.
    """

    instants: int
    first: datetime | None
    last: datetime | None
    known: int
    note: str | None
    started: int = 0
    skipped: int = 0
    refused: int = 0
    reason: str | None = None

    @property
    def left(self) -> int:
        return self.instants - self.known - self.started - self.skipped - self.refused


class Backfill:
    def __init__(self, changes: Changes, starting: Starting, firing: Firing) -> None:
        self._changes = changes
        self._starting = starting
        self._firing = firing

    def run(self, pipeline_id: str, id: str, span: Span, *, by: str | None, dry_run: bool) -> Backfilled:
        """Raises NotFound, and InvalidRequest where the span is none or holds too many instants."""
        with self._changes.database.read() as connection:
            now = moment(connection, self._changes.clock)
            row = store.find(connection, pipeline_id, id)
        if row is None:
            raise NotFound("trigger", f"{pipeline_id}/{id}")
        instants = _instants(schedule_of(row.document), span, now)
        missing = self._not_started(row, instants)
        concurrency = self._starting.version(pipeline_id, None)[1].pipeline.concurrency
        done = Backfilled(
            instants=len(instants),
            first=instants[0] if instants else None,
            last=instants[-1] if instants else None,
            known=len(instants) - len(missing),
            note=_note(concurrency) if len(missing) > 1 else None,
        )
        if not dry_run:
            self._start(row, missing[::-1] if span.latest_first else missing, now, span.priority, done, by)
            log.info(
                "trigger.backfilled", pipeline=pipeline_id, trigger=id, by=by, started=done.started, left=done.left
            )
        return done

    def _not_started(self, row: TriggerRow, instants: Sequence[datetime]) -> list[datetime]:
        if not instants:
            return []
        with self._changes.database.read() as connection:
            known = store.started(connection, row.pipeline_id, row.id, instants[0], instants[-1])
        return [instant for instant in instants if instant not in known]

    def _start(
        self,
        row: TriggerRow,
        missing: Sequence[datetime],
        now: datetime,
        priority: int,
        done: Backfilled,
        by: str | None,
    ) -> None:
        reason = f"backfill by {by}" if by else "backfill"
        for some in parts(missing, AT_ONCE):
            decisions = [self._firing.decide(row, each, now, priority=priority, reason=reason) for each in some]
            try:
                self._write(row, decisions, done)
            except (StoreUnavailable, NotFound):
                raise
            except Exception:  # of one of them, which starting each alone will show
                if not self._write_each(row, decisions, done):
                    return

    def _write_each(self, row: TriggerRow, decisions: Sequence[Decision], done: Backfilled) -> bool:
        """False where the rest is for another time, and not refused: the pipeline takes no more, or has changed."""
        for decision in decisions:
            try:
                self._write(row, [decision], done)
            except (StoreUnavailable, NotFound):
                raise
            except Exception as failure:  # whatever it is: this instant is over, and the others must not suffer
                if isinstance(failure, Conflict) and failure.code in ("queue_full", "trigger_changed"):
                    done.reason = str(failure)
                    return False
                self._write(row, [self._firing.refused(decision.firing, failure)], done)
        return True

    def _write(self, row: TriggerRow, decisions: Sequence[Decision], done: Backfilled) -> None:
        """In one transaction. Raises NotFound where the trigger was removed meanwhile, Conflict where it changed."""
        tally = Tally()

        def operation(tx: Transaction) -> list[Decision]:
            if not store.hold_as(tx.sa, row):
                if store.find(tx.sa, row.pipeline_id, row.id) is None:
                    raise NotFound("trigger", f"{row.pipeline_id}/{row.id}")
                raise Conflict("The trigger was changed on the way: ask again for the rest.", "trigger_changed")
            instants = [decision.firing.instant for decision in decisions]
            known = store.started(tx.sa, row.pipeline_id, row.id, min(instants), max(instants))
            missing = [decision for decision in decisions if decision.firing.instant not in known]
            _no_longer_missed(tx, row, {decision.firing.instant for decision in missing})
            for decision in missing:
                store.replace(tx.sa, decision.firing)
                self._firing.carry_out(tx, tally, decision)
            return missing

        _count(self._changes.write(operation, tally, durable=True), len(decisions), done)


def _instants(schedule: Schedule, span: Span, now: datetime) -> list[datetime]:
    first = _moment("from", span.first, schedule.timezone)
    last = _moment("to", span.last, schedule.timezone, last=True)
    if first > last:
        raise InvalidRequest(f"`from` ({span.first}) is later than `to` ({span.last}): turn them round.")
    found = list(islice(schedule.between(first, min(last, now)), MOST + 1))
    if len(found) > MOST:
        raise InvalidRequest(
            f"More than {MOST:,} instants lie between {span.first} and {span.last}: choose a shorter span, then "
            "the next one."
        )
    return found


def _moment(name: str, text: str, timezone: str, *, last: bool = False) -> datetime:
    try:
        return parse_moment(text, timezone, last=last)
    except InvalidMoment as wrong:
        raise InvalidRequest(f"`{name}`: {wrong}") from wrong


def _note(policy: Concurrency | None) -> str:
    """How the pipeline treats many executions at once."""
    if policy is None:
        return "The pipeline limits nothing: all may run at once. With `concurrency` they would run in turn."
    places = f"`concurrency` lets {counted(policy.limit, 'execution')} run at once"
    if policy.key is not None:
        places += " for each key"
    match policy.when_full:
        case "queue" if policy.max_queued is None:
            return f"{places}; the others wait."
        case "queue":
            return f"{places} and {policy.max_queued:,} wait: where there are more, ask again later for the rest."
        case "skip":
            return f"{places}: the others are skipped at once, and count as started."
        case "fail":
            return f"{places}: the others fail at once, and count as started."
        case "cancel_oldest":
            return f"{places}: each further one cancels the oldest."
        case _:
            assert_never(policy.when_full)


def _no_longer_missed(tx: Transaction, row: TriggerRow, instants: Collection[datetime]) -> None:
    """They leave the rows that tell of several missed ones."""
    if not instants:
        return
    schedule = schedule_of(row.document)
    for told in store.missed_together(tx.sa, row.pipeline_id, row.id, min(instants), max(instants)):
        left = schedule.without(instants, told.instant, told.count)
        if sum(one.count for one in left) < told.count:
            store.forget(tx.sa, told)
            for one in left:
                store.record(tx.sa, replace(told, instant=one.last, count=one.count))


def _count(written: Sequence[Decision], asked: int, done: Backfilled) -> None:
    done.known += asked - len(written)
    for firing, _ in written:
        match firing.state:
            case "started":
                done.started += 1
            case "skipped":
                done.skipped += 1
            case _:
                done.refused += 1
                done.reason = done.reason or firing.reason
