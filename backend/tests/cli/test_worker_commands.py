"""Workers, as a person types them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.cli.test_commands import flexi
from tests.system.server import ServerProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server")) as running:
        with running.client():  # makes the first account
            pass
        yield running


def run(server: ServerProcess, *arguments: str) -> tuple[int, str]:
    done = flexi(server.folder, *arguments, FLEXIROASTER_DATA_FOLDER=str(server.data))
    return done.returncode, done.stdout or done.stderr


def test_workers_are_listed_shown_and_drained(server: ServerProcess) -> None:
    (worker,) = json.loads(run(server, "workers", "list", "--json")[1])
    id, pid = worker["id"], server.process.pid
    assert (worker["pid"], worker["state"], worker["is_here"]) == (pid, "working", True)
    listed = run(server, "workers", "list")[1]
    assert id[:8] in listed
    assert f"0/{worker['slots']}" in listed
    status, text = run(server, "workers", "show", id[:8])
    assert (status, text) == (0, f"server on {worker['host']}, pid {pid}: working.\n")
    assert json.loads(run(server, "workers", "show", id, "--json")[1])["id"] == id
    assert run(server, "workers", "show", "nobody")[0] == 1
    status, text = run(server, "workers", "drain", id[:8])
    assert status == 0
    assert text.endswith(f": 0 running on {worker['host']}, pid {pid}\n")
    assert json.loads(run(server, "workers", "list", "--json")[1])[0]["state"] in {"draining", "drained"}
