"""Starting, stopping and retrying executions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

import structlog

from flexiroaster.engine import planner
from flexiroaster.engine.draft import Draft
from flexiroaster.engine.errors import Conflict, NotFound, StageError
from flexiroaster.engine.planner.foreach import runs_items
from flexiroaster.engine.runs import Execution, ExecutionState, Key, StageRun, stage_run_name
from flexiroaster.engine.state import (
    EXECUTION_FINAL,
    RETRYABLE_EXECUTIONS,
    STAGE_FINAL,
    ExecutionStatus,
    Phase,
    StageStatus,
)
from flexiroaster.services.admission import Admission
from flexiroaster.services.changes import Changes, Tally
from flexiroaster.services.deadlines import Deadlines
from flexiroaster.services.live import Live, Version
from flexiroaster.services.starting import Started, Starting, Wanted
from flexiroaster.store import places, progress
from flexiroaster.store.database import StoreUnavailable, Transaction

log = structlog.get_logger(__name__)


Lose = Callable[[Transaction, Draft], object]


class Retried(NamedTuple):
    """Stage ids whose results are kept, and those that run again."""

    reused: list[str]
    to_run: list[str]


class Executions:
    def __init__(self, changes: Changes, starting: Starting, admission: Admission, deadlines: Deadlines) -> None:
        self._changes = changes
        self._deadlines = deadlines
        self._starting = starting
        self._admission = admission

    def start(
        self,
        pipeline_id: str,
        *,
        inputs: Mapping[str, Any] | None = None,
        data: Any = None,
        version: int | None = None,
        idempotency_key: str | None = None,
        trigger: str = "manual",
        actor: str | None = None,
        priority: int = 0,
        use_cache: bool = True,
    ) -> Started:
        """Accept an execution; once this returns it survives anything, a power cut included.

        Raises NotFound, or InvalidInputs with a problem per input.
        """
        return self.accept(
            Wanted(
                pipeline_id,
                inputs or {},
                data,
                version,
                idempotency_key,
                trigger,
                actor,
                priority=priority,
                use_cache=use_cache,
            )
        )

    def accept(self, wanted: Wanted) -> Started:
        """As `start`."""
        checked = self._starting.check(wanted)
        tally = Tally()
        return self._changes.write(lambda tx: self._starting.insert(tx, tally, checked), tally, durable=True)

    def cancel(self, execution_id: str, actor: str | None = None) -> None:
        """Ask an execution to stop. Asking again does no harm; raises Conflict when it has ended otherwise."""
        reason = f"cancelled by {actor}" if actor else "cancelled"

        def decide(live: Live, draft: Draft) -> None:
            status = live.state.execution.status
            if status in EXECUTION_FINAL and status is not ExecutionStatus.CANCELLED:
                raise Conflict(f"Execution {execution_id} has already ended as {status.value}.", "already_ended")
            if status not in EXECUTION_FINAL:
                planner.cancel(draft, reason)

        self._changes.change(execution_id, decide)

    def cancel_stage(self, execution_id: str, stage: str, index: int = 0, actor: str | None = None) -> None:
        """Ask one stage, or one item of a foreach stage, to stop; the execution goes on. Asking again does no harm.

        Raises NotFound, and Conflict when it has ended otherwise, or is none of what may run now.
        """
        reason = f"cancelled by {actor}" if actor else "cancelled"
        tally = Tally()

        def operation(tx: Transaction) -> None:
            live = self._changes.touch(tx, tally, execution_id)
            key = _key(live, stage, index)
            _refuse_stage_unless_open(live, key)
            draft = self._changes.draft(live)
            if draft.find(key) is not None:
                _refuse_if_ended(draft.run(key).status, stage, index)
                planner.cancel_stage(draft, key, reason)
            else:
                planner.cancel_item(draft, _item_in_store(tx, execution_id, stage, key), reason)
            self._changes.save(tx, tally, live, draft)

        self._changes.write(operation, tally)

    def pause(self, execution_id: str, actor: str | None = None) -> None:
        """What runs goes on to its end, nothing else starts before `resume`. Asking again does no harm; raises Conflict
        for one that has ended, is stopping, or has not got its place yet.
        """

        def decide(live: Live, draft: Draft) -> None:
            _refuse_unless_pausable(live.state.execution)
            if live.state.execution.paused_at is None:
                planner.pause(draft, f"paused by {actor}" if actor else "paused")

        self._changes.change(execution_id, decide, durable=True)

    def resume(self, execution_id: str, actor: str | None = None) -> None:
        """Go on after `pause`. Asking again does no harm; raises Conflict for one that has ended or is stopping."""

        def decide(live: Live, draft: Draft) -> None:
            _refuse_unless_pausable(live.state.execution)
            if live.state.execution.paused_at is not None:
                planner.resume(draft, f"resumed by {actor}" if actor else "resumed")

        self._changes.change(execution_id, decide, durable=True)

    def retry_plan(self, execution_id: str) -> Retried:
        """What `retry` would do. Raises Conflict when the execution is not one that can be retried."""
        with self._changes.database.read() as connection:
            loaded = progress.load(connection, execution_id)
            if loaded is None:
                raise NotFound("execution", execution_id)
            state = loaded.state
            version = self._changes.live.version(connection, state.execution.pipeline_id, state.execution.version)
        _refuse_unless_retryable(state.execution)
        return _retried(version, state)

    def retry(self, execution_id: str, actor: str | None = None, *, use_cache: bool | None = None) -> Retried:
        """Run the failed stages and all that depends on them again, in the same execution; it may wait for a place.

        With `use_cache` None they may take cached results where the execution was started so.
        """
        tally = Tally()

        def operation(tx: Transaction) -> Retried:
            live = self._changes.touch(tx, tally, execution_id)
            _refuse_unless_retryable(live.state.execution)
            found = _retried(live.version, live.state)
            draft = self._changes.draft(live)
            self.try_again(tx, live, draft)
            if use_cache is not None and use_cache is not live.use_cache:
                live.use_cache = use_cache
                progress.set_use_cache(tx, execution_id, use_cache)
            self._changes.save(tx, tally, live, draft)
            if draft.execution.waiting_since is not None:
                self._changes.live.forget(execution_id)
            return found

        found = self._changes.write(operation, tally, durable=True)
        log.info("execution.retried", execution=execution_id, actor=actor, to_run=len(found.to_run))
        return found

    def try_again(self, tx: Transaction, live: Live, draft: Draft) -> None:
        """Decide a retry of one that may be retried, in the caller's transaction, who saves the draft."""
        planner.retry(draft, self._admission.waiting_to_retry(tx, live))
        if live.version.deadlines:
            self._deadlines.set_again(tx, draft.execution.id)
        live.forget_results(key for key, run in draft.runs.items() if run.status is not StageStatus.SUCCESS)

    def recover(self, lose: Lose | None = None) -> int:
        """Take up every execution that has not ended: called once, before work starts, by who is the only server.

        `lose` decides about what is in the hands of workers that are gone; None: all of it is. Who waits for a place is
        admitted where there is one. Answers how many were taken up.
        """
        with self._changes.database.read() as connection:
            found = progress.open_executions(connection)
            waiting = places.waiting_with_timeout(connection)
        for execution_id in found:
            try:
                self._recover(execution_id, lose or _lose_all)
            except StoreUnavailable:
                raise
            except Exception as failure:  # damaged, or of a release whose definitions this one cannot read
                log.exception("execution.unreadable", execution=execution_id)
                self.give_up(execution_id, failure)
        for execution_id, timeout_at in waiting:
            self._changes.timers.at(timeout_at, partial(self._changes.time_out, execution_id))
        self._deadlines.recover()
        self._admission.recover()
        return len(found)

    def give_up(self, execution_id: str, failure: Exception) -> None:
        """End an execution that cannot go on: it must not wait for ever, nor keep the others from starting."""
        error = StageError(
            f"This release cannot read what the execution has left to do ({type(failure).__name__}), so it was ended.",
            code="unreadable",
            kind="internal",
            suggestion="Start it again with a version of the pipeline that this release accepts.",
        )
        self._changes.database.write(
            lambda tx: progress.end_as_failed(tx, execution_id, error, self._changes.clock()), durable=True
        )

    def _recover(self, execution_id: str, lose: Lose) -> None:
        due: list[tuple[datetime, Callable[[], None]]] = []
        tally = Tally()

        def operation(tx: Transaction) -> None:
            due.clear()
            live = self._changes.touch(tx, tally, execution_id)
            draft = self._changes.draft(live)
            if live.state.execution.timeout_at is not None:
                due.append((live.state.execution.timeout_at, partial(self._changes.time_out, execution_id)))
            for key, run in live.state.runs.items():
                if run.due_at is not None:
                    due.append((run.due_at, partial(self._changes.wake, execution_id, key)))
            lose(tx, draft)
            draft.ready += [key for key, run in live.state.runs.items() if run.status is StageStatus.QUEUED]
            self._changes.save(tx, tally, live, draft)

        self._changes.write(operation, tally)
        for moment, callback in due:
            self._changes.timers.at(moment, callback)


