"""Decides what follows from what happened: values in, values out.

Every function takes a `Draft` (the plan of the version, the state as last committed, the time) and leaves in it the
changed execution, stage runs and events. Nothing here knows a clock, chance, network, disk or log. Only the runs a
decision touches are looked at, so its cost does not grow with the pipeline.
"""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple, assert_never

from flexiroaster.engine.draft import Draft, IllegalMove
from flexiroaster.engine.errors import StageError
from flexiroaster.engine.events import EventType
from flexiroaster.engine.join import Verdict, verdict
from flexiroaster.engine.outcome import Cancelled, Failed, Outcome, Skipped, Succeeded, Waiting
from flexiroaster.engine.plan import Plan, PlannedStage
from flexiroaster.engine.retry import MAX_LOST, retry_delay
from flexiroaster.engine.runs import EndedAttempt, ExecutionState, Key, StageRun
from flexiroaster.engine.state import (
    EXECUTION_FINAL,
    RETRYABLE_EXECUTIONS,
    STAGE_FINAL,
    ExecutionStatus,
    StageStatus,
)

__all__ = [
    "IllegalMove",
    "cancel",
    "claim",
    "fail_outputs",
    "is_current",
    "lose",
    "needing_another_run",
    "record",
    "release",
    "retry",
    "start",
    "time_out",
    "wake",
]

E = ExecutionStatus
S = StageStatus

_FAILED = frozenset({S.FAILED, S.TIMED_OUT, S.CANCELLED})
_HELD = frozenset({S.RUNNING, S.CANCELLING})
_OPEN = frozenset({E.QUEUED, E.RUNNING})


def start(draft: Draft) -> None:
    """A new execution: every stage run gets its row, those that need nothing are ready."""
    for stage in draft.plan.stages:
        draft.put(StageRun(key=Key(stage.position), needs_left=len(stage.needs)))
    draft.emit(EventType.EXECUTION_QUEUED)
    for stage in draft.plan.stages:
        if verdict(stage.join, len(stage.needs), len(stage.needs), 0, 0) is Verdict.RUN:
            _make_ready(draft, draft.run(Key(stage.position)))
    _finish_if_done(draft)


def claim(draft: Draft, key: Key, owner: str, lease_until: datetime) -> StageRun | None:
    """Hand a ready stage run to a worker; None when it is no longer to be had.

    A stage run that waited goes on with its attempt, every other claim is a new one.
    """
    run = draft.run(key)
    if run.status is not S.QUEUED or draft.execution.status not in _OPEN:
        return None
    if draft.execution.status is E.QUEUED:
        draft.change_execution(status=E.RUNNING, started_at=draft.now)
        draft.emit(EventType.EXECUTION_STARTED, status=E.RUNNING.value)
    resumed = run.state is not None
    claimed = draft.change(
        run,
        status=S.RUNNING,
        attempt=run.attempt if resumed else run.attempt + 1,
        lease_owner=owner,
        lease_until=lease_until,
        started_at=run.started_at if resumed else draft.now,
        reason=None,
        error=None,
    )
    if not resumed:
        draft.emit(EventType.STAGE_STARTED, key, attempt=claimed.attempt, status=S.RUNNING.value)
    return claimed


def is_current(draft: Draft, key: Key, attempt: int, owner: str) -> bool:
    """Whether this worker still holds this attempt. An answer that comes later than that changes nothing."""
    run = draft.run(key)
    return run.status in _HELD and run.attempt == attempt and run.lease_owner == owner


def record(draft: Draft, key: Key, outcome: Outcome, chance: float) -> None:
    """What follows when the current attempt has ended. `chance` in [0, 1) spreads retries."""
    run = draft.run(key)
    if run.status is S.CANCELLING:
        _record_cancelled(draft, run, outcome)
        return
    match outcome:
        case Succeeded(rows=rows, bytes=size):
            _end(draft, _Ending(run, S.SUCCESS, rows=rows, bytes=size))
        case Skipped(reason=reason):
            _end(draft, _Ending(run, S.SKIPPED, reason=reason))
        case Cancelled(reason=reason):
            _end(draft, _Ending(run, S.CANCELLED, reason=reason))
        case Waiting(until=until, reason=reason, state=remembered):
            draft.change(run, status=S.WAITING, due_at=until, reason=reason, state=remembered, **_RELEASED)
            draft.emit(EventType.STAGE_WAITING, key, status=S.WAITING.value, reason=reason, due_at=until.isoformat())
        case Failed(error=error):
            _record_failure(draft, run, error, chance)
        case _:
            assert_never(outcome)


