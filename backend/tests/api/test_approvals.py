from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.testclient import TestClient

from flexiroaster.engine.events import Event
from tests.api.server_app import ServerApp

FORM = {"discount": {"type": "number", "maximum": 50}}


def ask(server: ServerApp, **config: Any) -> str:
    """An execution that waits for a decision about `review`."""
    asked = threading.Event()

    def listen(events: Sequence[Event]) -> None:
        if any(event.type.value == "approval_requested" for event in events):
            asked.set()

    unsubscribe = server.server.engine.bus.subscribe(listen)
    try:
        review = {"id": "review", "type": "approval", "config": {"message": "Publish?", **config}}
        server.make("orders", review, {"id": "publish", "type": "noop"})
        answer = server.client.post("/api/pipelines/orders/execute", json={})
        assert asked.wait(30)
        return str(answer.json()["execution_id"])
    finally:
        unsubscribe()


def as_role(client: TestClient, role: str) -> dict[str, str]:
    return {"authorization": f"Bearer {role}"}


def test_a_question_is_listed_and_decided(server: ServerApp, client: TestClient) -> None:
    execution = ask(server, form=FORM)
    (question,) = client.get("/api/approvals").json()
    assert question["execution_id"] == execution
    assert (question["stage"], question["index"], question["message"]) == ("review", 0, "Publish?")
    assert question["form"]["required"] == ["discount"]
    assert (question["may_decide"], question["due_at"], question["on_timeout"]) == (True, None, "reject")
    path = f"/api/executions/{execution}/stages/review"
    shown = client.get(path).json()
    assert (shown["status"], shown["reason"]) == ("waiting", "waiting for approval")
    refused = client.post(f"{path}/approve", json={"values": {"discount": 60}})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_values")
    assert refused.json()["problems"][0]["path"] == "values.discount"
    decided = client.post(f"{path}/approve", json={"comment": "go", "values": {"discount": 5}})
    assert decided.status_code == 200
    assert decided.json() | {"at": ""} == {
        "execution_id": execution,
        "stage": "review",
        "index": 0,
        "approved": True,
        "by": "admin@example.com",
        "comment": "go",
        "values": {"discount": 5},
        "at": "",
    }
    assert client.get("/api/approvals").json() == []
    again = client.post(f"{path}/approve")
    assert (again.status_code, again.json()) == (200, decided.json())
    otherwise = client.post(f"{path}/reject")
    assert (otherwise.status_code, otherwise.json()["code"]) == (409, "already_decided")


def test_roles_and_assignees(server: ServerApp, client: TestClient) -> None:
    execution = ask(server, assignees=["editor@example.com"])
    path = f"/api/executions/{execution}/stages/review/reject"
    assert client.post(path, headers=as_role(client, "viewer")).status_code == 403
    refused = client.post(path, headers=as_role(client, "operator"))
    assert (refused.status_code, refused.json()["code"]) == (403, "not_assigned")
    mine = {role: client.get("/api/approvals?mine=true", headers=as_role(client, role)).json() for role in ROLES}
    assert {role: len(found) for role, found in mine.items()} == {"viewer": 0, "operator": 0, "editor": 1, "admin": 1}
    (seen,) = client.get("/api/approvals", headers=as_role(client, "viewer")).json()
    assert seen["may_decide"] is False
    assert client.post(path, headers=as_role(client, "editor")).json()["by"] == "editor@example.com"


ROLES = ("viewer", "operator", "editor", "admin")


def test_the_questions_of_one_execution_are_listed(server: ServerApp, client: TestClient) -> None:
    execution = ask(server)
    (question,) = client.get(f"/api/approvals?execution_id={execution}").json()
    assert question["execution_id"] == execution
    assert client.get("/api/approvals?execution_id=another").json() == []


@pytest.mark.parametrize("body", [{"verdict": "yes"}, {"index": -1}, {"values": []}, {"comment": "x" * 10_001}])
def test_a_wrong_answer_is_refused(server: ServerApp, client: TestClient, body: dict[str, Any]) -> None:
    execution = ask(server)
    assert client.post(f"/api/executions/{execution}/stages/review/approve", json=body).status_code == 422
    assert len(client.get("/api/approvals").json()) == 1


def test_an_unknown_stage_is_not_found(server: ServerApp, client: TestClient) -> None:
    execution = ask(server)
    assert client.post(f"/api/executions/{execution}/stages/nobody/approve").status_code == 404
    assert client.post("/api/executions/nobody/stages/review/approve").status_code == 404
    assert client.post(f"/api/executions/{execution}/stages/publish/approve").status_code == 409
