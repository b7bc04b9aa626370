"""An execution that waits for its place: it gets it, or does not begin at all."""

from __future__ import annotations

from flexiroaster.engine.draft import Draft
from flexiroaster.engine.errors import StageError
from flexiroaster.engine.events import EventType
from flexiroaster.engine.planner.rerunning import begin
from flexiroaster.engine.planner.stopping import stop
from flexiroaster.engine.state import ExecutionStatus

E = ExecutionStatus


def admit(draft: Draft) -> None:
    """It has a place: its timeout begins to count, what needs nothing is ready."""
    execution = draft.execution
    assert execution.waiting_since is not None
    waited = (draft.now - execution.waiting_since).total_seconds()
    draft.change_execution(
        waiting_since=None,
        reason=None,
        timeout_at=draft.now + draft.plan.timeout if draft.plan.timeout is not None else None,
        # Of one that is retried: it did not run meanwhile.
        idle_seconds=execution.idle_seconds + (waited if execution.started_at is not None else 0.0),
    )
    draft.emit(EventType.EXECUTION_ADMITTED, status=execution.status.value, waited_seconds=waited)
    begin(draft)


def turn_away(draft: Draft, reason: str, error: StageError | None = None) -> None:
    """It ends before it began: as failed with an error, otherwise as cancelled."""
    stop(draft, reason, stopping_as=E.CANCELLED if error is None else E.FAILED, reason=reason, error=error)