def wake(draft: Draft, key: Key) -> None:
    """A retry or a wait is due."""
    run = draft.run(key)
    if run.status in (S.RETRYING, S.WAITING) and draft.execution.status is E.RUNNING:
        _make_ready(draft, run)


def lose(draft: Draft, key: Key) -> None:
    """The worker of a running stage run is gone: try again, but not for ever."""
    run = draft.run(key)
    if run.status is S.CANCELLING:
        _end(draft, _Ending(run, S.CANCELLED, reason=run.reason))
        return
    if run.status is not S.RUNNING:
        return
    lost = run.lost + 1
    if lost >= MAX_LOST:
        message = f"The worker was lost {lost} times while running this stage, so it is not tried again."
        suggestion = "Look for what kills the process: memory, a crash in native code, a machine that restarts."
        error = StageError(message, code="worker_lost", kind="lost", suggestion=suggestion)
        _end(draft, _Ending(draft.change(run, lost=lost), S.FAILED, error))
        return
    error = StageError("The worker stopped while running this stage.", code="worker_lost", kind="lost")
    _again(draft, run, error, f"restarted after its worker stopped (lost {lost} of {MAX_LOST})", lost=lost)


def release(draft: Draft, key: Key) -> None:
    """Its worker hands a running stage run back because it stops: tried again at once, not counted as lost."""
    run = draft.run(key)
    if run.status is S.CANCELLING:
        _end(draft, _Ending(run, S.CANCELLED, reason=run.reason))
    elif run.status is S.RUNNING:
        reason = "restarted after the server stopped"
        error = StageError("The server stopped while this stage was running.", code="server_stopped", kind="lost")
        _again(draft, run, error, reason, lost=run.lost)


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


def fail_outputs(draft: Draft, error: StageError) -> None:
    """The stages succeeded, but what the execution was to answer cannot be made: it ends as failed instead."""
    completed = draft.take_back()
    draft.execution = replace(draft.execution, status=E.FAILED, error=error)
    payload = {**completed.payload, "status": E.FAILED.value, "error": error.to_json()}
    draft.emit(EventType.EXECUTION_FAILED, **payload)


def needing_another_run(plan: Plan, state: ExecutionState) -> set[int]:
    """Positions that a retry runs again: what did not succeed, and all that depends on it."""
    unsuccessful = {run.key.position for run in state.runs.values() if run.status in _FAILED or not run.final}
    return plan.downstream(unsuccessful)


def retry(draft: Draft) -> None:
    """The same execution goes on from where it failed; what succeeded is kept."""
    execution = draft.execution
    if execution.status not in RETRYABLE_EXECUTIONS:
        raise IllegalMove(f"an execution that is {execution.status} cannot be retried")
    again = needing_another_run(draft.plan, draft.state)
    keys = [key for key in draft.state.runs if key.position in again]
    draft.change_execution(
        status=E.RUNNING,
        retries=execution.retries + 1,
        ended_at=None,
        error=None,
        failed_stage=None,
        reason=None,
        cancel_requested_at=None,
        timeout_at=draft.now + draft.plan.timeout if draft.plan.timeout else None,
    )
    draft.emit(EventType.EXECUTION_STARTED, status=E.RUNNING.value, retry=execution.retries + 1, stages=len(keys))
    for key in keys:
        _reset(draft, key, again)
    for key in keys:
        run = draft.run(key)
        if run.status is S.PENDING and (skip := _advance(draft, run)) is not None:
            _end(draft, skip)
    _finish_if_done(draft)


_RELEASED: dict[str, Any] = {"lease_owner": None, "lease_until": None}


def _reset(draft: Draft, key: Key, again: set[int]) -> None:
    run = draft.run(key)
    if run.attempt and run.status is not S.SKIPPED:
        _keep_attempt(draft, run, run.status, run.error)
    ended = [draft.run(Key(need)) for need in draft.plan.stages[key.position].needs if need not in again]
    values = _FRESH | {
        "spent": run.attempt,
        "needs_left": len(draft.plan.stages[key.position].needs) - len(ended),
        "needs_ok": sum(other.status is S.SUCCESS for other in ended),
    }
    draft.change(run, **values)
    draft.open += 1


