from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.server_app import ServerApp


def test_a_pool_is_defined_changed_and_deleted(still: ServerApp) -> None:
    client = still.client
    assert client.get("/api/pools").json() == []
    made = client.put("/api/pools/cpu_heavy", json={"slots": 4})
    nothing = {"used": 0, "waiting": 0, "pipelines": 0, "workers": 0, "reason": None}
    assert (made.status_code, made.json()) == (200, {"name": "cpu_heavy", "slots": 4, **nothing})
    assert client.put("/api/pools/cpu_heavy", json={"slots": 0}).json()["slots"] == 0
    assert [pool["name"] for pool in client.get("/api/pools").json()] == ["cpu_heavy"]
    assert client.get("/api/pools/cpu_heavy").json()["slots"] == 0
    assert client.delete("/api/pools/cpu_heavy").json() == {"message": "Pool cpu_heavy deleted"}
    gone = client.delete("/api/pools/cpu_heavy")
    assert (gone.status_code, gone.json()["code"]) == (404, "not_found")
    assert client.get("/api/pools/cpu_heavy").status_code == 404


def test_a_pool_that_is_named_and_not_defined_is_listed(still: ServerApp) -> None:
    still.make("a", {"id": "s0", "type": "noop", "pool": "typo"})
    (pool,) = still.client.get("/api/pools").json()
    assert (pool["name"], pool["slots"], pool["waiting"], pool["pipelines"]) == ("typo", None, 0, 1)
    still.client.post("/api/pipelines/a/execute", json={})
    (pool,) = still.client.get("/api/pools").json()
    assert (pool["waiting"], pool["workers"]) == (1, 0)
    assert pool["reason"] == "waiting for a restart: this server takes no more work"


def test_pools_are_those_of_the_newest_versions(still: ServerApp) -> None:
    def names() -> dict[str, int]:
        return {pool["name"]: pool["pipelines"] for pool in still.client.get("/api/pools").json()}

    still.make("a", {"id": "s0", "type": "noop", "pool": "one"}, {"id": "s1", "type": "noop", "pool": "one"})
    still.make("b", **{"finally": [{"id": "last", "type": "noop", "pool": "two"}]})
    still.make("c", {"id": "s0", "type": "noop", "pool": "one"})
    assert names() == {"one": 2, "two": 1}
    changed = {"id": "a", "name": "A", "stages": [{"id": "s0", "type": "noop", "pool": "three"}]}
    still.client.put("/api/pipelines/a", json=changed).raise_for_status()
    still.client.delete("/api/pipelines/c").raise_for_status()
    assert names() == {"three": 1, "two": 1}


@pytest.mark.parametrize("body", [{}, {"slots": -1}, {"slots": "4"}, {"slots": 100_001}, {"slots": 1, "more": 1}])
def test_a_wrong_number_of_slots_is_refused(still: ServerApp, body: dict[str, Any]) -> None:
    assert still.client.put("/api/pools/cpu", json=body).status_code == 422


@pytest.mark.parametrize("name", ["-cpu", "c%20pu", "x" * 81])
def test_a_wrong_name_is_refused(still: ServerApp, name: str) -> None:
    refused = still.client.put(f"/api/pools/{name}", json={"slots": 1})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_pool")


def test_who_may_only_read_changes_no_pool(still: ServerApp) -> None:
    operator = {"authorization": "Bearer operator"}
    assert still.client.put("/api/pools/cpu", json={"slots": 1}, headers=operator).status_code == 403
    assert still.client.delete("/api/pools/cpu", headers=operator).status_code == 403
    assert still.client.get("/api/pools", headers={"authorization": "Bearer viewer"}).status_code == 200


def test_an_unknown_pool_is_a_warning(still: ServerApp) -> None:
    body = {"id": "a", "name": "A", "stages": [{"id": "s0", "type": "noop", "pool": "cpu_heavi"}]}

    def problems() -> list[dict[str, Any]]:
        report = still.client.post("/api/pipelines/validate", json=body).json()
        assert report["valid"]
        found: list[dict[str, Any]] = report["problems"]
        return found

    (problem,) = problems()
    assert (problem["code"], problem["severity"], problem["path"]) == ("unknown_pool", "warning", "stages[0].pool")
    assert problem["message"] == (
        "There is no pool 'cpu_heavi', so all stages that name it share one slot: "
        "define it with `flexiroaster pool set cpu_heavi 4`."
    )
    still.client.put("/api/pools/cpu_heavy", json={"slots": 4})
    assert problems()[0]["suggestion"] == "cpu_heavy"
    still.client.put("/api/pools/cpu_heavi", json={"slots": 4})
    assert problems() == []


