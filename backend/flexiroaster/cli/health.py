"""`flexiroaster health`: whether the process of a data folder works, for containers and supervisors."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

import typer

from flexiroaster.cli.options import FolderOption

if TYPE_CHECKING:
    from flexiroaster.config import Settings

PATIENCE_SECONDS = 5.0


def health(folder: FolderOption = None) -> None:
    """Say whether what runs on this data folder works: exits with 0 when it does, with 1 when not.

    A server is asked at its /health; a process without one must have been heard of by the others on its database.
    """
    from flexiroaster.config import Settings
    from flexiroaster.data_folder import inner_pids, running_pid
    from flexiroaster.log_output import configure_logs
    from flexiroaster.server_file import running_server

    configure_logs("critical", json=False)
    settings = Settings.load(data_folder=folder)
    pid = running_pid(settings.data_folder)
    if pid is None:
        pids = inner_pids(settings.data_folder)
        if not pids:
            _end(f"Nothing runs on {settings.data_folder}.", well=False)
        _end(*_all_seen(settings, pids))
    server = running_server(settings.data_folder)
    if server is not None:
        _end(*_said(server.url))
    if settings.embedded:
        _end(f"Pid {pid} holds {settings.data_folder} and does not serve yet.", well=False)
    _end(*_all_seen(settings, [pid]))


def _said(url: str) -> tuple[str, bool]:
    import httpx

    try:
        answer = httpx.get(f"{url}/health", timeout=PATIENCE_SECONDS, trust_env=False)
        found = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        return f"{url} does not answer ({type(error).__name__}).", False
    detail = f": {found['detail']}" if found.get("detail") else ""
    return f"{url} is {found.get('status')}{detail}", answer.status_code == httpx.codes.OK


def _all_seen(settings: Settings, pids: Sequence[int]) -> tuple[str, bool]:
    from sqlalchemy.exc import SQLAlchemyError

    from flexiroaster.store import workers
    from flexiroaster.store.database import Database, StoreUnavailable

    database = Database.open(settings.database_url)
    try:
        with database.read() as connection:
            now, rows = workers.now(connection), workers.all_workers(connection)
    except (StoreUnavailable, SQLAlchemyError) as error:
        return f"The database does not answer ({type(error).__name__}).", False
    finally:
        database.close()
    alive = {row.pid for row in rows if row.host == socket.gethostname() and row.alive_until > now}
    said = [f"Pid {pid} {'works' if pid in alive else 'has not been heard of in time'}." for pid in pids]
    return " ".join(said), alive.issuperset(pids)


def _end(message: str, well: bool) -> NoReturn:
    typer.echo(message, err=not well)
    raise typer.Exit(0 if well else 1)