_FRESH = {item.name: item.default for item in fields(StageRun) if item.name not in ("key", "attempt")}


def _make_ready(draft: Draft, run: StageRun) -> None:
    draft.change(run, status=S.QUEUED, ready_at=draft.now, due_at=None, reason=None)
    draft.ready.append(run.key)


def _record_failure(draft: Draft, run: StageRun, error: StageError, chance: float) -> None:
    policy = draft.plan.stages[run.key.position].retry
    tries = run.attempt - run.spent
    delay = retry_delay(policy, tries, error, chance)
    if delay is None:
        _end(draft, _Ending(run, S.TIMED_OUT if error.kind == "timeout" else S.FAILED, error))
        return
    _keep_attempt(draft, run, S.FAILED, error)
    due = draft.now + delay
    reason = f"attempt {tries} of {policy.max_attempts} failed, next try in {_spoken(delay)}"
    draft.change(run, status=S.RETRYING, reason=reason, error=error, due_at=due, state=None, **_RELEASED)
    draft.emit(
        EventType.STAGE_RETRYING,
        run.key,
        attempt=run.attempt,
        status=S.RETRYING.value,
        reason=reason,
        error=error.to_json(),
        due_at=due.isoformat(),
    )


def _record_cancelled(draft: Draft, run: StageRun, outcome: Outcome) -> None:
    """It was told to stop. If it finished first, its work is kept, but nothing follows from it."""
    if isinstance(outcome, Succeeded):
        _end(draft, _Ending(run, S.SUCCESS, rows=outcome.rows, bytes=outcome.bytes))
    else:
        _end(draft, _Ending(run, S.CANCELLED, reason=run.reason))


def _again(draft: Draft, run: StageRun, error: StageError, reason: str, *, lost: int) -> None:
    _keep_attempt(draft, run, S.FAILED, error)
    draft.change(run, status=S.QUEUED, lost=lost, spent=run.spent + 1, ready_at=draft.now, state=None, **_RELEASED)
    draft.emit(EventType.STAGE_RETRYING, run.key, attempt=run.attempt, status=S.QUEUED.value, reason=reason)
    draft.ready.append(run.key)


def _keep_attempt(draft: Draft, run: StageRun, status: StageStatus, error: StageError | None) -> None:
    draft.attempts.append(
        EndedAttempt(run.key, run.attempt, status, run.lease_owner, run.started_at, run.ended_at or draft.now, error)
    )


_ENDED_EVENTS = {
    S.SUCCESS: EventType.STAGE_COMPLETED,
    S.FAILED: EventType.STAGE_FAILED,
    S.TIMED_OUT: EventType.STAGE_FAILED,
    S.SKIPPED: EventType.STAGE_SKIPPED,
    S.CANCELLED: EventType.STAGE_CANCELLED,
}


class _Ending(NamedTuple):
    """A final state about to be given. `blocked`: skipped, but counted as failed by what needs it."""

    run: StageRun
    status: StageStatus
    error: StageError | None = None
    reason: str | None = None
    blocked: bool = False
    rows: int | None = None
    bytes: int | None = None


def _end(draft: Draft, first: _Ending) -> None:
    """Give a stage run its final state and tell those that need it; skips spread from here."""
    endings = [first]
    while endings:  # not recursion: a chain of 10,000 skips would not fit on the stack
        ending = endings.pop()
        run, status, error, reason, blocked, rows, size = ending
        _announce_end(
            draft,
            draft.change(
                run,
                status=status,
                error=error,
                reason=reason,
                rows=rows,
                bytes=size,
                ended_at=draft.now,
                due_at=None,
                state=None,
                lease_owner=None,
                lease_until=None,
            ),
        )
        stage = draft.plan.stages[run.key.position]
        if status is S.FAILED or status is S.TIMED_OUT:
            _blame(draft, stage, error)
        for position in stage.successors:
            run = _told(draft, Key(position), ok=status is S.SUCCESS, failed=blocked or status in _FAILED)
            if run.status is S.PENDING and (skip := _advance(draft, run)) is not None:
                endings.append(skip)
    _finish_if_done(draft)


