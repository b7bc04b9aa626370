"""Versions and drafts, as a person types them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_commands import flexi
from tests.system.server import ServerProcess

FIRST = "id: sums\nname: Sums\nstages:\n  - {id: a, type: noop}\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path) as running:
        running.client().close()  # makes the first account
        (running.folder / "sums.yaml").write_text(FIRST)
        yield running


def run(server: ServerProcess, *arguments: str) -> tuple[int, str]:
    done = flexi(server.folder, *arguments, FLEXIROASTER_DATA_FOLDER=str(server.data))
    return done.returncode, done.stdout or done.stderr


def write(server: ServerProcess, text: str) -> None:
    (server.folder / "sums.yaml").write_text(text)


def test_a_draft_is_brought_compared_published_and_discarded(server: ServerProcess) -> None:
    lost = run(server, "import", "sums.yaml", "--draft")
    assert lost[0] == 1 and "import it without --draft first" in lost[1]
    assert run(server, "import", "sums.yaml")[0] == 0
    write(server, FIRST.replace("id: a", "id: b"))
    brought = run(server, "import", "sums.yaml", "--draft", "-m", "a better name")
    assert brought == (0, "sums.yaml: draft v2 of sums, made from v1\n")
    status, text = run(server, "pipeline", "versions", "sums")
    heading, *rows = [line.split("\t") for line in text.splitlines()]
    assert (status, heading) == (0, ["version", "state", "since", "by", "from", "note"])
    assert [(row[0], row[1], *row[4:]) for row in rows] == [
        ("v2", "draft", "v1", "a better name"),
        ("v1", "runs", "", ""),
    ]
    status, text = run(server, "pipeline", "diff", "sums", "2")
    assert status == 0
    assert "-  - {id: a, type: noop}" in text and "+  - {id: b, type: noop}" in text
    assert json.loads(run(server, "pipeline", "diff", "sums", "1", "2", "--json")[1])["added"] == ["a"]

    assert run(server, "pipeline", "publish", "sums", "2", "-m", "agreed & done") == (
        0,
        "Pipeline sums runs v2 from now on.\n",
    )
    assert json.loads(run(server, "pipeline", "versions", "sums", "--json")[1])[0]["note"] == "agreed & done"

    with server.client() as client:
        yaml = {"content-type": "application/yaml"}
        path = "/api/pipelines/sums"
        client.post(f"{path}/versions", content=FIRST.replace("id: a", "id: c"), headers=yaml).raise_for_status()
        client.put(path, content=FIRST.replace("id: a", "id: d"), headers=yaml).raise_for_status()
        client.post(f"{path}/versions", content=FIRST.replace("id: a", "id: e"), headers=yaml).raise_for_status()
    late = run(server, "pipeline", "publish", "sums", "3")
    assert late[0] == 1 and "version 4 was published since" in late[1]
    assert run(server, "pipeline", "publish", "sums", "3", "--anyway")[0] == 0
    assert run(server, "pipeline", "discard", "sums", "5") == (0, "Draft 5 discarded.\n")
