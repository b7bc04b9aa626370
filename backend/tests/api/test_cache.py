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
