"""A schedule that comes every second, and what must be true of it whatever was killed meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx

from tests.system.asking import FINAL, until

TICKER = {
    "id": "ticker",
    "name": "Ticker",
    "triggers": [{"id": "fast", "type": "schedule", "every": "1s", "catchup": "all"}],
    "stages": [{"id": "one", "type": "noop"}],
}


def firings(client: httpx.Client) -> list[dict[str, Any]]:
    """The earliest first."""
    found = client.get("/api/pipelines/ticker/triggers/fast/firings", params={"limit": 500})
    return list(found.raise_for_status().json())[::-1]


def has_fired(client: httpx.Client, times: int) -> Callable[[], bool]:
    """So often more than until now."""
    wanted = len(firings(client)) + times
    return lambda: len(firings(client)) >= wanted


def check_firings(client: httpx.Client) -> None:
    """An execution for each second since the first one: none is missing, none came twice, and all of them ended."""
    client.post("/api/pipelines/ticker/triggers/fast/pause").raise_for_status()
    found = firings(client)
    instants = [datetime.fromisoformat(one["instant"]) for one in found]
    assert {one["state"] for one in found} == {"started"}
    assert instants == [instants[0] + number * timedelta(seconds=1) for number in range(len(instants))]

    def executions() -> dict[str, dict[str, Any]]:
        rows = client.get("/api/pipelines/ticker/executions", params={"limit": 500}).raise_for_status().json()
        return {row["id"]: row for row in rows}

    until(lambda: {row["status"] for row in executions().values()} <= FINAL)
    assert executions().keys() == {one["execution_id"] for one in found}
    assert {row["status"] for row in executions().values()} == {"success"}
