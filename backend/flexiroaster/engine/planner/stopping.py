"""Cancel and timeout of an execution."""

from __future__ import annotations

from flexiroaster.engine.draft import Draft
from flexiroaster.engine.errors import StageError
from flexiroaster.engine.events import EventType
from flexiroaster.engine.planner.finishing import finish_if_done
from flexiroaster.engine.planner.moves import announce_end
from flexiroaster.engine.state import EXECUTION_FINAL, STAGE_FINAL, ExecutionStatus, StageStatus

E = ExecutionStatus
S = StageStatus


def cancel(draft: Draft, reason: str) -> None:
    """Nothing new starts; what runs is told to stop and the execution ends when it has."""
    _stop(draft, E.CANCELLED, reason)


def time_out(draft: Draft) -> None:
    """The execution's own timeout has passed."""
    if draft.execution.status in EXECUTION_FINAL or draft.execution.status is E.CANCELLING:
        return
    seconds = draft.plan.timeout.total_seconds() if draft.plan.timeout else 0
    reason = f"the execution's timeout of {seconds:g} s has passed"
    error = StageError(f"T{reason[1:]}.", code="execution_timeout", kind="timeout")
    draft.change_execution(error=error)
    _stop(draft, E.TIMED_OUT, reason)


def _stop(draft: Draft, final: ExecutionStatus, reason: str) -> None:
    execution = draft.execution
    if execution.status in EXECUTION_FINAL or execution.status is E.CANCELLING:
        return
    draft.change_execution(status=E.CANCELLING, reason=reason, cancel_requested_at=draft.now, stopping_as=final)
    for key in list(draft.state.runs):
        run = draft.run(key)
        if run.status is S.RUNNING:
            draft.change(run, status=S.CANCELLING, reason=reason)
            draft.to_stop.append(key)
        elif run.status not in STAGE_FINAL and run.status is not S.CANCELLING:
            ended = draft.change(
                run,
                status=S.CANCELLED,
                reason=reason,
                ended_at=draft.now,
                due_at=None,
                state=None,
                waits_for=None,
            )
            announce_end(draft, ended)
    if not finish_if_done(draft):
        draft.emit(EventType.EXECUTION_CANCELLING, status=E.CANCELLING.value, reason=reason)
