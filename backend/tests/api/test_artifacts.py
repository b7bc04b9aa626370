from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from starlette.testclient import TestClient

from tests.api.server_app import ServerApp
from tests.history import NOON

PARQUET = "application/vnd.apache.parquet"
ROWS = """
    SELECT * FROM (VALUES
        (1, '=1+1', -5, 9007199254740993, DATE '2026-01-01', [1, 2], 1.5::DOUBLE),
        (2, '  @cmd', 7, 5, DATE '2026-01-02', [], 'nan'::DOUBLE),
        (3, '-12.5', NULL, NULL, NULL, NULL, NULL),
        (4, 'plain, "quoted"', 0, 0, DATE '2026-01-02', [3], 2.5)
    ) AS t(id, "=name", change, large, day, items, ratio)
"""


@pytest.fixture
def execution(server: ServerApp) -> Iterator[str]:
    server.make("orders")
    yield server.history.execution("orders", 1)


def keep(server: ServerApp, execution: str, name: str, content: bytes, media_type: str, **row: Any) -> str:
    key = f"{execution}/s0/0/1/{name}"
    with server.server.engine.artifacts.write(key) as path:
        path.write_bytes(content)
    values = {"name": name, "key": key, "media_type": media_type, "bytes": len(content)}
    id = row.pop("id", f"id-of-{name}")
    return server.history.artifact(id, execution, **values | row)


@pytest.fixture
def table(server: ServerApp, execution: str, tmp_path: Path) -> str:
    file = tmp_path / "table.parquet"
    duckdb.sql(f"COPY ({ROWS}) TO '{file}' (FORMAT parquet)")
    return keep(server, execution, "data.parquet", file.read_bytes(), PARQUET, rows=4)


def test_artifacts_of_an_execution_are_listed(client: TestClient, execution: str, table: str) -> None:
    (found,) = client.get(f"/api/executions/{execution}/artifacts").json()
    assert found == client.get(f"/api/artifacts/{table}").json()
    assert (found["name"], found["rows"], found["stage"], found["kind"]) == ("data.parquet", 4, "s0", "table")
    assert "key" not in found


