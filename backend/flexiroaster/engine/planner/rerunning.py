"""A new execution that takes over what an earlier one has done."""

from __future__ import annotations

from typing import Any

from flexiroaster.engine.draft import Draft
from flexiroaster.engine.events import EventType
from flexiroaster.engine.plan import PlannedStage
from flexiroaster.engine.planner.finishing import finish_if_done
from flexiroaster.engine.planner.moves import NOT_CHOSEN, advance, announce_end, end, is_not_chosen
from flexiroaster.engine.rerun import NOT_ASKED, Rerun
from flexiroaster.engine.runs import Key, StageRun
from flexiroaster.engine.state import StageStatus

S = StageStatus


def take_over(draft: Draft, rerun: Rerun) -> None:
    """Every stage gets its row: those that are reused, and those that nobody asked for, have ended already."""
    told: dict[str, Any] = {"rerun_of": rerun.of}
    if rerun.stage is not None:
        told["only_stage" if rerun.alone else "from_stage"] = rerun.stage
    draft.emit(EventType.EXECUTION_QUEUED, **told)
    main = draft.plan.stages[: draft.plan.main]
    for stage in sorted(main, key=lambda stage: stage.rank):
        left, ok = _told(draft, stage)
        run = StageRun(key=Key(stage.position), needs_left=left, needs_ok=ok)
        draft.put(run)
        _end(draft, run, rerun)


def begin(draft: Draft) -> None:
    """What the taken over stages allow is ready."""
    for stage in draft.plan.stages[: draft.plan.main]:
        run = draft.run(Key(stage.position))
        if run.status is S.PENDING and (skip := is_not_chosen(draft, run) or advance(draft, run)) is not None:
            end(draft, skip)
    finish_if_done(draft)


def _end(draft: Draft, run: StageRun, rerun: Rerun) -> None:
    """As it was born: no move leads from one state to the other."""
    position = run.key.position
    earlier = rerun.reused.get(position)
    if earlier is not None:
        run.status, run.reused_from, run.reason = earlier.status, earlier.executed_by, earlier.reason
        run.rows, run.bytes, run.state = earlier.rows, earlier.bytes, earlier.state
    elif position in rerun.not_asked:
        run.status, run.reason = S.SKIPPED, NOT_ASKED
    else:
        return
    run.ended_at = draft.now
    announce_end(draft, run)
    if earlier is not None:
        draft.events[-1].payload["reused_from"] = earlier.executed_by


def _told(draft: Draft, stage: PlannedStage) -> tuple[int, int]:
    """How many of the stages it needs have not ended, and how many succeeded; none of them has failed."""
    needs = [draft.run(Key(need)) for need in stage.needs]
    left = sum(not need.final for need in needs)
    return left, sum(need.status is S.SUCCESS and not _passed_over(need, stage) for need in needs)


def _passed_over(need: StageRun, stage: PlannedStage) -> bool:
    return need.state is not None and stage.id in need.state.get(NOT_CHOSEN, ())
