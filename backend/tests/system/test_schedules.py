"""A server that is killed makes up for the schedules it has missed, and starts nothing twice."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from tests.system.asking import FINAL, until
from tests.system.schedules import TICKER, check_firings, has_fired
from tests.system.server import ServerProcess


def test_no_second_is_missed_by_a_server_that_is_killed(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        with server.client() as client:
            client.post("/api/pipelines", json=TICKER).raise_for_status()
        for _ in range(3):
            with server.client() as client:
                until(has_fired(client, 2))
            server.kill()
            server.start()
        with server.client() as client:
            until(has_fired(client, 2))
            check_firings(client)


HOURLY = {
    "id": "hours",
    "name": "Hours",
    "triggers": [{"id": "hourly", "type": "schedule", "cron": "@hourly"}],
    "concurrency": {"limit": 4},
    "stages": [{"id": "one", "type": "noop"}],
}
MONTH = {"from": "2026-03-01", "to": "2026-03-30"}
FIRST, INSTANTS = datetime(2026, 3, 1, tzinfo=UTC), 30 * 24


def test_a_backfill_that_a_server_is_killed_in_is_completed_by_asking_again(tmp_path: Path) -> None:
    path = "/api/pipelines/hours/triggers/hourly"
    with ServerProcess(tmp_path) as server:
        with server.client() as client:
            client.post("/api/pipelines", json=HOURLY).raise_for_status()

            def ask() -> None:
                with suppress(httpx.TransportError):
                    client.post(f"{path}/backfill", json=MONTH, timeout=60)

            asking = threading.Thread(target=ask)
            asking.start()
            with server.client() as other:
                until(lambda: len(other.get(f"{path}/firings").raise_for_status().json()) > 0)
            server.kill()
            asking.join()
        server.start()
        with server.client() as client:
            before = client.post(f"{path}/backfill", json={**MONTH, "dry_run": True}).raise_for_status().json()
            done = client.post(f"{path}/backfill", json=MONTH, timeout=60).raise_for_status().json()
            assert 0 < before["known"] < INSTANTS
            assert (done["known"], done["known"] + done["started"], done["left"]) == (before["known"], INSTANTS, 0)
            firings = pages(client, f"{path}/firings")
            assert [datetime.fromisoformat(one["instant"]) for one in firings] == [
                FIRST + timedelta(hours=number) for number in reversed(range(INSTANTS))
            ]
            until(lambda: {row["status"] for row in pages(client, "/api/pipelines/hours/executions")} <= FINAL)
            executions = pages(client, "/api/pipelines/hours/executions")
            assert {row["status"] for row in executions} == {"success"}
            assert sorted(row["number"] for row in executions) == list(range(1, INSTANTS + 1))
            assert {row["id"] for row in executions} == {one["execution_id"] for one in firings}


def pages(client: httpx.Client, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        query = {"limit": "500"} | ({"cursor": cursor} if cursor else {})
        answer = client.get(path, params=query).raise_for_status()
        found += answer.json()
        cursor = answer.headers.get("x-next-cursor")
        if cursor is None:
            return found
