"""What happened: executions, their stage runs, attempts, results and events, as they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol, TypeVar

import sqlalchemy as sa
import structlog
from pydantic import ValidationError

from flexiroaster.artifacts.port import ArtifactStore
from flexiroaster.engine.errors import Conflict, FlexiRoasterError, NotFound
from flexiroaster.engine.pipeline import Pipeline
from flexiroaster.engine.plurals import counted
from flexiroaster.engine.runs import stage_run_name
from flexiroaster.engine.state import RETRYABLE_EXECUTIONS, Phase
from flexiroaster.engine.summary import summarise
from flexiroaster.services.paging import Page, cut, decode, decode_moment
from flexiroaster.services.pipelines import name_of, needs_of, phased_stages
from flexiroaster.services.unserved import reasons
from flexiroaster.store import artifacts as artifact_store
from flexiroaster.store import children, load
from flexiroaster.store import executions as store
from flexiroaster.store import items as item_store
from flexiroaster.store import pipelines as pipeline_store
from flexiroaster.store.artifacts import ArtifactRow
from flexiroaster.store.children import LinkRow
from flexiroaster.store.database import Database
from flexiroaster.store.executions import (
    AttemptRow,
    EventRow,
    ExecutionFilter,
    ExecutionRow,
    FullExecutionRow,
    StageRunRow,
)
from flexiroaster.store.items import ItemRow
from flexiroaster.store.load import WaitRow

log = structlog.get_logger(__name__)

Explained = TypeVar("Explained", bound=ExecutionRow)

MOST_STAGE_RUNS = 2_000
"""Stage runs that an execution is shown with at once; more are read in pages."""
MOST_CHILDREN = 500
OUTLINES_KEPT = 32
RESULT_BYTES = 64 * 1024
ITEM_BYTES = 1_000
"""Of what an item is for, in a list of items."""


class RetryPlan(Protocol):
    """What a retry would do, by stage ids."""

    @property
    def reused(self) -> list[str]: ...

    @property
    def to_run(self) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class StageOutline:
    """What a version says of a stage. `foreach`: it runs once per item."""

    name: str
    needs: list[str]
    config: dict[str, Any]
    max_attempts: int
    foreach: bool = False
    phase: Phase = Phase.MAIN


class ExecutionEntry(NamedTuple):
    """An execution in a list; `counts` are its stage runs by state."""

    row: ExecutionRow
    counts: Mapping[str, int]


class StageRunEntry(NamedTuple):
    row: StageRunRow
    outline: StageOutline
    usual_seconds: float | None
    artifacts: list[ArtifactRow]
    items: Mapping[str, int] | None = None
    """Of a foreach stage: its items by state."""


class ItemEntry(NamedTuple):
    """An item of a foreach stage; `value` is what it is for, cut to a line or two."""

    row: ItemRow
    value: Any


class ExecutionPicture(NamedTuple):
    row: FullExecutionRow
    counts: Mapping[str, int]
    stages: list[StageRunEntry]
    usual_seconds: float | None
    retry: RetryPlan | None
    parent: LinkRow | None
    children: list[LinkRow]


class StageRunPicture(NamedTuple):
    entry: StageRunEntry
    attempts: list[AttemptRow]
    result: Any
    result_truncated: bool
    item: Any = None


class History:
    """`retry_plan` raises Conflict for an execution that cannot be retried."""

    def __init__(
        self,
        database: Database,
        artifacts: ArtifactStore,
        retry_plan: Callable[[str], RetryPlan],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._retry_plan = retry_plan
        self._outlines: dict[tuple[str, int], dict[str, StageOutline]] = {}
        self.now = clock

    def executions(self, wanted: ExecutionFilter, *, limit: int, cursor: str | None = None) -> Page[ExecutionEntry]:
        """The newest first. Raises NotFound when one pipeline is wanted that never was."""
        before = _execution_position(cursor) if cursor else None
        with self._database.read() as connection:
            rows = store.page(connection, wanted, before=before, limit=limit + 1)
            page = cut(rows, limit, lambda row: [row.created_at.isoformat(), row.id])
            counts = store.counts(connection, [row.id for row in page.items]) if page.items else {}
            unserved = reasons(connection, [row.id for row in page.items if _may_wait(row)], self.now())
            explained = [_explained(row, unserved.get(row.id)) for row in page.items]
            waits = load.waits(connection, [row.id for row in explained if _is_unexplained(row, counts[row.id])])
        return Page(
            [ExecutionEntry(_waiting(row, waits.get(row.id)), counts[row.id]) for row in explained], page.next_cursor
        )

    def of_pipeline(
        self, pipeline_id: str, *, statuses: Sequence[str] = (), limit: int, cursor: str | None = None
    ) -> Page[ExecutionEntry]:
        """Also of a deleted pipeline. Raises NotFound for one that never was."""
        page = self.executions(ExecutionFilter(pipeline_id=pipeline_id, statuses=statuses), limit=limit, cursor=cursor)
        if not page.items:
            with self._database.read() as connection:
                if pipeline_store.find(connection, pipeline_id) is None:
                    raise NotFound("pipeline", pipeline_id)
        return page

    def entry(self, id: str) -> ExecutionEntry:
        with self._database.read() as connection:
            row = _found(connection, id)
            unserved = self._unserved(connection, row)
            return ExecutionEntry(_explained(row, unserved), store.counts(connection, [id])[id])

    def execution(self, id: str) -> ExecutionPicture:
        """With its first `MOST_STAGE_RUNS` stage runs."""
        with self._database.read() as connection:
            row = _found(connection, id)
            unserved = self._unserved(connection, row)
            runs = store.stage_page(connection, id, limit=MOST_STAGE_RUNS)
            stages = self._entries(connection, row, _each_explained(runs, unserved))
            counts = store.counts(connection, [id])[id]
            usual = store.usual_seconds(connection, row.pipeline_id, row.number)
            parent = children.parent_of(connection, id) if row.parent_id else None
            started = children.children_of(connection, id, limit=MOST_CHILDREN)
        retry = self._retry_of(row)
        return ExecutionPicture(_explained(row, unserved), counts, stages, usual, retry, parent, started)

    def stages(
        self, id: str, *, statuses: Sequence[str] = (), limit: int, cursor: str | None = None
    ) -> Page[StageRunEntry]:
        after = int(decode(cursor, [int])[0]) if cursor else -1
        with self._database.read() as connection:
            row = _found(connection, id)
            rows = store.stage_page(connection, id, statuses=statuses, after=after, limit=limit + 1)
            page = cut(rows, limit, lambda run: [run.position])
            runs = _each_explained(page.items, self._unserved(connection, row))
            return Page(self._entries(connection, row, runs), page.next_cursor)

    def stage(self, id: str, stage: str, index: int) -> StageRunPicture:
        with self._database.read() as connection:
            row = _found(connection, id)
            run = store.stage_run(connection, id, stage, index)
            if run is None:
                raise NotFound("stage run", stage_run_name(stage, index))
            (run,) = _each_explained([run], self._unserved(connection, row))
            (entry,) = self._entries(connection, row, [run], stage=stage)
            attempts = store.earlier_attempts(connection, id, run.position, index)
            item = item_store.value(connection, id, run.position, index) if index else None
        value, truncated = self.result(id, run)
        return StageRunPicture(entry, attempts, value, truncated, item)

    def items(
        self, id: str, stage: str, *, statuses: Sequence[str] = (), limit: int, cursor: str | None = None
    ) -> Page[ItemEntry]:
        """The items of a foreach stage in their order; of any other stage none."""
        after = int(decode(cursor, [int])[0]) if cursor else 0
        with self._database.read() as connection:
            execution = _found(connection, id)
            run = store.stage_run(connection, id, stage, 0)
            if run is None:
                raise NotFound("stage run", stage)
            rows = item_store.page(connection, id, run.position, statuses=statuses, after=after, limit=limit + 1)
            why = self._unserved(connection, execution).get(run.position)
        page = cut([_item_explained(row, why) for row in rows], limit, lambda row: [row.index])
        return Page([ItemEntry(row, summarise(row.value, ITEM_BYTES)) for row in page.items], page.next_cursor)

    def result(self, id: str, run: StageRunRow) -> tuple[Any, bool]:
        """What a stage run gave, None before its end; of a large value the beginning as text, and True."""
        with self._database.read() as connection:
            result = store.result(connection, id, run.position, run.index)
            if result is None or result.artifact_id is None:
                return (None if result is None else result.value), False
            spilled = artifact_store.find(connection, result.artifact_id)
        if spilled is None:
            raise NotFound("artifact", result.artifact_id)
        return self._start_of(spilled), True

    def events(self, id: str, *, after: int, limit: int, items: bool = True) -> list[EventRow]:
        """`items`: those of foreach items too."""
        with self._database.read() as connection:
            events = store.event_page(connection, id, after=after, limit=limit, items=items)
            if not events:
                _found(connection, id)
        return events

    # Details

    def _unserved(self, connection: sa.Connection, row: ExecutionRow) -> Mapping[int, str]:
        """Why stages wait for which there is no worker, by position."""
        return reasons(connection, [row.id], self.now()).get(row.id, {}) if _may_wait(row) else {}

    def _entries(
        self,
        connection: sa.Connection,
        execution: ExecutionRow,
        runs: Sequence[StageRunRow],
        stage: str | None = None,
    ) -> list[StageRunEntry]:
        if not runs:
            return []
        outlines = self._outline(connection, execution.pipeline_id, execution.version)
        usual = store.usual_stage_seconds(connection, execution.pipeline_id, execution.number, stage)
        items = item_store.counts(connection, execution.id) if _any_foreach(outlines, runs) else {}
        index = runs[0].index if len(runs) == 1 else 0
        kept: dict[tuple[str, str, int], list[ArtifactRow]] = {}
        for made_by in {execution.id, *filter(None, map(_taken_from, runs))}:
            for artifact in artifact_store.of_execution(connection, made_by, stage=stage, index=index):
                kept.setdefault((made_by, artifact.stage, artifact.index), []).append(artifact)
        return [
            StageRunEntry(
                row=run,
                outline=outlines.get(run.stage) or StageOutline(run.stage, [], {}, 1),
                usual_seconds=usual.get(run.stage),
                artifacts=kept.get((_taken_from(run) or execution.id, run.stage, run.index), []),
                items=items.get(run.position, {}) if _is_foreach(outlines, run) else None,
            )
            for run in runs
        ]

    def _outline(self, connection: sa.Connection, pipeline_id: str, number: int) -> dict[str, StageOutline]:
        """Remembered, because a version never changes and a page asks again with every event."""
        key = (pipeline_id, number)
        known = self._outlines.get(key)
        if known is None:
            version = pipeline_store.version(connection, pipeline_id, number)
            known = outline(version.document) if version else {}
            if len(self._outlines) >= OUTLINES_KEPT:
                self._outlines.clear()
            self._outlines[key] = known
        return known

    def _retry_of(self, row: ExecutionRow) -> RetryPlan | None:
        if row.status not in RETRYABLE_EXECUTIONS:
            return None
        try:
            return self._retry_plan(row.id)
        except Conflict:
            return None  # it was retried since we read it
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # Its record is damaged or of another release: it cannot be run again, but it can be looked at.
            log.warning("execution.unreadable", execution=row.id, error=str(error))
            return None

    def _start_of(self, artifact: ArtifactRow) -> str:
        """The first bytes of a large result, as text."""
        chunk = next(iter(self._artifacts.read(artifact.key, RESULT_BYTES)), b"")
        return chunk[:RESULT_BYTES].decode(errors="ignore")


def outline(document: Mapping[str, Any]) -> dict[str, StageOutline]:
    """By stage id. A document that this release cannot read still names its stages."""
    plain = {
        stage["id"]: StageOutline(
            name=name_of(stage),
            needs=needs_of(stage),
            config=config if isinstance(config := stage.get("config"), dict) else {},
            max_attempts=1,
            phase=phase,
            foreach=stage.get("foreach") is not None,
        )
        for phase, stage in phased_stages(document)
    }
    try:
        pipeline = Pipeline.from_document(document)
    except (ValidationError, FlexiRoasterError):
        return plain
    for _, stage in pipeline.in_phases():
        plain[stage.id] = replace(plain[stage.id], max_attempts=pipeline.retry_for(stage).max_attempts)
    return plain


def _may_wait(row: ExecutionRow) -> bool:
    return row.ended_at is None and row.paused_at is None


def _explained(row: Explained, unserved: Mapping[int, str] | None) -> Explained:
    """An execution that waits for something itself has said so; otherwise what the first of its stages waits for."""
    if row.reason is not None or not unserved:
        return row
    return replace(row, reason=unserved[min(unserved)])


def _is_unexplained(row: ExecutionRow, counts: Mapping[str, int]) -> bool:
    """Whether one of its stages may have said what it waits for."""
    return row.reason is None and _may_wait(row) and any(counts.get(status) for status in load.WAITING)


def _waiting(row: ExecutionRow, wait: WaitRow | None) -> ExecutionRow:
    """In a list, where its stages are not shown, it says what the first of those waits for that do."""
    if wait is None:
        return row
    more = f" ({counted(wait.others, 'more stage waits', 'more stages wait')})" if wait.others else ""
    return replace(row, reason=f"{wait.stage}: {wait.reason}{more}")


def _each_explained(runs: Sequence[StageRunRow], unserved: Mapping[int, str]) -> list[StageRunRow]:
    """A foreach stage runs while its items wait."""
    return [
        replace(run, reason=unserved[run.position])
        if run.position in unserved and (run.status == "queued" or (run.status == "running" and run.worker is None))
        else run
        for run in runs
    ]


def _item_explained(row: ItemRow, why: str | None) -> ItemRow:
    return row if why is None or row.status != "queued" else replace(row, reason=why)


def _is_foreach(outlines: Mapping[str, StageOutline], run: StageRunRow) -> bool:
    """Whether it is a foreach stage's own run."""
    outline = outlines.get(run.stage)
    return run.index == 0 and outline is not None and outline.foreach


def _any_foreach(outlines: Mapping[str, StageOutline], runs: Sequence[StageRunRow]) -> bool:
    return any(_is_foreach(outlines, run) for run in runs)


def _taken_from(run: StageRunRow) -> str | None:
    """The execution that made what a stage run shows, where that was another; an item may have had another index."""
    return run.reused_from or (None if run.index else run.cached_from)


def _found(connection: sa.Connection, id: str) -> FullExecutionRow:
    row = store.find(connection, id)
    if row is None:
        raise NotFound("execution", id)
    return row


def _execution_position(cursor: str) -> tuple[datetime, str]:
    moment, id = decode(cursor, [str, str])
    return decode_moment(moment, cursor), str(id)
