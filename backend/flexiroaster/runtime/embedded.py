"""The engine in one process: everything between a database and the work, wired together."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import structlog

from flexiroaster.artifacts.port import ArtifactStore
from flexiroaster.bus.port import Bus
from flexiroaster.dispatch.inprocess import InProcessDispatch
from flexiroaster.runtime.attempt import World
from flexiroaster.runtime.conditions import REALITY, Conditions
from flexiroaster.runtime.executor import Executor
from flexiroaster.runtime.expanding import Expander
from flexiroaster.runtime.logbook import Logbook
from flexiroaster.runtime.spilled import SpilledResults
from flexiroaster.runtime.timers import Timers
from flexiroaster.runtime.worker import Worker
from flexiroaster.services.admission import Admission
from flexiroaster.services.approvals import Approvals
from flexiroaster.services.bulk import Bulk
from flexiroaster.services.cache import StageCache
from flexiroaster.services.changes import Changes
from flexiroaster.services.children import Children
from flexiroaster.services.deadlines import Deadlines
from flexiroaster.services.executions import Executions
from flexiroaster.services.gates import Gates
from flexiroaster.services.items import Items
from flexiroaster.services.pools import Pools
from flexiroaster.services.reruns import Reruns
from flexiroaster.services.signals import Signals
from flexiroaster.services.stage_runs import StageRuns
from flexiroaster.services.starting import Starting
from flexiroaster.stages.process.orphans import kill_left_over
from flexiroaster.stages.registry import INSTANT_TYPES, StageRegistry
from flexiroaster.store.database import Database

log = structlog.get_logger(__name__)

DEFAULT_TIMEOUT = timedelta(hours=24)
"""Of a stage that names none: nothing runs for ever."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What stages may touch."""

    artifact_dir: Path
    data_dirs: tuple[Path, ...]
    scratch_root: Path
    code_stages: bool = False
    code_dirs: tuple[Path, ...] = ()
    hidden_from_code: tuple[Path, ...] = ()
    http_allow: tuple[str, ...] = ()
    concurrency: int = 6


class Embedded:
    """`start` takes up what an earlier process left, then works; `stop` may be called twice."""

    def __init__(
        self,
        database: Database,
        bus: Bus,
        artifacts: ArtifactStore,
        registry: StageRegistry,
        limits: Limits,
        conditions: Conditions = REALITY,
    ) -> None:
        self._database = database
        self._scratch_root = limits.scratch_root
        self._timers = conditions.timers or Timers()
        read_spilled = SpilledResults(database, artifacts, self._timers, conditions.clock)
        self.dispatch = InProcessDispatch()
        changes = Changes(
            database,
            bus,
            self.dispatch,
            self._timers,
            read_spilled=read_spilled,
            default_timeout=DEFAULT_TIMEOUT,
            instant_types=INSTANT_TYPES,
            clock=conditions.clock,
        )
        self.admission = Admission(changes)
        deadlines = Deadlines(changes)
        starting = Starting(changes, self.admission, deadlines)
        self.executions = Executions(changes, starting, self.admission, deadlines)
        self.bulk = Bulk(changes, self.executions, starting)
        self.reruns = Reruns(changes, self.executions, starting, artifacts)
        self.approvals = Approvals(changes)
        self.signals = Signals(changes)
        self.children = Children(changes, starting, self.executions)
        gates = Gates(changes)
        self.pools = Pools(database, gates)
        self.stage_runs = StageRuns(changes, self.children, gates, owner=str(uuid4()), chance=conditions.chance)
        world = World(
            artifacts=artifacts,
            artifact_dir=limits.artifact_dir,
            data_dirs=limits.data_dirs,
            scratch_root=limits.scratch_root,
            read_spilled=read_spilled,
            children=self.children,
            cache=StageCache(database, artifacts),
            code_stages=limits.code_stages,
            code_dirs=limits.code_dirs,
            hidden_from_code=limits.hidden_from_code,
            http_allow=limits.http_allow,
            clock=conditions.clock,
        )
        self._logbook = Logbook(self.stage_runs.write_logs)
        self.journal = changes.journal
        self.journal.on_waiting = self._logbook.wake
        self.worker = Worker(
            self.stage_runs,
            self.dispatch,
            Executor(registry, world, Expander(Items(changes), world), conditions.stand_ins),
            self._timers,
            world,
            self._logbook,
            concurrency=limits.concurrency,
        )

    def start(self) -> int:
        """Answers how many executions of an earlier process were taken up."""
        self._database.become_only_server()
        for left in kill_left_over(self._scratch_root):
            log.warning("server.left_over_killed", pid=left.pid, name=left.name)
        shutil.rmtree(self._scratch_root, ignore_errors=True)  # of attempts whose process died
        self.journal.catch_up()
        self._timers.start()
        self._logbook.start()
        recovered = self.executions.recover()
        self.children.start()
        self.worker.start()
        return recovered

    def stop(self, grace_seconds: float = 10.0) -> None:
        self.worker.stop(grace_seconds)
        self._logbook.stop()
        self._timers.stop()
        self.journal.flush()
