"""Projects: pipelines with the same label `project`, for which learning and the assistant are switched on or off."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

import structlog

from flexiroaster.bus.port import Bus
from flexiroaster.engine.events import NO_EXECUTION, Event, EventType
from flexiroaster.services.ai.switch import DEFAULT_PROJECT, PROJECT_LABEL, project_of
from flexiroaster.store import projects as store
from flexiroaster.store.database import Database, Transaction
from flexiroaster.store.projects import ProjectRow

log = structlog.get_logger(__name__)

KEPT_SECONDS = 1.0
"""For so long it is remembered where learning is off: it is asked for every pipeline of a list."""


class Project(NamedTuple):
    """Nobody switched it where `changed_at` is None."""

    name: str
    pipelines: int
    learning: bool = True
    assistant: bool = False
    changed_at: datetime | None = None
    changed_by: str | None = None


class Projects:
    def __init__(
        self,
        database: Database,
        bus: Bus,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._bus = bus
        self._clock = clock
        self._seconds = seconds
        self._unlearned: tuple[float, frozenset[str]] = (-KEPT_SECONDS, frozenset())

    def all(self) -> list[Project]:
        """Those of pipelines, those that were switched, and the one of pipelines without a label; by name."""
        with self._database.read() as connection:
            rows = {row.name: row for row in store.switched(connection)}
            counts = store.label_counts(connection, PROJECT_LABEL)
        pipelines: Counter[str] = Counter()
        for label, count in counts.items():
            pipelines[project_of({PROJECT_LABEL: label or ""})] += count
        names = sorted({DEFAULT_PROJECT, *pipelines, *rows}, key=lambda name: (name != DEFAULT_PROJECT, name))
        return [_project(name, pipelines[name], rows.get(name)) for name in names]

    def get(self, name: str) -> Project:
        """Also one that no pipeline belongs to yet."""
        name = project_of({PROJECT_LABEL: name})
        return next((one for one in self.all() if one.name == name), Project(name, 0))

    def set(self, name: str, by: str | None, *, learning: bool | None = None, assistant: bool | None = None) -> Project:
        """None leaves it as it is. Also for a project that no pipeline belongs to yet."""
        name, now = project_of({PROJECT_LABEL: name}), self._clock()

        def operation(tx: Transaction) -> ProjectRow:
            before = store.find(tx.sa, name) or ProjectRow(name, True, False, now, by)
            row = ProjectRow(
                name,
                before.learning if learning is None else learning,
                before.assistant if assistant is None else assistant,
                now,
                by,
            )
            store.put(tx.sa, row)
            told = {"name": name, "learning": row.learning, "assistant": row.assistant}
            changed = Event(EventType.PROJECT_CHANGED, NO_EXECUTION, "", 0, now, payload=told)
            tx.after_commit(partial(self._publish, changed))
            return row

        row = self._database.write(operation, durable=True)
        log.info("project.set", project=name, learning=row.learning, assistant=row.assistant, by=by)
        return self.get(name)

    def _publish(self, changed: Event) -> None:
        self._unlearned = (-KEPT_SECONDS, frozenset())
        self._bus.publish([changed])

    def learns(self, name: str) -> bool:
        """Whether predictions, insights and suggestions are made for its pipelines, as known a moment ago."""
        read_at, off = self._unlearned
        if self._seconds() - read_at >= KEPT_SECONDS:
            with self._database.read() as connection:
                off = frozenset(row.name for row in store.switched(connection) if not row.learning)
            self._unlearned = self._seconds(), off
        return name not in off

    def switched_at(self) -> datetime | None:
        """When somebody last switched anything."""
        with self._database.read() as connection:
            return max((row.changed_at for row in store.switched(connection)), default=None)

    def may_ask(self, name: str) -> bool:
        """Whether anything of its pipelines may be sent to the assistant, as it is now."""
        with self._database.read() as connection:
            row = store.find(connection, name)
        return row is not None and row.assistant


def _project(name: str, pipelines: int, row: ProjectRow | None) -> Project:
    if row is None:
        return Project(name, pipelines)
    return Project(name, pipelines, row.learning, row.assistant, row.changed_at, row.changed_by)
