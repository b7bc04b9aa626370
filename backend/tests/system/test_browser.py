"""The dashboard in a real browser, against a real server: the scripts in frontend/e2e."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from flexiroaster.web.dashboard import find_dist
from tests.ai.standin import standing_in
from tests.fleet.proxy import Proxy
from tests.redis_server import RedisServer
from tests.system.asking import until
from tests.system.server import EMAIL, PASSWORD, ServerProcess
from tests.system.test_several_servers import Fleet

FRONTEND = Path(__file__).parents[3] / "frontend"
PATIENCE_SECONDS = 280


@pytest.mark.browser
def test_first_day_from_link_to_success_and_to_a_cause(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, options=()) as server:
        play("first-run.mjs", tmp_path, SIGN_IN=server.ready["sign_in"])


ORDERS = {
    "id": "orders_daily",
    "name": "Orders daily",
    "stages": [
        {"id": "fetch", "type": "noop", "needs": []},
        {
            "id": "regions",
            "type": "noop",
            "needs": ["fetch"],
            "foreach": {"items": [f"region-{number}" for number in range(40)], "as": "region"},
        },
        {
            "id": "review",
            "type": "approval",
            "needs": ["fetch"],
            "timeout": "4h",
            "config": {
                "message": "12 bad rows. Publish anyway?",
                "form": {
                    "reason": {"type": "string", "title": "Reason"},
                    "limit": {"type": "integer", "default": 5},
                },
            },
        },
        {"id": "publish", "type": "noop", "needs": ["review", "regions"], "compensate": {"type": "noop"}},
        {"id": "report", "type": "stop", "needs": ["publish"], "config": {"status": "failed", "message": "No."}},
    ],
    "on_failure": [{"id": "tell", "type": "noop"}],
    "finally": [{"id": "tidy", "type": "noop"}],
}


@pytest.mark.browser
def test_control_of_an_execution(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, server.client() as client:
        client.post("/api/pipelines", json=ORDERS).raise_for_status()
        started = client.post("/api/pipelines/orders_daily/execute", json={}).raise_for_status().json()
        address = f"{server.url}/executions/{started['execution_id']}"
        play("control.mjs", tmp_path, EXECUTION=address, EMAIL=EMAIL, PASSWORD=PASSWORD)


INTERRUPTED = {
    "id": "interrupted",
    "name": "Interrupted",
    "stages": [
        {"id": "before", "type": "noop", "needs": []},
        {
            "id": "work",
            "type": "shell",
            "needs": ["before"],
            "config": {"command": 'if [ "$FLEXIROASTER_ATTEMPT" = 1 ]; then sleep 600; fi; echo done'},
        },
    ],
}


@pytest.mark.browser
def test_page_goes_on_when_the_server_was_killed_and_started_again(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, options=("--no-examples", "--code-stages")) as server:
        with server.client() as client:
            client.post("/api/pipelines", json=INTERRUPTED).raise_for_status()
            execution = client.post("/api/pipelines/interrupted/execute", json={}).raise_for_status().json()
        killed = server.process
        address = f"{server.url}/executions/{execution['execution_id']}"
        server.options += ("--port", str(server.ready["port"]))

        def start_again() -> None:
            killed.wait()
            server.start()

        again = threading.Thread(target=start_again)
        again.start()
        try:
            play("restart.mjs", tmp_path, EXECUTION=address, EMAIL=EMAIL, PASSWORD=PASSWORD, SERVER_PID=str(killed.pid))
        finally:
            killed.kill()
            again.join()


LINES = 75
COUNT = f"for n in $(seq 1 {LINES}); do echo line $n; sleep 1; done"
AWAY_SECONDS = 60
COUNTING = {
    "id": "counting",
    "name": "Counting",
    "stages": [
        {"id": "count", "type": "shell", "needs": [], "config": {"command": COUNT}},
        *(
            {"id": f"w{n}", "type": "wait", "needs": [f"w{n - 1}"] if n else [], "config": {"seconds": 2}}
            for n in range(30)
        ),
    ],
}


@pytest.mark.browser
def test_page_that_was_away_for_a_minute_misses_nothing(tmp_path: Path) -> None:
    with Proxy() as way:
        options = ("--no-examples", "--code-stages", "--public-url", f"http://127.0.0.1:{way.port}")
        with ServerProcess(tmp_path, options=options) as server:
            way.target = server.ready["port"]
            with server.client() as client:
                client.post("/api/pipelines", json=COUNTING).raise_for_status()
                execution = client.post("/api/pipelines/counting/execute", json={}).raise_for_status().json()
            cut = tmp_path / "cut"

            def be_away() -> None:
                until(cut.exists)
                way.cut()
                began = time.monotonic()
                until(lambda: time.monotonic() - began >= AWAY_SECONDS)
                way.heal()

            away = threading.Thread(target=be_away)
            away.start()
            address = f"http://127.0.0.1:{way.port}/executions/{execution['execution_id']}"
            try:
                play(
                    "away.mjs",
                    tmp_path,
                    EXECUTION=address,
                    EMAIL=EMAIL,
                    PASSWORD=PASSWORD,
                    CUT=str(cut),
                    LINES=str(LINES),
                )
            finally:
                cut.touch()
                away.join()


TO_CHANGE = """\
id: orders
name: Orders
description: What the shop sold, with the rates of the day.
stages:
  - {id: load, type: noop, needs: []}
  - id: rates
    type: noop
    needs: [load]  # for no reason
  - {id: price, type: noop, needs: [load, rates]}
