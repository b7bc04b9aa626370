"""Files in the artifact store that nothing refers to: of attempts that failed or were killed, of executions that were
removed when the store was away.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import structlog

from flexiroaster.artifacts.port import ArtifactStore, Entry
from flexiroaster.engine.errors import ArtifactsUnavailable
from flexiroaster.services.retention import Pause, at_once
from flexiroaster.store import retention as store
from flexiroaster.store.database import Database

log = structlog.get_logger(__name__)

FRESH = timedelta(hours=1)
"""Files younger than this may belong to something that is being recorded now."""
TOGETHER = 1_000
"""Files that are compared with the database at once."""
MOST = 20_000
"""Files that one look names: the next one goes on."""
STRANGERS = 20
"""As many executions, at least, must be unknown before it is asked whether this is the right database."""
_EXECUTION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(slots=True)
class Leftovers:
    """`nobodys` belong to executions that the database does not know, `unrecorded` to ones that have ended without
    taking note of them. `known` counts the executions that were found in both; of the `young` ones, which the database
    does not know either, more files may come. What is `foreign` has a name that no stage gives.
    """

    nobodys: dict[str, list[Entry]] = field(default_factory=dict)
    unrecorded: list[Entry] = field(default_factory=list)
    known: int = 0
    young: set[str] = field(default_factory=set)
    foreign: list[Entry] = field(default_factory=list)

    @property
    def files(self) -> list[Entry]:
        return [*itertools.chain.from_iterable(self.nobodys.values()), *self.unrecorded]

    @property
    def bytes(self) -> int:
        return sum(entry.bytes for entry in self.files)

    @property
    def is_doubtful(self) -> bool:
        """Whether it looks like the artifacts of another database: deleting them would be no cleaning."""
        return len(self.nobodys) >= STRANGERS and len(self.nobodys) > self.known


class Deleted(NamedTuple):
    """`doubtful`: so many executions were unknown that their files were left."""

    files: int = 0
    bytes: int = 0
    doubtful: bool = False


class LeftoverFiles:
    """`find` only looks. Files whose names are not of our making are nobody's business here."""

    def __init__(
        self,
        database: Database,
        artifacts: ArtifactStore,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._clock = clock

    def find(self, pause: Pause = at_once) -> Leftovers:
        """Raises ArtifactsUnavailable."""
        return self.among(self._artifacts.entries(), pause)

    def among(self, listed: Iterable[Entry], pause: Pause = at_once) -> Leftovers:
        """`listed` is everything that the store holds."""
        found = Leftovers()
        seen: set[str] = set()
        before = self._clock() - FRESH
        for entries in _groups(listed):
            self._sort(found, entries, before, seen)
            if not pause() or len(found.files) >= MOST:
                found.young.update(_executions(entries[-1:]).values())
                break
        return found

    def delete(self, pause: Pause = at_once, *, doubtful_too: bool = False) -> Deleted:
        """Raises ArtifactsUnavailable."""
        found = self.find(pause)
        doubtful = found.is_doubtful and not doubtful_too
        if doubtful:
            log.warning("leftovers.doubtful", unknown_executions=len(found.nobodys), known_executions=found.known)
        deleted = [entry for entry in found.unrecorded if pause() and self._delete(entry.key)]
        for execution_id, entries in () if doubtful else found.nobodys.items():
            if execution_id in found.young:
                deleted += [entry for entry in entries if pause() and self._delete(entry.key)]
            elif pause() and self._delete(execution_id):
                deleted += entries
        return Deleted(len(deleted), sum(entry.bytes for entry in deleted), doubtful)

    def _sort(self, found: Leftovers, entries: list[Entry], before: datetime, seen: set[str]) -> None:
        of = _executions(entries)
        with self._database.read() as connection:
            ends = store.ends(connection, set(of.values()))
            recorded = store.recorded_keys(connection, ends.keys())
        fresh = ends.keys() - seen
        found.known += len(fresh)
        seen |= fresh
        for entry in entries:
            execution_id = of.get(entry.key)
            if execution_id is None:
                if entry.changed_at < before:
                    found.foreign.append(entry)
            elif execution_id not in ends:
                if entry.changed_at < before:
                    found.nobodys.setdefault(execution_id, []).append(entry)
                else:
                    found.young.add(execution_id)
            elif entry.key not in recorded and entry.changed_at < before and _ended(ends[execution_id], before):
                found.unrecorded.append(entry)

    def _delete(self, prefix: str) -> bool:
        try:
            self._artifacts.delete(prefix)
        except (ArtifactsUnavailable, OSError) as failure:
            log.warning("leftovers.not_deleted", prefix=prefix, error=str(failure))
            return False
        return True


def _ended(ended_at: datetime | None, before: datetime) -> bool:
    """A stage that runs may have written what it has not recorded yet."""
    return ended_at is not None and ended_at < before


def _executions(entries: Iterable[Entry]) -> dict[str, str]:
    """By key the execution that it names, of keys as stages make them."""
    named = {entry.key: entry.key.partition("/")[0] for entry in entries}
    return {key: execution_id for key, execution_id in named.items() if _EXECUTION.fullmatch(execution_id)}


def _groups(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    iterator = iter(entries)
    while group := list(itertools.islice(iterator, TOGETHER)):
        yield group