def _announce_end(draft: Draft, ended: StageRun) -> None:
    details: dict[str, Any] = {"attempt": ended.attempt, "status": ended.status.value}
    if ended.started_at is not None and ended.ended_at is not None:
        details["duration_seconds"] = (ended.ended_at - ended.started_at).total_seconds()
    for name in ("rows", "bytes", "reason"):
        value = getattr(ended, name)
        if value is not None:
            details[name] = value
    if ended.error is not None:
        details["error"] = ended.error.to_json()
    draft.emit(_ENDED_EVENTS[ended.status], ended.key, **details)
    draft.open -= 1


def _told(draft: Draft, key: Key, *, ok: bool, failed: bool) -> StageRun:
    """Count one ended need of a stage run."""
    run = draft.run(key)
    return draft.change(
        run, needs_left=run.needs_left - 1, needs_ok=run.needs_ok + ok, needs_failed=run.needs_failed + failed
    )


def _advance(draft: Draft, run: StageRun) -> _Ending | None:
    """Make a pending stage run ready if its join allows; answers its skip when that is what follows."""
    if draft.execution.status not in _OPEN:
        return None
    stage = draft.plan.stages[run.key.position]
    result = verdict(stage.join, len(stage.needs), run.needs_left, run.needs_ok, run.needs_failed)
    match result:
        case Verdict.WAIT:
            return None
        case Verdict.RUN:
            _make_ready(draft, run)
            return None
        case Verdict.SKIP | Verdict.BLOCK:
            blocked = result is Verdict.BLOCK
            return _Ending(run, S.SKIPPED, reason=_why_skipped(draft, stage, blocked), blocked=blocked)
        case _:
            assert_never(result)


def _why_skipped(draft: Draft, stage: PlannedStage, blocked: bool) -> str:
    """Names the needed stage that decided, as the user knows it."""
    for position in stage.needs:
        need = draft.run(Key(position))
        name = draft.plan.stages[position].id
        if blocked and need.status in _FAILED:
            return f"needs {name}, which {_ENDED_WORDS[need.status]}"
        if blocked and need.status is S.SKIPPED and need.needs_failed:
            return f"needs {name}, which did not run"
    if blocked:
        return "a stage it needs did not run"
    return f"join is {stage.join.value}, and the stages it needs did not end that way"


_ENDED_WORDS = {S.FAILED: "failed", S.TIMED_OUT: "timed out", S.CANCELLED: "was cancelled"}


def _blame(draft: Draft, stage: PlannedStage, error: StageError | None) -> None:
    """The execution's cause is the failed stage that comes first in the graph."""
    blamed = draft.execution.failed_stage
    if blamed is None or stage.rank < draft.plan.rank_of(blamed):
        draft.change_execution(failed_stage=stage.id, error=error)


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
            ended = draft.change(run, status=S.CANCELLED, reason=reason, ended_at=draft.now, due_at=None, state=None)
            _announce_end(draft, ended)
    if not _finish_if_done(draft):
        draft.emit(EventType.EXECUTION_CANCELLING, status=E.CANCELLING.value, reason=reason)


_EXECUTION_EVENTS = {
    E.SUCCESS: EventType.EXECUTION_COMPLETED,
    E.FAILED: EventType.EXECUTION_FAILED,
    E.CANCELLED: EventType.EXECUTION_CANCELLED,
    E.TIMED_OUT: EventType.EXECUTION_TIMED_OUT,
}


def _finish_if_done(draft: Draft) -> bool:
    execution = draft.execution
    if draft.open > 0 or execution.status in EXECUTION_FINAL:
        return False
    if execution.status is E.CANCELLING:
        status = execution.stopping_as or E.CANCELLED
    else:
        status = E.FAILED if execution.failed_stage else E.SUCCESS
    draft.change_execution(status=status, ended_at=draft.now)
    details: dict[str, Any] = {"status": status.value}
    if execution.error is not None:
        details["error"] = execution.error.to_json()
    if execution.failed_stage is not None:
        details["failed_stage"] = execution.failed_stage
    if execution.reason is not None:
        details["reason"] = execution.reason
    if execution.started_at is not None:
        details["duration_seconds"] = (draft.now - execution.started_at).total_seconds()
    draft.emit(_EXECUTION_EVENTS[status], **details)
    return True


def _spoken(delay: timedelta) -> str:
    seconds = delay.total_seconds()
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
