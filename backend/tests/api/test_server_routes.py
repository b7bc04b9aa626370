"""Logs, metrics, catalog, health, and what holds for all routes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from flexiroaster.api.deps import undeclared_routes
from flexiroaster.api.logs import live_lines, seen_id
from tests.api.server_app import ServerApp, server_app


def test_recent_log_lines(client: TestClient, server: ServerApp) -> None:
    server.make("orders")
    id = server.history.execution("orders", 1)
    for number, level in enumerate(("debug", "info", "warning", "error")):
        server.history.log(f"line {number}", level=level, pipeline_id="orders", execution_id=id, stage="s0")

    def messages(path: str, **params: Any) -> list[str]:
        return [line["message"] for line in client.get(path, params=params).json()]

    assert messages("/api/logs", pipeline_id="orders", limit=2) == ["line 2", "line 3"]
    assert messages("/api/logs", level="warning", q="LINE") == ["line 2", "line 3"]
    assert messages(f"/api/executions/{id}/logs", level="info") == ["line 1", "line 2", "line 3"]
    assert messages(f"/api/executions/{id}/logs", stage="s1") == []
    lines = client.get(f"/api/executions/{id}/logs").json()
    assert messages(f"/api/executions/{id}/logs", after=lines[1]["id"], limit=1) == ["line 2"]
    assert messages(f"/api/executions/{id}/logs", before=lines[3]["id"], limit=1) == ["line 2"]
    assert client.get("/api/logs?level=loud").status_code == 422


def test_a_running_stage_leaves_log_lines(server: ServerApp) -> None:
    server.make("orders", {"id": "read", "type": "input", "config": {"path": "missing.csv"}})
    id = server.run("orders")
    lines = server.client.get(f"/api/executions/{id}/logs").json()
    assert any("missing.csv" in line["message"] for line in lines)
    assert [line["id"] for line in lines] == sorted(line["id"] for line in lines)


class Reader:
    """A request whose reader goes away after some looks."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    async def is_disconnected(self) -> bool:
        self.looks -= 1
        return self.looks < 0


