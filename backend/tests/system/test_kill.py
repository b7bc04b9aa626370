"""kill -9 of the server in the middle of work, again and again: nothing acknowledged is lost or recorded twice."""

from __future__ import annotations

import random
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from flexiroaster.stages.process.orphans import kill_left_over
from tests.system.asking import FINAL, check_events, start, state, until
from tests.system.server import ServerProcess

STAGES = 12
ROUNDS = 20
AT_ONCE = 6
EVENTS = 2 * STAGES + 4
"""Of one execution that nothing happens to, about: its own, and of each stage its start and its end."""
CODE = """
import os, signal
if os.fork() == 0:
    os.setsid()
    signal.pause()
print("working")
result = 1
"""
NO_NOOPS = {
    3: {"type": "python", "config": {"code": CODE}},
    STAGES // 2: {"type": "wait", "config": {"seconds": 0.05}},
    9: {"type": "shell", "config": {"command": "(setsid sleep 987 &); echo working"}},
}
PIPELINE = {
    "id": "chain",
    "name": "Work",
    "stages": [{"id": f"s{n}", **NO_NOOPS.get(n, {"type": "noop"})} for n in range(STAGES)],
}


@pytest.mark.timeout(900)  # twenty starts: minutes, where the machine has other work
def test_nothing_is_lost_when_the_server_is_killed_again_and_again(tmp_path: Path) -> None:
    accepted: list[str] = []
    moments = random.Random(20)
    with ServerProcess(tmp_path, environment={"FLEXIROASTER_CODE_STAGES": "on"}) as server:
        with server.client() as client:
            client.post("/api/pipelines", json=PIPELINE).raise_for_status()
        for round_ in range(ROUNDS):
            with server.client() as client:
                if round_ % 2 == 0:  # no execution may meet a third kill: a stage that has lost three servers fails
                    until(lambda: all_ended(server))
                before = events(server)
                accepted += [start(client, "chain", f"{round_}-{n}") for n in range(AT_ONCE)]
                moment = before + moments.randrange(AT_ONCE * EVENTS)
                until(lambda moment=moment: events(server) >= moment or all_ended(server))  # type: ignore[misc]
                server.kill()
            server.start()
        with server.client() as client:
            until(lambda: {state(client, execution) for execution in accepted} <= FINAL)
            assert {state(client, execution) for execution in accepted} == {"success"}
            assert start(client, "chain", "0-0") == accepted[0], (
                "a key of before the kills must not start another execution"
            )
        assert server.stop() == 0
    assert kill_left_over(tmp_path / "data" / "scratch") == []
    check_records(tmp_path / "data" / "flexiroaster.db", accepted)


def events(server: ServerProcess) -> int:
    return count(server, "SELECT count(*) FROM events")


def all_ended(server: ServerProcess) -> bool:
    return count(server, "SELECT count(*) FROM executions WHERE ended_at IS NULL") == 0


def count(server: ServerProcess, query: str) -> int:
    """Asked of the file itself: a request would take longer than what is to be interrupted."""
    with closing(sqlite3.connect(server.data / "flexiroaster.db")) as connection:
        return int(connection.execute(query).fetchone()[0])


SLOW = {
    "id": "slow",
    "name": "Slow",
    "stages": [
        {"id": "before", "type": "noop"},
        {
            "id": "work",
            "type": "shell",
            "config": {"command": 'if [ "$FLEXIROASTER_ATTEMPT" = 1 ]; then sleep 987654; fi; echo done'},
        },
    ],
}


def test_stage_of_a_killed_server_is_run_again_and_its_processes_are_gone(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, environment={"FLEXIROASTER_CODE_STAGES": "on"}) as server:
        with server.client() as client:
            client.post("/api/pipelines", json=SLOW).raise_for_status()
            execution = start(client, "slow", "once")
            until(lambda: len(sleeping()) > 0)
        server.kill()
        server.start()
        with server.client() as client:
            until(lambda: state(client, execution) in FINAL)
            answer = client.get(f"/api/executions/{execution}").raise_for_status().json()
            lines = client.get(f"/api/executions/{execution}/logs").raise_for_status().json()
        assert (answer["status"], [stage["attempt"] for stage in answer["stages"]]) == ("success", [1, 2])
        told = [line["message"] for line in lines]
        assert any("restarted after the server stopped (attempt 2)" in line for line in told), told
        until(lambda: sleeping() == [])
        assert server.stop() == 0


def sleeping() -> list[str]:
    """Process ids of the stage's command."""
    found = subprocess.run(["pgrep", "-x", "-f", "sleep 987654"], capture_output=True, text=True, check=False)
    return found.stdout.split()


def check_records(path: Path, accepted: list[str]) -> None:
    connection = sqlite3.connect(path)
    known = {row[0] for row in connection.execute("SELECT id FROM executions")}
    assert known == set(accepted)
    for execution in accepted:
        events = connection.execute(
            "SELECT seq, type, stage FROM events WHERE execution_id = ? ORDER BY seq", (execution,)
        ).fetchall()
        check_events(events, [f"s{n}" for n in range(STAGES)])
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
