"""A process of a fleet that answers nobody: a worker, or a scheduler."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import structlog

import flexiroaster
from flexiroaster.composition import Engine
from flexiroaster.config import PREFIX, Settings
from flexiroaster.data_folder import DataFolder, read_key
from flexiroaster.engine.errors import ConfigurationError
from flexiroaster.housekeeping import make_collector
from flexiroaster.lean_imports import uncollected
from flexiroaster.process import given_back, keep_code_apart, make_drained_engine, tune_interpreter
from flexiroaster.roles import Role, make_link
from flexiroaster.runtime.collector import Collector
from flexiroaster.services.drain import Drain
from flexiroaster.triggers.schedule_loop import ScheduleLoop

log = structlog.get_logger(__name__)

MOST_BESIDE = 1000
"""Processes of this kind that share a data folder."""


@dataclass(slots=True)
class Hand:
    """Everything of one such process; `stop` may be called twice."""

    settings: Settings
    role: Role
    folder: DataFolder
    engine: Engine
    drain: Drain
    collector: Collector | None
    schedules: ScheduleLoop | None
    stopped: bool = False

    @property
    def instance(self) -> str:
        return self.engine.embedded.presence.me.id

    def start(self) -> None:
        if self.settings.code_stages and self.role.runs_stages:
            keep_code_apart(self.settings)
        recovered = self.engine.embedded.start()
        if self.collector is not None:
            self.collector.start()
        if self.schedules is not None:
            self.schedules.start()
        pools = self.role.pools
        version = flexiroaster.__version__
        log.info(f"{self.role.kind}.started", version=version, instance=self.instance, pools=pools, recovered=recovered)

    def stop(self) -> None:
        if self.stopped:
            return
        self.stopped = True
        if self.schedules is not None:
            self.schedules.stop()
        self.drain.begin()
        self.drain.wait()
        if self.collector is not None:
            self.collector.stop()
        self.engine.embedded.stop()
        self.engine.close()
        self.folder.close()
        log.info(f"{self.role.kind}.stopped")


def work(settings: Settings, role: Role, on_ready: Callable[[Hand], None]) -> None:
    """Until SIGINT or SIGTERM. Raises `ConfigurationError` where something stands in the way."""
    asked = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        asked.set()

    tune_interpreter()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    with uncollected():
        hand = make_hand(settings, role)
    try:
        hand.start()
        on_ready(hand)
        asked.wait()
    finally:
        hand.stop()


def make_hand(settings: Settings, role: Role) -> Hand:
    """Open a folder of its own and the database, and put everything together; starts nothing.

    Raises `ConfigurationError` with one sentence for whatever stands in the way.
    """
    role.check(settings)
    folder = _own_folder(settings.data_folder / f"{role.kind}s")
    with given_back(folder):
        secret = _secret(settings)
        engine, drain = make_drained_engine(settings, role, folder, secret, make_link(settings, secret))
        collector = None if role.runs_stages else make_collector(settings, engine.database, engine.artifacts)
        schedules = None if role.runs_stages else ScheduleLoop(engine.embedded.triggers, engine.bus)
        return Hand(settings, role, folder, engine, drain, collector, schedules)


def _own_folder(parent: Path) -> DataFolder:
    """The first that no living process has: several workers of a machine may be told the same data folder."""
    for number in range(1, MOST_BESIDE + 1):
        folder = DataFolder.open_free(parent / str(number))
        if folder is not None:
            return folder
    raise ConfigurationError(f"{parent} is in use by {MOST_BESIDE} processes: name another folder with --data-folder.")


def _secret(settings: Settings) -> str:
    """The servers': what they sign or send to each other is theirs together."""
    secret = settings.secret_key.get_secret_value() if settings.secret_key else read_key(settings.data_folder, "secret")
    if secret is None:
        raise ConfigurationError(
            f"{PREFIX}SECRET_KEY is not set, and {settings.data_folder} has no key of a server: give all processes of "
            "a database the same, or start `flexiroaster up` or `flexiroaster api` with this data folder first."
        )
    return secret


def ready_facts(hand: Hand) -> dict[str, object]:
    return {
        "event": "ready",
        "role": hand.role.kind,
        "pools": None if hand.role.pools is None else list(hand.role.pools),
        "pid": os.getpid(),
        "instance": hand.instance,
        "version": flexiroaster.__version__,
    }
