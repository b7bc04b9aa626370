"""The places of pipelines: who gets one, who waits for it, and pipelines that are paused.

Whether there is a place is counted from the executions themselves, in the transaction that takes it, with the
pipeline's row locked: two that start at once cannot both have the last one. A place that becomes free is given away in
the transaction that frees it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

import structlog

from flexiroaster.engine import planner
from flexiroaster.engine.admission import (
    PAUSED,
    Admitted,
    Crowd,
    Entry,
    Fails,
    Refused,
    Skips,
    Waits,
    entry,
    has_place,
    waiting_for_place,
)
from flexiroaster.engine.draft import Draft
from flexiroaster.engine.errors import Conflict, NotFound, StageError
from flexiroaster.engine.events import EventType, of_pipeline
from flexiroaster.engine.expressions import Template
from flexiroaster.engine.pipeline import Concurrency
from flexiroaster.engine.runs import Execution
from flexiroaster.engine.schedule import MOST_LOOKED_AT
from flexiroaster.services.arming import go_on, moment
from flexiroaster.services.changes import Changes, Tally
from flexiroaster.services.live import Live, Version
from flexiroaster.store import places, progress, triggers
from flexiroaster.store.database import Transaction
from flexiroaster.store.json import dumps
from flexiroaster.store.progress import LogEntry

log = structlog.get_logger(__name__)

KEY_LENGTH = 200
MOST_REPLACED = 10_000
AT_ONCE = 200
"""Executions that one transaction admits when a pipeline is resumed."""


class Place(NamedTuple):
    """What a new execution is to be written with."""

    entry: Entry
    key: str | None
    waiting_since: datetime | None
    reason: str | None


class Admission:
    """Registers with `changes`: every execution that ends makes room for the next."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        changes.on_place_free = self._give_away

    # A new execution

    def place(
        self, tx: Transaction, pipeline_id: str, version: Version, key: str | None, enabled: bool, now: datetime
    ) -> Place:
        """Decide before it is written; the pipeline's row is locked. Raises Conflict when it is not accepted."""
        policy = None if key is None else version.pipeline.concurrency
        if policy is None or key is None:
            found = entry(None, Crowd(paused=not enabled))
        else:
            found = entry(policy, _crowd(tx, pipeline_id, policy, key, enabled=enabled), key)
        if isinstance(found, Refused):
            raise Conflict(
                f"Pipeline {pipeline_id!r} takes no more executions now: {found.reason}. Try again later.", "queue_full"
            )
        waits = not isinstance(found, Admitted)
        return Place(found, key, now if waits else None, found.reason if isinstance(found, Waits) else None)

    def settle(self, tx: Transaction, tally: Tally, live: Live, place: Place) -> None:
        """What follows once it is written: it ends at once, others end for it, or it has its turn after all."""
        match place.entry:
            case Skips(reason):
                self._decide(tx, tally, live, lambda draft: planner.turn_away(draft, reason))
            case Fails(reason):
                cure = "Run it again when the others have ended."
                error = StageError(reason, code="concurrency_full", suggestion=cure)
                self._decide(tx, tally, live, lambda draft: planner.turn_away(draft, reason, error))
            case Waits(replaced=replaced) if place.key is not None:
                execution = live.state.execution
                self._cancel_oldest(tx, tally, execution.pipeline_id, place.key, replaced, execution.number)
                self._admit_next(tx, tally, execution.pipeline_id, place.key)
        if live.state.execution.waiting_since is not None:
            self._changes.live.forget(live.state.execution.id)  # it may wait for days: not in memory

    def waiting_to_retry(self, tx: Transaction, live: Live) -> str | None:
        """Why an execution that is to be retried has to wait; None when it has a place. A pause does not hold it up:
        somebody wants it to go on now.
        """
        execution, policy = live.state.execution, live.version.pipeline.concurrency
        if policy is None or execution.concurrency_key is None:
            return None
        places.lock_pipeline(tx, execution.pipeline_id)
        crowd = _crowd(tx, execution.pipeline_id, policy, execution.concurrency_key, enabled=True)
        if crowd.admitted < policy.limit:
            return None
        return waiting_for_place(policy, crowd, execution.concurrency_key)

    # Pipelines

    def pause(self, pipeline_id: str, by: str | None = None) -> None:
        """No execution begins any more; those under way go on. Safe to call twice. Raises NotFound."""
        if self._set_enabled(pipeline_id, False, by):
            log.info("pipeline.paused", pipeline=pipeline_id, by=by)

    def resume(self, pipeline_id: str, by: str | None = None) -> int:
        """What waited begins, as far as there are places. Safe to call twice. Raises NotFound."""
        if self._set_enabled(pipeline_id, True, by):
            log.info("pipeline.resumed", pipeline=pipeline_id, by=by)
        return self._admit_all(pipeline_id)

    def recover(self) -> None:
        """Give away places that an earlier process freed and had no time to give away."""
        with self._changes.database.read() as connection:
            found = places.pipelines_with_waiting(connection)
        for pipeline_id in found:
            self._admit_all(pipeline_id)

    # Details

    def _set_enabled(self, pipeline_id: str, enabled: bool, by: str | None) -> bool:
        """Whether that changed anything."""
        now = self._changes.clock()
        word = "resumed" if enabled else "paused"

        def operation(tx: Transaction) -> bool:
            before = places.lock_pipeline(tx, pipeline_id)
            if before is None:
                raise NotFound("pipeline", pipeline_id)
            if before is enabled:
                return False
            if enabled:
                present = moment(tx.sa, self._changes.clock)
                every = triggers.of_pipeline(tx.sa, pipeline_id)
                rows = [row for row in every if row.paused_at is None and row.due_at <= present]
                for row in rows:  # between them they hold up the transaction as long as one alone may
                    go_on(tx.sa, row, present, "the pipeline was paused", most=MOST_LOOKED_AT // len(rows))
                places.resume(tx.sa, pipeline_id)
            else:
                places.pause(tx.sa, pipeline_id, now, by)
                places.say(tx.sa, pipeline_id, PAUSED)
            message = f"pipeline {word} by {by}" if by else f"pipeline {word}"
            progress.insert_logs(tx, [LogEntry(now, "info", message, pipeline_id=pipeline_id)])
            type = EventType.PIPELINE_RESUMED if enabled else EventType.PIPELINE_PAUSED
            told = of_pipeline(type, pipeline_id, now, enabled=enabled, by=by)
            tx.after_commit(partial(self._changes.bus.publish, [told]))
            return True

        return self._changes.database.write(operation, durable=True)

    def _give_away(self, tx: Transaction, tally: Tally, ended: Execution) -> None:
        if ended.concurrency_key is not None:
            self._admit_next(tx, tally, ended.pipeline_id, ended.concurrency_key)

    def _admit_next(self, tx: Transaction, tally: Tally, pipeline_id: str, key: str) -> None:
        """Those that wait longest, the highest priority first, as long as there are places."""
        enabled = places.lock_pipeline(tx, pipeline_id)
        while enabled and (following := places.next_waiting(tx, pipeline_id, key)) is not None:
            execution_id, version = following
            policy = self._changes.live.version(tx.sa, pipeline_id, version).pipeline.concurrency
            if policy is not None and not has_place(policy, Crowd(*places.admitted(tx, pipeline_id, key))):
                return
            self._decide(tx, tally, self._changes.touch(tx, tally, execution_id), planner.admit)

    def _admit_all(self, pipeline_id: str) -> int:
        """Answers how many began."""
        count = 0
        while True:
            tally = Tally()
            admitted = self._changes.write(partial(self._admit_some, tally, pipeline_id), tally)
            count += admitted
            if admitted < AT_ONCE:
                return count

    def _admit_some(self, tally: Tally, pipeline_id: str, tx: Transaction) -> int:
        if not places.lock_pipeline(tx, pipeline_id):
            return 0
        admitted = 0
        for key, says_paused in places.keys_with_waiting(tx.sa, pipeline_id, PAUSED):
            if key is None:
                for execution_id in places.waiting_without_key(tx.sa, pipeline_id, AT_ONCE):
                    self._decide(tx, tally, self._changes.touch(tx, tally, execution_id), planner.admit)
                    admitted += 1
            else:
                before = len(tally.executions)
                self._admit_next(tx, tally, pipeline_id, key)
                admitted += len(tally.executions) - before
                if says_paused:
                    self._say_for_place(tx, pipeline_id, key)
        return admitted

    def _say_for_place(self, tx: Transaction, pipeline_id: str, key: str) -> None:
        """Those that are left wait for the others, and no longer for the pipeline."""
        following = places.next_waiting(tx, pipeline_id, key)
        policy = following and self._changes.live.version(tx.sa, pipeline_id, following[1]).pipeline.concurrency
        if policy:
            crowd = _crowd(tx, pipeline_id, policy, key, enabled=True)
            places.say(tx.sa, pipeline_id, waiting_for_place(policy, crowd, key), key=key)

    def _cancel_oldest(
        self, tx: Transaction, tally: Tally, pipeline_id: str, key: str, count: int, number: int
    ) -> None:
        """Those that wait come first: none of them must get the place of one that has it."""
        reason = f"cancelled because #{number} takes its place"
        for execution_id in reversed(places.oldest(tx, pipeline_id, key, count) if count else []):
            live = self._changes.touch(tx, tally, execution_id)
            self._decide(tx, tally, live, lambda draft: planner.cancel(draft, reason))

    def _decide(self, tx: Transaction, tally: Tally, live: Live, decide: Callable[[Draft], None]) -> None:
        draft = self._changes.draft(live)
        decide(draft)
        self._changes.save(tx, tally, live, draft)


def concurrency_key(policy: Concurrency | None, visible: Mapping[str, Any]) -> str | None:
    """As text, short enough for the database; None: no place is needed."""
    if policy is None:
        return None
    if policy.key is None:
        return ""
    value = Template.parse(policy.key).render(visible)
    text = value if isinstance(value, str) else dumps(value)
    if len(text) <= KEY_LENGTH:
        return text
    return f"{text[: KEY_LENGTH - 65]}…{hashlib.sha256(text.encode()).hexdigest()}"


def _crowd(tx: Transaction, pipeline_id: str, policy: Concurrency, key: str, *, enabled: bool) -> Crowd:
    admitted, leaving = places.admitted(tx, pipeline_id, key)
    if policy.when_full == "cancel_oldest":
        enough = MOST_REPLACED
    else:
        enough = max(1, policy.max_queued or 0)
    return Crowd(admitted, leaving, places.waiting(tx, pipeline_id, key, enough), paused=not enabled)
