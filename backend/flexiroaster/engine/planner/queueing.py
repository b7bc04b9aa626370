"""A stage run that is ready and cannot start: for want of a worker, a slot of its pool, or its rate."""

from __future__ import annotations

from collections.abc import Iterator

from flexiroaster.engine.draft import Draft
from flexiroaster.engine.duration import format_duration
from flexiroaster.engine.errors import StageError
from flexiroaster.engine.events import EventType
from flexiroaster.engine.plan import Plan
from flexiroaster.engine.planner.finishing import finish_if_done
from flexiroaster.engine.planner.moves import Ending, end
from flexiroaster.engine.runs import Key, StageRun
from flexiroaster.engine.state import ExecutionStatus, StageStatus

E = ExecutionStatus
S = StageStatus


def has_gate(plan: Plan, key: Key) -> bool:
    """Whether it may need a slot or a rate. The own run of a foreach stage does not: its items do."""
    stage = plan.stages[key.position]
    return stage.gated and (stage.items is None or key.index > 0)


def slots_taken(draft: Draft, pool: str) -> int:
    """Slots of a pool that a draft takes, less those that it gives back; call it before it is applied."""
    return sum(change for used, change in _slots(draft) if used == pool)


def slots_freed(draft: Draft) -> dict[str, int]:
    """How many slots of which pools a draft gives back; call it before it is applied."""
    freed: dict[str, int] = {}
    for pool, change in _slots(draft):
        if change < 0:
            freed[pool] = freed.get(pool, 0) + 1
    return freed


def _slots(draft: Draft) -> Iterator[tuple[str, int]]:
    for key, run in draft.runs.items():
        pool = draft.plan.stages[key.position].pool
        if pool is not None and has_gate(draft.plan, key):
            yield pool, _holds(run) - _holds(draft.state.runs.get(key))


def _holds(run: StageRun | None) -> bool:
    return run is not None and run.lease_owner is not None


def hold_back(draft: Draft, key: Key, reason: str) -> None:
    """It stays queued, and says why. Of items, of which there may be thousands, nothing is announced."""
    run = draft.run(key)
    if run.reason == reason:
        return
    is_news = run.reason is None and not key.index
    draft.change(run, reason=reason)
    if is_news:
        draft.emit(EventType.STAGE_WAITING, key, status=S.QUEUED.value, reason=reason)


def expire(draft: Draft, key: Key) -> None:
    """It has been ready for longer than its queue timeout; a pause of the execution does not count."""
    run = draft.run(key)
    timeout = draft.plan.stages[key.position].queue_timeout
    if run.status is not S.QUEUED or draft.execution.status is E.PAUSED or timeout is None:
        return
    reason = run.reason or "waiting for a worker"
    message = f"It did not start within its queue_timeout of {format_duration(timeout)}: it was {reason}."
    end(draft, Ending(run, S.TIMED_OUT, StageError(message, code="queue_timeout", kind="timeout"), reason=reason))
    finish_if_done(draft)
