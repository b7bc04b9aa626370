from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.server_app import ServerApp


def started(server: ServerApp) -> str:
    server.make("orders", {"id": "paid", "type": "wait", "config": {"event": "payment"}})
    return str(server.client.post("/api/pipelines/orders/execute", json={}).json()["execution_id"])


def test_an_execution_is_told_of_an_event(still: ServerApp) -> None:
    execution = started(still)
    path = f"/api/executions/{execution}/signal"
    answer = still.client.post(path, json={"name": "payment", "data": {"amount": 5}})
    assert answer.status_code == 200
    assert answer.json() | {"at": ""} == {"execution_id": execution, "name": "payment", "at": "", "went_on": []}
    assert (
        still.client.post(path, json={"name": "payment"}, headers={"authorization": "Bearer viewer"}).status_code == 403
    )
    assert still.client.post("/api/executions/nobody/signal", json={"name": "payment"}).status_code == 404
    (event,) = [
        row for row in still.client.get(f"/api/executions/{execution}/events").json() if "signal" in row["type"]
    ]
    assert event["payload"] == {"name": "payment", "by": "admin@example.com", "stages": [], "number": 1}


def test_an_ended_execution_is_not_told(server: ServerApp, client: TestClient) -> None:
    execution = server.run(server.make("hello"))
    refused = client.post(f"/api/executions/{execution}/signal", json={"name": "payment"})
    assert (refused.status_code, refused.json()["code"]) == (409, "already_ended")


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "x" * 201}, {"name": "a", "extra": 1}])
def test_a_wrong_signal_is_refused(still: ServerApp, body: dict[str, Any]) -> None:
    assert still.client.post(f"/api/executions/{started(still)}/signal", json=body).status_code == 422