# Places, as the API shows them


def test_a_paused_pipeline_lets_new_executions_wait(server: ServerApp, client: TestClient) -> None:
    server.make("hello")
    paused = client.post("/api/pipelines/hello/pause")
    assert (paused.status_code, paused.json()["enabled"]) == (200, False)
    assert paused.json()["paused_by"] == "admin@example.com"
    since = paused.json()["paused_at"]
    assert client.post("/api/pipelines/hello/pause").json()["paused_at"] == since, "it is paused already"
    (shown,) = client.get("/api/pipelines").json()
    assert (shown["paused_by"], shown["paused_at"]) == ("admin@example.com", since)
    started = client.post("/api/pipelines/hello/execute", json={"priority": 3}).json()["execution_id"]
    waiting = client.get(f"/api/executions/{started}").json()
    assert (waiting["status"], waiting["reason"]) == ("queued", "the pipeline is paused")
    (listed,) = client.get("/api/executions?status=queued").json()
    assert (waiting["priority"], listed["priority"]) == (3, 3)
    resumed = client.post("/api/pipelines/hello/resume").json()
    assert (resumed["enabled"], resumed["paused_by"], resumed["paused_at"]) == (True, None, None)
    assert server.ended(started)["status"] == "success"
    assert client.post("/api/pipelines/nothing/pause").status_code == 404
    assert client.post("/api/pipelines/hello/pause", headers={"authorization": "Bearer viewer"}).status_code == 403


def test_too_many_that_wait_are_refused(still: ServerApp) -> None:
    still.make("one", concurrency={"limit": 1, "max_queued": 0})
    assert still.client.post("/api/pipelines/one/execute", json={}).status_code == 202
    refused = still.client.post("/api/pipelines/one/execute", json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "queue_full")


def test_a_key_that_is_used_for_something_else_is_refused(still: ServerApp) -> None:
    still.make("orders", inputs={"day": {"type": "string"}})
    path, headers = "/api/pipelines/orders/execute", {"idempotency-key": "k1"}
    first = still.client.post(path, json={"inputs": {"day": "mon"}}, headers=headers).json()
    again = still.client.post(path, json={"inputs": {"day": "mon"}}, headers=headers).json()
    assert (again["execution_id"], again["replayed"]) == (first["execution_id"], True)
    other = still.client.post(path, json={"inputs": {"day": "tue"}}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert other.json()["detail"] == (
        "The idempotency key 'k1' has started execution #1, and something else was asked for then: send the same "
        "again, or choose a new key."
    )


@pytest.mark.parametrize("priority", ["high", 1.5, True, 1001])
def test_a_wrong_priority_is_refused(still: ServerApp, priority: Any) -> None:
    still.make("hello")
    assert still.client.post("/api/pipelines/hello/execute", json={"priority": priority}).status_code == 422


# Draining


def test_a_drained_server_takes_no_work_and_says_so(server: ServerApp, client: TestClient) -> None:
    assert client.get("/api/admin/drain").json() == {
        "state": "working",
        "running": 0,
        "message": "working: 0 stages running",
    }
    server.make("hello")
    assert client.post("/api/admin/drain", headers={"authorization": "Bearer editor"}).status_code == 403
    asked = client.post("/api/admin/drain", json={"grace_seconds": 5})
    assert asked.status_code == 202
    server.server.services.drain.wait()
    assert client.post("/api/admin/drain").json()["state"] == "drained"
    health = client.get("/health")
    assert (health.status_code, health.json()["status"]) == (200, "draining")
    assert health.json()["detail"] == "stopped: nothing runs any more, what waits goes on after a restart"
    started = client.post("/api/pipelines/hello/execute", json={}).json()["execution_id"]
    assert client.get(f"/api/executions/{started}").json()["status"] == "queued"


@pytest.mark.parametrize("body", [{"grace_seconds": -1}, {"grace_seconds": 1e9}, {"grace": 1}])
def test_a_wrong_grace_is_refused_and_changes_nothing(
    server: ServerApp, client: TestClient, body: dict[str, Any]
) -> None:
    assert client.post("/api/admin/drain", json=body).status_code == 422
    assert client.get("/api/admin/drain").json()["state"] == "working"
    assert client.get("/health").json()["status"] == "healthy"
