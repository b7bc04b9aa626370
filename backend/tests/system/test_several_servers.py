"""Two real servers on one PostgreSQL database: one is killed, the database is restarted, nothing is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg
import pytest
import socketio

from tests.postgres import Postgres
from tests.system.asking import FINAL, check_events, start, state, until
from tests.system.server import EMAIL, PASSWORD, PATIENCE_SECONDS, ServerProcess

LEASE_SECONDS = 3
STAGES = {
    "first": {"type": "noop"},
    "work": {"type": "wait", "config": {"seconds": 0.05}},
    "shell": {"type": "shell", "config": {"command": "sleep 0.05"}},
    "last": {"type": "noop"},
}
PIPELINE = {"id": "chain", "name": "Work", "stages": [{"id": id, **stage} for id, stage in STAGES.items()]}
SLOW = {
    "id": "slow",
    "name": "Slow",
    "stages": [
        {"id": "before", "type": "noop"},
        {
            "id": "work",
            "type": "shell",
            "config": {"command": 'if [ "$FLEXIROASTER_ATTEMPT" = 1 ]; then sleep 600; fi; echo done'},
        },
        {"id": "after", "type": "noop"},
    ],
}


@dataclass
class Fleet:
    """Servers on one database, with one signing key and one folder for what is large."""

    folder: Path
    url: str
    settings: Mapping[str, str] = field(default_factory=dict)
    servers: list[ServerProcess] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "FLEXIROASTER_DATABASE_URL": self.url,
            "FLEXIROASTER_ARTIFACTS_URL": (self.folder / "artifacts").as_uri(),
            "FLEXIROASTER_SECRET_KEY": "a key that all servers of this test share",
            "FLEXIROASTER_ADMIN_EMAIL": EMAIL,
            "FLEXIROASTER_ADMIN_PASSWORD": PASSWORD,
            "FLEXIROASTER_LEASE_SECONDS": str(LEASE_SECONDS),
            "FLEXIROASTER_CODE_STAGES": "on",
            "FLEXIROASTER_CONCURRENCY": "4",
            **self.settings,
            **more,
        }

    def add(self) -> ServerProcess:
        folder = self.folder / f"server{len(self.servers)}"
        server = self._stack.enter_context(ServerProcess(folder, environment=self.environment()))
        self.servers.append(server)
        return server

    def close(self) -> None:
        self._stack.close()

    def check(self, accepted: list[str], stages: set[str]) -> None:
        """Everything accepted is there and complete, nothing was recorded twice."""
        with psycopg.connect(self.url) as connection:
            known = {row[0] for row in connection.execute("SELECT id FROM executions WHERE status = 'success'")}
            assert set(accepted) <= known
            for execution in accepted:
                events = connection.execute(
                    "SELECT seq, type, stage FROM events WHERE execution_id = %s ORDER BY seq", (execution,)
                ).fetchall()
                check_events(events, stages)
            told = connection.execute(
                "SELECT execution_id, seq, count(*) FROM logs WHERE seq IS NOT NULL GROUP BY 1, 2 HAVING count(*) > 1"
            ).fetchall()
            assert told == [], "lines were told twice"


@pytest.fixture
def fleet(postgres_url: str, tmp_path: Path) -> Iterator[Fleet]:
    found = Fleet(tmp_path, postgres_url)
    yield found
    found.close()


def test_work_of_a_killed_server_is_done_by_the_other(fleet: Fleet) -> None:
    killed, other = fleet.add(), fleet.add()
    with killed.client() as client, other.client() as living:
        for pipeline in (PIPELINE, SLOW):
            client.post("/api/pipelines", json=pipeline).raise_for_status()
        stuck = start(client, "slow", "stuck")
        until(
            lambda: any(stage["status"] == "running" for stage in stages_of(client, stuck) if stage["stage"] == "work")
        )
        accepted = [start(client, "chain", f"{n}") for n in range(40)]
        killed.kill()
        until(lambda: {state(living, execution) for execution in [*accepted, stuck]} == {"success"})
        lines = living.get(f"/api/executions/{stuck}/logs").raise_for_status().json()
    assert any("restarted after the server stopped (attempt 2)" in line["message"] for line in lines)
    fleet.check(accepted, set(STAGES))
    fleet.check([stuck], {"before", "work", "after"})
    assert other.stop() == 0


def stages_of(client: httpx.Client, execution: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = client.get(f"/api/executions/{execution}").raise_for_status().json()["stages"]
    return found


def test_servers_are_killed_in_turn_under_load(fleet: Fleet) -> None:
    fleet.add(), fleet.add()
    with fleet.servers[0].client() as client:
        client.post("/api/pipelines", json=PIPELINE).raise_for_status()
    accepted: list[str] = []
    for round_ in range(20):
        killed = fleet.servers[round_ % 2]
        with killed.client() as client:
            accepted += [start(client, "chain", f"{round_}-{n}") for n in range(6)]
            if round_ % 3:
                newest = accepted[-1]
                until(lambda newest=newest: state(client, newest) != "queued")  # type: ignore[misc]
        killed.kill()
        killed.start()
    with fleet.servers[0].client() as client:
        until(lambda: {state(client, execution) for execution in accepted} <= FINAL)
    fleet.check(accepted, set(STAGES))


def test_cancel_through_one_server_kills_the_process_that_the_other_runs(fleet: Fleet) -> None:
    first, second = fleet.add(), fleet.add()
    with first.client() as here, second.client() as there:
        here.post("/api/pipelines", json=SLOW).raise_for_status()
        execution = start(here, "slow", "once")
        until(
            lambda: any(
                stage["status"] == "running" for stage in stages_of(here, execution) if stage["stage"] == "work"
            )
        )
        there.post(f"/api/executions/{execution}/cancel").raise_for_status()
        asked = time.monotonic()
        until(lambda: state(there, execution) == "cancelled")
        assert time.monotonic() - asked < 15


def test_dashboard_of_one_server_sees_what_the_other_runs(fleet: Fleet) -> None:
    first, second = fleet.add(), fleet.add()
    with first.client() as here, second.client() as there:
        here.post("/api/pipelines", json=PIPELINE).raise_for_status()
        token = there.headers["authorization"].removeprefix("Bearer ")
        heard: list[str] = []
        with socketio.SimpleClient() as browser:
            browser.connect(second.url, auth={"token": token}, transports=["websocket"])
            assert browser.receive(PATIENCE_SECONDS)[0] == "connected"
            execution = start(here, "chain", "once")
            while not heard or heard[-1] != "execution_completed":
                name, payload = browser.receive(PATIENCE_SECONDS)
                if payload.get("execution_id") == execution:
                    heard.append(name)
        assert heard[:2] == ["execution_queued", "execution_started"]
        assert heard.count("stage_completed") == len(STAGES)


def test_second_server_that_signs_with_another_key_is_refused(fleet: Fleet, tmp_path: Path) -> None:
    fleet.add()
    environment = fleet.environment(FLEXIROASTER_SECRET_KEY="a key that no other server of this test has")
    other = ServerProcess(tmp_path / "other", environment=environment)
    with pytest.raises(RuntimeError, match="ended with 2"):
        other.start()
    (sentence,) = [line for line in other.log.splitlines() if "works on the same database" in line]
    assert "with another FLEXIROASTER_SECRET_KEY: give all servers of a database the same." in sentence


def test_database_is_restarted_20_times_under_load(tmp_path: Path) -> None:
    """Two servers: whatever was accepted ends, and is recorded once."""
    postgres = Postgres.start(durable=True)
    fleet = Fleet(tmp_path, postgres.create("flexiroaster"))
    accepted: list[str] = []
    try:
        servers = [fleet.add(), fleet.add()]
        clients = [server.client() for server in servers]
        clients[0].post("/api/pipelines", json=PIPELINE).raise_for_status()
        for round_ in range(20):
            for n in range(4):
                accepted += started(clients[n % 2], f"{round_}-{n}")
            postgres.restart()
        for client in clients:
            until(lambda client=client: answers(client))  # type: ignore[misc]
        again = [one for round_ in range(20) for n in range(4) for one in started(clients[0], f"{round_}-{n}")]
        assert set(accepted) <= set(again), "a key that was answered must give the same execution again"
        assert len(set(again)) == 80
        until(lambda: {state(clients[1], execution) for execution in again} <= FINAL)
        fleet.check(again, set(STAGES))
        for client in clients:
            client.close()
        assert [server.stop() for server in servers] == [0, 0]
    finally:
        fleet.close()
        postgres.stop()


def started(client: httpx.Client, key: str) -> list[str]:
    """The execution, or none where the server had no database to accept it."""
    try:
        answer = client.post("/api/pipelines/chain/execute", json={}, headers={"Idempotency-Key": key})
    except httpx.TransportError:
        return []
    if answer.status_code in (500, 503):
        return []
    return [str(answer.raise_for_status().json()["execution_id"])]


def answers(client: httpx.Client) -> bool:
    return client.get("/health").status_code == 200
