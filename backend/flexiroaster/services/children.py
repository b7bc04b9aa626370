"""Executions that stages start: in the transaction that lets the stage wait, watched until one of both ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

import structlog

from flexiroaster.engine import planner
from flexiroaster.engine.draft import Draft
from flexiroaster.engine.errors import FlexiRoasterError, NotFound, StageError, StageFailed
from flexiroaster.engine.outcome import Failed, Outcome, Waiting, WaitsFor
from flexiroaster.engine.runs import Key
from flexiroaster.engine.state import EXECUTION_FINAL, RETRYABLE_EXECUTIONS
from flexiroaster.services.changes import Changes, Tally
from flexiroaster.services.executions import Executions
from flexiroaster.services.live import Live
from flexiroaster.services.starting import Checked, Starting, Wanted
from flexiroaster.store import children as store
from flexiroaster.store.children import ChildRow, EndedRow
from flexiroaster.store.database import StoreUnavailable, Transaction
from flexiroaster.store.json import dumps, loads
from flexiroaster.store.progress import Parent

log = structlog.get_logger(__name__)

DEEPEST = 10
"""Executions above one another: far above what people nest, and an end to a pipeline that calls itself."""
LOOK_AGAIN = timedelta(minutes=1)
"""How long an end may go unheard whose message was lost."""
TRIGGER = "parent"


class Order(NamedTuple):
    """An execution to be started with the record of an attempt; `checked` None: this earlier one goes on instead."""

    execution_id: str
    checked: Checked | None


DraftOf = Callable[[str], tuple[Live, Draft]]


class Children:
    """`start` after the executions were taken up."""

    def __init__(self, changes: Changes, starting: Starting, executions: Executions) -> None:
        self._changes = changes
        self._executions = executions
        self._starting = starting
        changes.on_child_ended = self._tell_parent
        changes.on_child_left = self._cancel_soon

    def order(self, live: Live, key: Key, wanted: Wanted, *, wait: bool) -> Order:
        """Check what a stage run wants to start; nothing is written. Raises StageFailed.

        A stage that is tried again goes on with the execution that failed it, as long as it wants the same of it.
        """
        depth = live.depth + 1
        if depth > DEEPEST:
            raise StageFailed(
                f"This would be execution {depth + 1} in a row of pipelines that start one another: "
                f"{DEEPEST} below the first are allowed.",
                code="too_deep",
                suggestion="Look for a pipeline that starts itself, directly or through another.",
            )
        execution = live.state.execution
        wanted = replace(
            wanted,
            trigger=TRIGGER,
            actor=live.actor,
            priority=execution.priority,
            parent=Parent(execution.id, key, depth),
            use_cache=live.use_cache,
            logical_date=live.logical_date,
        )
        try:
            checked = self._starting.check(wanted)
        except StoreUnavailable:
            raise
        except FlexiRoasterError as refused:
            raise StageFailed(str(refused), code=refused.code) from refused
        earlier = self._earlier(execution.id, key, checked) if wait else None
        return Order(checked.id, checked) if earlier is None else Order(earlier.id, None)

    def _earlier(self, parent_id: str, key: Key, checked: Checked) -> ChildRow | None:
        with self._changes.database.read() as connection:
            child = store.newest(connection, parent_id, key)
            if child is None or not _is_the_same(child, checked):
                return None
            if child.ended_at is not None and store.succeeded_since(connection, parent_id, key, child.ended_at):
                return None  # its result was used, and now the stage is to run once more
        return child

    def begin(self, tx: Transaction, tally: Tally, draft_of: DraftOf, order: Order, outcome: Outcome) -> Outcome:
        """Start what was ordered; answers the outcome to record."""
        if order.checked is None:
            return self._go_on(tx, draft_of, order.execution_id, outcome)
        try:
            started = self._starting.insert(tx, tally, order.checked)
        except FlexiRoasterError as refused:
            return Failed(StageError(str(refused), code=refused.code))
        return _named(outcome, started.pipeline_id, started.number)

    def _go_on(self, tx: Transaction, draft_of: DraftOf, child_id: str, outcome: Outcome) -> Outcome:
        live, draft = draft_of(child_id)
        execution = live.state.execution
        outcome = _named(outcome, execution.pipeline_id, execution.number)
        if execution.status not in RETRYABLE_EXECUTIONS:
            return self.look(tx, outcome, draft.now)
        self._executions.try_again(tx, live, draft)
        return outcome

    def look(self, tx: Transaction, outcome: Outcome, now: datetime) -> Outcome:
        """The outcome to record of a stage run that waits on: what it waits for may have ended while it looked."""
        if not isinstance(outcome, Waiting) or outcome.waits_for is not WaitsFor.EXECUTION:
            return outcome
        ended = store.ended(tx.sa, outcome.state["execution_id"])
        if ended is None:
            return outcome
        return replace(outcome, until=now, state={**outcome.state, "ended": _told(ended)})

    def start(self) -> None:
        """Make up for what an earlier process did not come to tell, and look again from time to time."""
        try:
            self._look_around()
        finally:
            self._changes.timers.at(self._changes.clock() + LOOK_AGAIN, self.start)

    def _look_around(self) -> None:
        with self._changes.database.read() as connection:
            unheard = store.unheard(connection)
            left = store.left_alone(connection)
        for parent_id, key, child_id in unheard:
            self._wake_parent(parent_id, key, child_id)
        for child_id in left:
            self._cancel(child_id)

    def _tell_parent(self, parent: Parent, child_id: str) -> None:
        """After the commit that ended a child; the writer is still held."""
        callback = partial(self._wake_parent, parent.execution_id, parent.key, child_id)
        self._changes.timers.at(self._changes.clock(), callback)

    def _wake_parent(self, parent_id: str, key: Key, child_id: str) -> None:
        with self._changes.database.read() as connection:
            ended = store.ended(connection, child_id)
        if ended is None:
            return  # it was retried since

        def decide(live: Live, draft: Draft) -> None:
            run = draft.find(key)
            if run is not None and run.state is not None and run.state.get("execution_id") == child_id:
                planner.signal(draft, key, {"ended": _told(ended)}, WaitsFor.EXECUTION)

        try:
            self._changes.change(parent_id, decide)
        except NotFound:
            log.info("execution.parent_is_gone", execution=child_id, parent=parent_id)

    def _cancel_soon(self, child_id: str) -> None:
        self._changes.timers.at(self._changes.clock(), partial(self._cancel, child_id))

    def _cancel(self, child_id: str) -> None:
        def decide(live: Live, draft: Draft) -> None:
            if live.state.execution.status not in EXECUTION_FINAL:
                planner.cancel(draft, "cancelled because the execution that started it no longer waits for it")

        self._changes.change(child_id, decide)


def _is_the_same(child: ChildRow, checked: Checked) -> bool:
    wanted = checked.wanted
    return (
        child.pipeline_id == wanted.pipeline_id
        and child.version == checked.number
        and child.inputs == _as_kept(checked.inputs)
        and child.data == _as_kept(wanted.data)
    )


def _as_kept(value: Any) -> Any:
    return loads(dumps(value))


def _named(outcome: Outcome, pipeline_id: str, number: int) -> Outcome:
    if not isinstance(outcome, Waiting):
        return outcome
    child = {"pipeline_id": pipeline_id, "number": number}
    return replace(outcome, reason=f"waiting for {pipeline_id} #{number}", state={**outcome.state, **child})


def _told(ended: EndedRow) -> dict[str, Any]:
    return {
        "number": ended.number,
        "status": ended.status,
        "outputs": ended.outputs,
        "error": ended.error,
        "failed_stage": ended.failed_stage,
        "reason": ended.reason,
    }
