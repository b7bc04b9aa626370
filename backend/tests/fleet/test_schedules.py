"""Several that come to schedules on one database: every instant is started once, and no one of them is needed."""

from __future__ import annotations

from pathlib import Path

from tests.fleet.processes import Fleet
from tests.system.asking import until
from tests.system.schedules import TICKER, check_firings, has_fired


def test_schedulers_are_killed_in_turn(tmp_path: Path, postgres_url: str) -> None:
    with Fleet(tmp_path, postgres_url) as fleet:
        api, one, other = fleet.api(), fleet.scheduler(), fleet.scheduler()
        fleet.worker()
        with api.client() as client:
            client.post("/api/pipelines", json=TICKER).raise_for_status()
            until(has_fired(client, 3))
            one.kill()
            until(has_fired(client, 3))
            one.start()
            other.kill()
            until(has_fired(client, 3))
            one.kill()
            until(has_fired(client, 3))  # the API server comes to them too
            check_firings(client)
