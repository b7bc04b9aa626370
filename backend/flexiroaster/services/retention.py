"""Removing what is older than it is to be kept: executions with all that hangs on them, what was learned of them, and
log lines.

Any server may do it, several at once too: what is removed is held first, and looked at again while it is held. The
database decides; files go after its commit. A crash in between leaves files that nothing refers to, which
`services.leftovers` finds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
import structlog

from flexiroaster.artifacts.port import ArtifactStore
from flexiroaster.engine.errors import ArtifactsUnavailable
from flexiroaster.store import maintenance, triggers
from flexiroaster.store import retention as store
from flexiroaster.store.database import Database, Transaction
from flexiroaster.store.retention import OldRow, Stored

log = structlog.get_logger(__name__)

PAGE = 100
"""Executions that are looked at together."""
EVENTS_AT_ONCE = 5_000
"""Of the executions that one transaction removes, unless a single one has more: others wait to write meanwhile."""
LINES_AT_ONCE = 2_000
SHORTEST = timedelta(hours=1)
"""What ended a moment ago may still be written to: its last log lines are."""

Count = Callable[[sa.Connection, datetime], int]
Pause = Callable[[], bool]
"""Called between two transactions: lets others write, and answers whether to go on."""


def at_once() -> bool:
    """The `Pause` of who has nobody to wait for."""
    return True


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed, or would be. `needed` executions are as old, and others still use what they made."""

    executions: int = 0
    needed: int = 0
    artifacts: int = 0
    bytes: int = 0
    lines: int = 0
    findings: int = 0
    """Insights and suggestions."""
    firings: int = 0
    """Of triggers."""
    windows: int = 0
    """Times of maintenance."""

    @property
    def nothing(self) -> bool:
        return not (self.executions or self.lines or self.findings or self.firings or self.windows)