def test_the_stream_gives_lines_with_their_ids(still: ServerApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flexiroaster.api.logs.LOOK_SECONDS", 0)
    monkeypatch.setattr("flexiroaster.api.logs.QUIET_LOOKS", 2)
    for number in (1, 2, 3):
        still.history.log(f"line {number}", id=number)

    async def read() -> list[str]:
        stream = live_lines(Reader(4), still.server.services.logs, 1)  # type: ignore[arg-type]
        return [chunk async for chunk in stream]

    chunks = asyncio.run(read())
    assert chunks[0] == "retry: 1000\n\n"
    assert [chunk.split("\n")[0] for chunk in chunks[1:3]] == ["id: 2", "id: 3"]
    assert '"message":"line 2"' in chunks[1]
    assert chunks[1].endswith("\n\n")
    assert chunks[3:] == [": nothing new\n\n"]


def test_a_stream_ends_by_itself(still: ServerApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flexiroaster.api.logs.LONGEST_SECONDS", 0)
    answer = still.client.get("/api/logs/stream")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text == "retry: 1000\n\n"


@pytest.mark.parametrize(
    ("header", "id"), [("7", 7), (None, None), ("-1", None), ("x", None), ("9" * 30, None), ("²", None)]
)
def test_a_last_event_id_that_is_none_starts_now(header: str | None, id: int | None) -> None:
    assert seen_id(header) == id


def test_metrics_have_the_specifications_fields(server: ServerApp) -> None:
    server.make("orders")
    server.run("orders")
    numbers = server.client.get("/api/metrics").json()
    assert (numbers["total_pipelines"], numbers["active_executions"], numbers["success_rate"]) == (1, 0, 100)
    assert numbers["avg_duration"] >= 0
    history = server.client.get("/api/metrics/history?range=1h").json()
    assert sum(bucket["success"] for bucket in history["buckets"]) == 1
    assert len(server.client.get("/api/metrics/history").json()["buckets"]) == 96
    assert server.client.get("/api/metrics/history?range=1y").status_code == 422


def test_the_catalog_describes_stage_types(client: TestClient) -> None:
    types = {type["type"]: type for type in client.get("/api/stage-types").json()}
    assert {"input", "validation", "processing", "output", "http", "python", "wait", "noop"} <= set(types)
    assert (types["python"]["runs_code"], types["python"]["enabled"]) == (True, False)
    assert types["noop"]["enabled"]
    assert client.get("/api/stage-types/noop").json() == types["noop"]
    assert client.get("/api/schemas/stages/input").json() == types["input"]["config_schema"]
    assert client.get("/api/stage-types/nothing").status_code == 404
    assert client.get("/api/schemas/stages/nothing").status_code == 404
    schema = client.get("/api/schemas/pipeline").json()
    assert schema["type"] == "object"
    assert "stages" in schema["properties"]


def test_about_says_what_this_server_is(server: ServerApp) -> None:
    about = server.client.get("/api/about").json()
    assert (about["database"], about["code_stages"]) == ("sqlite", False)
    assert about["data_dirs"] == [str(folder) for folder in server.server.settings.data_dirs]


def test_health_is_open_and_names_the_process(still: ServerApp) -> None:
    answer = still.client.get("/health", headers={"authorization": ""})
    assert answer.status_code == 200
    assert answer.json()["status"] == "healthy"
    assert answer.json()["instance"] == still.server.facts.instance


def test_health_is_degraded_without_a_database(still: ServerApp, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise ConnectionError("no")

    monkeypatch.setattr(still.server.engine.database, "read", refuse)
    answer = still.client.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "degraded")
    assert answer.json()["detail"] == "The database does not answer."


def test_every_route_declares_who_may_use_it(still: ServerApp) -> None:
    assert undeclared_routes(still.app) == []


@pytest.mark.parametrize(
    "path",
    ["/api/pipelines", "/api/executions", "/api/logs", "/api/metrics", "/api/stage-types", "/api/about", "/health"],
)
def test_a_slash_at_the_end_changes_nothing(client: TestClient, path: str) -> None:
    with_slash = client.get(f"{path}/", follow_redirects=False)
    assert with_slash.status_code == 200
    assert type(with_slash.json()) is type(client.get(path).json())


@pytest.mark.parametrize(
    "path", ["/api/pipelines", "/api/executions/x", "/api/logs/stream", "/api/artifacts/x/download"]
)
def test_nobody_reads_without_a_credential(client: TestClient, path: str) -> None:
    answer = client.get(path, headers={"authorization": ""})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


def test_the_whole_way_on_either_database(tmp_path: Path, database_url: str) -> None:
    with server_app(tmp_path / "data", database_url=database_url) as server:
        client = server.client
        server.make("orders", {"id": "read", "type": "input", "config": {"path": "missing.csv"}}, labels={"team": "x"})
        id = server.run("orders")
        found = client.get(f"/api/executions/{id}").json()
        assert (found["status"], found["failed_stage"]) == ("failed", "read")
        since = "2020-01-01T00:00:00+02:00"
        filters = {"status": ["failed", "success"], "pipeline_id": "orders", "q": "MISSING", "since": since}
        assert [row["id"] for row in client.get("/api/executions", params=filters).json()] == [id]
        assert [row["id"] for row in client.get("/api/pipelines?label=team=x&q=ord&enabled=true").json()] == ["orders"]
        assert client.get("/api/pipelines?label=team=y").json() == []
        assert client.get(f"/api/executions/{id}/stages/read").json()["attempts"]
        assert client.get(f"/api/executions/{id}/events?after=2147483647").json() == []
        assert client.get(f"/api/executions/{id}/logs?q=missing&level=error&after=0&before=9007199254740991").json()
        assert client.get("/api/metrics").json()["failed_24h"] == 1
        assert sum(bucket["failed"] for bucket in client.get("/api/metrics/history?range=7d").json()["buckets"]) == 1
        assert client.get("/api/pipelines/orders/versions/2147483647").status_code == 404
        assert client.get("/api/about").json()["database"] == database_url.partition("://")[0].partition("+")[0]
        assert client.delete("/api/pipelines/orders").status_code == 200
        assert client.get("/api/pipelines/orders/executions").json()[0]["id"] == id
