"""Executions in memory: a cache of what is committed, thrown away and read again whenever a write fails."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from flexiroaster.engine.errors import NotFound
from flexiroaster.engine.expressions import Template
from flexiroaster.engine.pipeline import Deadline, Pipeline, StageSpec
from flexiroaster.engine.plan import Plan
from flexiroaster.engine.runs import ExecutionState, Key
from flexiroaster.engine.state import StageStatus
from flexiroaster.services.cache import CacheRule
from flexiroaster.services.iteration import Iteration
from flexiroaster.services.outlook import Outlook
from flexiroaster.store import items as item_rows
from flexiroaster.store import progress
from flexiroaster.store.database import Transaction
from flexiroaster.store.deadlines import WHOLE_EXECUTION
from flexiroaster.store.progress import Parent
from flexiroaster.store.tables import pipeline_versions

ASLEEP = frozenset({StageStatus.WAITING, StageStatus.RETRYING})
STAGES_KEPT = 50_000
"""Stages of compiled versions in memory, about 2 KB each: more than are in use at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """A version ready to run. `whens`, `configs` and `instant` are in the order of its plan; `untils` are by position,
    of the stages that repeat, `iterations` of those that run for items, and `caches` of those that are cached.
    """

    pipeline: Pipeline
    plan: Plan
    whens: tuple[Template | None, ...]
    configs: tuple[Template, ...]
    instant: tuple[bool, ...]
    untils: dict[int, Template]
    iterations: dict[int, Iteration]
    caches: dict[int, CacheRule]
    deadlines: dict[int, Deadline]
    outputs: dict[str, Template]
    outlook: Outlook

    @classmethod
    def of(cls, pipeline: Pipeline, default_timeout: timedelta | None, instant_types: frozenset[str]) -> Version:
        plan = Plan.of(pipeline, default_timeout)
        stages = [stage for _, stage in pipeline.in_phases()]
        whens = tuple(None if stage.when is None else Template.parse(stage.when) for stage in stages)
        return cls(
            pipeline=pipeline,
            plan=plan,
            whens=whens,
            configs=tuple(Template.parse(stage.config) for stage in stages),
            instant=tuple(stage.type in instant_types and stage.foreach is None for stage in stages),
            untils={
                position: Template.parse(stage.repeat.until)
                for position, stage in enumerate(stages)
                if stage.repeat is not None
            },
            iterations={
                position: Iteration.of(stage.foreach, whens[position], instant=stage.type in instant_types)
                for position, stage in enumerate(stages)
                if stage.foreach is not None
            },
            caches={
                position: CacheRule.of(stage, stage.cache)
                for position, stage in enumerate(stages)
                if stage.cache is not None
            },
            deadlines=_deadlines(pipeline, stages),
            outputs={name: Template.parse(value) for name, value in pipeline.outputs.items()},
            outlook=Outlook(plan),
        )

    def is_instant(self, key: Key) -> bool:
        """Whether it takes microseconds. A foreach stage itself does not, its items may."""
        return self.iterations[key.position].instant if key.index else self.instant[key.position]


def _deadlines(pipeline: Pipeline, stages: list[StageSpec]) -> dict[int, Deadline]:
    """By position."""
    found = {position: stage.deadline for position, stage in enumerate(stages) if stage.deadline is not None}
    return found if pipeline.deadline is None else {WHOLE_EXECUTION: pipeline.deadline, **found}


@dataclass(slots=True)
class Spilled:
    """A result too large to keep here: its JSON lies in an artifact.

    `value` is there until the artifact's row is committed, since nobody can find the artifact before; or `read`, where
    the value was not worth having in memory.
    """

    artifact_id: str
    value: Any = None
    read: Callable[[], Any] | None = None

    def forget(self) -> None:
        """The artifact can be found."""
        self.value = self.read = None


@dataclass(slots=True)
class Live:
    """An execution under way. `results` are by stage id; what is inside is never changed.

    `items` are the values of those foreach items that are among the stage runs in memory.
    """

    state: ExecutionState
    version: Version
    inputs: dict[str, Any]
    data: Any
    trigger: str
    actor: str | None
    logical_date: datetime
    parent: Parent | None = None
    use_cache: bool = True
    results: dict[str, Any] = field(default_factory=dict)
    items: dict[Key, Any] = field(default_factory=dict)
    turn: int = 0
    """Stage runs that went on here without queueing up behind other executions."""

    @property
    def depth(self) -> int:
        """How many executions are above this one."""
        return 0 if self.parent is None else self.parent.depth

    @property
    def has_sleepers(self) -> bool:
        """Whether a stage run waits, or is to be tried again later. That another server wakes it has no event."""
        return any(run.status in ASLEEP for run in list(self.state.runs.values()))

    def forget_results(self, keys: Iterable[Key]) -> None:
        """Of stage runs that are to run again: nothing may read what they made before."""
        for key in keys:
            self.results.pop(stage_id(self.version, key), None)


