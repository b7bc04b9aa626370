"""Triggers, as a person types them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.cli.test_commands import flexi
from tests.system.asking import until
from tests.system.schedules import TICKER, has_fired
from tests.system.server import ServerProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server")) as running, running.client():
        yield running


def run(server: ServerProcess, *arguments: str) -> tuple[int, str]:
    done = flexi(server.folder, *arguments, FLEXIROASTER_DATA_FOLDER=str(server.data))
    return done.returncode, done.stdout or done.stderr


def test_a_trigger_is_listed_paused_and_resumed(server: ServerProcess) -> None:
    assert run(server, "trigger", "list") == (0, "There is no trigger yet.\n")
    with server.client() as client:
        client.post("/api/pipelines", json=TICKER).raise_for_status()
        until(has_fired(client, 2))
    assert run(server, "trigger", "pause", "ticker", "fast") == (
        0,
        "Trigger fast of ticker starts nothing: paused by ada@example.com.\n",
    )
    (line,) = run(server, "trigger", "list", "ticker")[1].splitlines()[1:]
    assert line.split("\t")[:3] == ["ticker", "fast", "every 1s"]
    assert line.split("\t")[3].startswith("paused by ")
    assert line.split("\t")[4].startswith("started ")
    status, text = run(server, "trigger", "history", "ticker", "fast", "--json", "-n", "1")
    assert (status, [one["state"] for one in json.loads(text)]) == (0, ["started"])
    first = run(server, "trigger", "history", "ticker", "fast")[1].splitlines()[-1].split("\t")
    assert first[1:] == ["started", "#1 success", ""]
    status, text = run(server, "trigger", "resume", "ticker", "fast")
    assert (status, text.split(" at ")[0]) == (0, "Trigger fast of ticker comes next")
    assert run(server, "trigger", "list", "--json", "-n", "1")[0] == 0


@pytest.mark.parametrize("words", [("pause", "ticker", "none"), ("history", "none", "none"), ("list", "none")])
def test_what_is_not_there(server: ServerProcess, words: tuple[str, ...]) -> None:
    status, text = run(server, "trigger", *words)
    assert status == 1
    assert "There is no" in text
