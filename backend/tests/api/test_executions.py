from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.server_app import ServerApp
from tests.history import NOON

FAILING = [
    {"id": "first", "type": "noop"},
    {"id": "second", "type": "input", "config": {"path": "missing.csv"}},
    {"id": "third", "type": "noop"},
]


def test_execute_answers_as_specified_and_runs(server: ServerApp) -> None:
    server.make("hello")
    id = server.run("hello")
    found = server.client.get(f"/api/executions/{id}").json()
    assert (found["status"], found["number"], found["actor"]) == ("success", 1, "admin@example.com")
    assert found["counts"] == {"success": 1}
    assert [(stage["stage"], stage["status"]) for stage in found["stages"]] == [("s0", "success")]
    assert found["duration_seconds"] >= 0
    assert found["retry"] is None
    assert found["logical_date"] == found["created_at"]
    assert server.client.get("/api/pipelines/hello/executions").json()[0]["id"] == id
    assert server.client.get("/api/pipelines").json()[0]["recent"][0]["status"] == "success"


def test_durations_leave_out_the_time_before_a_retry(still: ServerApp) -> None:
    still.history.pipeline("orders")
    id = still.history.execution("orders", 1, seconds=3_610, idle_seconds=3_600, retries=1)
    found = still.client.get(f"/api/executions/{id}").json()
    assert (found["duration_seconds"], found["idle_seconds"]) == (10, 3_600)
    (listed,) = still.client.get("/api/pipelines").json()
    assert (listed["recent"][0]["duration_seconds"], listed["stats"]["p50_seconds"]) == (10, 10)


def test_the_answer_has_the_specifications_keys(still: ServerApp) -> None:
    still.make("hello")
    answer = still.client.post("/api/pipelines/hello/execute", json={"rows": [1, 2], "data": "x"})
    body = answer.json()
    assert (answer.status_code, body["status"], body["message"]) == (202, "started", "Pipeline execution started")
    assert (body["pipeline_id"], body["number"], body["replayed"]) == ("hello", 1, False)
    found = still.client.get(f"/api/executions/{body['execution_id']}").json()
    assert found["data"] == {"rows": [1, 2], "data": "x"}
    assert (found["status"], found["inputs"]) in [("queued", {}), ("running", {})]


def test_the_same_key_starts_once(still: ServerApp) -> None:
    still.make("hello")
    answers = [
        still.client.post("/api/pipelines/hello/execute", headers={"Idempotency-Key": "order 7"}).json()
        for _ in range(3)
    ]
    assert len({answer["execution_id"] for answer in answers}) == 1
    assert [answer["replayed"] for answer in answers] == [False, True, True]
    assert len(still.client.get("/api/executions").json()) == 1


def test_inputs_are_checked(still: ServerApp) -> None:
    still.make("hello", inputs={"count": {"type": "integer", "minimum": 1}})
    refused = still.client.post("/api/pipelines/hello/execute", json={"inputs": {"count": 0}})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_inputs")
    assert "count" in refused.json()["problems"][0]["path"]
    missing = still.client.post("/api/pipelines/hello/execute", json={})
    assert missing.status_code in (202, 422)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"[1]", "a list"),
        (b'"x"', "a text"),
        (b"null", "null"),
        (b"1", "a number"),
        (b"true", "true or false"),
        (b"{", "JSON"),
        (b'{"inputs": []}', "`inputs` is a list"),
        (b'{"version": "1"}', "`version`"),
        (b'{"version": true}', "`version`"),
        (b'{"version": 0}', "`version`"),
        (b'{"version": 99999999999}', "`version`"),
        (b'{"a": "\\u0000"}', "NUL"),
        (b'{"a": NaN}', "JSON"),
        (b'{"a": ' + b"[" * 200 + b"]" * 200 + b"}", "deeper than 64"),
    ],
)
def test_a_malformed_body_gets_a_sentence(still: ServerApp, body: bytes, says: str) -> None:
    still.make("hello")
    refused = still.client.post(
        "/api/pipelines/hello/execute", content=body, headers={"Content-Type": "application/json"}
    )
    assert refused.status_code == 422
    assert says in refused.json()["detail"]
    assert still.client.get("/api/executions").json() == []


@pytest.mark.parametrize("key", ["", "x" * 201, "ümlaut".encode().decode("latin-1")])
def test_a_malformed_key_is_refused(still: ServerApp, key: str) -> None:
    still.make("hello")
    answer = still.client.post(
        "/api/pipelines/hello/execute",
        headers={"Idempotency-Key": key.encode("latin-1")},  # type: ignore[dict-item]
    )
    assert answer.status_code == 422


