"""Times of maintenance: what happens then is no insight, and no measure for later."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from flexiroaster.engine.errors import Conflict, InvalidRequest, NotFound
from flexiroaster.store import maintenance as store
from flexiroaster.store import pipelines as pipeline_store
from flexiroaster.store.database import Database
from flexiroaster.store.maintenance import WindowRow

log = structlog.get_logger(__name__)

MOST = 1_000


class Maintenance:
    def __init__(self, database: Database, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._clock = clock

    def all(self) -> list[WindowRow]:
        """The latest first."""
        with self._database.read() as connection:
            return store.all_windows(connection)

    def plan(
        self,
        begins_at: datetime,
        ends_at: datetime,
        by: str | None,
        *,
        pipeline_id: str | None = None,
        reason: str = "",
    ) -> WindowRow:
        """Also for a time that is over: what was found of it is not found again. Raises NotFound for the pipeline."""
        if ends_at <= begins_at:
            raise InvalidRequest(
                f"Maintenance that ends at {ends_at.isoformat()} cannot begin at {begins_at.isoformat()}: "
                "give a later end.",
                "invalid_window",
            )
        with self._database.read() as connection:
            if pipeline_id is not None and pipeline_store.find(connection, pipeline_id) is None:
                raise NotFound("pipeline", pipeline_id)
            if len(store.all_windows(connection)) >= MOST:
                raise Conflict(f"There are {MOST:,} times of maintenance: delete some that are over.", "too_many")
        row = WindowRow(str(uuid.uuid4()), pipeline_id, begins_at.astimezone(UTC), ends_at.astimezone(UTC), reason, by)
        self._database.write(lambda tx: store.add(tx.sa, row), durable=True)
        log.info("maintenance.planned", id=row.id, pipeline=pipeline_id, by=by)
        return row

    def end(self, id: str, by: str | None) -> WindowRow:
        """Now, before its time. Raises NotFound, and Conflict for one that has not begun or is over."""
        now = self._clock()
        ended = self._database.write(lambda tx: store.end(tx.sa, id, now), durable=True)
        with self._database.read() as connection:
            row = store.find(connection, id)
        if row is None:
            raise NotFound("maintenance", id)
        if not ended:
            stands = "has not begun: delete it" if row.begins_at >= now else "is over already"
            raise Conflict(f"This maintenance {stands}.", "not_running")
        log.info("maintenance.ended", id=id, by=by)
        return replace(row, ends_at=now)

    def delete(self, id: str, by: str | None) -> None:
        """Raises NotFound."""
        if not self._database.write(lambda tx: store.remove(tx.sa, id), durable=True):
            raise NotFound("maintenance", id)
        log.info("maintenance.deleted", id=id, by=by)