def test_artifacts_are_listed_in_pages(server: ServerApp, client: TestClient, execution: str) -> None:
    names = [f"{number}.txt" for number in range(5)]
    for name in names:  # all of one moment, as those of one attempt are
        keep(server, execution, name, b"x", "text/plain", kind="file")
    path, seen, cursor = f"/api/executions/{execution}/artifacts", list[str](), None
    while True:
        page = client.get(path, params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        seen += [found["name"] for found in page.json()]
        cursor = page.headers.get("X-Next-Cursor")
        if cursor is None:
            break
    assert seen == names
    assert len(client.get(path).json()) == 5
    assert client.get(path, params={"stage": "s1"}).json() == []
    assert client.get(path, params={"cursor": "x"}).json()["code"] == "invalid_cursor"
    assert client.get("/api/executions/nothing/artifacts").status_code == 404


def test_a_preview_is_exact_and_paged(client: TestClient, table: str) -> None:
    page = client.get(f"/api/artifacts/{table}/preview?offset=1&limit=2").json()
    assert [column["name"] for column in page["columns"]][:3] == ["id", "=name", "change"]
    assert [row[0] for row in page["rows"]] == [2, 3]
    assert (page["offset"], page["total_rows"]) == (1, 4)
    assert page["rows"][0][6] == "nan"
    first = client.get(f"/api/artifacts/{table}/preview?limit=1").json()["rows"][0]
    assert first == [1, "=1+1", -5, "9007199254740993", "2026-01-01", [1, 2], 1.5]
    assert client.get(f"/api/artifacts/{table}/preview?limit=501").status_code == 422
    assert client.get(f"/api/artifacts/{table}/preview?offset=9007199254740991").json()["rows"] == []


def test_a_profile_describes_every_column(client: TestClient, table: str) -> None:
    profile = client.get(f"/api/artifacts/{table}/profile").json()
    by_name = {column["name"]: column for column in profile["columns"]}
    assert profile["rows"] == 4
    assert by_name["change"]["nulls"] == 1
    assert (by_name["id"]["min"], by_name["id"]["max"], by_name["id"]["mean"]) == (1, 4, 2.5)
    assert sum(bucket["count"] for bucket in by_name["id"]["histogram"]) == 4


def test_a_csv_download_runs_in_no_spreadsheet(client: TestClient, table: str) -> None:
    answer = client.get(f"/api/artifacts/{table}/download?format=csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('attachment; filename="s0-data.csv"')
    assert int(answer.headers["content-length"]) == len(answer.content)
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["'=name"] for row in rows] == ["'=1+1", "'  @cmd", "-12.5", 'plain, "quoted"']
    assert [row["change"] for row in rows] == ["-5", "7", "", "0"]
    assert rows[0]["large"] == "9007199254740993"


def test_json_and_parquet_downloads_stay_exact(client: TestClient, table: str, tmp_path: Path) -> None:
    found = client.get(f"/api/artifacts/{table}/download?format=json").text
    assert '"=name":"=1+1"' in found
    assert "9007199254740993" in found
    original = client.get(f"/api/artifacts/{table}/download")
    assert original.content == client.get(f"/api/artifacts/{table}/download?format=parquet").content
    (tmp_path / "copy.parquet").write_bytes(original.content)
    ((rows, largest),) = duckdb.sql(f"SELECT count(*), max(ratio) FROM '{tmp_path}/copy.parquet'").fetchall()
    assert rows == 4
    assert math.isnan(largest)


def test_json_lines_are_a_table_too(client: TestClient, server: ServerApp, execution: str) -> None:
    columns = [{"name": "a", "type": "BIGINT"}, {"name": "b", "type": "VARCHAR"}]
    content = b'{"a": 1, "b": "x"}\n{"a": 2}\n'
    id = keep(server, execution, "data.jsonl", content, "application/x-ndjson", columns=columns, rows=2)
    assert client.get(f"/api/artifacts/{id}/preview").json()["rows"] == [[1, "x"], [2, None]]
    assert client.get(f"/api/artifacts/{id}/download?format=csv").text == "a,b\n1,x\n2,\n"
    assert client.get(f"/api/artifacts/{id}/download").content == content


def test_a_page_that_a_stage_made_is_sent_as_bytes(client: TestClient, server: ServerApp, execution: str) -> None:
    row = {"id": "page", "kind": "report"}
    id = keep(server, execution, 'a "b"\r\n.html', b"<script>alert(1)</script>", "text/html", **row)
    answer = client.get(f"/api/artifacts/{id}/download")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith('attachment; filename="s0-a _b___.html"')
    assert answer.headers["x-content-type-options"] == "nosniff"
    for path in ("preview", "profile", "download?format=csv"):
        refused = client.get(f"/api/artifacts/{id}/{path}")
        assert (refused.status_code, refused.json()["code"]) == (422, "not_a_table")


def test_what_is_gone_is_not_found(client: TestClient, server: ServerApp, execution: str) -> None:
    id = server.history.artifact("lost", execution, created_at=NOON)
    for path in ("/preview", "/profile", "/download", "/download?format=csv"):
        answer = client.get(f"/api/artifacts/{id}{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
        assert client.get(f"/api/artifacts/nothing{path}").status_code == 404
    assert client.get("/api/artifacts/nothing").status_code == 404


def test_no_artifact_leads_out_of_its_folder(client: TestClient, server: ServerApp, execution: str) -> None:
    id = server.history.artifact("escape", execution, key="../../../../../../etc/passwd")
    answer = client.get(f"/api/artifacts/{id}/download")
    assert answer.status_code in (404, 422)
    assert "root:" not in answer.text


@pytest.mark.parametrize(
    ("name", "downloaded"),
    [
        ("data.parquet", "s0-data.csv"),
        ("orders.csv.parquet", "s0-orders.csv"),
        ("orders.parquet.gz", "s0-orders.csv"),
        ("2026.03.parquet", "s0-2026.03.csv"),
        ("v1.2", "s0-v1.2.csv"),
        (".parquet", "s0-.parquet.csv"),
        ("orders", "s0-orders.csv"),
    ],
)
def test_a_download_is_named_by_the_format_it_has(
    client: TestClient, server: ServerApp, execution: str, table: str, name: str, downloaded: str
) -> None:
    with server.server.engine.artifacts.write(f"{execution}/s0/0/2/{name}") as path:
        path.write_bytes(client.get(f"/api/artifacts/{table}/download").content)
    row = {"name": name, "key": f"{execution}/s0/0/2/{name}", "media_type": PARQUET, "rows": 4}
    id = server.history.artifact("renamed", execution, **row)
    answer = client.get(f"/api/artifacts/{id}/download?format=csv")
    assert answer.headers["content-disposition"].startswith(f'attachment; filename="{downloaded}"')
