"""An execution is to end early: cancelled, out of time, or because a `stop` stage says so."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flexiroaster.engine.draft import Draft
from flexiroaster.engine.duration import format_duration
from flexiroaster.engine.errors import StageError
from flexiroaster.engine.events import EventType
from flexiroaster.engine.outcome import Stopped
from flexiroaster.engine.planner import foreach
from flexiroaster.engine.planner.finishing import finish_if_done
from flexiroaster.engine.planner.moves import Ending, announce_end, end
from flexiroaster.engine.planner.pausing import unpaused
from flexiroaster.engine.runs import Key, StageRun
from flexiroaster.engine.state import EXECUTION_FINAL, STAGE_FINAL, ExecutionStatus, Phase, StageStatus

E = ExecutionStatus
S = StageStatus


def cancel(draft: Draft, reason: str) -> None:
    """Nothing new starts; what runs is told to stop and the execution ends when it has.

    While handlers run, those are stopped: the execution ends as it was to, a success as cancelled. `finally` still
    follows, unless it is what is cancelled.
    """
    execution = draft.execution
    if execution.phase is Phase.MAIN or execution.stopping_as is E.SUCCESS:
        stop(draft, reason, stopping_as=E.CANCELLED, reason=reason, cancel_requested_at=draft.now)
    else:
        stop(draft, reason, cancel_requested_at=draft.now)


def time_out(draft: Draft) -> None:
    """The execution's own timeout has passed. It covers the stages, not the handlers, and no pause.

    Of one that waits for its place: its queue timeout.
    """
    execution = draft.execution
    if execution.phase is not Phase.MAIN or execution.status in (*EXECUTION_FINAL, E.CANCELLING, E.PAUSED):
        return
    if execution.waiting_since is not None:
        timeout = format_duration(draft.plan.queue_timeout or timedelta(0))
        reason = f"not run: its queue_timeout of {timeout} passed while {execution.reason}"
        error = StageError(f"N{reason[1:]}.", code="queue_timeout", kind="timeout")
    else:
        seconds = draft.plan.timeout.total_seconds() if draft.plan.timeout else 0
        reason = f"the execution's timeout of {seconds:g} s has passed"
        error = StageError(f"T{reason[1:]}.", code="execution_timeout", kind="timeout")
    stop(draft, reason, stopping_as=E.TIMED_OUT, reason=reason, error=error)


def stop_early(draft: Draft, run: StageRun, outcome: Stopped) -> None:
    """A `stop` stage: it ends as the execution will. A success it asks for cannot hide a stage that failed before, or
    was cancelled.
    """
    stage = draft.plan.stages[run.key.position].id
    ends_as = E(outcome.status)
    if ends_as is E.SUCCESS:
        ends_as = E.FAILED if draft.execution.failed_stage is not None else draft.execution.stopping_as or ends_as
    draft.change_execution(**unpaused(draft), status=E.CANCELLING, stopping_as=ends_as)
    if outcome.status == "failed":
        error = StageError(outcome.message or f"{stage} ended the execution.", code="stopped")
        end(draft, Ending(run, S.FAILED, error))
    else:
        reason = outcome.message or f"ended by {stage}"
        draft.change_execution(reason=reason)
        end(draft, Ending(run, S(outcome.status), reason=reason))
    why = f"{stage} ended the execution"
    if _halt(draft, why, not_begun=S.SKIPPED if outcome.status == "success" else S.CANCELLED):
        draft.emit(EventType.EXECUTION_CANCELLING, status=E.CANCELLING.value, reason=why)


def stop(draft: Draft, why: str, **changes: Any) -> None:
    """`changes` are to the execution."""
    execution = draft.execution
    if execution.status in EXECUTION_FINAL or (execution.status is E.CANCELLING and execution.phase is Phase.MAIN):
        return
    draft.change_execution(**{**unpaused(draft), "status": E.CANCELLING, **changes})
    _halt(draft, why)
    if not finish_if_done(draft):
        draft.emit(EventType.EXECUTION_CANCELLING, status=E.CANCELLING.value, reason=why)


def _halt(draft: Draft, why: str, not_begun: StageStatus = S.CANCELLED) -> bool:
    """Tell what runs to stop, end what does not; answers whether anything still runs."""
    running = False
    expanded = foreach.under_way(draft)
    for run in draft.every_run():
        if run.key.index or run.key.position in expanded:
            continue
        if run.status is S.RUNNING:
            draft.change(run, status=S.CANCELLING, reason=why)
            draft.to_stop.append(run.key)
        elif run.status not in STAGE_FINAL and run.status is not S.CANCELLING:
            status = S.CANCELLED if run.attempt else not_begun
            draft.leave(run)
            announce_end(
                draft,
                draft.change(
                    run, status=status, reason=why, ended_at=draft.now, due_at=None, state=None, waits_for=None
                ),
            )
        running = running or run.status is S.CANCELLING or run.status is S.RUNNING
    for position in expanded:
        for item, reason in foreach.stop(draft, position, why):
            end(draft, Ending(item, S.CANCELLED, reason=reason))
        running = running or draft.run(Key(position)).status is S.CANCELLING
    return running