class Retention:
    """`keep` and `keep_lines` say for how long after its end, and after it was written; None: for ever."""

    def __init__(
        self,
        database: Database,
        artifacts: ArtifactStore,
        *,
        keep: timedelta | None,
        keep_lines: timedelta | None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._keep = keep
        self._keep_lines = keep_lines
        self._clock = clock

    @property
    def keeps_everything(self) -> bool:
        return self._keep is None and self._keep_lines is None

    def apply(self, pause: Pause = at_once) -> Removed:
        """Remove what is old. Safe to call again, and to be killed at any moment."""
        return self._all(pause, dry=False)

    def look(self) -> Removed:
        """What `apply` would remove now."""
        return self._all(at_once, dry=True)

    def _all(self, pause: Pause, *, dry: bool) -> Removed:
        return replace(
            self._executions(pause, dry=dry),
            findings=self._aged(store.count_findings, store.remove_findings, pause, dry=dry),
            firings=self._aged(triggers.count_firings, triggers.remove_firings, pause, dry=dry),
            windows=self._aged(maintenance.count_over, maintenance.remove_over, pause, dry=dry),
            lines=self._lines(pause, dry=dry),
        )

    # ── executions ──────────────────────────────────────────────────────────────────────────────────────────────

    def _executions(self, pause: Pause, *, dry: bool) -> Removed:
        """In several passes: what was needed by something that is gone now is not needed any more."""
        if self._keep is None:
            return Removed()
        now = self._clock()
        sweep = _Sweep(self._database, now, now - max(self._keep, SHORTEST), dry)
        while self._pass(sweep, pause):
            pass
        made = list(sweep.removed.values())
        return Removed(
            executions=sweep.count,
            needed=len(sweep.needed),
            artifacts=sum(one.files for one in made),
            bytes=sum(one.bytes for one in made),
        )

    def _pass(self, sweep: _Sweep, pause: Pause) -> bool:
        """Whether there may be more to remove."""
        before, after = sweep.count, None
        sweep.needed = set()
        while (page := sweep.page(after)) and pause():
            after = (page[-1].created_at, page[-1].id)
            self._delete_files(sweep.remove(page))
        stopped = bool(page)
        return sweep.count > before and bool(sweep.needed) and not stopped

    def _delete_files(self, removed: Mapping[str, Stored]) -> None:
        for execution_id in removed:
            try:
                self._artifacts.delete(execution_id)
            except (ArtifactsUnavailable, OSError) as failure:  # they are found as left over later
                log.warning("retention.files_left", execution=execution_id, error=str(failure))

    # ── what was learned, what became of triggers, times of maintenance ─────────────────────────────────────────

    def _aged(self, count: Count, remove: Count, pause: Pause, *, dry: bool) -> int:
        """What goes when executions of its age do: they are what it rests on, or has started."""
        if self._keep is None:
            return 0
        before = self._clock() - max(self._keep, SHORTEST)
        with self._database.read() as connection:
            found = count(connection, before)
        if dry or not found or not pause():
            return found if dry else 0
        return self._database.write(lambda tx: remove(tx.sa, before))

    # ── log lines ───────────────────────────────────────────────────────────────────────────────────────────────

    def _lines(self, pause: Pause, *, dry: bool) -> int:
        """They lie in the order they were written: it ends where they are young."""
        if self._keep_lines is None:
            return 0
        before, after, count = self._clock() - max(self._keep_lines, SHORTEST), 0, 0
        while pause():
            with self._database.read() as connection:
                lines = store.oldest_lines(connection, after, LINES_AT_ONCE)
                old = [id for id, at in lines if at < before]
                if old and dry:
                    count += store.count_lines(connection, old[0], old[-1], before)
            if not old:
                break
            if not dry:
                count += self._remove_lines(old[0], old[-1], before)
            after = lines[-1][0]
        return count

    def _remove_lines(self, first: int, last: int, before: datetime) -> int:
        return self._database.write(lambda tx: store.remove_lines(tx.sa, first, last, before))


@dataclass(slots=True)
class _Sweep:
    """One walk over the executions that ended before `before`. `removed` are those that had artifacts."""

    database: Database
    now: datetime
    before: datetime
    dry: bool
    count: int = 0
    needed: set[str] = field(default_factory=set)
    removed: dict[str, Stored] = field(default_factory=dict)
    _gone: set[str] = field(default_factory=set)

    def page(self, after: tuple[datetime, str] | None) -> list[OldRow]:
        """The next ones, as many as one transaction may remove."""
        with self.database.read() as connection:
            rows = store.old(connection, self.before, after, PAGE)
        events = 0
        for place, row in enumerate(rows):
            events += row.events
            if place and events > EVENTS_AT_ONCE:
                return rows[:place]
        return rows

    def remove(self, page: list[OldRow]) -> Mapping[str, Stored]:
        """What really was removed of what had artifacts."""
        if self.dry:
            with self.database.read() as connection:
                ids = self._wanted(connection, page)
                free = sorted(self._free(connection, ids))
                made = store.stored(connection, free)
            self._gone.update(free)
        else:
            # Files are deleted next: a power cut must not bring back what refers to them.
            free, made, ids = self.database.write(lambda tx: self._remove(tx, page), durable=True)
        self.count += len(free)
        self.needed |= set(ids) - set(free)
        self.removed |= made
        return {} if self.dry else made

    def _remove(self, tx: Transaction, page: list[OldRow]) -> tuple[list[str], dict[str, Stored], Collection[str]]:
        ids = self._wanted(tx.sa, page)
        free = sorted(self._free(tx.sa, store.held(tx.sa, ids, self.before)))
        made = store.stored(tx.sa, free)
        store.remove(tx.sa, free)
        return free, made, ids

    def _wanted(self, connection: sa.Connection, page: list[OldRow]) -> Collection[str]:
        """With what they have started: what a parent and its children made of each other goes together or not."""
        ids = {row.id for row in page} - self._gone
        return ids | {row.id for row in store.old_below(connection, self.before, ids)} - self._gone

    def _free(self, connection: sa.Connection, ids: Collection[str]) -> set[str]:
        """Those that nothing uses which stays."""
        users, free = store.users(connection, ids, self.now), set(ids)
        leaving = free | self._gone
        while needed := {id for id in free if not users.get(id, set()) <= leaving}:
            free -= needed
            leaving -= needed
        return free