def test_an_old_version_can_be_executed(server: ServerApp) -> None:
    server.make("hello")
    server.client.put("/api/pipelines/hello", json={"name": "Two", "stages": [{"id": "x", "type": "noop"}]})
    old = server.client.get(f"/api/executions/{server.run('hello', version=1)}").json()
    new = server.client.get(f"/api/executions/{server.run('hello')}").json()
    assert (old["version"], old["stages"][0]["stage"]) == (1, "s0")
    assert (new["version"], new["stages"][0]["stage"]) == (2, "x")
    assert server.client.post("/api/pipelines/hello/execute", json={"version": 9}).status_code == 404
    assert server.client.post("/api/pipelines/nothing/execute").status_code == 404


def test_a_failure_shows_its_cause_and_what_a_retry_would_do(server: ServerApp) -> None:
    server.make("orders", *FAILING)
    id = server.run("orders")
    found = server.client.get(f"/api/executions/{id}").json()
    assert (found["status"], found["failed_stage"]) == ("failed", "second")
    assert "missing.csv" in found["error"]["message"]
    assert found["error"]["stage"] == "second"
    assert found["retry"]["reused"] == ["first"]
    assert found["retry"]["to_run"] == ["second", "third"]
    assert found["retry"]["message"] == "1 stage reused, 2 will run"
    assert [row["id"] for row in server.client.get("/api/executions?status=failed&q=MISSING.csv").json()] == [id]
    assert server.client.get("/api/executions?status=success").json() == []

    detail = server.client.get(f"/api/executions/{id}/stages/second").json()
    assert detail["config"] == {"path": "missing.csv"}
    assert [attempt["status"] for attempt in detail["attempts"]][-1] == "failed"
    failed = server.client.get(f"/api/executions/{id}/stages?status=failed").json()
    assert [stage["stage"] for stage in failed] == ["second"]


def test_a_retry_goes_on_in_the_same_execution(server: ServerApp) -> None:
    server.make("orders", *FAILING)
    id = server.run("orders")
    plan = server.client.post(f"/api/executions/{id}/retry")
    assert plan.status_code == 202
    assert (plan.json()["reused"], plan.json()["to_run"]) == (["first"], ["second", "third"])
    assert server.client.get(f"/api/executions/{id}").json()["retries"] == 1


def test_phases_show_in_executions_and_their_stages(server: ServerApp) -> None:
    server.make(
        "phased",
        {"id": "a", "type": "noop", "compensate": {"type": "noop"}},
        {"id": "end", "type": "stop", "config": {"status": "failed", "message": "enough"}},
        **{"finally": [{"id": "tidy", "name": "Tidy up", "type": "noop"}]},
    )
    shown = server.client.get(f"/api/executions/{server.run('phased')}").json()
    assert (shown["status"], shown["phase"], shown["ends_as"]) == ("failed", "finally", None)
    assert (shown["failed_stage"], shown["error"]["message"]) == ("end", "enough")
    assert [(run["stage"], run["name"], run["phase"]) for run in shown["stages"]] == [
        ("a", "a", "main"),
        ("end", "end", "main"),
        ("tidy", "Tidy up", "finally"),
        ("a:compensate", "Undo a", "compensation"),
    ]
    assert (shown["retry"]["reused"], shown["retry"]["to_run"]) == ([], ["a", "end"])
    one = server.client.get(f"/api/executions/{shown['id']}/stages/a:compensate").json()
    assert (one["status"], one["type"]) == ("success", "noop")
    drawn = server.client.get("/api/pipelines/phased").json()["stages"]
    assert [(stage["id"], stage["phase"]) for stage in drawn] == [("a", "main"), ("end", "main"), ("tidy", "finally")]


def test_what_ended_well_is_neither_cancelled_nor_retried(server: ServerApp) -> None:
    server.make("hello")
    id = server.run("hello")
    for action in ("cancel", "retry", "pause", "resume"):
        refused = server.client.post(f"/api/executions/{id}/{action}")
        assert refused.status_code == 409, action
        assert server.client.post(f"/api/executions/nothing/{action}").status_code == 404


def test_a_paused_execution_is_resumed(still: ServerApp) -> None:
    still.make("hello")
    id = still.client.post("/api/pipelines/hello/execute").json()["execution_id"]
    for action, status in (("pause", "paused"), ("pause", "paused"), ("resume", "queued"), ("resume", "queued")):
        answer = still.client.post(f"/api/executions/{id}/{action}")
        assert (answer.status_code, answer.json()["status"]) == (200, status)
        assert (answer.json()["paused_at"] is not None) == (status == "paused")


