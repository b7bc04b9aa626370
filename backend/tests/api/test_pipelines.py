from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from flexiroaster.engine.pipeline import MAX_STAGES
from tests.api.server_app import ServerApp

HELLO = {"id": "hello", "name": "Hello", "stages": [{"id": "a", "type": "noop"}, {"id": "b", "type": "noop"}]}


def test_a_pipeline_goes_its_whole_way(client: TestClient) -> None:
    made = client.post("/api/pipelines", json=HELLO)
    assert made.status_code == 201
    assert made.headers["etag"] == '"1"'
    assert made.json() == client.get("/api/pipelines/hello").json()
    assert [stage["needs"] for stage in made.json()["stages"]] == [[], ["a"]]
    assert client.get("/api/pipelines").json()[0]["stages_total"] == 2

    changed = client.put("/api/pipelines/hello?note=renamed", json={**HELLO, "name": "Hi"}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    versions = client.get("/api/pipelines/hello/versions").json()
    assert [(version["version"], version["note"]) for version in versions] == [(2, "renamed"), (1, "")]
    assert client.get("/api/pipelines/hello/versions/1").json()["definition"]["name"] == "Hello"
    diff = client.get("/api/pipelines/hello/versions/1/diff/2").json()
    assert (diff["settings"], diff["changed"], diff["identical"]) == (["name"], [], False)

    gone = client.delete("/api/pipelines/hello")
    assert (gone.status_code, gone.json()) == (200, {"message": "Pipeline deleted successfully"})
    assert client.get("/api/pipelines/hello").status_code == 404
    assert client.get("/api/pipelines/hello/versions/2").status_code == 200


def test_yaml_is_kept_as_it_was_written(client: TestClient) -> None:
    text = "# mine\nid: hello\nname: Hello\nstages:\n  - {id: a, type: noop}\n"
    made = client.post("/api/pipelines", content=text, headers={"Content-Type": "application/yaml"})
    assert made.status_code == 201
    assert (made.json()["source"], made.json()["source_format"]) == (text, "yaml")


def test_the_specifications_smallest_pipeline_is_taken(client: TestClient) -> None:
    body = {"name": "Hello there", "stages": [{"id": "input", "type": "noop"}]}
    made = client.post("/api/pipelines/", json=body)
    assert made.status_code == 201
    assert made.json()["name"] == "Hello there"
    assert client.get(f"/api/pipelines/{made.json()['id']}/").status_code == 200


@pytest.mark.parametrize(
    ("body", "content_type", "status", "says"),
    [
        (b"", "application/json", 422, "empty"),
        (b"{", "application/json", 422, "JSON"),
        (b"[]", "application/json", 422, ""),
        (b"null", "application/json", 422, ""),
        (b'{"id": "a", "name": NaN, "stages": []}', "application/json", 422, "NaN"),
        (b'{"id": "a", "name": "\\u0000", "stages": []}', "application/json", 422, "NUL"),
        (b'{"id": "a", "name": "\\ud800", "stages": []}', "application/json", 422, ""),
        (b"[" * 500 + b"]" * 500, "application/json", 422, ""),
        (b"\xff\xfe", "application/yaml", 422, "UTF-8"),
        (b"a: b: c", "application/yaml", 422, ""),
        (b"id: x\nid: y\nname: n\nstages: [{id: a, type: noop}]", "application/yaml", 422, "id"),
        (b"a: &a [*a]", "application/yaml", 422, ""),
        (b"id: hello", "text/plain", 415, "application/json"),
        (b"<a/>", "application/xml", 415, "application/json"),
        (b"x" * 2_000_001, "application/json", 413, "2 MB"),
    ],
)
@pytest.mark.parametrize("path", ["/api/pipelines", "/api/pipelines/validate"])
def test_what_is_no_definition_is_refused(
    client: TestClient, path: str, body: bytes, content_type: str, status: int, says: str
) -> None:
    answer = client.post(path, content=body, headers={"Content-Type": content_type})
    if path.endswith("validate") and answer.status_code == 200:
        report = answer.json()
        assert status == 422
        assert not report["valid"]
        text = " ".join(problem["message"] for problem in report["problems"])
    else:
        assert answer.status_code == status, answer.text
        text = answer.text
    assert says in text
    assert client.get("/api/pipelines").json() == []


@pytest.mark.parametrize(
    "change",
    [
        {"stages": []},
        {"stages": [{"id": "a", "type": "nop"}]},
        {"stages": [{"id": "a", "type": "noop", "needs": ["a"]}]},
        {"stages": [{"id": "a", "type": "noop"}, {"id": "a", "type": "noop"}]},
        {"stages": [{"id": "a", "type": "noop", "when": "${{ nothing.x }}"}]},
        {"stages": "a"},
        {"id": "../etc"},
        {"id": "a" * 300},
        {"name": "n" * 300},
        {"labels": {"a": {"b": "c"}}},
        {"timeout": "soon"},
        {"surprise": 1},
        {"inputs": {"day": {"type": "day"}}},
        {"stages": [{"id": f"s{number}", "type": "noop"} for number in range(MAX_STAGES + 1)]},
        {"stages": [{"id": "a", "type": "noop", "config": {"x": 10**30}}]},
    ],
)
def test_a_wrong_definition_says_where_and_what(client: TestClient, change: dict[str, Any]) -> None:
    refused = client.post("/api/pipelines", json={**HELLO, **change})
    assert refused.status_code == 422
    body = refused.json()
    assert body["code"] == "invalid_definition"
    assert body["problems"] and all(problem["message"] and problem["code"] for problem in body["problems"])
    assert body["detail"].endswith((".", ")", "?"))
    assert client.get("/api/pipelines").json() == []


def test_validation_reports_without_storing(client: TestClient) -> None:
    good = client.post("/api/pipelines/validate", json=HELLO)
    assert (good.status_code, good.json()["valid"]) == (200, True)
    assert [stage["id"] for stage in good.json()["stages"]] == ["a", "b"]
    bad = client.post("/api/pipelines/validate", json={**HELLO, "stages": [{"id": "a", "type": "nop"}]})
    assert (bad.status_code, bad.json()["valid"]) == (200, False)
    assert bad.json()["problems"][0]["line"] == 1
    assert client.get("/api/pipelines").json() == []


@pytest.mark.parametrize("value", [None, True, 3, 1.5, "a", [], [[]], [{}], {}, {"": ""}, ["a", 1, None]])
@pytest.mark.parametrize("key", ["stages", "on_failure", "id", "name", "type", "needs", "config"])
def test_validation_takes_a_draft_with_anything_anywhere(client: TestClient, key: str, value: Any) -> None:
    """An editor asks while people type: the stages that can be drawn are drawn."""
    stage = {"id": "b", "type": "noop", "needs": ["a"]}
    draft = {**HELLO, key: value} if key in ("stages", "on_failure") else {**HELLO, "stages": [{**stage, key: value}]}
    report = client.post("/api/pipelines/validate", json=draft)
    assert report.status_code == 200, report.text
    assert all(isinstance(shown["id"], str) for shown in report.json()["stages"])


def test_an_id_is_taken_once(client: TestClient) -> None:
    client.post("/api/pipelines", json=HELLO)
    again = client.post("/api/pipelines", json=HELLO)
    assert (again.status_code, again.json()["code"]) == (409, "already_exists")


@pytest.mark.parametrize(
    ("if_match", "status"), [('"1"', 412), ('W/"1"', 412), ('"1", "2"', 200), ("*", 200), ("x", 422)]
)
def test_a_change_of_an_old_version_is_refused(client: TestClient, if_match: str, status: int) -> None:
    client.post("/api/pipelines", json=HELLO)
    client.put("/api/pipelines/hello", json={**HELLO, "name": "Second"})
    answer = client.put("/api/pipelines/hello", json={**HELLO, "name": "Third"}, headers={"If-Match": if_match})
    assert answer.status_code == status
    if status == 412:
        assert answer.json()["code"] == "version_changed"
        assert "changed by admin@example.com" in answer.json()["detail"]


def test_pages_carry_on_through_the_header(client: TestClient) -> None:
    for id in ("a", "b", "c"):
        client.post("/api/pipelines", json={**HELLO, "id": id, "labels": {"team": "sales" if id < "c" else "care"}})
    first = client.get("/api/pipelines?limit=2")
    rest = client.get("/api/pipelines", params={"limit": 2, "cursor": first.headers["x-next-cursor"]})
    assert [row["id"] for row in first.json() + rest.json()] == ["a", "b", "c"]
    assert "x-next-cursor" not in rest.headers
    assert [row["id"] for row in client.get("/api/pipelines?label=team=sales&q=A").json()] == ["a"]
    assert client.get("/api/pipelines?cursor=nonsense").json()["code"] == "invalid_cursor"
    assert client.get("/api/pipelines?label==x").status_code == 422
    assert client.get("/api/pipelines?limit=0").status_code == 422


def test_a_pipeline_in_use_is_not_deleted(still: ServerApp) -> None:
    still.make("hello")
    started = still.client.post("/api/pipelines/hello/execute").json()
    refused = still.client.delete("/api/pipelines/hello")
    assert (refused.status_code, refused.json()["code"]) == (409, "executions_active")
    assert still.client.post(f"/api/executions/{started['execution_id']}/cancel").status_code == 202
    assert still.client.delete("/api/pipelines/hello").status_code == 200


@pytest.mark.parametrize(
    ("role", "expected"),
    [("viewer", [200, 403, 403, 403]), ("operator", [200, 403, 403, 202]), ("editor", [200, 201, 404, 202])],
)
def test_roles_bound_what_may_be_done(still: ServerApp, role: str, expected: list[int]) -> None:
    still.make("hello")
    headers = {"authorization": f"Bearer {role}"}
    answers = [
        still.client.get("/api/pipelines/hello", headers=headers),
        still.client.post("/api/pipelines", json={**HELLO, "id": "other"}, headers=headers),
        still.client.delete("/api/pipelines/nothing", headers=headers),
        still.client.post("/api/pipelines/hello/execute", headers=headers),
    ]
    assert [answer.status_code for answer in answers] == expected


def test_an_editor_may_not_write_code(still: ServerApp) -> None:
    code = {"id": "code", "name": "Code", "stages": [{"id": "a", "type": "python", "config": {"code": "result = 1"}}]}
    refused = still.client.post("/api/pipelines", json=code, headers={"authorization": "Bearer editor"})
    assert refused.status_code == 403, refused.text
    assert "'a' runs code" in refused.json()["detail"]
