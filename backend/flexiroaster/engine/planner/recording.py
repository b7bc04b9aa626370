"""What follows when an attempt has ended."""

from __future__ import annotations

from typing import assert_never

from flexiroaster.engine.draft import Draft
from flexiroaster.engine.errors import StageError
from flexiroaster.engine.events import EventType
from flexiroaster.engine.outcome import (
    Cancelled,
    Expanded,
    Failed,
    Outcome,
    Skipped,
    Stopped,
    Succeeded,
    Waiting,
    WaitsFor,
)
from flexiroaster.engine.planner.finishing import finish_if_done
from flexiroaster.engine.planner.foreach import expand, is_lost_cause
from flexiroaster.engine.planner.moves import RELEASED, Ending, end, keep_attempt, spoken
from flexiroaster.engine.planner.repeating import repeat
from flexiroaster.engine.planner.stopping import stop_early
from flexiroaster.engine.planner.waiting import tell_decision, wait
from flexiroaster.engine.retry import retry_delay
from flexiroaster.engine.runs import Key, StageRun
from flexiroaster.engine.state import StageStatus

S = StageStatus


def record(draft: Draft, key: Key, outcome: Outcome, chance: float) -> None:
    """What follows when the current attempt has ended. `chance` in [0, 1) spreads retries."""
    _record(draft, draft.run(key), outcome, chance)
    finish_if_done(draft)


def _record(draft: Draft, run: StageRun, outcome: Outcome, chance: float) -> None:
    if run.status is S.CANCELLING:
        _record_cancelled(draft, run, outcome)
        return
    if run.waits_for is WaitsFor.APPROVAL:
        tell_decision(draft, run, outcome)
    match outcome:
        case Succeeded(again=True):
            repeat(draft, run, outcome)
        case Succeeded():
            _succeed(draft, run, outcome)
        case Skipped(reason=reason):
            end(draft, Ending(run, S.SKIPPED, reason=reason))
        case Cancelled(reason=reason):
            end(draft, Ending(run, S.CANCELLED, reason=_how(reason, outcome)))
        case Expanded():
            expand(draft, run, outcome)
        case Waiting():
            wait(draft, run, outcome)
        case Stopped():
            stop_early(draft, run, outcome)
        case Failed(error=error):
            _record_failure(draft, run, error, chance)
        case _:
            assert_never(outcome)


def _succeed(draft: Draft, run: StageRun, outcome: Succeeded) -> None:
    if outcome.cached_from is not None:
        take_over(draft, run, outcome)
        return
    if draft.plan.stages[run.key.position].repeat is not None:
        run = draft.change(run, iterations=run.iterations + 1)
    end(draft, Ending(run, S.SUCCESS, None, None, outcome.rows, outcome.bytes, outcome.not_chosen))


def take_over(draft: Draft, run: StageRun, outcome: Succeeded) -> None:
    """The result of an earlier execution stands for what the stage would have made."""
    run = draft.change(run, cached_from=outcome.cached_from)
    end(draft, Ending(run, S.SUCCESS, reason=outcome.reason, rows=outcome.rows, bytes=outcome.bytes))
    draft.tell_more(EventType.STAGE_COMPLETED, run.key, cached_from=outcome.cached_from)


def _record_failure(draft: Draft, run: StageRun, error: StageError, chance: float) -> None:
    stage = draft.plan.stages[run.key.position]
    policy = stage.retry
    tries = run.attempt - run.spent
    delay = retry_delay(policy, tries, error, chance)
    if stage.items is not None and (not run.key.index or is_lost_cause(draft, run.key)):
        delay = None  # its items are tried again, not the stage as a whole
    if delay is None:
        end(draft, Ending(run, S.TIMED_OUT if error.kind == "timeout" else S.FAILED, error))
        return
    keep_attempt(draft, run, S.FAILED, error)
    draft.leave(run)
    due = draft.now + delay
    reason = f"attempt {tries} of {policy.max_attempts} failed, next try in {spoken(delay)}"
    draft.change(run, status=S.RETRYING, reason=reason, error=error, due_at=due, state=None, waits_for=None, **RELEASED)
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
    """It was told to stop. If it finished first its work is kept; nothing follows from it where all is stopped."""
    if isinstance(outcome, Succeeded) and not outcome.again:
        _succeed(draft, run, outcome)
    else:
        end(draft, Ending(run, S.CANCELLED, reason=_how(run.reason or "cancelled", outcome)))


def _how(reason: str, outcome: Outcome) -> str:
    return f"{reason} (killed)" if isinstance(outcome, Cancelled) and outcome.killed else reason
