"""Pools, projects, paused pipelines and draining, as a person types them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_commands import flexi
from tests.system.server import ServerProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server")) as running:
        with running.client() as client:
            client.post(
                "/api/pipelines", json={"id": "hello", "name": "Hello", "stages": [{"id": "a", "type": "noop"}]}
            )
        yield running


def run(server: ServerProcess, *arguments: str) -> tuple[int, str]:
    done = flexi(server.folder, *arguments, FLEXIROASTER_DATA_FOLDER=str(server.data))
    return done.returncode, done.stdout or done.stderr


def test_a_pool_is_set_listed_and_deleted(server: ServerProcess) -> None:
    assert run(server, "pool", "list") == (0, "There is no pool yet.\n")
    assert run(server, "pool", "set", "cpu", "4") == (0, "Pool cpu has 4 slots: 0 used, 0 waiting.\n")
    status, text = run(server, "pool", "list", "--json")
    pool = {"name": "cpu", "slots": 4, "used": 0, "waiting": 0, "pipelines": 0, "workers": 1, "reason": None}
    assert (status, json.loads(text)) == (0, [pool])
    assert run(server, "pool", "list")[1].splitlines()[-1].split() == ["cpu", "4", "0", "0", "1", "0"]
    assert run(server, "pool", "delete", "cpu") == (0, "Pool cpu deleted\n")
    assert run(server, "pool", "delete", "cpu")[0] == 1
    assert run(server, "pool", "set", "c pu", "4")[0] == 2


def test_a_project_is_switched_and_listed(server: ServerProcess) -> None:
    assert run(server, "project", "set", "sales", "--no-learning") == (
        0,
        "Project sales: learning off, assistant off.\n",
    )
    assert run(server, "project", "set", "sales", "--assistant") == (0, "Project sales: learning off, assistant on.\n")
    status, text = run(server, "project", "list", "--json")
    assert (status, [one["name"] for one in json.loads(text)]) == (0, ["default", "sales"])
    assert run(server, "project", "set", "sales")[0] == 2
    assert run(server, "project", "set", " ", "--learning")[0] == 2


def test_a_pipeline_is_paused_and_resumed(server: ServerProcess) -> None:
    assert run(server, "pipeline", "pause", "hello") == (0, "Pipeline hello is paused: new executions wait.\n")
    status, text = run(server, "execute", "hello", "--priority", "3", "--json")
    assert status == 0
    with server.client() as client:
        execution = client.get(f"/api/executions/{json.loads(text)['execution_id']}").json()
    assert (execution["status"], execution["reason"]) == ("queued", "the pipeline is paused")
    assert run(server, "pipeline", "resume", "hello") == (0, "Pipeline hello is resumed: what waited begins.\n")
    assert run(server, "pipeline", "pause", "nothing")[0] == 1


def test_a_server_is_drained(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        with server.client() as client:
            status, text = run(server, "drain", "--wait", "--grace", "5")
            assert (status, text) == (0, "stopped: nothing runs any more, what waits goes on after a restart\n")
            assert client.get("/health").json()["status"] == "draining"
        assert server.stop() == 0
