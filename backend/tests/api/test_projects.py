"""Projects and their switches, through the API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.server_app import ServerApp

BROKEN = {"id": "broken", "type": "stop", "config": {"status": "failed", "message": "no"}}


def test_pipelines_without_the_label_are_the_default_project(server: ServerApp) -> None:
    server.make("a")
    server.make("b", labels={"project": "sales"})
    listed = server.client.get("/api/ai/projects").json()
    nobody = {"changed_at": None, "changed_by": None}
    assert listed == [
        {"name": "default", "pipelines": 1, "learning": True, "assistant": False, **nobody},
        {"name": "sales", "pipelines": 1, "learning": True, "assistant": False, **nobody},
    ]


def test_an_administrator_switches_and_it_is_known_who(server: ServerApp) -> None:
    server.make("b", labels={"project": "sales/north 1"})
    answer = server.client.put("/api/ai/projects", json={"name": "sales/north 1", "assistant": True})
    assert answer.status_code == 200
    _, switched = server.client.get("/api/ai/projects").json()
    assert answer.json() == switched
    assert (switched["assistant"], switched["learning"], switched["changed_by"]) == (True, True, "admin@example.com")
    assert switched["changed_at"] is not None


def test_nobody_else_switches(server: ServerApp) -> None:
    for role in ("viewer", "operator", "editor"):
        headers = {"authorization": f"Bearer {role}"}
        refused = server.client.put("/api/ai/projects", json={"name": "default", "assistant": True}, headers=headers)
        assert refused.status_code == 403
        assert server.client.get("/api/ai/projects", headers=headers).status_code == 200
    assert not server.server.services.ai.projects.may_ask("default")


@pytest.mark.parametrize("name", ["", "  ", "x\0", "x" * 201, None, 7])
def test_what_is_no_name_is_refused(server: ServerApp, name: Any) -> None:
    assert server.client.put("/api/ai/projects", json={"name": name, "assistant": True}).status_code == 422


def test_what_learning_would_say_says_why_it_does_not(server: ServerApp) -> None:
    server.make("a", BROKEN, labels={"project": "sales"})
    id = server.run("a")
    server.client.put("/api/ai/projects", json={"name": "sales", "learning": False})
    why = "Learning is switched off for project 'sales': an administrator can switch it on again."
    assert server.client.get("/api/pipelines/a").json()["prediction"]["note"] == why
    explained = server.client.get(f"/api/executions/{id}/explain").json()
    assert (explained["learns"], explained["note"], explained["causes"]) == (False, why, [])
    server.client.put("/api/ai/projects", json={"name": "sales", "learning": True})
    assert server.client.get("/api/pipelines/a").json()["prediction"]["note"].startswith("Not enough data yet")
    assert server.client.get(f"/api/executions/{id}/explain").json()["learns"]
