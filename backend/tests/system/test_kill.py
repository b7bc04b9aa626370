"""kill -9 of the server in the middle of work, again and again: nothing acknowledged is lost or recorded twice."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.system.server import PATIENCE_SECONDS, ServerProcess

STAGES = 12
PIPELINE = {
    "id": "chain",
    "name": "Work",
    "stages": [
        {
            "id": f"s{n}",
            "type": "wait" if n == STAGES // 2 else "noop",
            "config": {"seconds": 0.05} if n == STAGES // 2 else {},
        }
        for n in range(STAGES)
    ],
}
FINAL = {"success", "failed", "cancelled", "timed_out"}


def test_nothing_is_lost_when_the_server_is_killed_again_and_again(tmp_path: Path) -> None:
    accepted: list[str] = []
    with ServerProcess(tmp_path) as server:
        with server.client() as client:
            client.post("/api/pipelines", json=PIPELINE).raise_for_status()
        for round_ in range(4):
            with server.client() as client:
                accepted += [start(client, f"{round_}-{n}") for n in range(15)]
                if round_ % 2:
                    until(lambda: state(client, accepted[-1]) != "queued")  # noqa: B023
            server.kill()
            server.start()
        with server.client() as client:
            until(lambda: {state(client, execution) for execution in accepted} <= FINAL)
            assert {state(client, execution) for execution in accepted} == {"success"}
            assert start(client, "0-0") == accepted[0], "a key of before the kills must not start another execution"
        assert server.stop() == 0
    check_records(tmp_path / "data" / "flexiroaster.db", accepted)


def check_records(path: Path, accepted: list[str]) -> None:
    connection = sqlite3.connect(path)
    known = {row[0] for row in connection.execute("SELECT id FROM executions")}
    assert known == set(accepted)
    for execution in accepted:
        events = connection.execute(
            "SELECT seq, type, stage FROM events WHERE execution_id = ? ORDER BY seq", (execution,)
        ).fetchall()
        assert [seq for seq, *_ in events] == list(range(1, len(events) + 1))
        completed = Counter(stage for _, type_, stage in events if type_ == "stage_completed")
        assert completed == {f"s{n}": 1 for n in range(STAGES)}
        assert sum(type_ == "execution_completed" for _, type_, _ in events) == 1
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def start(client: httpx.Client, key: str) -> str:
    answer = client.post("/api/pipelines/chain/execute", json={}, headers={"Idempotency-Key": key})
    return str(answer.raise_for_status().json()["execution_id"])


def state(client: httpx.Client, execution: str) -> str:
    return str(client.get(f"/api/executions/{execution}").raise_for_status().json()["status"])


def until(condition: Callable[[], bool]) -> None:
    """Asks again and again: there is no other way to hear from a process that may be killed."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
