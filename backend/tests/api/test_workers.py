"""Workers over the API, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from flexiroaster.store.tables import workers
from tests.api.server_app import PATIENCE_SECONDS, ServerApp, server_app

SLOW = {"id": "work", "type": "wait", "config": {"seconds": 600}}
TOKEN = "a token for scraping"


@pytest.fixture
def app(tmp_path: Path, database_url: str) -> Iterator[ServerApp]:
    shared = {} if database_url.startswith("sqlite") else {"artifacts_url": (tmp_path / "kept").as_uri()}
    with server_app(
        tmp_path / "data", database_url=database_url, code_stages=True, metrics_token=TOKEN, concurrency=2, **shared
    ) as running:
        yield running


def until(condition: Callable[[], bool]) -> None:
    """What a worker does is told by nothing but asking."""
    for _ in range(20 * PATIENCE_SECONDS):
        if condition():
            return
        threading.Event().wait(0.05)
    raise AssertionError("it did not happen")


def here(app: ServerApp) -> dict[str, Any]:
    found: dict[str, Any] = next(worker for worker in app.client.get("/api/workers").json() if worker["is_here"])
    return found


def other(app: ServerApp, **changes: Any) -> str:
    """A worker that is elsewhere, as its row says."""
    now = datetime.now(UTC)
    row = {
        "id": "elsewhere", "kind": "worker", "pools": ["cpu_heavy"], "host": "node-7", "pid": 4711, "version": "0.1.0",
        "shares": {}, "concurrency": 8, "running": 0, "started_at": now, "seen_at": now,
        "alive_until": now + timedelta(hours=1),
    }  # fmt: skip
    app.server.engine.database.write(lambda tx: tx.sa.execute(workers.insert().values(row | changes)))
    return "elsewhere"


def test_a_worker_says_what_it_is_and_what_it_runs(app: ServerApp) -> None:
    app.make("slow", {"id": "work", "type": "shell", "config": {"command": "sleep 600"}})
    execution = app.client.post("/api/pipelines/slow/execute", json={}).json()["execution_id"]
    until(lambda: here(app)["running"] == 1)
    worker = here(app)
    assert worker["id"] == app.client.get("/health").json()["instance"]
    assert (worker["role"], worker["state"], worker["slots"], worker["pools"]) == ("server", "working", 2, None)
    (stage,) = worker["stages"]
    assert stage.pop("started_at") is not None
    assert stage == {
        "execution_id": execution,
        "execution_number": 1,
        "pipeline_id": "slow",
        "pipeline_name": "Slow",
        "stage": "work",
        "index": 0,
        "attempt": 1,
    }
    assert app.client.get(f"/api/workers/{worker['id']}").json()["running"] == 1
    app.client.post(f"/api/executions/{execution}/cancel")
    app.ended(execution)
    assert here(app)["stages"] == []


def test_another_worker_is_asked_to_drain_and_finds_it_in_its_row(app: ServerApp) -> None:
    told: list[tuple[str, list[Any]]] = []
    notices = app.server.engine.notices
    if notices is not None:
        notices.tell = lambda kind, items=(): told.append((kind, list(items)))  # type: ignore[method-assign]
    id = other(app)
    asked = app.client.post(f"/api/workers/{id}/drain")
    assert asked.status_code == 202
    assert (asked.json()["state"], asked.json()["pools"], asked.json()["is_here"]) == ("drained", ["cpu_heavy"], False)
    first = asked.json()["stopping_at"]
    assert app.client.post(f"/api/workers/{id}/drain").json()["stopping_at"] == first
    assert told == ([] if notices is None else [("look", [id])])
    assert here(app)["state"] == "working"


def test_the_worker_that_answers_drains_itself(app: ServerApp) -> None:
    id = here(app)["id"]
    assert app.client.post(f"/api/workers/{id}/drain").json()["state"] in {"draining", "drained"}
    until(lambda: bool(here(app)["state"] == "drained"))
    assert app.client.get("/health").json()["status"] == "draining"
    assert here(app)["stopping_at"] is not None


def test_a_lost_worker_is_shown_and_cannot_be_drained(app: ServerApp) -> None:
    past = datetime.now(UTC) - timedelta(hours=2)
    id = other(app, seen_at=past, alive_until=past)
    until(lambda: bool(app.client.get(f"/api/workers/{id}").json()["state"] == "lost"))
    refused = app.client.post(f"/api/workers/{id}/drain")
    assert (refused.status_code, refused.json()["code"]) == (409, "worker_lost")
    unknown = app.client.post("/api/workers/nobody/drain")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")


def test_everybody_may_look_and_only_an_administrator_may_drain(app: ServerApp) -> None:
    id = here(app)["id"]
    assert app.client.get("/api/workers", headers={"authorization": "Bearer viewer"}).status_code == 200
    for role in ("viewer", "operator", "editor"):
        refused = app.client.post(f"/api/workers/{id}/drain", headers={"authorization": f"Bearer {role}"})
        assert refused.status_code == 403
    assert here(app)["state"] == "working"


def test_what_waits_is_told_by_pool(app: ServerApp) -> None:
    app.client.put("/api/pools/cpu", json={"slots": 1})
    app.client.put("/api/pools/empty", json={"slots": 3})
    sleep = {"type": "shell", "config": {"command": "sleep 600"}}
    app.make("slow", *({"id": f"s{n}", "needs": [], "pool": "cpu", **sleep} for n in range(3)))
    execution = app.client.post("/api/pipelines/slow/execute", json={}).json()["execution_id"]

    def queue() -> dict[str, dict[str, Any]]:
        return {one["pool"]: one for one in app.client.get("/api/metrics/queue").json()}

    until(lambda: bool(queue()["cpu"]["running"] == 1))
    found = queue()
    assert list(found) == ["default", "cpu", "empty"]
    assert found["cpu"].pop("oldest_wait_seconds") > 0
    taken = {"workers": 1, "reason": None}
    assert found["cpu"] == {"pool": "cpu", "slots": 1, "waiting": 2, "running": 1, **taken}
    nothing = {"waiting": 0, "running": 0, "oldest_wait_seconds": None, **taken}
    assert found["empty"] == {"pool": "empty", "slots": 3, **nothing}
    assert found["default"] == {"pool": "default", "slots": None, **nothing}
    scraped = app.client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert scraped.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = scraped.text.splitlines()
    for line in (
        'flexiroaster_queue_stages{pool="cpu"} 2',
        'flexiroaster_queue_stages{pool="default"} 0',
        'flexiroaster_running_stages{pool="cpu"} 1',
        'flexiroaster_pool_slots{pool="empty"} 3',
        'flexiroaster_pool_workers{pool="cpu"} 1',
        'flexiroaster_workers{role="server",state="working"} 1',
        'flexiroaster_worker_slots{role="server"} 2',
        'flexiroaster_executions{status="running"} 1',
    ):
        assert line in lines, scraped.text
    app.client.post(f"/api/executions/{execution}/cancel")
    app.ended(execution)


def test_the_token_for_scraping_opens_nothing_else(app: ServerApp) -> None:
    scraper = {"authorization": f"Bearer {TOKEN}"}
    assert app.client.get("/metrics", headers=scraper).status_code == 200
    assert app.client.get("/metrics", headers={"authorization": "Bearer viewer"}).status_code == 200
    for path in ("/api/metrics", "/api/workers", "/api/pipelines"):
        assert app.client.get(path, headers=scraper).status_code == 401
    for wrong in ("Bearer wrong", "Basic x", ""):
        assert app.client.get("/metrics", headers={"authorization": wrong}).status_code == 401


def test_rows_of_many_workers_are_told_apart(app: ServerApp) -> None:
    """Each has its own stages, of which the first are shown."""
    from flexiroaster.store import load
    from flexiroaster.store.tables import stage_runs
    from tests.history import NOON

    history = app.history
    history.pipeline("orders", stages=2)
    id = history.execution("orders", 1, status="running", seconds=None)
    for n in range(6):
        owner = "a" if n < 4 else "b"
        history.stage_run(
            id, n, status="running", started_at=NOON + timedelta(seconds=n), ended_at=None, lease_owner=owner,
            lease_until=NOON + timedelta(days=9999),
        )  # fmt: skip
    history.stage_run(id, 9, lease_owner=None)
    with app.server.engine.database.read() as connection:
        found = load.by_worker(connection, most=2)
        assert {owner: (one.running, [held.stage for held in one.held]) for owner, one in found.items()} == {
            "a": (4, ["s0", "s1"]),
            "b": (2, ["s4", "s5"]),
        }
        assert list(load.by_worker(connection, most=2, worker="b")) == ["b"]
        assert connection.execute(sa.select(sa.func.count()).select_from(stage_runs)).scalar_one() == 7
