"""A stage that is run again until its result is as wished: each time is an attempt, and none counts as a retry."""

from __future__ import annotations

from typing import Any

from flexiroaster.engine.draft import Draft
from flexiroaster.engine.errors import StageError
from flexiroaster.engine.events import EventType
from flexiroaster.engine.outcome import Succeeded
from flexiroaster.engine.planner.moves import RELEASED, Ending, end, keep_attempt, make_ready, spoken
from flexiroaster.engine.runs import StageRun
from flexiroaster.engine.state import StageStatus
from flexiroaster.engine.summary import summarise

S = StageStatus

_SHOWN_BYTES = 2_000
"""Of the last result, in the error of a stage that was repeated in vain."""


def repeat(draft: Draft, run: StageRun, outcome: Succeeded) -> None:
    """It succeeded, and its `until` does not hold yet."""
    policy = draft.plan.stages[run.key.position].repeat
    assert policy is not None
    done = run.iterations + 1
    run = draft.change(run, iterations=done)
    if done >= policy.max:
        end(draft, Ending(run, S.FAILED, _in_vain(done, outcome)))
        return
    keep_attempt(draft, run, S.SUCCESS, None)
    delay = policy.delay
    again = f"in {spoken(delay)}" if delay else "at once"
    reason = f"run {done} of at most {policy.max}: its `until` does not hold yet, again {again}"
    details: dict[str, Any] = {"reason": reason, "iteration": done, "max": policy.max}
    draft.change(run, spent=run.attempt, lost=0, state=None, waits_for=None, **RELEASED)
    if delay:
        due = draft.now + delay
        draft.change(run, status=S.WAITING, due_at=due, reason=reason)
        details["due_at"] = due.isoformat()
    else:
        make_ready(draft, run)
    status = draft.run(run.key).status.value
    draft.emit(EventType.STAGE_REPEATING, run.key, attempt=run.attempt, status=status, **details)


def _in_vain(done: int, outcome: Succeeded) -> StageError:
    return StageError(
        f"It was run {done} times, and its `until` did not hold after any of them.",
        code="repeated_in_vain",
        suggestion="Raise `max` or `delay` of its `repeat`, or look at the last result for what is missing.",
        details={"last_result": summarise(outcome.result, _SHOWN_BYTES)},
    )
