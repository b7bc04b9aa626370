"""Two real servers on one PostgreSQL with Redis between them, which is killed, wiped and paused while they work."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import socketio

from tests.redis_server import RedisServer
from tests.system.asking import FINAL, start, state, until
from tests.system.server import PATIENCE_SECONDS, ServerProcess
from tests.system.test_several_servers import PIPELINE, SLOW, STAGES, Fleet, stages_of


@pytest.fixture
def fleet(postgres_url: str, redis_server: RedisServer, tmp_path: Path) -> Iterator[Fleet]:
    found = Fleet(tmp_path, postgres_url, settings={"FLEXIROASTER_REDIS_URL": redis_server.url})
    yield found
    found.close()


class Browser:
    """What the dashboard does: it shows one execution, and asks for what it missed by the last number it has.

    The library takes each packet in a thread of its own, so that two may come in either order.
    """

    def __init__(self, execution: str) -> None:
        self.execution = execution
        self.has = 0
        """It has every event up to this one."""
        self.doubled: list[int] = []
        self._ahead: set[int] = set()
        self._told_again_up_to = 0
        self._socket: socketio.SimpleClient | None = None

    def connect(self, server: ServerProcess, client: httpx.Client) -> None:
        self._socket = socketio.SimpleClient()
        token = client.headers["authorization"].removeprefix("Bearer ")
        self._socket.connect(server.url, auth={"token": token}, transports=["websocket"])
        while self._socket.receive(PATIENCE_SECONDS)[0] != "connected":
            pass
        self._socket.call("unsubscribe", {"room": "dashboard"}, timeout=PATIENCE_SECONDS)
        self._ask()

    def disconnect(self) -> None:
        assert self._socket is not None
        self._socket.disconnect()

    def read_until(self, seq: int) -> None:
        assert self._socket is not None
        while self.has < seq:
            name, payload = self._socket.receive(PATIENCE_SECONDS)
            if name == "events_omitted":
                self._ask()
            elif payload.get("execution_id") == self.execution and payload["seq"]:
                self._see(payload["seq"])

    def _see(self, seq: int) -> None:
        if (seq <= self.has or seq in self._ahead) and seq > self._told_again_up_to:
            self.doubled.append(seq)
        self._ahead.add(seq)
        while self.has + 1 in self._ahead:
            self.has += 1
        self._ahead = {one for one in self._ahead if one > self.has}

    def _ask(self) -> None:
        """What was on its way comes with the answer too, from the dashboard's room for example, where everybody begins:
        the page knows it by its number.
        """
        assert self._socket is not None
        more, after = True, self.has
        while more:
            request = {"room": f"execution:{self.execution}", "after": after}
            answer: dict[str, Any] = self._socket.call("subscribe", request, timeout=PATIENCE_SECONDS)
            assert answer["ok"], answer
            numbers = [event["seq"] for event in answer["events"] if event["seq"]]
            after = max([after, *numbers])
            self._told_again_up_to = after
            for seq in numbers:
                self._see(seq)
            more = answer["more"]


LONG = {
    "id": "long",
    "name": "Long",
    "stages": [
        {"id": f"s{n}", "type": "wait", "config": {"seconds": 0.02}, "needs": [f"s{n - 1}"] if n else []}
        for n in range(150)
    ],
}


def last_seq(url: str, execution: str) -> int:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT max(seq) FROM events WHERE execution_id = %s", (execution,)).fetchone()
    return int(found[0]) if found else 0


@pytest.mark.parametrize("fault", ["none", "redis killed", "redis paused"])
def test_browser_that_comes_back_at_another_server_misses_and_doubles_nothing(
    fleet: Fleet, redis_server: RedisServer, fault: str
) -> None:
    first, second = fleet.add(), fleet.add()
    with first.client() as here, second.client() as there:
        here.post("/api/pipelines", json=LONG).raise_for_status()
        execution = start(here, "long")
        browser = Browser(execution)
        for round_ in range(3):
            server, client = ((first, here), (second, there))[round_ % 2]
            browser.connect(server, client)
            browser.read_until(60 * round_ + 30)
            if fault == "redis killed" and round_ == 0:
                redis_server.kill()
            if fault == "redis paused" and round_ == 0:
                redis_server.pause()
            browser.disconnect()
            behind = browser.has + 20
            until(lambda behind=behind: last_seq(fleet.url, execution) > behind)  # type: ignore[misc]
        if fault == "redis killed":
            redis_server.start()
        if fault == "redis paused":
            redis_server.go_on()
        browser.connect(second, there)
        until(lambda: state(there, execution) == "success")
        browser.read_until(last_seq(fleet.url, execution))
        browser.disconnect()
    assert (browser.has, browser.doubled) == (last_seq(fleet.url, execution), [])


def test_browser_that_stays_sees_everything_though_redis_comes_and_goes(
    fleet: Fleet, redis_server: RedisServer
) -> None:
    """On the server that does not run the execution: whatever it sees came from the other one."""
    first, second = fleet.add(), fleet.add()
    with first.client() as here, second.client() as there:
        here.post("/api/pipelines", json=LONG).raise_for_status()
        until(lambda: health(there)["status"] == "healthy")
        execution = start(here, "long")
        browser = Browser(execution)
        browser.connect(second, there)
        browser.read_until(20)
        redis_server.kill()
        browser.read_until(100)
        redis_server.start()
        browser.read_until(160)
        redis_server.pause()
        browser.read_until(220)
        redis_server.go_on()
        until(lambda: state(there, execution) == "success")
        browser.read_until(last_seq(fleet.url, execution))
        browser.disconnect()
    assert (browser.has, browser.doubled) == (last_seq(fleet.url, execution), [])


def test_everything_goes_on_without_redis_and_health_says_so(fleet: Fleet, redis_server: RedisServer) -> None:
    first, second = fleet.add(), fleet.add()
    with first.client() as here, second.client() as there:
        for pipeline in (PIPELINE, SLOW):
            here.post("/api/pipelines", json=pipeline).raise_for_status()
        accepted: list[str] = []
        for round_ in range(4):
            stuck = start(here, "slow", f"stuck {round_}")
            until(lambda stuck=stuck: is_running(here, stuck))  # type: ignore[misc]
            {0: lambda: None, 1: redis_server.kill, 2: redis_server.start, 3: redis_server.pause}[round_]()
            accepted += [start((here, there)[n % 2], "chain", f"{round_}-{n}") for n in range(10)]
            asked = time.monotonic()
            there.post(f"/api/executions/{stuck}/cancel").raise_for_status()
            until(lambda stuck=stuck: state(there, stuck) == "cancelled")  # type: ignore[misc]
            assert time.monotonic() - asked < 15
            for client in (here, there):
                if round_ in (1, 3):
                    until(lambda client=client: "Redis does not answer" in str(health(client).get("detail")))  # type: ignore[misc]
                    assert health(client)["status"] == "degraded"
                else:
                    until(lambda client=client: health(client)["status"] == "healthy")  # type: ignore[misc]
        redis_server.go_on()
        with redis_server.client() as client:
            client.flushall()
        for client in (here, there):
            until(lambda client=client: health(client)["status"] == "healthy")  # type: ignore[misc]
        until(lambda: {state(there, execution) for execution in accepted} <= FINAL)
    fleet.check(accepted, set(STAGES))
    for server in (first, second):
        assert server.log.count("redis.away") == 2, server.log
        assert server.log.count("redis.back") == 2, server.log
        assert server.stop() == 0


def test_who_is_signed_out_at_one_server_is_signed_out_at_the_other(fleet: Fleet) -> None:
    first, second = fleet.add(), fleet.add()
    with httpx.Client(base_url=first.url) as browser, second.client() as there:
        form = {"username": "ada@example.com", "password": "a quiet green river"}
        token = browser.post("/api/auth/login", data=form).raise_for_status().json()["access_token"]
        with socketio.SimpleClient() as socket:
            socket.connect(second.url, auth={"token": token}, transports=["websocket"])
            assert socket.receive(PATIENCE_SECONDS)[0] == "connected"
            until(lambda: health(there)["status"] == "healthy")
            asked = time.monotonic()
            browser.post("/api/auth/logout", headers={"origin": first.url}).raise_for_status()
            while (told := socket.receive(PATIENCE_SECONDS))[0] != "session_ended":
                pass
            assert told[1]["code"] == "session_ended"
            assert time.monotonic() - asked < 9, "it was found out by a round, not told"


def health(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/health").json()
    return found


def is_running(client: httpx.Client, execution: str) -> bool:
    return any(stage["status"] == "running" for stage in stages_of(client, execution) if stage["stage"] == "work")
