from __future__ import annotations

from pathlib import Path

from starlette.testclient import TestClient

from tests.api.server_app import ServerApp


def test_a_cached_stage_says_so_and_shows_what_was_made_before(server: ServerApp, client: TestClient) -> None:
    folder: Path = server.server.settings.data_dirs[0]
    (folder / "orders.csv").write_text("id,amount\n1,10\n2,20\n")
    load = {"id": "load", "type": "input", "config": {"path": "orders.csv"}}
    sort = {"id": "sort", "type": "processing", "config": {"operations": [{"op": "sort", "by": ["id"]}]}}
    server.make("orders", load, {**sort, "cache": {"key": "orders", "ttl": "7d"}})
    first, second = server.run("orders"), server.run("orders")
    path = f"/api/executions/{second}/stages/sort"
    shown = client.get(path).json()
    made = client.get(f"/api/executions/{first}/stages/sort").json()
    assert (shown["cached_from"], shown["rows"], shown["status"]) == (first, 2, "success")
    assert shown["reason"].startswith("taken from execution #1, ")
    assert [kept["id"] for kept in shown["artifacts"]] == [kept["id"] for kept in made["artifacts"]] != []
    third = server.run("orders", use_cache=False)
    assert client.get(f"/api/executions/{third}/stages/sort").json()["cached_from"] is None
    assert client.get(f"/api/executions/{third}").json()["use_cache"] is False
    refused = client.post("/api/pipelines/orders/execute", json={"use_cache": "no"})
    assert (refused.status_code, refused.json()["detail"]) == (422, "`use_cache` must be true or false, or left out.")


def test_running_again_may_bypass_the_cache_or_not(server: ServerApp, client: TestClient) -> None:
    cached = {"id": "a", "type": "noop", "needs": [], "cache": {"key": "k", "ttl": "7d"}}
    server.make("orders", cached, {"id": "b", "type": "stop", "config": {"status": "failed"}})
    first = server.run("orders")

    def rerun(**body: object) -> bool:
        started = client.post(f"/api/executions/{first}/rerun", json={"from_stage": "a", **body})
        assert started.status_code == 202, started.text
        id = started.json()["execution_id"]
        server.ended(id)
        return client.get(f"/api/executions/{id}/stages/a").json()["cached_from"] is not None

    assert (rerun(), rerun(use_cache=False), rerun(use_cache=True)) == (False, False, True)
    retried = client.post(f"/api/executions/{first}/retry", json={"use_cache": False})
    assert retried.status_code == 202, retried.text
    assert client.get(f"/api/executions/{first}").json()["use_cache"] is False
    server.ended(first)
    done = client.post("/api/executions/retry", json={"ids": [first], "use_cache": True}).json()
    assert (done["done"], client.get(f"/api/executions/{first}").json()["use_cache"]) == (1, True)
    server.ended(first)
    wrong = client.post(f"/api/executions/{first}/retry", json={"cache": False})
    assert (wrong.status_code, client.post("/api/executions/cancel", json={"use_cache": True}).status_code) == (
        422,
        422,
    )
