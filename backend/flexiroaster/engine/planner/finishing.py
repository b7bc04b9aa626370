"""When nothing is left to run: how the execution ends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flexiroaster.engine.draft import Draft
from flexiroaster.engine.errors import StageError
from flexiroaster.engine.events import EventType
from flexiroaster.engine.planner.phases import begin_next_phase
from flexiroaster.engine.runs import Key
from flexiroaster.engine.state import EXECUTION_FINAL, ExecutionStatus, Phase, StageStatus

E = ExecutionStatus


_EXECUTION_EVENTS = {
    E.SUCCESS: EventType.EXECUTION_COMPLETED,
    E.FAILED: EventType.EXECUTION_FAILED,
    E.CANCELLED: EventType.EXECUTION_CANCELLED,
    E.TIMED_OUT: EventType.EXECUTION_TIMED_OUT,
}


def finish_if_done(draft: Draft) -> bool:
    """Answers whether it has ended; with the last stage, handlers may begin instead."""
    execution = draft.execution
    if draft.open > 0 or execution.status in EXECUTION_FINAL:
        return False
    status = execution.stopping_as or (E.FAILED if execution.failed_stage else E.SUCCESS)
    if draft.plan.phases:
        draft.asks_outputs = status is E.SUCCESS and _has_outputs_to_make(draft)
        if draft.asks_outputs or begin_next_phase(draft, status):
            return False
    if execution.paused_at is not None:  # what still ran when it was paused was all there was
        draft.change_execution(paused_at=None, reason=None)
        execution = draft.execution
    if status is E.CANCELLED and execution.reason is None:
        draft.change_execution(reason=_what_was_cancelled(draft))
        execution = draft.execution
    draft.change_execution(status=status, ended_at=draft.now, waiting_since=None)
    details: dict[str, Any] = {"status": status.value}
    if execution.error is not None:
        details["error"] = execution.error.to_json()
    if execution.failed_stage is not None:
        details["failed_stage"] = execution.failed_stage
    if execution.reason is not None:
        details["reason"] = execution.reason
    duration = execution.seconds_until(draft.now)
    if duration is not None:
        details["duration_seconds"] = duration
    draft.emit(_EXECUTION_EVENTS[status], **details)
    return True


def _has_outputs_to_make(draft: Draft) -> bool:
    """Before what follows on a success, since that is none without them."""
    execution = draft.execution
    return draft.plan.outputs and execution.phase is Phase.MAIN and not execution.alone and not draft.outputs_good


def answer_outputs(draft: Draft, error: StageError | None) -> None:
    """The answer to `Draft.asks_outputs`: None when they can be made."""
    draft.asks_outputs, draft.outputs_good = False, True
    if error is not None:
        draft.change_execution(stopping_as=E.FAILED, error=error)
    finish_if_done(draft)


def _what_was_cancelled(draft: Draft) -> str | None:
    """Of an execution that nobody cancelled as a whole."""
    for stage in draft.plan.stages[: draft.plan.main]:
        run = draft.run(Key(stage.position))
        if run.status is StageStatus.CANCELLED:
            reason = run.reason or "cancelled"
            return f"{stage.id} was {reason}" if reason.startswith("cancelled") else f"{stage.id}: {reason}"
    return None


def fail_outputs(draft: Draft, error: StageError) -> None:
    """The stages succeeded, but what the execution was to answer cannot be made: it ends as failed instead."""
    completed = draft.take_back()
    draft.execution = replace(draft.execution, status=E.FAILED, error=error)
    payload = {**completed.payload, "status": E.FAILED.value, "error": error.to_json()}
    draft.emit(EventType.EXECUTION_FAILED, **payload)
