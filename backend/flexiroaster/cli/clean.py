"""`flexiroaster clean`: remove what is old, and files that nothing refers to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flexiroaster.cli.json_output import print_json
from flexiroaster.cli.options import FolderOption, JsonOption

if TYPE_CHECKING:
    from flexiroaster.config import Settings
    from flexiroaster.services.leftovers import LeftoverFiles
    from flexiroaster.services.retention import Retention
    from flexiroaster.store.database import Database


def clean(
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="DURATION", help="Executions that ended before: 30d, 12h, at least 1h."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    unknown_too: Annotated[
        bool,
        typer.Option("--unknown-too", help="Also delete files of unknown executions where these are most of them."),
    ] = False,
    as_json: JsonOption = False,
    folder: FolderOption = None,
) -> None:
    """Remove old executions and log lines, and files that nothing refers to. Servers do so by themselves.

    Works beside a running server or without one. By default as FLEXIROASTER_RETENTION_DAYS and
    FLEXIROASTER_LOG_RETENTION_DAYS say; insights, suggestions and times of maintenance are kept as executions are.
    Pipelines stay, and so do executions whose results younger ones use.
    """
    from flexiroaster.config import Settings
    from flexiroaster.log_output import configure_logs

    keep = _duration(older_than)
    configure_logs("error", json=False)
    with _opened(Settings.load(data_folder=folder), keep) as (database, retention, leftovers):
        found = _look(retention, leftovers) if dry_run else _clean(database, retention, leftovers, unknown_too)
    if as_json:
        print_json(found)
    else:
        for line in _lines(found, dry_run=dry_run):
            typer.echo(line)


def _duration(text: str | None) -> timedelta | None:
    from flexiroaster.engine.duration import InvalidDuration, parse_duration

    if text is None:
        return None
    try:
        found = parse_duration(text)
    except InvalidDuration as error:
        raise typer.BadParameter(str(error), param_hint="--older-than") from None
    if found < timedelta(hours=1):
        raise typer.BadParameter(
            "what ended within the last hour may still be written to: 1h is the least.", param_hint="--older-than"
        )
    return found


@contextmanager
def _opened(settings: Settings, keep: timedelta | None) -> Iterator[tuple[Database, Retention, LeftoverFiles]]:
    from flexiroaster.artifact_store import make_artifacts
    from flexiroaster.engine.errors import ConfigurationError
    from flexiroaster.housekeeping import make_retention
    from flexiroaster.services.leftovers import LeftoverFiles
    from flexiroaster.store.database import Database
    from flexiroaster.store.migrate import HEAD, revision

    if settings.embedded and not _file(settings).is_file():
        raise ConfigurationError(f"There is no database {_file(settings)}: name the server's folder (--data-folder).")
    database = Database.open(settings.database_url, statement_seconds=None)
    try:
        if revision(database) != HEAD:
            raise ConfigurationError("The tables are those of another release: run `flexiroaster db upgrade` first.")
        artifacts = make_artifacts(settings)
        yield database, make_retention(settings, database, artifacts, keep), LeftoverFiles(database, artifacts)
    finally:
        database.close()


def _file(settings: Settings) -> Path:
    from sqlalchemy import make_url

    return Path(make_url(settings.database_url).database or "")


def _look(retention: Retention, leftovers: LeftoverFiles) -> dict[str, Any]:
    from dataclasses import asdict

    left = leftovers.find()
    return asdict(retention.look()) | {
        "leftover_files": len(left.files),
        "leftover_bytes": left.bytes,
        "doubtful": left.is_doubtful,
    }


def _clean(database: Database, retention: Retention, leftovers: LeftoverFiles, unknown_too: bool) -> dict[str, Any]:
    from dataclasses import asdict

    from flexiroaster.services.retention import at_once
    from flexiroaster.store.shrinking import give_back

    removed = retention.apply()
    deleted = leftovers.delete(doubtful_too=unknown_too)
    return asdict(removed) | {
        "leftover_files": deleted.files,
        "leftover_bytes": deleted.bytes,
        "doubtful": deleted.doubtful,
        "database_bytes_freed": give_back(database, at_once),
    }


def _lines(found: dict[str, Any], *, dry_run: bool) -> Iterator[str]:
    from flexiroaster.engine.plurals import counted

    would = "Would remove" if dry_run else "Removed"
    yield (
        f"{would} {counted(found['executions'], 'execution')} with {counted(found['artifacts'], 'artifact')} "
        f"({_size(found['bytes'])}) and {counted(found['lines'], 'log line')} of others."
    )
    if found["findings"]:
        yield f"{would} {counted(found['findings'], 'insight or suggestion', 'insights and suggestions')}."
    if found["firings"]:
        yield f"{would} what became of {counted(found['firings'], 'instant of a trigger', 'instants of triggers')}."
    if found["windows"]:
        yield f"{would} {counted(found['windows'], 'time of maintenance', 'times of maintenance')}."
    if found["needed"]:
        yield f"{counted(found['needed'], 'execution')} as old: what they made is still used by younger ones."
    files = counted(found["leftover_files"], "file")
    yield f"{would} {files} ({_size(found['leftover_bytes'])}) that nothing refers to."
    if found["doubtful"]:
        yield (
            "Most executions that have files are unknown to this database: are the artifacts another one's? If not, "
            "--unknown-too deletes their files, too."
        )
    if found.get("database_bytes_freed"):
        yield f"The database file is {_size(found['database_bytes_freed'])} shorter."


def _size(number: int) -> str:
    return f"{number / 1e9:.2f} GB" if number >= 1e8 else f"{number / 1e6:.2f} MB"
