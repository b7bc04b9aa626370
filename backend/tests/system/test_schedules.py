"""A server that is killed makes up for the schedules it has missed, and starts nothing twice."""

from __future__ import annotations

from pathlib import Path

from tests.system.asking import until
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
