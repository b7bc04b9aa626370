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


def test_what_passed_before_there_was_a_trigger_is_started(server: ServerProcess) -> None:
    nightly = {"id": "nightly", "type": "schedule", "cron": "15 2 * * *", "timezone": "Europe/Paris"}
    stages = [{"id": "one", "type": "noop"}]
    with server.client() as client:
        pipeline = {"id": "orders", "name": "Orders", "triggers": [nightly], "stages": stages}
        client.post("/api/pipelines", json=pipeline).raise_for_status()
    words = ("trigger", "backfill", "orders", "nightly", "--from", "2026-03-02", "--to")
    status, text = run(server, *words, "2026-03-04", "--dry-run")
    assert (status, text.split(":")[0], text.splitlines()[1][:28]) == (0, "3 instants", "The pipeline limits nothing:")
    assert "Nobody can be asked here" in run(server, *words, "2026-03-04", "--json")[1]
    assert run(server, *words, "2026-03-04", "--yes", "--latest-first")[1].splitlines()[-1] == "3 started"
    status, text = run(server, *words, "2026-03-05", "--yes")
    assert (status, text.splitlines()[0].split(":")[0], text.splitlines()[-1]) == (
        0,
        "4 instants, 3 of them started before",
        "1 started, 3 started before",
    )
    status, text = run(server, *words, "2026-03-05", "--yes", "--json")
    assert (status, json.loads(text)["known"]) == (0, 4)
    assert run(server, *words, "2026-03-02")[1].splitlines()[-1] == "0 started, 1 started before"
    status, text = run(server, *words, "2026-03-01", "--yes")
    assert (status, "`from` (2026-03-02) is later than `to` (2026-03-01)" in text) == (2, True)


@pytest.mark.parametrize("words", [("pause", "ticker", "none"), ("history", "none", "none"), ("list", "none")])
def test_what_is_not_there(server: ServerProcess, words: tuple[str, ...]) -> None:
    status, text = run(server, "trigger", *words)
    assert status == 1
    assert "There is no" in text
