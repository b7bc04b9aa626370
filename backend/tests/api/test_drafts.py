"""Drafts of versions through the API, and what runs while there are some."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.server_app import ServerApp

YAML = {"content-type": "application/yaml"}
VERSIONS = "/api/pipelines/orders/versions"


def source(name: str, stage: str = "s0", more: str = "") -> str:
    return f"id: orders\nname: {name}\n{more}stages:\n  - {{id: {stage}, type: noop}}\n"


def draft(client: TestClient, text: str, **parameters: Any) -> dict[str, Any]:
    answer = client.post(VERSIONS, content=text, headers=YAML, params=parameters)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def version_of(server: ServerApp, execution: str) -> int:
    return int(server.client.get(f"/api/executions/{execution}").json()["version"])


@pytest.fixture
def orders(server: ServerApp) -> ServerApp:
    server.make("orders")
    return server


def test_a_draft_goes_its_whole_way(orders: ServerApp) -> None:
    client = orders.client
    text = source("New", more="inputs: {day: {type: string, default: today}}\n")
    made = draft(client, text, note="with a day")
    assert (made["version"], made["state"], made["based_on"], made["note"]) == (2, "draft", 1, "with a day")
    assert (made["source"], made["published_at"]) == (text, None)
    assert list(made["inputs_schema"]["properties"]) == ["day"]
    shown = client.get("/api/pipelines/orders")
    assert (shown.headers["etag"], shown.json()["version"], shown.json()["drafts"]) == ('"1"', 1, [2])
    assert [(one["version"], one["state"]) for one in client.get(VERSIONS).json()] == [(2, "draft"), (1, "published")]
    assert client.get(f"{VERSIONS}/1/diff/2").json()["settings"] == ["name", "inputs"]

    published = client.post(f"{VERSIONS}/2/publish", params={"note": "agreed"})
    assert (published.status_code, published.headers["etag"]) == (200, '"2"')
    assert (published.json()["name"], published.json()["drafts"]) == ("New", [])
    first = client.get(VERSIONS).json()[0]
    assert (first["state"], first["note"], first["based_on"]) == ("published", "agreed", 1)


def test_nothing_runs_a_draft_that_does_not_ask_for_it(orders: ServerApp) -> None:
    """A start, many starts, a child, and a re-run of what ran before."""
    client = orders.client
    before = orders.run("orders")
    draft(client, source("New", stage="new"))
    assert version_of(orders, orders.run("orders")) == 1
    many = client.post("/api/pipelines/orders/execute/bulk", json={"executions": [{}, {}]})
    assert many.status_code == 202, many.text
    again = client.post(f"/api/executions/{before}/rerun", json={}).json()
    orders.make("parent", {"id": "child", "type": "pipeline", "config": {"pipeline": "orders"}})
    orders.run("parent")
    ran = client.get("/api/pipelines/orders/executions", params={"limit": 50}).json()
    assert [one["version"] for one in ran] == [1] * 6
    assert {one["trigger"] for one in ran} == {"manual", "parent"}
    assert again["execution_id"] in {one["id"] for one in ran}


def test_a_draft_runs_where_its_number_is_asked_for(orders: ServerApp) -> None:
    draft(orders.client, source("New", stage="new"))
    trial = orders.run("orders", version=2)
    assert version_of(orders, trial) == 2
    assert [run["stage"] for run in orders.client.get(f"/api/executions/{trial}").json()["stages"]] == ["new"]
    assert version_of(orders, orders.run("orders")) == 1


def test_an_execution_of_a_draft_is_a_trial_and_stays_one(orders: ServerApp) -> None:
    client = orders.client
    draft(client, source("New", stage="new"))

    def is_trial(execution: str) -> bool:
        return bool(orders.ended(execution)["trial"])

    trial = orders.run("orders", version=2)
    again = client.post(f"/api/executions/{trial}/rerun", json={"version": 2}).json()["execution_id"]
    plain = orders.run("orders")
    assert [is_trial(one) for one in (trial, again, plain)] == [True, True, False]
    assert client.get("/api/metrics").json()["executions_24h"] == 1
    (listed,) = client.get("/api/pipelines").json()
    assert [run["id"] for run in listed["recent"]] == [plain]

    assert client.post(f"{VERSIONS}/2/publish").status_code == 200
    published, older = orders.run("orders"), orders.run("orders", version=1)
    assert [is_trial(one) for one in (published, older, trial)] == [False, False, True]
    of_both = client.get("/api/executions").json()
    assert {one["id"] for one in of_both if one["trial"]} == {trial, again}


def test_a_discarded_draft_is_not_run_and_its_executions_stay(orders: ServerApp) -> None:
    client = orders.client
    draft(client, source("New", stage="new"))
    trial = orders.run("orders", version=2)
    assert client.delete(f"{VERSIONS}/2").json() == {"message": "Draft 2 discarded."}
    refused = client.post("/api/pipelines/orders/execute", json={"version": 2})
    assert (refused.status_code, refused.json()["code"]) == (409, "discarded")
    refused = client.post(f"/api/executions/{trial}/rerun", json={"version": 2})
    assert (refused.status_code, refused.json()["code"]) == (409, "discarded")
    assert [run["stage"] for run in client.get(f"/api/executions/{trial}").json()["stages"]] == ["new"]
    assert client.get(f"{VERSIONS}/2").json()["state"] == "discarded"
    assert client.get(f"{VERSIONS}/1/diff/2").status_code == 200
    again = client.post(f"/api/executions/{trial}/rerun", json={}).json()
    assert orders.ended(again["execution_id"])["version"] == 1


def test_a_late_draft_is_published_when_one_insists(orders: ServerApp) -> None:
    client = orders.client
    draft(client, source("Mine"))
    client.put("/api/pipelines/orders", content=source("Theirs"), headers=YAML)
    path = f"{VERSIONS}/2/publish"
    late = client.post(path)
    assert (late.status_code, late.json()["code"]) == (409, "draft_outdated")
    for if_match, status in (('"1"', 412), ("newest", 422), ('"3"', 200)):
        answer = client.post(path, headers={"if-match": if_match})
        assert answer.status_code == status, answer.text
    assert client.get("/api/pipelines/orders").json()["name"] == "Mine"
    assert client.post(path).json()["code"] == "not_a_draft"
    draft(client, source("Third"), based_on=3)
    assert client.post(f"{VERSIONS}/4/publish", headers={"if-match": "*"}).json()["version"] == 4


def test_a_draft_takes_the_place_of_another(orders: ServerApp) -> None:
    draft(orders.client, source("One"))
    assert draft(orders.client, source("Two"), replaces=2)["version"] == 3
    assert orders.client.get("/api/pipelines/orders").json()["drafts"] == [3]
    lost = orders.client.post(VERSIONS, content=source("Three"), headers=YAML, params={"replaces": 2})
    assert (lost.status_code, lost.json()["code"]) == (409, "not_a_draft")


def test_a_wrong_draft_says_where_and_what(orders: ServerApp) -> None:
    answer = orders.client.post(VERSIONS, content=source("New", more="nmae: Newer\n"), headers=YAML)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_definition")
    assert [(problem["path"], problem["line"]) for problem in answer.json()["problems"]] == [("nmae", 3)]
    assert orders.client.get("/api/pipelines/orders").json()["drafts"] == []
    assert orders.client.post("/api/pipelines/nothing/versions", content="x", headers=YAML).status_code == 404


@pytest.mark.parametrize(("role", "expected"), [("viewer", 403), ("operator", 403), ("editor", 200)])
def test_editors_draft_and_publish(still: ServerApp, role: str, expected: int) -> None:
    still.make("orders")
    headers = {"authorization": f"Bearer {role}"}
    saved = still.client.post(VERSIONS, content=source("New"), headers=YAML | headers)
    assert saved.status_code == (201 if expected == 200 else expected)
    draft(still.client, source("New"))
    draft(still.client, source("Other"))
    assert still.client.delete(f"{VERSIONS}/3", headers=headers).status_code == expected
    assert still.client.post(f"{VERSIONS}/2/publish", headers=headers).status_code == expected


def test_an_operator_tries_a_draft(still: ServerApp) -> None:
    still.make("orders")
    draft(still.client, source("New"))
    headers = {"authorization": "Bearer operator"}
    answer = still.client.post("/api/pipelines/orders/execute", json={"version": 2}, headers=headers)
    assert answer.status_code == 202


def test_a_draft_in_use_keeps_its_pipeline(still: ServerApp) -> None:
    """Discarded while it runs: the execution goes on, the pipeline stays until it has ended."""
    still.make("orders")
    draft(still.client, source("New", stage="new"))
    started = still.client.post("/api/pipelines/orders/execute", json={"version": 2}).json()["execution_id"]
    assert still.client.delete(f"{VERSIONS}/2").status_code == 200
    assert still.client.delete("/api/pipelines/orders").status_code == 409
    assert still.client.get(f"/api/executions/{started}").json()["status"] == "queued"
    still.client.post(f"/api/executions/{started}/cancel")
    assert still.client.delete("/api/pipelines/orders").status_code == 200
