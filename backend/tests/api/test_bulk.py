from __future__ import annotations

from typing import Any

import pytest

from tests.api.server_app import ServerApp

STATES = ["failed", "cancelled", "timed_out"]


def start(still: ServerApp, count: int) -> list[str]:
    still.make("orders")
    body = {"executions": [{} for _ in range(count)]}
    answer = still.client.post("/api/pipelines/orders/execute/bulk", json=body)
    assert answer.status_code == 202, answer.text
    return [one["execution_id"] for one in answer.json()["executions"]]


def test_many_are_started_at_once(still: ServerApp) -> None:
    still.make("orders", inputs={"day": {"type": "string"}})
    items = [{"inputs": {"day": "mon"}, "idempotency_key": "1"}, {"inputs": {"day": "tue"}, "data": {"n": 2}}]
    path = "/api/pipelines/orders/execute/bulk"
    first = still.client.post(path, json={"executions": items}).json()
    assert (first["started"], first["replayed"], [one["number"] for one in first["executions"]]) == (2, 0, [1, 2])
    again = still.client.post(path, json={"executions": items[:1]}).json()
    assert (again["started"], again["replayed"]) == (0, 1)
    found = still.client.get(f"/api/executions/{first['executions'][1]['execution_id']}").json()
    assert (found["inputs"], found["data"], found["actor"]) == ({"day": "tue"}, {"n": 2}, "admin@example.com")


def test_problems_of_a_bulk_name_the_item(still: ServerApp) -> None:
    still.make("orders", inputs={"day": {"type": "string"}})
    body = {"executions": [{"inputs": {"day": "mon"}}, {"inputs": {"day": 7}}]}
    refused = still.client.post("/api/pipelines/orders/execute/bulk", json=body)
    assert (refused.status_code, refused.json()["problems"][0]["path"]) == (422, "executions[1].inputs.day")
    assert still.client.get("/api/executions").json() == []


def test_cancel_counts_first_then_cancels(still: ServerApp) -> None:
    ids = start(still, 3)
    counted = still.client.post("/api/executions/cancel", json={"pipeline_id": "orders", "dry_run": True}).json()
    assert (counted["matched"], counted["done"], counted["left"]) == (3, 0, 3)
    some = still.client.post("/api/executions/cancel", json={"pipeline_id": "orders", "limit": 2}).json()
    assert (some["matched"], some["done"], some["left"]) == (3, 2, 1)
    assert [item["execution_id"] for item in some["items"]] == ids[:2]
    rest = still.client.post(
        "/api/executions/cancel", json={"pipeline_id": "orders", "cursor": some["next_cursor"]}
    ).json()
    assert (rest["done"], rest["left"], rest["next_cursor"]) == (1, 0, None)


def test_retry_treats_what_was_cancelled(still: ServerApp) -> None:
    ids = start(still, 2)
    still.client.post("/api/executions/cancel", json={"ids": ids[:1]})
    answer = still.client.post("/api/executions/retry", json={"status": STATES, "since": "2020-01-01T00:00:00Z"})
    (item,) = answer.json()["items"]
    assert (item["execution_id"], item["done"], item["message"]) == (ids[0], True, "0 reused, 1 run again")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "This would treat every execution"),
        ({"status": ["success"]}, "None of these states is one to retry: success"),
        ({"pipeline": "orders"}, "pipeline"),
        ({"all": True, "limit": 5000}, "limit"),
        ({"all": True, "cursor": "nonsense"}, "no cursor of this list"),
    ],
)
def test_what_is_asked_wrong_is_said(still: ServerApp, body: dict[str, Any], sentence: str) -> None:
    refused = still.client.post("/api/executions/retry", json=body)
    assert (refused.status_code, sentence in refused.json()["detail"]) == (422, True), refused.text


def test_everything_is_treated_only_when_it_is_said(still: ServerApp) -> None:
    start(still, 2)
    assert still.client.post("/api/executions/cancel", json={"all": True}).json()["done"] == 2


def test_who_may_only_look_may_not_treat_many(still: ServerApp) -> None:
    for path in ("/api/executions/retry", "/api/executions/cancel", "/api/pipelines/orders/execute/bulk"):
        answer = still.client.post(path, json={"all": True}, headers={"authorization": "Bearer viewer"})
        assert answer.status_code == 403
