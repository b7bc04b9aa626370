"""What workers do with a stage run: claim it, lose it, hand it back."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from flexiroaster.engine.draft import Draft
from flexiroaster.engine.errors import StageError
from flexiroaster.engine.events import EventType
from flexiroaster.engine.planner.finishing import finish_if_done
from flexiroaster.engine.planner.foreach import runs_items
from flexiroaster.engine.planner.moves import RELEASED, Ending, end, goes_on, keep_attempt
from flexiroaster.engine.retry import MAX_LOST
from flexiroaster.engine.runs import Key, StageRun
from flexiroaster.engine.state import ExecutionStatus, StageStatus

E = ExecutionStatus
S = StageStatus

_HELD = frozenset({S.RUNNING, S.CANCELLING})


def claim(draft: Draft, key: Key, owner: str, lease_until: datetime) -> StageRun | None:
    """Hand a ready stage run to a worker; None when it is no longer to be had.

    A stage run that waited goes on with its attempt, every other claim is a new one.
    """
    run = claimable(draft, key)
    if run is None:
        return None
    if draft.execution.status is E.QUEUED:
        draft.change_execution(status=E.RUNNING, started_at=draft.execution.started_at or draft.now)
        draft.emit(EventType.EXECUTION_STARTED, status=E.RUNNING.value)
    resumed = goes_on_with_attempt(run)
    claimed = draft.edit(run, S.RUNNING)
    claimed.lease_owner, claimed.lease_until = owner, lease_until
    claimed.due_at = claimed.reason = claimed.error = None
    if not resumed:
        claimed.attempt += 1
        claimed.started_at = draft.now
        draft.emit(EventType.STAGE_STARTED, key, attempt=claimed.attempt, status=S.RUNNING.value)
    return claimed


def claimable(draft: Draft, key: Key) -> StageRun | None:
    """The stage run, if a worker may have it now."""
    run, execution = draft.find(key), draft.execution
    if run is None or run.status is not S.QUEUED or execution.status is E.PAUSED or not goes_on(execution):
        return None
    return run


def goes_on_with_attempt(run: StageRun) -> bool:
    """Whether a claim is no new start, because its attempt only waited."""
    return run.state is not None and run.started_at is not None


def is_current(draft: Draft, key: Key, attempt: int, owner: str) -> bool:
    """Whether this worker still holds this attempt. An answer that comes later than that changes nothing."""
    run = draft.find(key)
    return run is not None and run.status in _HELD and run.attempt == attempt and run.lease_owner == owner


def lose(draft: Draft, key: Key, who: str = "worker") -> None:
    """`who` ran a stage run is gone: try again, but not for ever."""
    run = draft.run(key)
    if runs_items(run):
        return
    if run.status is S.CANCELLING:
        end(draft, Ending(run, S.CANCELLED, reason=run.reason))
        finish_if_done(draft)
        return
    if run.status is not S.RUNNING:
        return
    lost = run.lost + 1
    if lost >= MAX_LOST:
        message = f"The worker was lost {lost} times while running this stage, so it is not tried again."
        suggestion = "Look for what kills the process: memory, a crash in native code, a machine that restarts."
        error = StageError(message, code="worker_lost", kind="lost", suggestion=suggestion)
        end(draft, Ending(draft.change(run, lost=lost), S.FAILED, error))
        finish_if_done(draft)
        return
    error = StageError(f"The {who} stopped while running this stage.", code="worker_lost", kind="lost")
    _again(draft, run, error, f"{who} stopped", lost=lost)


class HandedBack(NamedTuple):
    """Why a worker hands back what it runs."""

    what: str
    code: str


SERVER_STOPPED = HandedBack("server stopped", "server_stopped")
DATABASE_SILENT = HandedBack("database did not answer", "database_unavailable")


def release(draft: Draft, key: Key, why: HandedBack = SERVER_STOPPED) -> None:
    """Its worker hands a running stage run back: tried again at once, not counted as lost."""
    run = draft.run(key)
    if run.status is S.CANCELLING:
        end(draft, Ending(run, S.CANCELLED, reason=run.reason))
        finish_if_done(draft)
    elif run.status is S.RUNNING:
        error = StageError(f"The {why.what} while this stage was running.", code=why.code, kind="lost")
        _again(draft, run, error, why.what, lost=run.lost)


def _again(draft: Draft, run: StageRun, error: StageError, what: str, *, lost: int) -> None:
    """What it waited for is not forgotten (a person's decision would be lost): the next attempt goes on from there."""
    reason = f"restarted after the {what} (attempt {run.attempt + 1})"
    keep_attempt(draft, run, S.FAILED, error)
    attempt = run.attempt if run.state is None else run.attempt + 1
    draft.change(run, status=S.QUEUED, attempt=attempt, lost=lost, spent=run.spent + 1, ready_at=draft.now, **RELEASED)
    draft.emit(EventType.STAGE_RETRYING, run.key, attempt=run.attempt, status=S.QUEUED.value, reason=reason)
    draft.ready.append(run.key)
