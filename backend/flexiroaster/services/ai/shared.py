"""What executions of all pipelines wait for together, from what was recorded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from flexiroaster.ai.optimizer.advise import Advice
from flexiroaster.ai.optimizer.sharing import Scene, sharing
from flexiroaster.ai.runs import Run
from flexiroaster.engine.pipeline import WAITING_TYPES
from flexiroaster.services.ai.history import STATUS, Story
from flexiroaster.store import ended_runs, gates, workers
from flexiroaster.store.database import Database

MOST_ITEMS = 50_000
"""Of foreach stages: with more, the newest executions have to do."""
READ_AT_ONCE = 50


def shared_by_all(database: Database, stories: Sequence[Story], documents: Mapping[str, Mapping[str, Any]]) -> Advice:
    """`documents` are the newest definitions by pipeline."""
    known = [story for story in stories if story.seen.pipeline_id in documents]
    with database.read() as connection:
        slots = {row.name: row.slots for row in gates.all_pools(connection) if row.slots is not None}
        size = _workers(workers.all_workers(connection))
    return sharing(_with_items(database, known, documents), Scene(documents, slots, size))


def _workers(rows: Iterable[workers.WorkerRow]) -> int | None:
    """How many stages run at once. None where nobody works now, or where some are for certain pools alone."""
    alive = [row for row in rows if row.lost_at is None and row.stopping_at is None and row.concurrency > 0]
    if not alive or any(row.pools is not None for row in alive):
        return None
    return sum(row.concurrency for row in alive)


def _with_items(
    database: Database, stories: Sequence[Story], documents: Mapping[str, Mapping[str, Any]]
) -> Iterator[Run]:
    """From the newest on, as long as there are not too many items."""
    fans = {id for id, document in documents.items() if any(map(_takes_slots_by_item, document["stages"]))}
    left = MOST_ITEMS
    for first in range(len(stories), 0, -READ_AT_ONCE):
        some = stories[max(first - READ_AT_ONCE, 0) : first]
        wanted = {story.seen.id: story for story in some if story.seen.pipeline_id in fans}
        if wanted:
            with database.read() as connection:
                items = ended_runs.items_in_pools(connection, list(wanted), left + 1)
            left -= len(items)
            if left < 0:
                return
            yield from (_item(wanted[one.execution_id], one) for one in items if _works(wanted[one.execution_id], one))
        for story in some:
            yield from story.runs


def _takes_slots_by_item(stage: Mapping[str, Any]) -> bool:
    return bool(stage.get("foreach")) and bool(stage.get("pool"))


def _works(story: Story, one: ended_runs.ItemSeen) -> bool:
    """An item that waits holds no slot meanwhile."""
    sketch = story.version.stages.get(one.stage)
    return sketch is None or sketch.type not in WAITING_TYPES


def _item(story: Story, one: ended_runs.ItemSeen) -> Run:
    sketch = story.version.stages.get(one.stage)
    return Run(
        execution=one.execution_id,
        pipeline=story.seen.pipeline_id,
        started_at=one.started_at.timestamp(),
        stage=one.stage,
        item=str(one.idx),
        queued_at=None if one.ready_at is None else one.ready_at.timestamp(),
        ended_at=one.ended_at.timestamp(),
        status=STATUS.get(one.status, ""),
        trigger=story.seen.trigger,
        pool=one.pool,
        needs=() if sketch is None else sketch.needs,
    )
