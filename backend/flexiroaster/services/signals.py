"""Telling an execution that something happened outside, for the stages that wait for it now or later."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from flexiroaster.engine import planner
from flexiroaster.engine.draft import Draft
from flexiroaster.engine.errors import Conflict, InvalidRequest
from flexiroaster.engine.events import EventType, iso_z
from flexiroaster.engine.outcome import Outcome, Waiting, WaitsFor
from flexiroaster.engine.runs import Key
from flexiroaster.engine.state import EXECUTION_FINAL
from flexiroaster.services.changes import Changes, Tally
from flexiroaster.store import signals as store
from flexiroaster.store.database import Transaction
from flexiroaster.store.json import dumps

MOST_BYTES = 64 * 1024


class Sent(NamedTuple):
    """`went_on` are the stages that waited for it, with their foreach index."""

    execution_id: str
    name: str
    at: datetime
    went_on: list[tuple[str, int]]


class Signals:
    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    def send(self, execution_id: str, name: str, data: Any = None, actor: str | None = None) -> Sent:
        """Every stage run that waits for this name goes on; one that begins to wait later does so at once.

        Sending it again gives those that begin to wait from then on the new data. Once this returns it survives
        anything. Raises NotFound, and Conflict when the execution has ended.
        """
        if len(dumps(data)) > MOST_BYTES:
            raise InvalidRequest(
                f"The data of a signal has at most {MOST_BYTES // 1024} kB: send where it can be found.", "too_large"
            )
        tally = Tally()

        def operation(tx: Transaction) -> Sent:
            live = self._changes.touch(tx, tally, execution_id)
            execution = live.state.execution
            if execution.status in EXECUTION_FINAL:
                raise Conflict(
                    f"Execution {execution_id} has already ended as {execution.status.value}.", "already_ended"
                )
            draft = self._changes.draft(live)
            store.put(tx.sa, execution_id, name, data=data, actor=actor, at=draft.now)
            told = _told(store.SignalRow(data, actor, draft.now))
            went_on = [_place(draft, key) for key in _waiting(draft, name) if _signal(draft, key, told)]
            draft.emit(EventType.EXECUTION_SIGNALLED, name=name, by=actor, stages=[stage for stage, _ in went_on])
            self._changes.save(tx, tally, live, draft)
            return Sent(execution_id, name, draft.now, went_on)

        return self._changes.write(operation, tally, durable=True)


def look(tx: Transaction, execution_id: str, outcome: Outcome, now: datetime) -> Outcome:
    """The outcome to record of a stage run that begins to wait: what it waits for may have happened before."""
    if not isinstance(outcome, Waiting) or outcome.waits_for is not WaitsFor.EVENT:
        return outcome
    signal = store.find(tx.sa, execution_id, outcome.state["event"])
    return outcome if signal is None else replace(outcome, until=now, state={**outcome.state, **_told(signal)})


def _waiting(draft: Draft, name: str) -> list[Key]:
    return [
        run.key
        for run in draft.every_run()
        if run.waits_for is WaitsFor.EVENT and run.state is not None and run.state.get("event") == name
    ]


def _signal(draft: Draft, key: Key, told: dict[str, Any]) -> bool:
    return planner.signal(draft, key, told, WaitsFor.EVENT)


def _told(signal: store.SignalRow) -> dict[str, Any]:
    return {"signal": {"data": signal.data, "by": signal.actor, "at": iso_z(signal.at)}}


def _place(draft: Draft, key: Key) -> tuple[str, int]:
    return draft.plan.stages[key.position].id, key.index