def test_a_cancel_may_be_asked_twice(still: ServerApp) -> None:
    still.make("hello")
    id = still.client.post("/api/pipelines/hello/execute").json()["execution_id"]
    answers = [still.client.post(f"/api/executions/{id}/cancel") for _ in range(2)]
    assert [(answer.status_code, answer.json()["status"]) for answer in answers] == [(202, "cancelled")] * 2


def test_events_go_on_after_a_number(server: ServerApp) -> None:
    server.make("hello")
    id = server.run("hello")
    events = server.client.get(f"/api/executions/{id}/events").json()
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["type"] == "execution_completed"
    assert {event["pipeline_id"] for event in events} == {"hello"}
    rest = server.client.get(f"/api/executions/{id}/events?after=1&limit=1").json()
    assert [event["seq"] for event in rest] == [2]


def test_executions_are_filtered_and_paged(still: ServerApp) -> None:
    still.make("a")
    still.make("b")
    history = still.history
    for number in range(1, 6):
        history.execution("a", number, trigger="schedule" if number == 1 else "manual")
    history.execution("b", 1, created_at=datetime(2025, 1, 1, tzinfo=UTC))

    def ids(**params: Any) -> list[str]:
        return [row["id"] for row in still.client.get("/api/executions", params=params).json()]

    assert ids(pipeline_id="a", trigger="schedule") == ["a-1"]
    assert ids(until="2025-06-01T00:00:00Z") == ["b-1"]
    assert ids(since=NOON.isoformat(), status=["success", "failed"]) == [f"a-{number}" for number in range(5, 0, -1)]
    first = still.client.get("/api/executions?limit=4")
    rest = still.client.get("/api/executions", params={"limit": 4, "cursor": first.headers["x-next-cursor"]})
    assert [row["id"] for row in rest.json()] == ["a-1", "b-1"]


@pytest.mark.parametrize(
    "query",
    [
        "status=done",
        "since=yesterday",
        "since=2026-01-01T00:00:00",
        "since=0001-01-01T00:00:00%2B23:00",
        "limit=501",
        "limit=x",
        "cursor=AAAA",
        "q=" + "x" * 201,
    ],
)
def test_a_wrong_filter_is_refused(client: TestClient, query: str) -> None:
    answer = client.get(f"/api/executions?{query}")
    assert answer.status_code == 422
    assert answer.json()["detail"]


@pytest.mark.parametrize("path", ["", "/stages", "/stages/a", "/events", "/logs", "/artifacts", "/stages/a?index=4"])
def test_what_never_was_is_not_found(client: TestClient, path: str) -> None:
    answer = client.get(f"/api/executions/nothing{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_poisoned_record_does_not_break_the_lists(still: ServerApp) -> None:
    still.make("orders", labels={"team": "sales"})
    poison: list[Any] = [
        "just text",
        ["a", "list"],
        {"message": None, "location": "nowhere", "details": [1], "code": 7},
        {"location": {"line": "three", "row": {}, "value": [1]}},
    ]
    for number, error in enumerate(poison, start=1):
        id = still.history.execution("orders", number, status="failed", error=error)
        still.history.stage_run(id, 0, status="failed", error=error)
        still.history.artifact(f"artifact-{number}", id, columns=[{"name": 7, "type": None}])
    assert len(still.client.get("/api/executions").json()) == len(poison)
    assert len(still.client.get("/api/pipelines/orders/executions").json()) == len(poison)
    assert still.client.get("/api/pipelines").status_code == 200
    for number in range(1, len(poison) + 1):
        found = still.client.get(f"/api/executions/orders-{number}")
        assert found.status_code == 200
        assert found.json()["stages"][0]["error"] is not None


def test_one_stage_is_cancelled_alone(server: ServerApp) -> None:
    slow = {"id": "slow", "type": "wait", "needs": [], "config": {"duration": "1h"}}
    server.make("night", slow, {"id": "after", "type": "noop", "needs": ["slow"], "join": "all_done"})
    id = server.client.post("/api/pipelines/night/execute", json={}).json()["execution_id"]
    path = f"/api/executions/{id}/stages/slow/cancel"
    assert server.client.post(path, headers={"authorization": "Bearer viewer"}).status_code == 403
    answer = server.client.post(path)
    assert (answer.status_code, answer.json()["status"] in ("cancelling", "cancelled")) == (202, True)
    assert answer.json()["reason"] == "cancelled by admin@example.com"
    ended = server.ended(id)
    assert (ended["status"], ended["counts"]) == ("cancelled", {"cancelled": 1, "success": 1})
    refused = server.client.post(path)
    assert (refused.status_code, refused.json()["code"]) == (409, "already_ended")
    assert server.client.post(f"/api/executions/{id}/stages/nothing/cancel").status_code == 404
    assert server.client.post(f"{path}?index=-1").status_code == 422
