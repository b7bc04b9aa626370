"""The assistant and what it is told, as a person types it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ai.standin import Standin, standing_in
from tests.cli.test_commands import flexi
from tests.system.server import ServerProcess

FAILING = {
    "id": "report", "name": "Report", "labels": {"project": "sales"},
    "stages": [{"id": "load", "type": "stop", "config": {"status": "failed", "message": "401 with token=abc123"}}],
}  # fmt: skip
DRAFT = "id: nightly\nname: Nightly\nstages:\n  - id: a\n    type: noop\n"


@pytest.fixture(scope="module")
def standin() -> Iterator[Standin]:
    with standing_in() as server:
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, standin: Standin) -> Iterator[ServerProcess]:
    settings = {"AI": "true", "ASSISTANT_URL": standin.url, "ASSISTANT_MODEL": "small"}
    environment = {f"FLEXIROASTER_{name}": value for name, value in settings.items()}
    with ServerProcess(tmp_path_factory.mktemp("server"), environment=environment) as running:
        with running.client() as client:
            client.post("/api/pipelines", json=FAILING)
        yield running


def run(server: ServerProcess, *arguments: str) -> tuple[int, str, str]:
    done = flexi(server.folder, *arguments, FLEXIROASTER_DATA_FOLDER=str(server.data))
    return done.returncode, done.stdout, done.stderr


def test_a_failure_is_explained_once_it_is_switched_on(server: ServerProcess, standin: Standin) -> None:
    _, text, _ = run(server, "execute", "report", "--wait", "--json")
    id = json.loads(text)["id"]
    status, _, said = run(server, "assistant", "explain", id)
    assert (status, "switched off for project 'sales'" in said) == (1, True)
    assert run(server, "project", "set", "sales", "--assistant")[0] == 0
    status, text, said = run(server, "assistant", "explain", id, "--show")
    assert (status, "token=REDACTED_" in text, "Nothing was sent" in said) == (0, True, True)
    assert standin.asked == []
    standin.answers.append("The token is wrong.\x1b[2J")
    assert run(server, "assistant", "explain", id)[:2] == (0, "The token is wrong.\n")
    assert "abc123" not in standin.sent


def test_a_draft_goes_to_a_file_and_nowhere_else(server: ServerProcess, standin: Standin, tmp_path: Path) -> None:
    assert run(server, "project", "set", "default", "--assistant")[0] == 0
    standin.answers += [f"```\n{DRAFT}```", *["no"] * 3]
    made = tmp_path / "nightly.yaml"
    assert run(server, "assistant", "draft", "Something every night", "-o", str(made))[:2] == (0, DRAFT)
    assert made.read_text() == DRAFT
    with server.client() as client:
        assert client.get("/api/pipelines/nightly").status_code == 404
    status, _, said = run(server, "assistant", "draft", "another", "-f", str(made))
    assert (status, "would not accept this definition" in said) == (1, True)
