"""Items of foreach stages on their way from the store into memory, and out of it again."""

from __future__ import annotations

from flexiroaster.engine.draft import Draft
from flexiroaster.engine.planner import foreach
from flexiroaster.services.live import Live
from flexiroaster.store import items as rows
from flexiroaster.store.database import Transaction


def hand_out(tx: Transaction, live: Live, draft: Draft) -> None:
    """Make as many items ready as there is room for. Cheap where there is none; safe to call again."""
    for position in foreach.under_way(draft):
        count = foreach.room(draft, position)
        if count:
            after = draft.group(position).after
            found = rows.queued(tx, draft.execution.id, position, after=after, limit=count)
            live.items.update((run.key, value) for run, value in found)
            foreach.hand_out(draft, position, [run for run, _ in found])


def forget_ended(live: Live, draft: Draft) -> None:
    """After `draft.apply`: the values of items that are no longer in memory."""
    for key in draft.runs:
        if key.index and key not in live.state.runs:
            live.items.pop(key, None)
