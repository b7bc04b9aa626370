"""`flexiroaster health`, in this process."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from flexiroaster.cli.main import app
from flexiroaster.data_folder import DataFolder
from flexiroaster.server_file import RunningServer
from flexiroaster.store import workers
from flexiroaster.store.database import Database


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataFolder]:
    """One that this process holds."""
    monkeypatch.chdir(tmp_path)
    held = DataFolder.open(tmp_path / "data")
    yield held
    held.close()


def health(folder: Path) -> Result:
    return CliRunner().invoke(app, ["health", "--data-folder", str(folder)], catch_exceptions=False)


class Answer(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        body = b'{"status": "degraded", "detail": "S3 is away."}'
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(("status", "exit_code"), [(200, 0), (503, 1)])
def test_a_server_is_asked(folder: DataFolder, monkeypatch: pytest.MonkeyPatch, status: int, exit_code: int) -> None:
    monkeypatch.setattr(Answer, "status", status)
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        RunningServer(url, os.getpid(), "instance").write(folder.path)
        said = health(folder.path)
    assert said.exit_code == exit_code
    assert said.output == f"{url} is degraded: S3 is away.\n"
    gone = health(folder.path)
    assert (gone.exit_code, gone.output) == (1, f"{url} does not answer (ConnectError).\n")


def test_nothing_runs(tmp_path: Path) -> None:
    said = health(tmp_path)
    assert (said.exit_code, said.output) == (1, f"Nothing runs on {tmp_path}.\n")


def test_a_process_that_does_not_serve_has_to_be_heard_of(
    folder: DataFolder, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEXIROASTER_DATABASE_URL", postgres_url)
    assert "has not been heard of" in health(folder.path).output
    database = Database.open(postgres_url)
    me = workers.Me("me", socket.gethostname(), os.getpid(), "1", 4)
    for lease, exit_code in ((timedelta(minutes=1), 0), (timedelta(minutes=-1), 1)):
        workers.aside(database, lambda connection, lease=lease: workers.register(connection, me, lease))
        assert health(folder.path).exit_code == exit_code
    database.close()
    monkeypatch.setenv("FLEXIROASTER_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    assert health(folder.path).exit_code == 1


def test_workers_have_folders_of_their_own(tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLEXIROASTER_DATABASE_URL", postgres_url)
    held = DataFolder.open(tmp_path / "workers" / "1")
    said = health(tmp_path)
    held.close()
    assert (said.exit_code, said.output) == (1, f"Pid {os.getpid()} has not been heard of in time.\n")


def test_on_sqlite_who_holds_the_folder_serves(folder: DataFolder) -> None:
    said = health(folder.path)
    assert (said.exit_code, said.output) == (1, f"Pid {os.getpid()} holds {folder.path} and does not serve yet.\n")
