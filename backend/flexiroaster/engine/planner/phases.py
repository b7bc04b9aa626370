"""After the stages: what succeeded is undone, handlers run. Each begins when nothing of the one before is left."""

from __future__ import annotations

from flexiroaster.engine.draft import Draft
from flexiroaster.engine.events import EventType
from flexiroaster.engine.planner.moves import make_ready, start_afresh, starts_at_once, undo_next
from flexiroaster.engine.runs import Key, StageRun
from flexiroaster.engine.state import ExecutionStatus, Phase, StageStatus

E = ExecutionStatus
S = StageStatus

_PHASES = {
    E.SUCCESS: (Phase.ON_SUCCESS, Phase.FINALLY),
    E.FAILED: (Phase.COMPENSATION, Phase.ON_FAILURE, Phase.FINALLY),
    E.TIMED_OUT: (Phase.COMPENSATION, Phase.ON_FAILURE, Phase.FINALLY),
    E.CANCELLED: (Phase.COMPENSATION, Phase.FINALLY),
}
"""What follows on an execution that will end like this."""
_ORDER = {phase: place for place, phase in enumerate(Phase)}


def begin_next_phase(draft: Draft, outcome: ExecutionStatus) -> bool:
    """Answers False when no phase has anything left to do.

    An execution that ended before its first stage started has nothing to tidy up after; neither has one that was to
    be retried and got no place.
    """
    execution = draft.execution
    if execution.started_at is None or execution.waiting_since is not None or execution.alone:
        return False
    for phase in _PHASES[outcome]:
        if _ORDER[phase] > _ORDER[draft.execution.phase] and not _is_left_out(draft, phase):
            positions = _stages_of(draft, phase)
            if positions:
                _begin(draft, phase, positions, outcome)
                return True
    return False


def _status(draft: Draft, outcome: ExecutionStatus) -> ExecutionStatus:
    """Of an execution whose handlers run: one that was cancelled is so only when they have ended."""
    if outcome is E.CANCELLED:
        return E.CANCELLING
    return E.RUNNING if draft.execution.paused_at is None else E.PAUSED


def _is_left_out(draft: Draft, phase: Phase) -> bool:
    """Who cancels a compensation does not want the other handlers either, but what must happen happens."""
    return phase is Phase.ON_FAILURE and draft.execution.cancel_requested_at is not None


def _stages_of(draft: Draft, phase: Phase) -> tuple[int, ...]:
    positions = draft.plan.phases.get(phase, ())
    if phase is Phase.COMPENSATION:
        return tuple(position for position in positions if _is_to_be_undone(draft, position))
    return positions


def _is_to_be_undone(draft: Draft, position: int) -> bool:
    undone = draft.plan.stages[position].undoes
    assert undone is not None
    run = draft.run(Key(undone))
    another = run.reused_from or run.cached_from  # who did it, where it was not this execution: not ours to undo
    return run.status is S.SUCCESS and another is None


def _begin(draft: Draft, phase: Phase, positions: tuple[int, ...], outcome: ExecutionStatus) -> None:
    draft.change_execution(status=_status(draft, outcome), phase=phase, stopping_as=outcome)
    status = draft.execution.status.value
    draft.emit(EventType.EXECUTION_PHASE, status=status, outcome=outcome.value, stages=len(positions))
    for position in positions:
        needed = len(draft.plan.stages[position].needs)
        before = draft.find(Key(position))
        if before is None:
            draft.put(StageRun(Key(position), needs_left=needed))
        else:  # of the round before a retry
            start_afresh(draft, before, needs_left=needed)
    if phase is Phase.COMPENSATION:
        undo_next(draft)
        return
    for position in positions:
        if starts_at_once(draft.plan.stages[position]):
            make_ready(draft, draft.run(Key(position)))
