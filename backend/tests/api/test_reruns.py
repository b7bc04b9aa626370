from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from tests.api.server_app import ServerApp

READ = {"id": "read", "type": "input", "config": {"data": [{"n": 1}, {"n": 2}]}}
LOAD = {"id": "load", "type": "input", "config": {"path": "rows.csv"}, "needs": ["read"]}
LAST = {"id": "last", "type": "noop", "needs": ["load"]}


def failed_once(server: ServerApp) -> str:
    """An execution whose second stage looked for a file that is there by now."""
    server.make("orders", READ, LOAD, LAST, inputs={"day": {"type": "string", "default": "mon"}})
    id = server.run("orders")
    (folder(server) / "rows.csv").write_text("n\n1\n")
    return id


def folder(server: ServerApp) -> Path:
    return server.server.settings.data_dirs[0]


def plan(client: TestClient, id: str, **wanted: Any) -> dict[str, Any]:
    answer = client.get(f"/api/executions/{id}/rerun", params=wanted)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_retry_says_what_it_would_do(server: ServerApp) -> None:
    id = failed_once(server)
    said = server.client.get(f"/api/executions/{id}/retry").json()
    assert (said["reused"], said["to_run"], said["message"]) == (
        ["read"],
        ["load", "last"],
        "1 stage reused, 2 will run",
    )
    succeeded = server.run("orders")
    refused = server.client.get(f"/api/executions/{succeeded}/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_retryable")


def test_a_re_run_says_what_it_would_do_and_does_it(server: ServerApp) -> None:
    id = failed_once(server)
    said = plan(server.client, id, from_stage="load")
    assert (said["message"], said["reused"], said["to_run"]) == (
        "1 stage reused, 2 will run",
        ["read"],
        ["load", "last"],
    )
    answer = server.client.post(f"/api/executions/{id}/rerun", json={"from_stage": "load", "inputs": {"day": "tue"}})
    body = answer.json()
    assert (answer.status_code, body["status"], body["number"]) == (202, "started", 2)
    assert body["rerun"]["message"] == "1 stage reused, 2 run"
    assert body["rerun"]["notes"] == ["Reused results were made with the inputs of before: day changed since."]
    found = server.ended(body["execution_id"])
    assert (found["status"], found["rerun_of"], found["from_stage"]) == ("success", id, "load")
    assert (found["inputs"], found["alone"]) == ({"day": "tue"}, False)
    stages = {stage["stage"]: stage for stage in found["stages"]}
    assert (stages["read"]["reused_from"], stages["read"]["rows"], stages["load"]["reused_from"]) == (id, 2, None)


def test_the_plan_of_a_re_run_knows_the_inputs_to_be_given(server: ServerApp) -> None:
    id = failed_once(server)
    assert plan(server.client, id, from_stage="load", inputs='{"day": "tue"}')["notes"] == [
        "Reused results were made with the inputs of before: day changed since."
    ]
    then = server.client.get(f"/api/executions/{id}").json()["inputs"]
    assert plan(server.client, id, from_stage="load", inputs=json.dumps(then))["notes"] == []
    for wrong, why in (
        ('{"hour": 3}', "no input 'hour'"),
        ('["tue"]', "`inputs` must be a JSON object"),
        ("tue", "`inputs` is no valid JSON"),
        ('{"day": "\\u0000"}', "`inputs` holds the character NUL"),
    ):
        refused = server.client.get(f"/api/executions/{id}/rerun", params={"inputs": wrong})
        assert (refused.status_code, why in refused.text) == (422, True), refused.text


def test_one_stage_runs_alone(server: ServerApp) -> None:
    id = failed_once(server)
    said = plan(server.client, id, only_stage="load")
    assert (said["not_run"], said["message"]) == (["last"], "1 stage reused, 1 will run, 1 left out")
    body = server.client.post(f"/api/executions/{id}/rerun", json={"only_stage": "load"}).json()
    found = server.ended(body["execution_id"])
    assert (found["status"], found["alone"], found["stages"][2]["reason"]) == ("success", True, "not asked for")
    refused = server.client.get(f"/api/executions/{id}/rerun", params={"only_stage": "last"})
    assert (refused.status_code, refused.json()["code"]) == (409, "cannot_reuse")
    assert refused.json()["detail"] == (
        "Stage last cannot run alone: it needs load, and it failed then. Run again from load instead."
    )


def test_artifacts_of_a_reused_stage_are_shown(server: ServerApp) -> None:
    server.make("orders", READ, {"id": "clean", "type": "processing", "needs": ["read"]}, LAST | {"needs": ["clean"]})
    first = server.run("orders")
    body = server.client.post(f"/api/executions/{first}/rerun", json={"from_stage": "last"}).json()
    found = server.ended(body["execution_id"])
    clean = found["stages"][1]
    assert clean["reused_from"] == first
    assert [artifact["execution_id"] for artifact in clean["artifacts"]] == [first]


def test_execute_takes_over_from_an_execution_too(server: ServerApp) -> None:
    id = failed_once(server)
    again = {"rerun_of": id, "from_stage": "load", "inputs": {"day": "wed"}}
    body = server.client.post("/api/pipelines/orders/execute", json=again).json()
    found = server.ended(body["execution_id"])
    assert (found["status"], found["rerun_of"], found["inputs"]) == ("success", id, {"day": "wed"})
    latest = server.client.post("/api/pipelines/orders/execute", json={"rerun_of": "latest", "only_stage": "last"})
    found = server.ended(latest.json()["execution_id"])
    assert (found["rerun_of"], found["alone"], found["inputs"]) == (body["execution_id"], True, {"day": "wed"})


def test_what_is_asked_wrong_is_said(still: ServerApp) -> None:
    still.make("orders", READ)
    still.make("other", READ)
    id = still.client.post("/api/pipelines/orders/execute", json={}).json()["execution_id"]

    def refused(path: str, body: dict[str, Any], status: int, sentence: str) -> None:
        answer = still.client.post(path, json=body)
        assert (answer.status_code, sentence in answer.json()["detail"]) == (status, True), answer.text

    execute = "/api/pipelines/orders/execute"
    refused(execute, {"from_stage": "read"}, 422, "`rerun_of` is missing")
    refused(execute, {"rerun_of": 5}, 422, "`rerun_of` must be a text")
    refused(execute, {"rerun_of": "gone"}, 404, "There is no execution 'gone'")
    refused("/api/pipelines/other/execute", {"rerun_of": id}, 422, "only that pipeline can run it again")
    refused("/api/pipelines/other/execute", {"rerun_of": "latest"}, 404, "There is no execution of pipeline 'other'")
    rerun = f"/api/executions/{id}/rerun"
    refused(rerun, {"from_stage": "x"}, 422, "There is no stage 'x' in this version: its stages are read")
    refused(rerun, {"from_stage": "read", "only_stage": "read"}, 422, "both given")
    refused(rerun, {"form_stage": "read"}, 422, "form_stage")
    refused(rerun, {"version": 9}, 404, "There is no version")


def test_who_may_only_look_cannot_run_again(still: ServerApp) -> None:
    still.make("orders", READ)
    id = still.client.post("/api/pipelines/orders/execute", json={}).json()["execution_id"]
    viewer = {"authorization": "Bearer viewer"}
    assert still.client.get(f"/api/executions/{id}/rerun", headers=viewer).status_code == 200
    assert still.client.post(f"/api/executions/{id}/rerun", json={}, headers=viewer).status_code == 403
