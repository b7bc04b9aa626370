"""A new execution."""

from __future__ import annotations

from flexiroaster.engine.draft import Draft
from flexiroaster.engine.events import EventType
from flexiroaster.engine.planner.finishing import finish_if_done
from flexiroaster.engine.planner.moves import make_ready, starts_at_once
from flexiroaster.engine.runs import Key, StageRun
from flexiroaster.engine.state import StageStatus


def start(draft: Draft) -> None:
    """A new execution: every stage gets its row, those that need nothing are ready; handlers come later.

    One that waits for its place has nothing ready before it is admitted.
    """
    stages = draft.plan.stages[: draft.plan.main]
    for stage in stages:
        draft.put(StageRun(Key(stage.position), StageStatus.PENDING, 0, 0, 0, len(stage.needs)))
    if draft.execution.waiting_since is not None:
        draft.emit(EventType.EXECUTION_QUEUED, reason=draft.execution.reason)
        return
    draft.emit(EventType.EXECUTION_QUEUED)
    for stage in stages:
        if starts_at_once(stage):
            make_ready(draft, draft.run(Key(stage.position)))
    finish_if_done(draft)
