"""An execution is held: what runs goes on to its end, nothing else starts before it is resumed."""

from __future__ import annotations

from typing import Any

from flexiroaster.engine.draft import Draft
from flexiroaster.engine.events import EventType
from flexiroaster.engine.planner.moves import make_ready
from flexiroaster.engine.state import ExecutionStatus, StageStatus

E = ExecutionStatus
S = StageStatus


def pause(draft: Draft, reason: str) -> None:
    draft.change_execution(status=E.PAUSED, paused_at=draft.now, reason=reason)
    draft.emit(EventType.EXECUTION_PAUSED, status=E.PAUSED.value, reason=reason)


def resume(draft: Draft, reason: str) -> None:
    """What is ready is announced again, what came due meanwhile is ready; its timeout is later by the pause."""
    execution = draft.execution
    assert execution.paused_at is not None
    paused = draft.now - execution.paused_at
    status = E.QUEUED if execution.started_at is None else E.RUNNING
    timeout_at = None if execution.timeout_at is None else execution.timeout_at + paused
    draft.change_execution(status=status, timeout_at=timeout_at, **unpaused(draft))
    draft.emit(EventType.EXECUTION_RESUMED, status=status.value, reason=reason, paused_seconds=paused.total_seconds())
    for run in draft.every_run():
        if run.status is S.QUEUED:
            if run.due_at is not None:
                draft.change(run, due_at=run.due_at + paused)
            draft.ready.append(run.key)
        elif run.status in (S.RETRYING, S.WAITING) and run.due_at is not None and run.due_at <= draft.now:
            make_ready(draft, run)


def unpaused(draft: Draft) -> dict[str, Any]:
    """What changes in an execution with the end of its pause, which is no part of its duration."""
    execution = draft.execution
    if execution.paused_at is None:
        return {}
    idle = (draft.now - execution.paused_at).total_seconds() if execution.started_at is not None else 0.0
    return {"paused_at": None, "reason": None, "idle_seconds": execution.idle_seconds + idle}
