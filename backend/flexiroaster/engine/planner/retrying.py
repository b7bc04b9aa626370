"""A person's retry: the same execution goes on from where it failed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from flexiroaster.engine.draft import Draft, IllegalMove
from flexiroaster.engine.events import EventType
from flexiroaster.engine.plan import Plan
from flexiroaster.engine.planner.finishing import finish_if_done
from flexiroaster.engine.planner.foreach import REOPEN
from flexiroaster.engine.planner.moves import FAILED, advance, end, is_not_chosen, start_afresh
from flexiroaster.engine.runs import ExecutionState, Key
from flexiroaster.engine.state import RETRYABLE_EXECUTIONS, ExecutionStatus, Phase, StageStatus

E = ExecutionStatus
S = StageStatus


def needing_another_run(plan: Plan, state: ExecutionState) -> set[int]:
    """Positions that a retry runs again: what did not succeed or was undone since, and all that depends on it."""
    unsuccessful = {
        run.key.position
        for run in state.runs.values()
        if run.key.position < plan.main and (run.status in FAILED or not run.final)
    }
    again = plan.downstream(unsuccessful | _undone(plan, state))
    return again & unsuccessful if state.execution.alone else again


def _undone(plan: Plan, state: ExecutionState) -> set[int]:
    """Positions of the stages whose compensation was begun, however it ended."""
    compensations = (state.runs.get(Key(position)) for position in plan.phases.get(Phase.COMPENSATION, ()))
    begun = (run for run in compensations if run is not None and run.started_at is not None)
    return {undone for run in begun if (undone := plan.stages[run.key.position].undoes) is not None}


def retry(draft: Draft, waiting: str | None = None) -> None:
    """The same execution goes on from where it failed; what succeeded is kept.

    `waiting` says why it does not yet have a place; nothing is ready then before it is admitted.
    """
    execution = draft.execution
    if execution.status not in RETRYABLE_EXECUTIONS:
        raise IllegalMove(f"an execution that is {execution.status} cannot be retried")
    again = needing_another_run(draft.plan, draft.state)
    keys = [key for key in draft.state.runs if key.position in again]
    draft.change_execution(
        status=E.RUNNING if waiting is None else E.QUEUED,
        waiting_since=None if waiting is None else draft.now,
        retries=execution.retries + 1,
        started_at=execution.started_at or draft.now,
        ended_at=None,
        idle_seconds=execution.idle_seconds + _idle_seconds(draft),
        error=None,
        failed_stage=None,
        reason=waiting,
        cancel_requested_at=None,
        stopping_as=None,
        phase=Phase.MAIN,
        timeout_at=_after(draft, draft.plan.timeout if waiting is None else draft.plan.queue_timeout),
    )
    retried: dict[str, Any] = {"retry": execution.retries + 1, "stages": len(keys)}
    if waiting is None:
        draft.emit(EventType.EXECUTION_STARTED, status=E.RUNNING.value, **retried)
    else:
        draft.emit(EventType.EXECUTION_QUEUED, status=E.QUEUED.value, reason=waiting, **retried)
    for key in keys:
        _reset(draft, key, again)
    if waiting is not None:
        return
    for key in keys:
        run = draft.run(key)
        if run.status is S.PENDING and (skip := is_not_chosen(draft, run) or advance(draft, run)) is not None:
            end(draft, skip)
    finish_if_done(draft)


def _after(draft: Draft, duration: timedelta | None) -> datetime | None:
    return None if duration is None else draft.now + duration


def _idle_seconds(draft: Draft) -> float:
    """From its end to this retry; nothing for one that was cancelled before it started."""
    execution = draft.execution
    if execution.started_at is None or execution.ended_at is None:
        return 0.0
    return max(0.0, (draft.now - execution.ended_at).total_seconds())


def _reset(draft: Draft, key: Key, again: set[int]) -> None:
    stage, run = draft.plan.stages[key.position], draft.run(key)
    needs = stage.needs
    ended = [draft.run(Key(need)) for need in needs if need not in again]
    # Items that succeeded are kept, unless others would come of what is run again or their work was undone.
    keeps_items = stage.items is not None and run.status in FAILED and len(ended) == len(needs)
    start_afresh(
        draft,
        run,
        state=REOPEN if keeps_items and run.attempt else None,
        needs_left=len(needs) - len(ended),
        needs_ok=sum(other.status is S.SUCCESS for other in ended),
    )
