"""Deadlines: what has not ended by its time is late, which is told once and holds up nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial

from flexiroaster.engine.deadline import next_time
from flexiroaster.engine.draft import Draft
from flexiroaster.engine.events import EventType
from flexiroaster.engine.pipeline import Deadline
from flexiroaster.engine.runs import Key
from flexiroaster.engine.state import EXECUTION_FINAL
from flexiroaster.services.changes import Changes, Tally
from flexiroaster.services.live import Live
from flexiroaster.store import deadlines as store
from flexiroaster.store.database import Transaction
from flexiroaster.store.deadlines import WHOLE_EXECUTION


class Deadlines:
    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    def set(self, tx: Transaction, execution_id: str, wanted: Mapping[int, Deadline], accepted_at: datetime) -> None:
        """Of a new execution, by position: the next such time of day after it was accepted."""
        due = {position: next_time(one.by, one.timezone, accepted_at) for position, one in wanted.items()}
        store.insert(tx.sa, execution_id, due)
        for position, at in due.items():
            tx.after_commit(partial(self._watch, execution_id, position, at))

    def set_again(self, tx: Transaction, execution_id: str) -> None:
        """Of one that goes on after it had ended. What has passed meanwhile is missed at once."""
        for _, position, at in store.ahead(tx.sa, execution_id):
            tx.after_commit(partial(self._watch, execution_id, position, at))

    def recover(self) -> None:
        """Watch those of every execution that goes on."""
        with self._changes.database.read() as connection:
            found = store.ahead(connection)
        for execution_id, position, at in found:
            self._watch(execution_id, position, at)

    def catch_up(self, before: datetime) -> None:
        """Those that passed before a moment and that nobody told of."""
        with self._changes.database.read() as connection:
            found = store.ahead(connection, before=before)
        for execution_id, position, _ in found:
            self._miss(execution_id, position)

    def _watch(self, execution_id: str, position: int, at: datetime) -> None:
        self._changes.timers.at(at, partial(self._miss, execution_id, position))

    def _miss(self, execution_id: str, position: int) -> None:
        """It may be late now (nothing happens when it is not, or is known to be)."""
        tally = Tally()

        def operation(tx: Transaction) -> None:
            live = self._changes.touch(tx, tally, execution_id)
            draft = self._changes.draft(live)
            if _goes_on(draft, position) and (due := store.miss(tx.sa, execution_id, position, draft.now)) is not None:
                _tell(live, draft, position, due)
            self._changes.save(tx, tally, live, draft)
            if live.state.execution.waiting_since is not None:
                self._changes.live.forget(execution_id)

        self._changes.write(operation, tally)


def _goes_on(draft: Draft, position: int) -> bool:
    if draft.execution.status in EXECUTION_FINAL:
        return False
    if position == WHOLE_EXECUTION:
        return True
    run = draft.find(Key(position))
    return run is not None and not run.final


def _tell(live: Live, draft: Draft, position: int, due: datetime) -> None:
    deadline = live.version.deadlines[position]
    key = None if position == WHOLE_EXECUTION else Key(position)
    details = {"due_at": due.isoformat(), "by": deadline.by, "timezone": deadline.timezone}
    draft.emit(EventType.DEADLINE_MISSED, key, **details)
