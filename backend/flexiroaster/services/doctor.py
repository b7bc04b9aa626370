"""Looks for what is wrong with an installation, and says what to do about it. Changes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from flexiroaster.artifacts.port import ArtifactStore, Entry
from flexiroaster.engine.plurals import counted
from flexiroaster.engine.runs import stage_run_name
from flexiroaster.engine.state import STAGE_FINAL
from flexiroaster.services import integrity
from flexiroaster.services.leftovers import LeftoverFiles
from flexiroaster.services.unserved import cure
from flexiroaster.store import load, workers
from flexiroaster.store.database import Database, StoreUnavailable
from flexiroaster.store.migrate import HEAD, revision
from flexiroaster.store.tables import artifacts, executions, stage_runs

SHOWN = 5
"""Findings of a kind that are named; of the others the number is said."""
LARGEST = 20_000
"""Stage runs of an execution that is compared with its events: more would take minutes."""
LEASE_PATIENCE = timedelta(minutes=2)
"""After the end of a lease: a worker that is a little late is alive."""
LITTLE_SPACE = 1_000_000_000
NO_SPACE = 100_000_000
GIGABYTE = 1_000_000_000

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`check` names what was looked at; of what is as it should be there is no cure."""

    check: str
    level: Level
    message: str
    cure: str | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class DatabaseDoctor:
    """`serving`: whether a server is known to work on this database now; `version` is that of this release."""

    def __init__(
        self, database: Database, *, serving: bool, version: str | None = None, now: datetime | None = None
    ) -> None:
        self._database = database
        self._serving = serving
        self._version = version
        self._now = now or datetime.now(UTC)

    def look(self, newest: int, kept: ArtifactStore) -> Iterator[Finding]:
        """`newest`: how many of the executions that ended last are compared with their events."""
        try:
            found = self._tables()
            yield found
            if found.level == "error":
                return
            yield from self._file()
            yield from self._servers()
            yield from self._events(newest)
            yield from self._leases()
            yield from self._queues()
            yield from self._ended()
            yield from self._artifacts(kept)
        except StoreUnavailable as error:
            yield Finding("database", "error", str(error), "Start it, or correct FLEXIROASTER_DATABASE_URL.")
        except SQLAlchemyError as error:
            cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            yield Finding("database", "error", f"It does not answer: {cause}.", "Start it, or put back a copy of it.")

    def _tables(self) -> Finding:
        found = revision(self._database)
        if found == HEAD:
            return Finding("tables", "ok", f"They are at revision {HEAD}.")
        if found is None:
            return Finding("tables", "error", "There are none yet.", "Run `flexiroaster db upgrade`.")
        if found > HEAD:
            message = f"They are at revision {found}, and this release knows none after {HEAD}."
            return Finding("tables", "error", message, "Start the newer release that wrote them, or restore a copy.")
        message = f"They are at revision {found}, this release needs {HEAD}."
        return Finding("tables", "error", message, "Run `flexiroaster db upgrade` (`flexiroaster up` does it, too).")

    def _file(self) -> Iterator[Finding]:
        if self._database.dialect != "sqlite":
            return
        with self._database.read() as connection:
            said = [str(line) for line in connection.scalars(sa.text(f"PRAGMA quick_check({SHOWN})"))]
        if said == ["ok"]:
            yield Finding("database file", "ok", "It is sound.")
        else:
            cure = "Stop the server and put back a copy of the database."
            yield Finding("database file", "error", f"It is damaged: {'; '.join(said)}.", cure)

    def _servers(self) -> Iterator[Finding]:
        """Those that share this database, as their rows say."""
        with self._database.read() as connection:
            rows, now = workers.all_workers(connection), workers.now(connection)
        alive = [row for row in rows if row.alive_until > now]
        self._serving = self._serving or bool(alive)
        for row in [row for row in rows if row.alive_until <= now][:SHOWN]:
            message = f"{row.host}:{row.pid} has not been heard of since {row.seen_at:%Y-%m-%d %H:%M:%S} UTC."
            cure = "Look why it ended. What it was doing is taken up by the others, or at the next start."
            yield Finding("servers", "warning", message, cure)
        for row in alive:
            if self._version is not None and row.version != self._version:
                message = f"{row.host}:{row.pid} is version {row.version}, this command line is {self._version}."
                yield Finding("version", "warning", message, "Restart it with the same release as the others.")
        yield Finding(
            "servers", "ok", f"{counted(len(alive), 'server')} {'works' if len(alive) == 1 else 'work'} here."
        )

    def _events(self, newest: int) -> Iterator[Finding]:
        with self._database.read() as connection:
            ids = integrity.newest_ended(connection, newest)
            large = _large(connection, ids)
        wrong = [found for id in ids if id not in large and (found := self._compared(id)) is not None]
        cure = "Run it again where its result matters, and report this with the execution's events."
        yield from _named("events", wrong, cure)
        left_out = f"; {len(large)} too large to compare" if large else ""
        if not wrong:
            same = counted(len(ids) - len(large), "execution")
            yield Finding("events", "ok", f"{same} compared, each is as its events say{left_out}.")

    def _compared(self, id: str) -> str | None:
        try:
            with self._database.read() as connection:
                found = integrity.differences(connection, id)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            return f"Execution {id} cannot be read: {type(error).__name__}: {error}."
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        return f"Execution {id} is not what its events say: {found[0]}{more}." if found else None

    def _leases(self) -> Iterator[Finding]:
        """A lease that has ended is taken back by the server, at its start or soon after."""
        run = stage_runs.c
        ended = run.lease_until < self._now - LEASE_PATIENCE
        query = sa.select(run.execution_id, run.stage, run.idx, run.lease_until).where(
            run.lease_owner.is_not(None), ended, run.ended_at.is_(None)
        )
        with self._database.read() as connection:
            held = connection.execute(query.order_by(run.lease_until)).all()
        if not self._serving:
            waiting = f"; {counted(len(held), 'stage')} will run again at the next start" if held else ""
            yield Finding("leases", "ok", f"No server runs{waiting}.")
            return
        lost = [
            f"Stage {stage_run_name(row.stage, row.idx)} of execution {row.execution_id} is held by a worker that has "
            f"not been heard of since {row.lease_until:%Y-%m-%d %H:%M:%S} UTC."
            for row in held
        ]
        yield from _named("leases", lost, "Restart the server: it takes such stages up again.")
        if not lost:
            yield Finding("leases", "ok", "None has expired.")

    def _queues(self) -> Iterator[Finding]:
        """Ready stages that no worker takes."""
        if not self._serving:
            return
        with self._database.read() as connection:
            found, cover = load.queues(connection), workers.cover(connection)
        left = [queue for queue in found if queue.waiting and not cover.workers(queue.pool)]
        for queue in left:
            waited = self._now - queue.oldest if queue.oldest else timedelta()
            verb = "waits" if queue.waiting == 1 else "wait"
            whose = "that name no pool" if queue.pool is None else f"of pool {queue.pool}"
            yield Finding(
                "queues",
                "error" if waited > LEASE_PATIENCE else "warning",
                f"{counted(queue.waiting, 'stage')} {whose} {verb}, and no worker takes them.",
                cure(queue.pool, self._database.dialect),
            )
        if not left:
            yield Finding("queues", "ok", "Whatever waits has a worker that takes it.")

    def _ended(self) -> Iterator[Finding]:
        run, final = stage_runs.c, [status.value for status in STAGE_FINAL]
        query = (
            sa.select(run.execution_id, sa.func.count())
            .join_from(stage_runs, executions, executions.c.id == run.execution_id)
            .where(run.ended_at.is_(None), run.status.not_in(final), executions.c.ended_at.is_not(None))
            .group_by(run.execution_id)
        )
        with self._database.read() as connection:
            found = connection.execute(query).all()
        open_ = [f"Execution {id} has ended, and {counted(count, 'stage run')} of it has not." for id, count in found]
        yield from _named("ends", open_, "Report this with the execution's events; it does no harm to others.")
        if not open_:
            yield Finding("ends", "ok", "What has ended has no stage left open.")

    def _artifacts(self, kept: ArtifactStore) -> Iterator[Finding]:
        trouble = kept.trouble()
        if trouble is not None:
            yield Finding("artifacts", "error", trouble, "Put it right, or correct FLEXIROASTER_ARTIFACTS_URL.")
            return
        entries = list(kept.entries())
        sizes = {entry.key: entry.bytes for entry in entries}
        with self._database.read() as connection:
            query = sa.select(artifacts.c.key, artifacts.c.execution_id, artifacts.c.stage, artifacts.c.bytes)
            missing = [
                _missing(row.key, row.execution_id, row.stage, size, row.bytes)
                for row in connection.execute(query.order_by(artifacts.c.created_at))
                if (size := sizes.get(row.key)) != row.bytes
            ]
        cure = "Put the file back from a copy, or make it again: `flexiroaster rerun EXECUTION --from STAGE`."
        yield from _named("artifacts", missing, cure)
        unknown = list(self._leftovers(kept, entries))
        yield from unknown
        if not missing and not unknown:
            yield Finding("artifacts", "ok", "Every file has its record, and every record its file.")

    def _leftovers(self, kept: ArtifactStore, entries: Sequence[Entry]) -> Iterator[Finding]:
        found = LeftoverFiles(self._database, kept, lambda: self._now).among(entries)
        if found.is_doubtful:
            yield Finding(
                "artifacts",
                "warning",
                f"{counted(len(found.nobodys), 'execution')} that have files here are unknown to this database, and "
                f"{found.known:,} are known: is it the right one?",
                "Correct FLEXIROASTER_DATABASE_URL or FLEXIROASTER_ARTIFACTS_URL; if they are right, "
                "`flexiroaster clean --unknown-too` deletes these files.",
            )
        elif found.files:
            yield Finding(
                "artifacts",
                "warning",
                f"{_files(found.files)} of attempts that failed or were killed, or of executions that were removed, "
                f"and belong to nothing any more{_such_as(kept, found.files)}.",
                "The server deletes them once a day; `flexiroaster clean` does it now.",
            )
        if found.foreign:
            yield Finding(
                "artifacts",
                "warning",
                f"{_files(found.foreign)} that FlexiRoaster has not made{_such_as(kept, found.foreign)}.",
                "Keep them elsewhere: nobody else is to write there.",
            )


