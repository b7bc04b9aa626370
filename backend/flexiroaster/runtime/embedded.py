"""The engine in one process: everything between a database and the work, wired together."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import structlog

from flexiroaster.artifacts.port import ArtifactStore
from flexiroaster.bus.port import Bus
from flexiroaster.dispatch.inprocess import InProcessDispatch
from flexiroaster.dispatch.port import serves
from flexiroaster.engine.errors import ConfigurationError
from flexiroaster.runtime.attempt import World
from flexiroaster.runtime.broker import Broker
from flexiroaster.runtime.conditions import REALITY, Conditions
from flexiroaster.runtime.doorbell import Doorbell
from flexiroaster.runtime.executor import Executor
from flexiroaster.runtime.expanding import Expander
from flexiroaster.runtime.logbook import Logbook
from flexiroaster.runtime.presence import Presence
from flexiroaster.runtime.spilled import SpilledResults
from flexiroaster.runtime.timers import Timers
from flexiroaster.runtime.worker import Worker
from flexiroaster.services import stage_runs
from flexiroaster.services.admission import Admission
from flexiroaster.services.approvals import Approvals
from flexiroaster.services.bulk import Bulk
from flexiroaster.services.cache import StageCache
from flexiroaster.services.changes import Changes
from flexiroaster.services.children import Children
from flexiroaster.services.deadlines import Deadlines
from flexiroaster.services.executions import Executions
from flexiroaster.services.gates import Gates
from flexiroaster.services.hints import Hints
from flexiroaster.services.items import Items
from flexiroaster.services.pools import Pools
from flexiroaster.services.reruns import Reruns
from flexiroaster.services.rescue import Rescue
from flexiroaster.services.signals import Signals
from flexiroaster.services.stage_runs import StageRuns
from flexiroaster.services.starting import Starting
from flexiroaster.services.triggers import Triggers
from flexiroaster.stages.process.orphans import kill_left_over
from flexiroaster.stages.registry import INSTANT_TYPES, StageRegistry
from flexiroaster.store.database import Database
from flexiroaster.store.workers import Me

if TYPE_CHECKING:
    from flexiroaster.runtime.fleet import Fleet
    from flexiroaster.runtime.rescuer import Rescuer
    from flexiroaster.store.notices import Notices

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


@dataclass(frozen=True, slots=True)
class Seat:
    """What a server says of itself to the others on its database.

    `kind` is server, api, worker or scheduler; `pools` are those whose stages it runs, None: all, "default" standing
    for no pool. `folder` names its data folder, which one process has at a time. `shares` are digests of what all
    servers must have in common, by the setting that decides it. `lease` None: the usual one.
    """

    version: str = ""
    kind: str = "server"
    pools: tuple[str, ...] | None = None
    folder: str | None = None
    shares: Mapping[str, str] = field(default_factory=dict)
    lease: timedelta | None = None


NO_SEAT = Seat()


class Embedded:
    """`start` takes up what dead processes left, then works; `stop` may be called twice.

    With `notices` there may be other servers on the database, and with `broker` work goes to them through it.
    """

    def __init__(
        self,
        database: Database,
        bus: Bus,
        artifacts: ArtifactStore,
        registry: StageRegistry,
        limits: Limits,
        conditions: Conditions = REALITY,
        *,
        notices: Notices | None = None,
        seat: Seat = NO_SEAT,
        broker: Broker | None = None,
    ) -> None:
        self._bus = bus
        self._scratch_root = limits.scratch_root
        self._timers = conditions.timers or Timers()
        read_spilled = SpilledResults(database, artifacts, self._timers, conditions.clock)
        self.dispatch = InProcessDispatch(serves(seat.pools))
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
        self.triggers = Triggers(changes, starting)
        self.children = Children(changes, starting, self.executions)
        gates = Gates(changes)
        self.pools = Pools(database, gates)
        me = _me(seat, limits.concurrency, str(uuid4()) if notices is None else notices.sender)
        lease = seat.lease or stage_runs.LEASE
        self.stage_runs = StageRuns(changes, self.children, gates, owner=me.id, lease=lease, chance=conditions.chance)
        self.stage_runs.serves = serves(seat.pools)
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
        self._rescue = Rescue(
            changes,
            self.executions,
            deadlines,
            me,
            holds=self.worker.holds,
            instant_types=INSTANT_TYPES,
            quiet=lease,
            enough=lambda: self.dispatch.is_long,
        )
        self.presence = Presence(database, me, self.worker, self.stage_runs, lease)
        self._notices = notices
        self._fleet: Fleet | None = None
        self._rescuer: Rescuer | None = None
        self.broker = broker
        self._doorbell: Doorbell | None = None
        if notices is not None:
            self._join(notices, changes, gates, lease)

    def _join(self, notices: Notices, changes: Changes, gates: Gates, lease: timedelta) -> None:
        """Be one of several servers."""
        from flexiroaster.runtime.fleet import Fleet
        from flexiroaster.runtime.rescuer import Rescuer

        broker = self.broker
        hints = Hints(changes, self.stage_runs)
        doorbell = self._doorbell = Doorbell(hints.take)
        fleet = self._fleet = Fleet(notices, None if broker is None else broker.dispatch)
        rescuer = self._rescuer = Rescuer(
            self._rescue,
            self.presence,
            lease,
            is_idle=lambda: self.worker.is_idle and (broker is None or broker.is_dry),
            most=2 * self.worker.concurrency,
            clock=changes.clock,
        )

        def gone() -> None:
            self.presence.look_soon()
            rescuer.one_has_gone()

        fleet.connect(
            changes,
            gates,
            is_running=self.worker.holds,
            on_work=rescuer.look_soon,
            on_ready=doorbell.ring,
            on_look=self.presence.look_soon,
            on_gone=gone,
        )
        self.presence.on_look = fleet.see
        self.presence.has_polled = rescuer.has_polled
        if broker is not None:
            broker.dispatch.own_pools = lambda: fleet.own_pools
            broker.dispatch.on_trouble = fleet.address
            if self.worker.concurrency:
                broker.listen(self.presence.me.pools, self.dispatch.wait_for_room, hints.take, rescuer.one_has_gone)
        notices.hear("trouble", lambda _: fleet.missed_something(rescuer.missed_something))

    @property
    def has_others(self) -> bool:
        """Whether there may be other servers on the database."""
        return self._fleet is not None and self._fleet.present

    def start(self) -> int:
        """Answers how many executions of dead processes were taken up.

        Raises ConfigurationError when another server on the database has something else that must be the same.
        """
        for left in kill_left_over(self._scratch_root):
            log.warning("server.left_over_killed", pid=left.pid, name=left.name)
        shutil.rmtree(self._scratch_root, ignore_errors=True)  # of attempts whose process died
        self._bus.start()
        if self._notices is not None:
            self._notices.start()
        self.presence.start()
        try:
            self.refuse_differences()
        except ConfigurationError:
            self._leave()
            raise
        if self._fleet is not None:
            self._fleet.say_here()
        if not self.has_others:
            self.journal.catch_up()
        self._timers.start()
        self._logbook.start()
        recovered = self._take_up()
        self.children.start()
        self.worker.start()
        if self._rescuer is not None and self._doorbell is not None:
            self._doorbell.start()
            self._rescuer.start()
            if self.presence.me.kind == "worker":
                self._rescuer.one_has_gone()  # perhaps nobody has worked for a while
        if self.broker is not None:
            self.broker.start()
        return recovered

    def refuse_differences(self) -> None:
        """Raises ConfigurationError when another server on the database has something else that must be the same."""
        me = self.presence.me
        for other in self._rescue.judge().others():
            for setting, digest in me.shares.items():
                if other.shares.get(setting, digest) != digest:
                    raise ConfigurationError(
                        f"The server on {other.host} (pid {other.pid}) works on the same database with another "
                        f"{setting}: give all servers of a database the same."
                    )

    def _take_up(self) -> int:
        if not self.has_others:
            return self.executions.recover(self._rescue.lose)
        count = self._rescue.take_over()
        self.admission.recover()
        return count

    def drain(self, grace_seconds: float) -> None:
        """Take no more work, here: what is ready is left to others. Returns when nothing runs any more."""
        self.presence.say_stopping()
        if self._fleet is not None:
            self._fleet.say_gone()
        self.worker.stop(grace_seconds)
        if self._fleet is not None:
            self._fleet.say_gone()  # what was handed back

    def stop(self, grace_seconds: float = 10.0) -> None:
        if self.broker is not None:
            self.broker.listen_no_more()
        if self._rescuer is not None and self._doorbell is not None:
            self._rescuer.stop()
            self._doorbell.stop()
        self.worker.stop(grace_seconds)
        self._logbook.stop()
        self._timers.stop()
        self.journal.flush()
        self._leave()

    def _leave(self) -> None:
        if self.broker is not None:
            self.broker.stop()
        self.presence.stop()
        if self._fleet is not None:
            self._fleet.say_gone()
        if self._notices is not None:
            self._notices.stop()
        self._bus.stop()


def _me(seat: Seat, concurrency: int, id: str) -> Me:
    return Me(
        id=id,
        host=socket.gethostname(),
        pid=os.getpid(),
        version=seat.version,
        concurrency=concurrency,
        kind=seat.kind,
        pools=seat.pools,
        folder=seat.folder,
        shares=seat.shares,
    )
