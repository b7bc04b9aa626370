"""What history says, as a person asks for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flexiroaster.store import insights as insight_store
from flexiroaster.store import suggestions as suggestion_store
from flexiroaster.store.database import Database
from tests.cli.test_commands import flexi
from tests.system.server import ServerProcess

NOW = datetime(2026, 3, 4, 6, tzinfo=UTC)
PIPELINE = """\
id: report
name: Report
stages:
  - {id: load, type: noop}
  - {id: rates, type: noop, needs: [load]}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server")) as running:
        with running.client() as client:
            headers = {"content-type": "application/yaml"}
            assert client.post("/api/pipelines", content=PIPELINE, headers=headers).status_code == 201
        history(running.data)
        yield running


def history(folder: Path) -> None:
    """As the learner writes it down."""
    database = Database.open(f"sqlite:///{next(folder.glob('*.db'))}")
    found = {
        "pipeline_id": "report",
        "stages": ["rates"],
        "saving": {"median": 19.0, "low": 15.0, "high": 23.0, "share": 0.31, "executions": 40, "confidence": 0.998},
        "numbers": {},
        "replay": None,
        "executions": 40,
        "shown": [],
        "confidence": 0.998,
        "gain": 19.0,
    }
    edit = {"stage": "rates", "path": ["needs"], "value": [], "remove": False}
    call = {"method": "PUT", "path": "/api/pools/gpu", "body": {"slots": 2}}
    rows = [
        found | {"id": "s1", "kind": "parallel", "text": "Start rates now: why.", "edits": [edit], "call": None},
        found | {"id": "s2", "kind": "pool", "text": "Give gpu 2 slots: why.", "edits": [], "call": call, "gain": 1.0},
    ]
    insight = {
        "id": "i1",
        "rule": "slow_runs",
        "subject": "report/load",
        "stage": "load",
        "text": "Stage load of report takes 92 s.",
        "since": NOW,
        "until": None,
        "score": 1.8,
        "threshold": 1.0,
        "confidence": 0.9993,
        "pipelines": ["report"],
        "executions": [],
        "numbers": {},
    }
    database.write(lambda tx: suggestion_store.keep(tx.sa, "report", rows, datetime.now(UTC)))
    database.write(lambda tx: insight_store.keep(tx.sa, [insight], datetime.now(UTC)))
    database.close()


def run(server: ServerProcess, *arguments: str) -> tuple[int, str]:
    done = flexi(server.folder, *arguments, FLEXIROASTER_DATA_FOLDER=str(server.data))
    return done.returncode, done.stdout or done.stderr


def test_what_is_abnormal_is_listed(server: ServerProcess) -> None:
    status, text = run(server, "insights", "--pipeline", "report")
    assert status == 0
    cells = text.splitlines()[1].split("\t")
    assert [cells[place] for place in (0, 1, 2, 3, 5)] == ["i1", "slow runs", "report/load", "open", "99.9%"]
    assert [one["id"] for one in json.loads(run(server, "insights", "--json")[1])] == ["i1"]
    assert run(server, "insights", "--state", "over") == (0, "Nothing is abnormal.\n")
    assert run(server, "insights", "--pipeline", "other") == (0, "Nothing is abnormal.\n")
    status, text = run(server, "insights", "--state", "old")
    assert (status, "'old' is none of open, acknowledged, over." in text) == (2, True)


def test_suggestions_are_listed_shown_applied_undone_and_dismissed(server: ServerProcess) -> None:
    status, text = run(server, "suggestions", "list")
    assert status == 0
    assert [line.split("\t")[:3] for line in text.splitlines()[1:]] == [
        ["s1", "report", "parallel"],
        ["s2", "report", "pool"],
    ]
    shown = run(server, "suggestions", "show", "s1")[1]
    assert "between 15.0 s and 23.0 s nine times in ten" in shown
    assert "-  - {id: rates, type: noop, needs: [load]}" in shown
    assert 'To follow it: PUT /api/pools/gpu {"slots":2}' in run(server, "suggestions", "show", "s2")[1]
    assert run(server, "suggestions", "apply", "s1") == (
        0,
        "Suggestion s1 is draft 2 of report.\nTo let it run: flexiroaster pipeline publish report 2\n",
    )
    assert run(server, "pipeline", "publish", "report", "2") == (0, "Pipeline report runs v2 from now on.\n")
    assert run(server, "suggestions", "undo", "s1") == (0, "Suggestion s1 is undone: version 3 of report.\n")
    assert run(server, "suggestions", "dismiss", "s2", "-m", "no room") == (0, "Suggestion s2 is dismissed.\n")
    status, text = run(server, "suggestions", "list", "--state", "dismissed", "--json")
    assert [(one["id"], one["reason"]) for one in json.loads(text)] == [("s2", "no room")]


def test_what_cannot_be_done_is_said(server: ServerProcess) -> None:
    status, text = run(server, "suggestions", "show", "nothing")
    assert (status, "nothing" in text) == (1, True)
    status, text = run(server, "suggestions", "apply", "s2")
    assert (status, text.startswith("This is advice")) == (1, True)


def test_maintenance_is_planned_listed_and_deleted(server: ServerProcess) -> None:
    assert run(server, "maintenance", "list") == (0, "No maintenance is planned.\n")
    begin, end = "2990-03-07T22:00:00", "2990-03-08T02:00:00"
    status, text = run(server, "maintenance", "plan", begin, end, "-p", "report", "--json")
    assert status == 0
    id = json.loads(text)["id"]
    assert run(server, "maintenance", "list")[1].splitlines()[1].split("\t")[:2] == [id, "report"]
    assert run(server, "maintenance", "plan", end, begin)[0] == 2
    status, text = run(server, "maintenance", "plan", "0001-01-01T00:00:00", begin)
    assert (status, "lies outside of the years 1 to 9999 in UTC" in text) == (2, True)
    assert run(server, "maintenance", "end", id)[0] == 1
    assert run(server, "maintenance", "delete", id) == (0, f"Maintenance {id} deleted\n")
    assert run(server, "maintenance", "delete", id)[0] == 1
    status, text = run(server, "maintenance", "plan", "2026-03-07T22:00:00", end, "--json")
    id = json.loads(text)["id"]
    status, text = run(server, "maintenance", "end", id)
    assert (status, text.startswith(f"Maintenance {id} ended at ")) == (0, True)
    run(server, "maintenance", "delete", id)
