"""A real engine on a real database, with stages whose doings a test writes down."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from flexiroaster.artifacts.disk import DiskArtifacts
from flexiroaster.artifacts.port import ArtifactStore
from flexiroaster.composition import make_bus
from flexiroaster.engine.events import Event
from flexiroaster.engine.state import EXECUTION_FINAL
from flexiroaster.runtime.attempt import Attempt
from flexiroaster.runtime.broker import Broker
from flexiroaster.runtime.conditions import REALITY, Conditions
from flexiroaster.runtime.embedded import Embedded, Limits, Seat
from flexiroaster.services.executions import Executions
from flexiroaster.services.stage_runs import Claimed, Ended
from flexiroaster.services.starting import Started
from flexiroaster.stages.base import Stage, StageConfig, StageContext
from flexiroaster.stages.registry import BUILT_IN, StageRegistry
from flexiroaster.store import pipelines as pipeline_rows
from flexiroaster.store.database import Database
from flexiroaster.store.tables import artifacts, events, executions, logs, results, stage_runs
from tests.engine.simulation import pipeline

Act = Callable[[StageContext], Any]
ACTS: dict[str, Act] = {}
"""What stages of type `act` do, by their config's `act`; a test's own names are made by `TestEngine.act`."""

_numbers = itertools.count(1)
PATIENCE = 60.0
"""Seconds after which a test that waits for a signal fails."""


class ActConfig(StageConfig):
    act: str
    value: Any = None


class ActStage(Stage):
    type = "act"
    summary = "Does what the test says."
    Config = ActConfig

    def run(self, config: ActConfig, context: StageContext) -> Any:
        return config.value if config.act == "say" else ACTS[config.act](context)


@dataclass
class TestEngine:
    """`start` the engine, `execute` pipelines, `wait` for events; everything by signals."""

    __test__ = False

    database: Database
    folder: Path
    concurrency: int = 4
    conditions: Conditions = REALITY
    lease: timedelta | None = None
    name: str = "one"
    artifacts: ArtifactStore | None = None
    """Where they are kept if not in `folder`, which has the copies then."""
    code_stages: bool = False
    kind: str = "server"
    pools: tuple[str, ...] | None = None
    broker_url: str | None = None
    seen: list[Event] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self.bus, notices = make_bus(self.database)
        self.bus.subscribe(self._see)
        (self.folder / "artifacts").mkdir(parents=True, exist_ok=True)
        self.artifacts = self.artifacts or DiskArtifacts(self.folder / "artifacts")
        registry = StageRegistry({**BUILT_IN, "act": f"{__name__}:ActStage"})
        limits = Limits(
            artifact_dir=self.folder / "artifacts",
            data_dirs=(self.folder,),
            scratch_root=self.folder / "scratch" / self.name,
            concurrency=self.concurrency,
            code_stages=self.code_stages,
        )
        self.embedded = Embedded(
            self.database,
            self.bus,
            self.artifacts,
            registry,
            limits,
            self.conditions,
            notices=notices,
            seat=Seat("test", self.kind, self.pools, lease=self.lease),
            broker=None if self.broker_url is None else Broker(self.broker_url),
        )

    @property
    def executions(self) -> Executions:
        return self.embedded.executions

    def act(self, act: Act) -> dict[str, str]:
        """The config of a stage that does this."""
        name = f"act{next(_numbers)}"
        ACTS[name] = act
        return {"act": name}

    def add(self, stages: Mapping[str, Sequence[str] | Mapping[str, Any]], **rest: Any) -> str:
        """Store a pipeline (see `simulation.pipeline`), answer its id."""
        pipeline_id = f"p{next(_numbers)}"
        new = _version(pipeline_id, stages, rest)
        self.database.write(lambda tx: pipeline_rows.insert(tx.sa, pipeline_id, new, datetime.now(UTC)))
        return pipeline_id

    def change(self, pipeline_id: str, stages: Mapping[str, Any], *, version: int = 2, **rest: Any) -> None:
        """Store a newer version of a pipeline."""
        new = _version(pipeline_id, stages, rest)
        self.database.write(lambda tx: pipeline_rows.add_version(tx.sa, pipeline_id, version, new, datetime.now(UTC)))

    def execute(self, stages: Mapping[str, Any], **rest: Any) -> str:
        return self.executions.start(self.add(stages, **rest)).execution_id

    def run(self, stages: Mapping[str, Any], **rest: Any) -> str:
        """Execute and wait for the end; answers the final status."""
        return self.wait_end(self.execute(stages, **rest))

    def wait_end(self, execution: str | Started, times: int = 1) -> str:
        """Wait until the execution has ended for the `times`-th time; answers its status."""
        execution_id = execution if isinstance(execution, str) else execution.execution_id
        self.wait(
            lambda: (
                sum(
                    event.execution_id == execution_id
                    and event.stage is None
                    and event.payload.get("status") in {status.value for status in EXECUTION_FINAL}
                    for event in self.seen
                )
                >= times
            )
        )
        return str(self.row(execution_id)["status"])

    def wait_for(self, type: str, stage: str | None = None) -> Event:
        self.wait(lambda: any(event.type.value == type and event.stage == stage for event in self.seen))
        return next(event for event in self.seen if event.type.value == type and event.stage == stage)

    def wait(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            happened = self._changed.wait_for(condition, PATIENCE)
        assert happened, [f"{event.type.value} {event.stage}" for event in self.seen]

    def claim_by_hand(self) -> list[Claimed]:
        """What a worker would take next, of an engine that was never started: it may die now."""
        return self.embedded.stage_runs.claim_next()

    def run_by_hand(self, claimed: Sequence[Claimed]) -> list[Ended]:
        worker = self.embedded.worker
        attempts = [Attempt(one, worker._world, lambda _: None) for one in claimed]
        ran = [worker._executor.run(attempt) for attempt in attempts]
        return [Ended(one, *done) for one, done in zip(claimed, ran, strict=True)]

    def record_by_hand(self, ended: Sequence[Ended]) -> None:
        self.embedded.stage_runs.record(ended, go_on=False)

    def take_up_by_hand(self) -> None:
        """What an earlier process left, as a start does, without the threads."""
        self.embedded.journal.catch_up()
        self.embedded.executions.recover()
        self.embedded.children.start()

    def work_by_hand(self) -> None:
        """Until nothing is ready."""
        while claimed := self.claim_by_hand():
            self.record_by_hand(self.run_by_hand(claimed))

    def row(self, execution_id: str) -> sa.RowMapping:
        with self.database.read() as connection:
            return connection.execute(sa.select(executions).where(executions.c.id == execution_id)).mappings().one()

    def stage(self, execution_id: str, stage: str) -> sa.RowMapping:
        query = sa.select(stage_runs).where(stage_runs.c.execution_id == execution_id, stage_runs.c.stage == stage)
        with self.database.read() as connection:
            return connection.execute(query).mappings().one()

    def rows(self, table: sa.Table, execution_id: str) -> list[sa.RowMapping]:
        with self.database.read() as connection:
            query = sa.select(table).where(table.c.execution_id == execution_id)
            return list(connection.execute(query).mappings())

    def results(self, execution_id: str) -> dict[int, Any]:
        return {row["position"]: row["value"] for row in self.rows(results, execution_id)}

    def messages(self, execution_id: str) -> list[str]:
        self.embedded.journal.flush()
        return [row["message"] for row in sorted(self.rows(logs, execution_id), key=lambda row: row["id"])]

    def events(self, execution_id: str) -> list[sa.RowMapping]:
        return sorted(self.rows(events, execution_id), key=lambda row: row["seq"])

    def artifact_rows(self, execution_id: str) -> list[sa.RowMapping]:
        return self.rows(artifacts, execution_id)

    def _see(self, seen: Sequence[Event]) -> None:
        with self._changed:
            self.seen.extend(seen)
            self._changed.notify_all()


def _version(pipeline_id: str, stages: Mapping[str, Any], rest: Mapping[str, Any]) -> pipeline_rows.NewVersion:
    return pipeline_rows.NewVersion(
        name="P",
        description="",
        labels={},
        document=pipeline(stages, **rest).to_document() | {"id": pipeline_id},
        source="",
        source_format="json",
        digest="",
        note="",
        by=None,
    )


@contextmanager
def running(database: Database, folder: Path, **options: Any) -> Iterator[TestEngine]:
    engine = TestEngine(database, folder, **options)
    engine.embedded.start()
    try:
        yield engine
    finally:
        engine.embedded.stop(grace_seconds=0)


class Gate:
    """A stage's doing that says when it has begun and ends when it is let, or is cancelled."""

    def __init__(self, result: Any = None) -> None:
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()
        self.result = result

    def __call__(self, context: StageContext) -> Any:
        with context.on_cancel(self.open.set):
            self.entered.release()
            assert self.open.wait(PATIENCE)
        return self.result

    def wait_entered(self) -> None:
        assert self.entered.acquire(timeout=PATIENCE)
