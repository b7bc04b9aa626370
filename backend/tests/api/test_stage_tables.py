"""The tables that stages handed on, after a real run: without refused rows, and also where they came from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest
from starlette.testclient import TestClient

from tests.api.server_app import ServerApp

ORDERS = "id,amount\n1,10\n2,x\n3,-1\n4,40\n"
STAGES: list[dict[str, Any]] = [
    {"id": "load", "type": "input", "config": {"path": "orders.csv", "types": {"amount": "integer"}}},
    {"id": "check", "type": "validation", "config": {"columns": {"amount": {"min": 0}}, "max_invalid": 2}},
    {"id": "wait", "type": "noop", "config": {}},
]


@pytest.fixture
def orders(server: ServerApp) -> Path:
    file = server.server.settings.data_dirs[0] / "orders.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(ORDERS)
    return file


@pytest.fixture
def execution(server: ServerApp, orders: Path) -> str:
    execution = server.run(server.make("orders", *STAGES))
    assert server.ended(execution)["status"] == "success"
    return execution


def artifact(client: TestClient, execution: str, kind: str) -> str:
    found = client.get(f"/api/executions/{execution}/artifacts").json()
    return next(str(each["id"]) for each in found if each["kind"] == kind and each["stage"] == "check")


def test_a_checked_table_is_shown_without_its_refused_rows(client: TestClient, execution: str) -> None:
    id = artifact(client, execution, "table")
    page = client.get(f"/api/artifacts/{id}/preview").json()
    assert (page["rows"], page["total_rows"]) == ([[1, 10], [4, 40]], 2)
    profile = client.get(f"/api/artifacts/{id}/profile").json()
    assert profile["rows"] == 2
    assert (profile["columns"][1]["min"], profile["columns"][1]["max"]) == (10, 40)


@pytest.mark.parametrize("format", ["original", "parquet"])
def test_a_checked_table_is_downloaded_without_what_its_stage_needed(
    client: TestClient, execution: str, tmp_path: Path, format: str
) -> None:
    answer = client.get(f"/api/artifacts/{artifact(client, execution, 'table')}/download?format={format}")
    assert 'filename="check-data.parquet"' in answer.headers["content-disposition"]
    file = tmp_path / "downloaded.parquet"
    file.write_bytes(answer.content)
    assert duckdb.sql(f"FROM '{file}'").columns == ["id", "amount"]
    assert duckdb.sql(f"FROM '{file}'").fetchall() == [(1, 10), (4, 40)]


def test_the_quarantine_keeps_its_rows(client: TestClient, execution: str) -> None:
    page = client.get(f"/api/artifacts/{artifact(client, execution, 'quarantine')}/preview").json()
    assert [row[2:] for row in page["rows"]] == [["2", "x"], ["3", "-1"]]


def test_the_table_of_a_stage_is_shown(client: TestClient, execution: str) -> None:
    page = client.get(f"/api/executions/{execution}/stages/check/table?offset=1&limit=5").json()
    assert (page["rows"], page["offset"], page["total_rows"]) == ([[4, 40]], 1, 2)


def test_a_row_of_a_source_file_is_shown_though_it_does_not_fit(client: TestClient, execution: str) -> None:
    page = client.get(f"/api/executions/{execution}/stages/load/table?offset=1&limit=1").json()
    assert (page["rows"], page["total_rows"]) == ([["2", "x"]], 4)
    assert [column["type"] for column in page["columns"]] == ["VARCHAR", "VARCHAR"]


def test_what_has_no_table_says_so(client: TestClient, execution: str, orders: Path) -> None:
    path = f"/api/executions/{execution}/stages"
    assert client.get(f"{path}/wait/table").json()["code"] == "not_a_table"
    assert client.get(f"{path}/unknown/table").status_code == 404
    orders.unlink()
    gone = client.get(f"{path}/load/table")
    assert (gone.status_code, gone.json()["code"]) == (422, "file_not_found")


def test_a_result_opens_no_other_file(server: ServerApp, client: TestClient) -> None:
    server.make("other")
    execution = server.history.execution("other", 1)
    server.history.stage_run(execution, 0)
    crafted = {"table": "file:///etc/passwd", "format": "csv", "schema": [{"name": "a", "type": "VARCHAR"}]}
    server.history.result(execution, 0, {"data": crafted})
    answer = client.get(f"/api/executions/{execution}/stages/s0/table")
    assert (answer.status_code, answer.json()["code"]) == (422, "outside_data_dirs")