def _lose_all(_tx: Transaction, draft: Draft) -> None:
    for run in draft.every_run():
        if run.status in (StageStatus.RUNNING, StageStatus.CANCELLING):
            planner.lose(draft, run.key, "server")


def _refuse_unless_pausable(execution: Execution) -> None:
    status = execution.status
    if status in EXECUTION_FINAL:
        raise Conflict(f"Execution {execution.id} has already ended as {status.value}.", "already_ended")
    if status is ExecutionStatus.CANCELLING:
        raise Conflict(f"Execution {execution.id} is being stopped.", "not_pausable")
    if execution.waiting_since is not None:
        raise Conflict(
            f"Execution {execution.id} has not begun, it is {execution.reason}: cancel it, or pause its pipeline.",
            "not_pausable",
        )


def _key(live: Live, stage: str, index: int) -> Key:
    position = live.version.plan.positions.get(stage)
    if position is None:
        raise NotFound("stage run", stage_run_name(stage, index))
    return Key(position, index)


def _refuse_stage_unless_open(live: Live, key: Key) -> None:
    """Whether there is such a stage run, as far as can be told without the store, and the execution is under way."""
    execution, runs = live.state.execution, live.state.runs
    planned = live.version.plan.stages[key.position]
    own = runs.get(Key(key.position))
    if execution.status in EXECUTION_FINAL:
        raise Conflict(f"Execution {execution.id} has already ended as {execution.status.value}.", "already_ended")
    if execution.waiting_since is not None:
        raise Conflict(
            f"Execution {execution.id} has not begun, it is {execution.reason}: cancel it as a whole.",
            "not_cancellable",
        )
    if own is None:
        raise Conflict(
            f"Stage {planned.id} is not under way: it belongs to what runs when the execution ends.", "not_cancellable"
        )
    if key.index and key not in runs and not runs_items(own):
        raise Conflict(f"The items of stage {planned.id} are not under way.", "not_cancellable")


