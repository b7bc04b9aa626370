"""A worker that no longer reaches the database, and does again: what it says too late is refused."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.fleet.processes import LEASE_SECONDS, Fleet
from tests.fleet.proxy import Proxy
from tests.postgres import Postgres
from tests.system.asking import start, state, until

T_SECONDS = 45
USUAL_LEASE_SECONDS = 30
COMMAND = 'if [ "$FLEXIROASTER_ATTEMPT" = 1 ]; then sleep 5; echo late; else echo in time; fi'
PIPELINE = {
    "id": "cut",
    "name": "Cut",
    "stages": [
        {"id": "before", "type": "noop"},
        {"id": "work", "type": "shell", "config": {"command": COMMAND}},
        {"id": "after", "type": "noop"},
    ],
}
STAGES = {"before", "work", "after"}


@pytest.mark.parametrize(
    ("lease_seconds", "away_seconds"),
    [pytest.param(LEASE_SECONDS, 0, id="for a moment"), pytest.param(USUAL_LEASE_SECONDS, 60, id="for a minute")],
)
def test_late_result_of_a_worker_that_was_cut_off_is_refused(
    lease_seconds: float, away_seconds: float, postgres: Postgres, postgres_url: str, tmp_path: Path
) -> None:
    """For `away_seconds` at least: until another worker has done its work in any case."""
    with Proxy(postgres.port) as way, Fleet(tmp_path, postgres_url, lease_seconds=lease_seconds) as fleet:
        api = fleet.api()
        far = postgres_url.replace(f":{postgres.port}/", f":{way.port}/")
        cut_off = fleet.worker(environment={"FLEXIROASTER_DATABASE_URL": far})
        with api.client() as client:
            client.post("/api/pipelines", json=PIPELINE).raise_for_status()
            execution = start(client, "cut")
            query = "SELECT attempt, status FROM stage_runs WHERE execution_id = %s AND stage = 'work'"
            until(lambda: fleet.rows(query, execution) == [(1, "running")])
            way.cut()
            cut_at = time.monotonic()
            other = fleet.worker()
            until(lambda: state(client, execution) == "success", T_SECONDS)
            assert fleet.rows(query, execution) == [(2, "success")]
            before = fleet.rows("SELECT * FROM events WHERE execution_id = %s ORDER BY seq", execution)
            until(lambda: time.monotonic() - cut_at >= away_seconds)
            way.heal()
            other.stop()
            again = start(client, "cut")  # the first to hear of is the one who was away
            until(lambda: state(client, again) == "success", T_SECONDS)
        assert fleet.rows("SELECT * FROM events WHERE execution_id = %s ORDER BY seq", execution) == before
        fleet.check([execution, again], STAGES)
        assert cut_off.stop() == 0