class LiveExecutions:
    """Use from operations of the writer only, which run one after the other."""

    def __init__(self, default_timeout: timedelta | None, instant_types: frozenset[str]) -> None:
        self._default_timeout = default_timeout
        self._instant_types = instant_types
        self._live: dict[str, Live] = {}
        self._versions: OrderedDict[tuple[str, int], Version] = OrderedDict()
        self._newest: dict[str, int] = {}
        self._stages_kept = 0
        self._versions_lock = threading.Lock()

    def get(self, tx: Transaction, execution_id: str) -> Live:
        """From memory, or as the database has it. Raises NotFound."""
        live = self._live.get(execution_id)
        if live is None:
            live = self._live[execution_id] = self._load(tx.look, execution_id)
        return live

    def current(self, tx: Transaction, execution_id: str) -> Live:
        """As the database has it, also where another server has changed it. Raises NotFound."""
        known = self._live.get(execution_id)
        if known is not None and progress.newest_seq(tx.look, execution_id) != known.state.seq:
            self.forget(execution_id)
        return self.get(tx, execution_id)

    def outdate(self, execution_id: str, seq: int) -> None:
        """It has an event of this number: what is older is forgotten. Safe from any thread."""
        known = self._live.get(execution_id)
        if known is not None and known.state.seq < seq:
            self.forget(execution_id)

    def look_again(self, execution_id: str) -> None:
        """The database has something ready in it. What is in memory may not know, though it has the newest event: it
        is forgotten if so. Safe from any thread.
        """
        known = self._live.get(execution_id)
        if known is not None and known.has_sleepers:
            self.forget(execution_id)

    def keep(self, live: Live) -> None:
        self._live[live.state.execution.id] = live

    def known(self, execution_id: str) -> Live | None:
        """Only if it is in memory. Safe from any thread, for a look."""
        return self._live.get(execution_id)

    def forget(self, execution_id: str) -> None:
        self._live.pop(execution_id, None)

    def forget_all(self) -> None:
        """What others have changed meanwhile is not known. Safe from any thread."""
        self._live.clear()

    def newest(self, pipeline_id: str) -> tuple[int, Version] | None:
        """The newest version as far as this process remembers."""
        number = self._newest.get(pipeline_id)
        known = None if number is None else self._versions.get((pipeline_id, number))
        return None if number is None or known is None else (number, known)

    def remember_newest(self, pipeline_id: str, number: int) -> None:
        self._newest[pipeline_id] = number

    def version(self, connection: sa.Connection, pipeline_id: str, number: int) -> Version:
        """Raises NotFound. Safe from any thread: a version never changes."""
        known = self._versions.get((pipeline_id, number))
        if known is not None:
            return known
        table = pipeline_versions.c
        document = connection.scalar(
            sa.select(table.document).where(table.pipeline_id == pipeline_id, table.version == number)
        )
        if document is None:
            raise NotFound("version", f"{pipeline_id} v{number}")
        version = Version.of(Pipeline.from_document(document), self._default_timeout, self._instant_types)
        self._remember((pipeline_id, number), version)
        return version

    def _remember(self, key: tuple[str, int], version: Version) -> None:
        with self._versions_lock:
            if key in self._versions:
                return  # another thread compiled it at the same time
            self._versions[key] = version
            self._stages_kept += len(version.plan.stages)
            while self._stages_kept > STAGES_KEPT and len(self._versions) > 1:
                _, oldest = self._versions.popitem(last=False)
                self._stages_kept -= len(oldest.plan.stages)

    def _load(self, connection: sa.Connection, execution_id: str) -> Live:
        loaded = progress.load(connection, execution_id)
        if loaded is None:
            raise NotFound("execution", execution_id)
        state, row = loaded
        execution = state.execution
        version = self.version(connection, execution.pipeline_id, execution.version)
        given = (row[name] for name in ("inputs", "data", "trigger", "actor", "logical_date"))
        live = Live(state, version, *given)
        live.use_cache = row["use_cache"]
        if row["parent_id"] is not None:
            live.parent = Parent(row["parent_id"], Key(row["parent_position"], row["parent_idx"]), row["depth"])
        succeeded = any(run.status is StageStatus.SUCCESS for run in state.runs.values())
        results = progress.load_results(connection, execution_id) if succeeded else {}
        for key, (value, artifact_id) in results.items():
            if key not in state.runs or state.runs[key].status is not StageStatus.SUCCESS:
                continue  # of a round before a retry
            live.results[stage_id(version, key)] = value if artifact_id is None else Spilled(artifact_id)
        for key, run in state.runs.items():  # so that `has()` knows of a stage that answered nothing
            if run.status is StageStatus.SUCCESS and not key.index:
                live.results.setdefault(stage_id(version, key), None)
        begun = [key for key in state.runs if key.index]
        if begun:
            live.items = item_rows.values(connection, execution_id, begun)
        return live


def stage_id(version: Version, key: Key) -> str:
    return version.plan.stages[key.position].id