def space(folders: Sequence[Path]) -> Iterator[Finding]:
    """Of the disks that these are on, each once."""
    seen: set[int] = set()
    for folder in folders:
        disk = folder.stat().st_dev
        if disk in seen:
            continue
        seen.add(disk)
        free = shutil.disk_usage(folder).free
        level: Level = "error" if free < NO_SPACE else "warning" if free < LITTLE_SPACE else "ok"
        message = f"{free / GIGABYTE:.1f} GB are free where {folder} is."
        cure = None if level == "ok" else "Free some space: a full disk stops every stage."
        yield Finding("disk", level, message, cure)


def _named(check: str, messages: Sequence[str], cure: str) -> Iterator[Finding]:
    for message in messages[:SHOWN]:
        yield Finding(check, "error", message, cure)
    if len(messages) > SHOWN:
        yield Finding(check, "error", f"And {len(messages) - SHOWN:,} more of this kind.", cure)


def _large(connection: sa.Connection, ids: Sequence[str]) -> set[str]:
    run = stage_runs.c
    query = sa.select(run.execution_id).where(run.execution_id.in_(ids)).group_by(run.execution_id)
    return set(connection.scalars(query.having(sa.func.count() > LARGEST)))


def _files(entries: Sequence[Entry]) -> str:
    return f"{counted(len(entries), 'file')} ({sum(entry.bytes for entry in entries) / GIGABYTE:.3f} GB)"


def _such_as(kept: ArtifactStore, entries: Sequence[Entry]) -> str:
    return f", such as {unquote(kept.uri(min(entry.key for entry in entries)).removeprefix('file://'))}"


def _missing(key: str, execution: str, stage: str, size: int | None, expected: int) -> str:
    what = "is gone" if size is None else f"has {size:,} bytes instead of {expected:,}"
    return f"The file {key} of stage {stage} in execution {execution} {what}."
