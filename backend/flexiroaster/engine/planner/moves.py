"""The steps that every decision is made of: a stage run becomes ready, ends, and tells those that need it."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any, NamedTuple, assert_never

from flexiroaster.engine.draft import Draft, Sweep
from flexiroaster.engine.errors import StageError
from flexiroaster.engine.events import EventType
from flexiroaster.engine.join import Verdict, verdict
from flexiroaster.engine.plan import PlannedStage
from flexiroaster.engine.planner import foreach
from flexiroaster.engine.runs import EndedAttempt, Execution, Key, StageRun
from flexiroaster.engine.state import ExecutionStatus, Phase, StageStatus

E = ExecutionStatus
S = StageStatus

FAILED = frozenset({S.FAILED, S.TIMED_OUT, S.CANCELLED})
OPEN = frozenset({E.QUEUED, E.RUNNING})
NOT_CHOSEN = "not_chosen"
"""In the state of a switch that has ended: the stages it decided against, for those that are retried later."""
RELEASED: dict[str, Any] = {"lease_owner": None, "lease_until": None}


def goes_on(execution: Execution) -> bool:
    """Whether stage runs may start, or become ready while it is paused. What runs after a cancel or a timeout are
    the handlers.
    """
    status = execution.status
    return status in OPEN or status is E.PAUSED or (status is E.CANCELLING and execution.phase is not Phase.MAIN)


def make_ready(draft: Draft, run: StageRun) -> None:
    timeout = draft.plan.stages[run.key.position].queue_timeout
    ready = draft.edit(run, S.QUEUED)
    ready.ready_at = draft.now
    ready.due_at = None if timeout is None else draft.now + timeout
    ready.reason = None
    draft.ready.append(ready.key)


def keep_attempt(draft: Draft, run: StageRun, status: StageStatus, error: StageError | None) -> None:
    draft.attempts.append(
        EndedAttempt(run.key, run.attempt, status, run.lease_owner, run.started_at, run.ended_at or draft.now, error)
    )


def start_afresh(draft: Draft, run: StageRun, **values: Any) -> None:
    """A stage run that has ended is to run again: its last attempt joins the history."""
    if run.attempt and run.status is not S.SKIPPED:
        keep_attempt(draft, run, run.status, run.error)
    draft.change(run, **{**_FRESH, "spent": run.attempt, **values})
    draft.open += 1


_FRESH = {item.name: item.default for item in fields(StageRun) if item.name not in ("key", "attempt")}


class Ending(NamedTuple):
    """A final state about to be given. `blocked`: skipped, but counted as failed by what needs it.

    `alone`: of a foreach item, that it does not end because of another one.
    """

    run: StageRun
    status: StageStatus
    error: StageError | None = None
    reason: str | None = None
    rows: int | None = None
    bytes: int | None = None
    not_chosen: frozenset[str] = frozenset()
    blocked: bool = False
    alone: bool = True


def end(draft: Draft, first: Ending) -> None:
    """Give a stage run its final state and tell those that need it; skips spread from here."""
    endings = [first]
    while endings:  # not recursion: a chain of 10,000 skips would not fit on the stack
        ending = endings.pop()
        run, status, error, reason, rows, size, not_chosen, blocked, alone = ending
        began = run.status is not S.PENDING
        if run.waits_for is not None:
            draft.leave(run)
        ended = draft.edit(run, status)
        ended.error = error
        ended.reason = reason
        ended.rows, ended.bytes = rows, size
        ended.ended_at = draft.now
        ended.due_at = ended.waits_for = ended.lease_owner = ended.lease_until = None
        ended.state = {NOT_CHOSEN: sorted(not_chosen)} if not_chosen else None
        announce_end(draft, ended)
        if run.key.index:
            also = foreach.item_ended(draft, run.key, status, alone=alone)
            endings += [Ending(other, S.CANCELLED, reason=why, alone=False) for other, why in also]
            continue
        stage = draft.plan.stages[run.key.position]
        if status is S.FAILED or status is S.TIMED_OUT:
            _blame(draft, stage, error)
        elif status is S.CANCELLED:
            _cannot_succeed(draft, stage)
        if stage.undoes is not None and began and goes_on(draft.execution):
            undo_next(draft)
        for position in stage.successors:
            passed_over = bool(not_chosen) and draft.plan.stages[position].id in not_chosen
            ok = status is S.SUCCESS and not passed_over
            run = _told(draft, Key(position), ok=ok, failed=blocked or status in FAILED)
            if run.status is S.PENDING:
                skip = _not_chosen(run, stage) if passed_over else advance(draft, run)
                if skip is not None:
                    endings.append(skip)


def is_not_chosen(draft: Draft, run: StageRun) -> Ending | None:
    """The skip of a stage run that a switch, of those that are not run again, has decided against."""
    stage = draft.plan.stages[run.key.position]
    for position in stage.needs:
        need = draft.run(Key(position))
        if need.status is S.SUCCESS and need.state is not None and stage.id in need.state.get(NOT_CHOSEN, ()):
            return _not_chosen(run, draft.plan.stages[position])
    return None


def _not_chosen(run: StageRun, switch: PlannedStage) -> Ending:
    return Ending(run, S.SKIPPED, reason=f"not chosen by {switch.id}")


_ENDED_EVENTS = {
    S.SUCCESS: EventType.STAGE_COMPLETED,
    S.FAILED: EventType.STAGE_FAILED,
    S.TIMED_OUT: EventType.STAGE_FAILED,
    S.SKIPPED: EventType.STAGE_SKIPPED,
    S.CANCELLED: EventType.STAGE_CANCELLED,
}


def announce_end(draft: Draft, ended: StageRun) -> None:
    details: dict[str, Any] = {"attempt": ended.attempt, "status": ended.status.value}
    if ended.started_at is not None and ended.ended_at is not None:
        details["duration_seconds"] = (ended.ended_at - ended.started_at).total_seconds()
    if ended.rows is not None:
        details["rows"] = ended.rows
    if ended.bytes is not None:
        details["bytes"] = ended.bytes
    if ended.reason is not None:
        details["reason"] = ended.reason
    if ended.error is not None:
        details["error"] = ended.error.to_json()
    draft.emit(_ENDED_EVENTS[ended.status], ended.key, **details)
    if not ended.key.index:
        draft.open -= 1
        if ended.status in FAILED and ended.attempt and draft.plan.stages[ended.key.position].items is not None:
            draft.sweeps.append(Sweep(ended.key.position, ended.reason or "its stage ended before"))


def _told(draft: Draft, key: Key, *, ok: bool, failed: bool) -> StageRun:
    """Count one ended need of a stage run."""
    run = draft.edit(draft.run(key))
    run.needs_left -= 1
    run.needs_ok += ok
    run.needs_failed += failed
    return run


def advance(draft: Draft, run: StageRun) -> Ending | None:
    """Make a pending stage run ready if its join allows; answers its skip when that is what follows."""
    if not goes_on(draft.execution):
        return None
    stage = draft.plan.stages[run.key.position]
    result = verdict(stage.join, len(stage.needs), run.needs_left, run.needs_ok, run.needs_failed)
    match result:
        case Verdict.WAIT:
            return None
        case Verdict.RUN:
            make_ready(draft, run)
            return None
        case Verdict.SKIP | Verdict.BLOCK:
            blocked = result is Verdict.BLOCK
            return Ending(run, S.SKIPPED, reason=_why_skipped(draft, stage, blocked), blocked=blocked)
        case _:
            assert_never(result)


def starts_at_once(stage: PlannedStage) -> bool:
    needed = len(stage.needs)
    return verdict(stage.join, needed, needed, 0, 0) is Verdict.RUN


def undo_next(draft: Draft) -> None:
    """Of what is still to be undone, the stage that succeeded last comes first."""
    left = [
        run
        for position in draft.plan.phases[Phase.COMPENSATION]
        if (run := draft.find(Key(position))) is not None and run.status is S.PENDING
    ]
    if left:
        make_ready(draft, max(left, key=lambda run: _completed(draft, run)))


def _completed(draft: Draft, run: StageRun) -> tuple[datetime, int]:
    """When the stage that this undoes had succeeded; of several in the same moment the later in the graph is last."""
    undone = draft.plan.stages[run.key.position].undoes
    assert undone is not None
    return draft.run(Key(undone)).ended_at or draft.now, draft.plan.stages[undone].rank


def _why_skipped(draft: Draft, stage: PlannedStage, blocked: bool) -> str:
    """Names the needed stage that decided, as the user knows it."""
    for position in stage.needs:
        need = draft.run(Key(position))
        name = draft.plan.stages[position].id
        if blocked and need.status in FAILED:
            return f"needs {name}, which {_ENDED_WORDS[need.status]}"
        if blocked and need.status is S.SKIPPED and need.needs_failed:
            return f"needs {name}, which did not run"
    if blocked:
        return "a stage it needs did not run"
    return f"join is {stage.join.value}, and the stages it needs did not end that way"


_ENDED_WORDS = {S.FAILED: "failed", S.TIMED_OUT: "timed out", S.CANCELLED: "was cancelled"}


def _blame(draft: Draft, stage: PlannedStage, error: StageError | None) -> None:
    """The execution's cause is the failed stage that comes first in the graph; of several there, the first to fail.

    A handler changes nothing but a success, which it takes away.
    """
    if stage.phase is not Phase.MAIN:
        if draft.execution.stopping_as is E.SUCCESS:
            draft.change_execution(stopping_as=E.FAILED, failed_stage=stage.id, error=error)
        return
    blamed = draft.execution.failed_stage
    if blamed is None or stage.rank < draft.plan.rank_of(blamed):
        draft.change_execution(failed_stage=stage.id, error=error)
    if draft.execution.stopping_as is E.CANCELLED and draft.execution.status is not E.CANCELLING:
        draft.change_execution(stopping_as=None)  # a failure says more than what was cancelled alone


def _cannot_succeed(draft: Draft, stage: PlannedStage) -> None:
    """A stage was cancelled alone. Where it was because all is stopped, how it ends is known."""
    execution = draft.execution
    if stage.phase is Phase.MAIN and execution.failed_stage is None and execution.stopping_as is None:
        draft.change_execution(stopping_as=E.CANCELLED)


def spoken(delay: timedelta) -> str:
    seconds = delay.total_seconds()
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
