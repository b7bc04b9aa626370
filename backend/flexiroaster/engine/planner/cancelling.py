"""One stage, or one item of a foreach stage, is cancelled alone: the execution goes on without it.

It ends as cancelled, which those that need it take for a failure: what `join` allows still runs. The execution cannot
succeed any more, and ends as cancelled once the rest of it has ended, unless something fails. An item's stage counts it
as one that did not succeed.
"""

from __future__ import annotations

from flexiroaster.engine.draft import Draft
from flexiroaster.engine.events import EventType
from flexiroaster.engine.planner import foreach
from flexiroaster.engine.planner.finishing import finish_if_done
from flexiroaster.engine.planner.moves import Ending, end
from flexiroaster.engine.runs import Key, StageRun
from flexiroaster.engine.state import StageStatus

S = StageStatus


def cancel_stage(draft: Draft, key: Key, reason: str) -> None:
    """Nothing happens to one that has ended, or is being stopped already. What does not run ends at once."""
    run = draft.run(key)
    if run.final or run.status is S.CANCELLING:
        return
    if foreach.runs_items(run):
        _cancel_items(draft, key, reason)
    elif run.status is S.RUNNING:
        draft.change(run, status=S.CANCELLING, reason=reason)
        draft.to_stop.append(key)
    else:
        end(draft, Ending(run, S.CANCELLED, reason=reason))
    if draft.run(key).status is S.CANCELLING:
        draft.emit(EventType.STAGE_CANCELLING, key, status=S.CANCELLING.value, reason=reason)
    finish_if_done(draft)


def cancel_item(draft: Draft, run: StageRun, reason: str) -> None:
    """Of one that is not in memory: `run` is as the store has it, where it waits to be handed out."""
    if run.final:
        return
    foreach.bring(draft, run)
    cancel_stage(draft, run.key, reason)


def _cancel_items(draft: Draft, key: Key, reason: str) -> None:
    for ended, why in foreach.stop(draft, key.position, reason):
        end(draft, Ending(ended, S.CANCELLED, reason=why))
