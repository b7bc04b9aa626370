"""A stage that is not done and holds no worker: it begins to wait, what it waits for happens, its time comes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flexiroaster.engine.draft import Draft
from flexiroaster.engine.errors import StageError
from flexiroaster.engine.events import EventType
from flexiroaster.engine.outcome import Failed, Outcome, Succeeded, Waiting, WaitsFor
from flexiroaster.engine.planner.moves import RELEASED, goes_on, make_ready
from flexiroaster.engine.planner.queueing import expire
from flexiroaster.engine.runs import Key, StageRun
from flexiroaster.engine.state import ExecutionStatus, StageStatus

E = ExecutionStatus
S = StageStatus


def wait(draft: Draft, run: StageRun, outcome: Waiting) -> None:
    """The attempt goes on later."""
    until, reason = outcome.until, outcome.reason
    draft.change(
        run,
        status=S.WAITING,
        due_at=until,
        reason=reason,
        state=outcome.state,
        waits_for=outcome.waits_for,
        **RELEASED,
    )
    if outcome.quiet:
        return
    details: dict[str, Any] = {"status": S.WAITING.value, "reason": reason, "waits_for": outcome.waits_for.value}
    if until is not None:
        details["due_at"] = until.isoformat()
    draft.emit(EventType.STAGE_WAITING, run.key, **details)
    if outcome.waits_for is WaitsFor.APPROVAL:
        asked = {name: outcome.state.get(name) for name in ("message", "assignees")}
        draft.emit(EventType.APPROVAL_REQUESTED, run.key, **details, **asked)


def tell_decision(draft: Draft, run: StageRun, outcome: Outcome) -> None:
    """An approval ends: by a person's decision, or by what it means that nobody decided."""
    match outcome:
        case Succeeded(result=dict() as decision) | Failed(error=StageError(details={"decision": dict() as decision})):
            draft.emit(EventType.APPROVAL_DECIDED, run.key, status=run.status.value, **decision)
        case _:
            pass


def wake(draft: Draft, key: Key) -> None:
    """A retry or a wait is due, or the time is over that it may be ready without starting."""
    run = draft.find(key)
    execution = draft.execution
    if run is not None and run.status is S.QUEUED:
        expire(draft, key)
    if run is None or run.status not in (S.RETRYING, S.WAITING):
        return
    if execution.status is not E.PAUSED and goes_on(execution):
        make_ready(draft, run)


def signal(draft: Draft, key: Key, values: Mapping[str, Any], waits_for: WaitsFor) -> bool:
    """What a stage run waits for has happened: it goes on with these values in its state.

    Answers False, and changes nothing, when it does not wait for that (any more or yet).
    """
    run = draft.find(key)
    if run is None or run.waits_for is not waits_for or run.state is None or run.status not in (S.WAITING, S.QUEUED):
        return False
    run = draft.change(run, state={**run.state, **values})
    if run.status is S.WAITING:
        if draft.execution.status is not E.PAUSED:
            make_ready(draft, run)
        else:  # it is due when the execution goes on
            draft.change(run, due_at=draft.now)
    return True
