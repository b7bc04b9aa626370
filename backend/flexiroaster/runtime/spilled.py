"""Results that were too large for the database, read back from their artifacts.

The items of a foreach stage all read the same one: it is read and parsed once, and kept while somebody wants it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson

from flexiroaster.artifacts.port import ArtifactStore
from flexiroaster.engine.errors import ArtifactsUnavailable, NotFound
from flexiroaster.runtime.conditions import Clockwork
from flexiroaster.store import artifacts as rows
from flexiroaster.store.artifacts import ArtifactRow
from flexiroaster.store.database import Database

KEPT_FOR = timedelta(seconds=30)
"""After the last time that somebody read it."""
KEPT_BYTES = 64 * 1024 * 1024
"""Of JSON text, several times as much in memory; what is larger alone is kept all the same while it is wanted."""


@dataclass(slots=True)
class _Kept:
    """`size` is None until it was read."""

    value: Any = None
    size: int | None = None
    used_at: datetime | None = None
    reading: threading.Lock = field(default_factory=threading.Lock)


class SpilledResults:
    """`services.scope.ReadSpilled`: call it from any thread, and change nothing inside of what it answers."""

    def __init__(
        self, database: Database, artifacts: ArtifactStore, timers: Clockwork, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._timers = timers
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = threading.Lock()
        self._armed = False

    def __call__(self, artifact_id: str) -> Any:
        """Raises ArtifactsUnavailable."""
        with self._lock:
            kept = self._kept.setdefault(artifact_id, _Kept())
            self._kept.move_to_end(artifact_id)
        with kept.reading:
            if kept.size is None:
                try:
                    kept.value, kept.size = read_spilled(self._database, self._artifacts, artifact_id)
                except BaseException:
                    with self._lock:
                        self._kept.pop(artifact_id, None)
                    raise
                self._make_room()
        kept.used_at = self._clock()
        return kept.value

    def _make_room(self) -> None:
        with self._lock:
            total = sum(kept.size or 0 for kept in self._kept.values())
            while total > KEPT_BYTES and len(self._kept) > 1:
                _, oldest = self._kept.popitem(last=False)
                total -= oldest.size or 0
            self._arm()

    def _arm(self) -> None:
        if self._kept and not self._armed:
            self._armed = True
            self._timers.at(self._clock() + KEPT_FOR, self._forget_unused)

    def _forget_unused(self) -> None:
        with self._lock:
            self._armed = False
            before = self._clock() - KEPT_FOR
            for artifact_id, kept in list(self._kept.items()):
                if kept.used_at is not None and kept.used_at <= before:
                    del self._kept[artifact_id]
            self._arm()


def read_spilled(database: Database, artifacts: ArtifactStore, artifact_id: str) -> tuple[Any, int]:
    """The value, and the bytes of its JSON. Raises ArtifactsUnavailable: for good where it is gone or damaged."""
    with database.read() as connection:
        row = rows.find(connection, artifact_id)
    if row is None:
        raise ArtifactsUnavailable(f"A large result is gone: there is no artifact {artifact_id!r}.", kind="permanent")
    try:
        text = artifacts.local_path(row.key).read_bytes()
        return orjson.loads(text), len(text)
    except (NotFound, FileNotFoundError) as gone:
        raise _lost(row, "gone: there is no artifact") from gone
    except orjson.JSONDecodeError as damaged:
        raise _lost(row, "damaged: no JSON is in the artifact") from damaged


def _lost(row: ArtifactRow, what: str) -> ArtifactsUnavailable:
    return ArtifactsUnavailable(
        f"The result of {row.stage} is {what} {row.key!r}. Run the execution again from that stage.", kind="permanent"
    )
