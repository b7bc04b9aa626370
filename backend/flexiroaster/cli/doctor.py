"""`flexiroaster doctor`: what is wrong with this installation, and the cure."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flexiroaster.cli.json_output import print_json
from flexiroaster.cli.options import FolderOption, JsonOption

if TYPE_CHECKING:
    from flexiroaster.config import Settings
    from flexiroaster.server_file import RunningServer
    from flexiroaster.services.doctor import Finding

MARKS = {"ok": "✓", "warning": "!", "error": "✗"}
PATIENCE_SECONDS = 5.0


def doctor(
    executions: Annotated[
        int, typer.Option("--executions", min=0, max=100_000, help="Compare so many with their events, the newest.")
    ] = 100,
    as_json: JsonOption = False,
    folder: FolderOption = None,
) -> None:
    """Look for what is wrong with this installation, beside a running server or without one. Changes nothing.

    Exits with 0 when it is well, also with warnings, and with 1 when it is not.
    """
    from flexiroaster.log_output import configure_logs

    configure_logs("critical", json=False)
    findings = []
    for finding in _findings(folder, executions):
        findings.append(finding)
        if not as_json:
            _print(finding)
    wrong = [finding for finding in findings if finding.level == "error"]
    if as_json:
        found = {"healthy": not wrong, "findings": [finding.to_json() for finding in findings]}
        print_json(found)
    else:
        typer.echo("All is well." if not wrong else f"{len(wrong)} of {len(findings)} checks found something wrong.")
    if wrong:
        raise typer.Exit(1)


def _print(finding: Finding) -> None:
    typer.echo(f"{MARKS[finding.level]} {finding.check}: {finding.message}")
    if finding.cure is not None:
        typer.echo(f"    cure  {finding.cure}")


def _findings(folder: Path | None, executions: int) -> Iterator[Finding]:
    from flexiroaster.config import Settings
    from flexiroaster.data_folder import running_pid
    from flexiroaster.engine.errors import ConfigurationError
    from flexiroaster.server_file import running_server
    from flexiroaster.services.doctor import Finding

    try:
        settings = Settings.load(data_folder=folder)
    except ConfigurationError as error:
        yield Finding("settings", "error", str(error), "Correct the variable, or the line of .env.")
        return
    yield from _settings(settings)
    if not settings.data_folder.is_dir():
        message = f"There is no data folder {settings.data_folder}."
        yield Finding("data folder", "error", message, "Start `flexiroaster up` once, or name another (--data-folder).")
        return
    yield from _folder(settings)
    serving = running_pid(settings.data_folder) is not None
    yield from _server(running_server(settings.data_folder), serving)
    yield from _space(settings)
    yield from _database(settings, serving, executions)


def _settings(settings: Settings) -> Iterator[Finding]:
    from flexiroaster.config import is_loopback
    from flexiroaster.services.doctor import Finding

    before = None
    if not is_loopback(settings.host) and settings.url().startswith("http://"):
        before = "Passwords and tokens cross the network as they are: people reach the server by http."
        yield Finding("settings", "warning", before, "Put a proxy with TLS before it and name https://… as PUBLIC_URL.")
    if settings.code_stages and not settings.code_confined:
        before = "Code stages may read the server's files: FLEXIROASTER_CODE_CONFINED is off."
        yield Finding("settings", "warning", before, "Switch it on, unless every author may see everything.")
    if before is None:
        yield Finding("settings", "ok", "They can be used.")


def _folder(settings: Settings) -> Iterator[Finding]:
    from flexiroaster.data_folder import read_key
    from flexiroaster.engine.errors import ConfigurationError
    from flexiroaster.services.doctor import Finding

    path = settings.data_folder
    wrong = False
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        wrong = True
        message = f"Others can look into {path} (mode {mode:04o})."
        yield Finding("data folder", "warning", message, f"Run chmod 700 {path}.")
    for place in (path, settings.artifacts_folder):
        if place.is_dir() and not os.access(place, os.R_OK | os.W_OK | os.X_OK):
            wrong = True
            cure = f"Give it to the user who starts FlexiRoaster: chown -R {os.geteuid()} {place}."
            yield Finding("data folder", "error", f"{place} cannot be written to.", cure)
    try:
        if settings.secret_key is None:
            read_key(path, "secret")
    except ConfigurationError as error:
        wrong = True
        yield Finding("data folder", "error", str(error), "Without its key nobody can sign in.")
    if not wrong:
        yield Finding("data folder", "ok", f"{path} is there, and private.")


def _server(server: RunningServer | None, serving: bool) -> Iterator[Finding]:
    from flexiroaster.services.doctor import Finding

    if server is None:
        yield Finding("server", "ok", "One works on this folder." if serving else "None runs on this folder.")
        return
    import httpx

    try:
        health = httpx.get(f"{server.url}/health", timeout=PATIENCE_SECONDS, trust_env=False).json()
    except (httpx.HTTPError, ValueError) as error:
        message = f"Pid {server.pid} holds the folder, and {server.url} does not answer ({type(error).__name__})."
        yield Finding("server", "error", message, "Look at its log; restart it, what it was doing goes on.")
        return
    found = health.get("version")
    if health.get("status") == "degraded":
        yield Finding("server", "error", f"{server.url} says: {health.get('detail')}", "See what follows.")
    else:
        yield Finding("server", "ok", f"{server.url} is {health.get('status')}, version {found}.")


def _space(settings: Settings) -> Iterator[Finding]:
    from flexiroaster.services.doctor import space

    folders = (settings.data_folder, settings.artifacts_folder, *settings.data_dirs)
    yield from space([folder for folder in folders if folder.is_dir()])


def _database(settings: Settings, serving: bool, executions: int) -> Iterator[Finding]:
    from sqlalchemy import make_url

    from flexiroaster import __version__
    from flexiroaster.artifact_store import make_artifacts
    from flexiroaster.services.doctor import DatabaseDoctor, Finding
    from flexiroaster.store.database import Database

    if settings.embedded:
        path = Path(make_url(settings.database_url).database or "")
        if not path.is_file() or not path.stat().st_size:
            cure = "Put back a copy of it; where nothing was kept yet, start `flexiroaster up` once."
            yield Finding("database", "error", f"There is no database {path}.", cure)
            return
    database = Database.open(settings.database_url, statement_seconds=None)
    try:
        doctor = DatabaseDoctor(database, serving=serving, version=__version__)
        yield from doctor.look(executions, make_artifacts(settings))
    finally:
        database.close()
