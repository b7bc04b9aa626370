from __future__ import annotations

from starlette.testclient import TestClient

from tests.api.server_app import ServerApp


def test_parent_and_children_name_each_other(server: ServerApp, client: TestClient) -> None:
    server.make("inner", {"id": "a", "type": "noop"}, outputs={"n": 1})
    call = {"id": "sub", "type": "pipeline", "config": {"pipeline": "inner"}}
    each = {**call, "id": "each", "foreach": {"items": [1, 2]}}
    execution = server.run(server.make("outer", call, each))
    shown = client.get(f"/api/executions/{execution}").json()
    assert (shown["parent"], shown["parent_id"]) == (None, None)
    links = [(child["pipeline_id"], child["stage"], child["index"], child["status"]) for child in shown["children"]]
    assert links == [
        ("inner", "sub", 0, "success"),
        ("inner", "each", 1, "success"),
        ("inner", "each", 2, "success"),
    ]
    child = client.get(f"/api/executions/{shown['children'][0]['execution_id']}").json()
    assert (child["trigger"], child["parent_id"]) == ("parent", execution)
    assert child["parent"] == {
        "execution_id": execution,
        "pipeline_id": "outer",
        "number": 1,
        "status": "success",
        "stage": "sub",
        "index": 0,
    }
    listed = client.get("/api/executions", params={"parent_id": execution}).json()
    assert {row["id"] for row in listed} == {child["execution_id"] for child in shown["children"]}


def test_what_a_stage_waits_for_is_told(still: ServerApp) -> None:
    still.make("orders", {"id": "a", "type": "noop"})
    execution = still.client.post("/api/pipelines/orders/execute", json={}).json()["execution_id"]
    (stage,) = still.client.get(f"/api/executions/{execution}").json()["stages"]
    assert (stage["waits_for"], stage["cached_from"], stage["late"], stage["deadline_at"]) == (None, None, False, None)
