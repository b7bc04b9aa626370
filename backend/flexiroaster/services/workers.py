"""Who works on this database, what each runs, and telling one of them to take no more work."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal, NamedTuple

import structlog

from flexiroaster.engine.errors import Conflict, NotFound
from flexiroaster.services.drain import Drain
from flexiroaster.store import load
from flexiroaster.store import workers as rows
from flexiroaster.store.database import Database
from flexiroaster.store.load import HeldRow, Load
from flexiroaster.store.workers import WorkerRow

log = structlog.get_logger(__name__)

State = Literal["working", "draining", "drained", "lost"]

SHOWN = 50
"""Stage runs of one worker, in a list of all."""
_IDLE = Load(0, [])


class WorkerEntry(NamedTuple):
    """`held` are the first of the `running`; `is_here`: this process."""

    row: WorkerRow
    state: State
    running: int
    held: list[HeldRow]
    is_here: bool


class Workers:
    """`me` is the worker of this process. `tell` has another one look at its row at once, where it hears of that."""

    def __init__(self, database: Database, me: str, drain: Drain, tell: Callable[[str], None]) -> None:
        self._database = database
        self._me = me
        self._drain = drain
        self._tell = tell

    def all(self) -> list[WorkerEntry]:
        """In the order of their starts; those that were lost are remembered for a day."""
        with self._database.read() as connection:
            now = rows.now(connection)
            loads = load.by_worker(connection, most=SHOWN)
            return [self._entry(row, loads.get(row.id, _IDLE), now) for row in rows.all_workers(connection)]

    def get(self, id: str) -> WorkerEntry:
        """Raises NotFound."""
        for entry in self.all():
            if entry.row.id == id:
                return entry
        raise NotFound("worker", id)

    def drain(self, id: str, by: str | None = None) -> WorkerEntry:
        """It takes no more work until it is started again; what it runs ends, or is handed back after its grace.

        Asking again does no harm. Raises NotFound, and Conflict for one that was lost.
        """
        entry = self.get(id)
        if entry.state == "lost":
            raise Conflict(f"Worker {id} on {entry.row.host} has not been heard of: it takes no work.", "worker_lost")
        if id == self._me:
            self._drain.begin(by=by)
        elif entry.row.stopping_at is None:
            rows.aside(self._database, lambda connection: rows.stop(connection, id, rows.now(connection)))
            self._tell(id)
            log.info("worker.drain_asked", worker=id, host=entry.row.host, by=by)
        return self.get(id)

    def _entry(self, row: WorkerRow, load: Load, now: datetime) -> WorkerEntry:
        is_here = row.id == self._me
        return WorkerEntry(row, self._state(row, load, now, is_here), load.running, load.held, is_here)

    def _state(self, row: WorkerRow, load: Load, now: datetime, is_here: bool) -> State:
        if is_here:
            return self._drain.now.state
        if row.lost_at is not None or row.alive_until < now:
            return "lost"
        if row.stopping_at is None:
            return "working"
        return "draining" if load.running else "drained"