"""


@pytest.mark.browser
def test_a_change_is_drafted_tried_and_published(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, server.client() as client:
        headers = {"content-type": "application/yaml"}
        client.post("/api/pipelines", content=TO_CHANGE, headers=headers).raise_for_status()
        play("drafts.mjs", tmp_path, SERVER=server.url, EMAIL=EMAIL, PASSWORD=PASSWORD)


SCHEDULED: list[dict[str, Any]] = [
    {
        "id": "heartbeat",
        "name": "Heartbeat",
        "stages": [{"id": "beat", "type": "noop"}],
        "triggers": [{"id": "each_second", "type": "schedule", "every": "1s"}],
    },
    {
        "id": "yearly_closing",
        "name": "Yearly closing",
        "stages": [{"id": "close", "type": "noop"}],
        "concurrency": {"limit": 2},
        "triggers": [
            {"id": "yearly", "type": "schedule", "cron": "0 3 2 1 *", "timezone": "Europe/Paris"},
            {"id": "monthly", "type": "schedule", "cron": "@monthly", "start": "2025-01-01", "end": "2025-12-31"},
        ],
    },
    {"id": "by_hand", "name": "By hand", "stages": [{"id": "work", "type": "noop"}]},
]


@pytest.mark.browser
def test_a_schedule_is_watched_paused_and_resumed(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, options=("--no-examples",)) as server, server.client() as client:
        for pipeline in SCHEDULED:
            client.post("/api/pipelines", json=pipeline).raise_for_status()
        play("schedules.mjs", tmp_path, SERVER=server.url, EMAIL=EMAIL, PASSWORD=PASSWORD)


@pytest.mark.browser
def test_maintenance_is_planned_ended_and_deleted(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, options=("--no-examples",)) as server, server.client() as client:
        client.post("/api/pipelines", json=SCHEDULED[-1]).raise_for_status()
        play("maintenance.mjs", tmp_path, SERVER=server.url, EMAIL=EMAIL, PASSWORD=PASSWORD)


LONG = {
    "id": "long",
    "name": "Long work",
    "stages": [
        {"id": f"part_{n}", "type": "shell", "needs": [], "pool": "cpu_heavy", "config": {"command": "sleep 600"}}
        for n in range(9)
    ],
}


@pytest.mark.browser
def test_workers_of_two_servers(tmp_path: Path, postgres_url: str, redis_server: RedisServer) -> None:
    fleet = Fleet(tmp_path, postgres_url, settings={"FLEXIROASTER_REDIS_URL": redis_server.url})
    try:
        server, _ = fleet.add(), fleet.add()
        with server.client() as client:
            client.put("/api/pools/cpu_heavy", json={"slots": 6}).raise_for_status()
            client.post("/api/pipelines", json=LONG).raise_for_status()
            client.post("/api/pipelines/long/execute", json={}).raise_for_status()
            until(lambda: sum(one["running"] for one in client.get("/api/workers").json()) == 6)
            play("workers.mjs", tmp_path, SERVER=server.url, EMAIL=EMAIL, PASSWORD=PASSWORD)
            client.post("/api/executions/cancel", json={"filter": {"pipeline_id": "long"}})
    finally:
        fleet.close()


MANY: list[dict[str, Any]] = [
    {
        "id": "flaky",
        "name": "Flaky import",
        "stages": [
            {"id": "fetch", "type": "noop", "needs": []},
            {"id": "import", "type": "input", "needs": ["fetch"], "config": {"path": "missing.csv"}},
        ],
    },
    {"id": "nightly", "name": "Nightly report", "stages": [{"id": "report", "type": "noop", "needs": []}]},
    {
        "id": "pay",
        "name": "Pay suppliers",
        "stages": [
            {
                "id": "release",
                "type": "approval",
                "needs": [],
                "config": {
                    "message": "Pay 48,210 € to 7 suppliers?",
                    "form": {"account": {"type": "string", "title": "Account"}},
                },
            },
            {"id": "send", "type": "noop", "needs": ["release"]},
        ],
    },
    {
        "id": "licensed",
        "name": "Licensed",
        "stages": [
            {"id": "hold", "type": "shell", "needs": [], "pool": "licences", "config": {"command": ["sleep", "600"]}}
        ],
    },
]
STARTED = {"flaky": 3, "pay": 2, "licensed": 2}


@pytest.mark.browser
def test_control_of_many_executions(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, options=("--no-examples", "--code-stages")) as server, server.client() as client:
        for pipeline in MANY:
            client.post("/api/pipelines", json=pipeline).raise_for_status()
        for pipeline_id, count in STARTED.items():
            body = {"executions": [{}] * count}
            client.post(f"/api/pipelines/{pipeline_id}/execute/bulk", json=body).raise_for_status()
        play("many.mjs", tmp_path, ORIGIN=server.url, EMAIL=EMAIL, PASSWORD=PASSWORD)


EXPLAINED = (
    "The shop's API refused the token that the stage sent: status 401 while it loaded the orders.\n\n"
    "For it speaks that the error is the server's own, and that the stage ran for less than a second. "
    "Check whether the token has expired, and renew it in the connection.\n<img src=x onerror=alert(1)>"
)
DRAFTED = "```yaml\nid: nightly\nname: Nightly\nstages:\n  - id: a\n    type: noop\n```"
FAILING = {
    "id": "load",
    "type": "stop",
    "config": {"status": "failed", "message": "The shop answered 401 to token=abc123 of ada@example.com"},
}


@pytest.mark.browser
def test_assistant_from_its_switch_to_a_new_pipeline(tmp_path: Path) -> None:
    with standing_in() as standin:
        settings = {"AI": "true", "ASSISTANT_URL": standin.url, "ASSISTANT_MODEL": "small-instruct"}
        environment = {f"FLEXIROASTER_{name}": value for name, value in settings.items()}
        standin.answers += [EXPLAINED, DRAFTED]
        with ServerProcess(tmp_path, environment=environment) as server, server.client() as client:
            pipeline = {"id": "orders", "name": "Orders", "labels": {"project": "sales"}, "stages": [FAILING]}
            client.post("/api/pipelines", json=pipeline).raise_for_status()
            started = client.post("/api/pipelines/orders/execute", json={}).raise_for_status().json()
            until(lambda: client.get(f"/api/executions/{started['execution_id']}").json()["status"] == "failed")
            address = f"{server.url}/executions/{started['execution_id']}"
            play("assistant.mjs", tmp_path, EXECUTION=address, EMAIL=EMAIL, PASSWORD=PASSWORD)


def play(script: str, folder: Path, **environment: str) -> None:
    """Run a script of frontend/e2e to its end; what it says is what the test says."""
    assert find_dist() is not None, "the dashboard is not built: run `make setup`"
    node = shutil.which("node")
    assert node is not None, "there is no node on the PATH: run `make setup`, and put .venv/bin on the PATH"
    done = subprocess.run(
        [node, f"e2e/{script}"],
        cwd=FRONTEND,
        env=dict(os.environ) | {"SCREENSHOTS": str(folder / "screenshots")} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\nPictures: {folder / 'screenshots'}"