def _item_in_store(tx: Transaction, execution_id: str, stage: str, key: Key) -> StageRun:
    found = progress.load_run(tx.sa, execution_id, key)
    if found is None:
        raise NotFound("stage run", stage_run_name(stage, key.index))
    _refuse_if_ended(found.status, stage, key.index)
    return found


def _refuse_if_ended(status: StageStatus, stage: str, index: int) -> None:
    if status in STAGE_FINAL and status is not StageStatus.CANCELLED:
        raise Conflict(
            f"Stage run {stage_run_name(stage, index)} has already ended as {status.value}.", "already_ended"
        )


def _refuse_unless_retryable(execution: Execution) -> None:
    if execution.status not in RETRYABLE_EXECUTIONS:
        state = execution.status.value
        raise Conflict(
            f"Execution {execution.id} is {state}: only a failed, cancelled or timed out one can be retried.",
            "not_retryable",
        )


def _retried(version: Version, state: ExecutionState) -> Retried:
    """Which handlers will run is not known before the stages have ended; where all have succeeded, it is."""
    plan = version.plan
    again = planner.needing_another_run(plan, state)
    stages = plan.stages[: plan.main]
    handlers = [*plan.phases.get(Phase.ON_SUCCESS, ()), *plan.phases.get(Phase.FINALLY, ())]
    return Retried(
        reused=[stage.id for stage in stages if stage.position not in again],
        to_run=[stage.id for stage in stages if stage.position in again]
        or [plan.stages[position].id for position in handlers],
    )
