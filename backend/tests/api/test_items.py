"""The items of a foreach stage by the API."""

from __future__ import annotations

from tests.api.server_app import ServerApp

EACH = {"id": "each", "type": "noop", "needs": [], "foreach": {"items": ["eu", "us", "asia"], "as": "region"}}


def test_items_are_counted_with_their_stage_and_listed_apart(server: ServerApp) -> None:
    server.make("regions", EACH)
    id = server.run("regions")
    found = server.client.get(f"/api/executions/{id}").json()
    (stage,) = found["stages"]
    assert stage["items"] == {"count": 3, "states": {"success": 3}}
    assert found["counts"] == {"success": 1}
    assert len(server.client.get(f"/api/executions/{id}/stages").json()) == 1
    first = server.client.get(f"/api/executions/{id}/stages/each/items", params={"limit": 2})
    assert [(item["index"], item["item"], item["status"]) for item in first.json()] == [
        (1, "eu", "success"),
        (2, "us", "success"),
    ]
    cursor = first.headers["X-Next-Cursor"]
    rest = server.client.get(f"/api/executions/{id}/stages/each/items", params={"limit": 2, "cursor": cursor})
    assert [item["item"] for item in rest.json()] == ["asia"]
    assert "X-Next-Cursor" not in rest.headers
    failed = server.client.get(f"/api/executions/{id}/stages/each/items", params={"status": "failed"})
    assert failed.json() == []


def test_one_item_is_read_like_a_stage(server: ServerApp) -> None:
    server.make("regions", EACH)
    id = server.run("regions")
    one = server.client.get(f"/api/executions/{id}/stages/each", params={"index": 2}).json()
    assert (one["item"], one["index"], one["status"], one["items"]) == ("us", 2, "success", None)
    own = server.client.get(f"/api/executions/{id}/stages/each").json()
    assert own["result"] == {
        "count": 3,
        "succeeded": 3,
        "failed": 0,
        "skipped": 0,
        "items": [None, None, None],
    }


def test_the_log_of_one_item_is_read_alone(server: ServerApp) -> None:
    reads = {"type": "input", "config": {"path": "${{ item }}.csv"}}
    server.make("regions", EACH | reads | {"foreach": {"items": ["eu", "us"], "on_error": "continue"}})
    id = server.run("regions")
    logs = server.client.get(f"/api/executions/{id}/logs", params={"stage": "each"}).json()
    assert {line["index"] for line in logs} >= {1, 2}
    alone = server.client.get(f"/api/executions/{id}/logs", params={"stage": "each", "index": 2}).json()
    assert alone
    assert {line["index"] for line in alone} == {2}


def test_there_are_no_items_of_what_is_not_there(server: ServerApp) -> None:
    server.make("regions", EACH)
    id = server.run("regions")
    assert server.client.get(f"/api/executions/{id}/stages/other/items").status_code == 404
    assert server.client.get("/api/executions/none/stages/each/items").status_code == 404
    wrong = server.client.get(f"/api/executions/{id}/stages/each/items", params={"cursor": "x"})
    assert wrong.status_code in (400, 422)
