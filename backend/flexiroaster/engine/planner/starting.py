"""A new execution."""

from __future__ import annotations

from flexiroaster.engine.draft import Draft
from flexiroaster.engine.events import EventType
from flexiroaster.engine.join import Verdict, verdict
from flexiroaster.engine.planner.finishing import finish_if_done
from flexiroaster.engine.planner.moves import make_ready
from flexiroaster.engine.runs import Key, StageRun


def start(draft: Draft) -> None:
    """A new execution: every stage run gets its row, those that need nothing are ready."""
    for stage in draft.plan.stages:
        draft.put(StageRun(key=Key(stage.position), needs_left=len(stage.needs)))
    draft.emit(EventType.EXECUTION_QUEUED)
    for stage in draft.plan.stages:
        if verdict(stage.join, len(stage.needs), len(stage.needs), 0, 0) is Verdict.RUN:
            make_ready(draft, draft.run(Key(stage.position)))
    finish_if_done(draft)
