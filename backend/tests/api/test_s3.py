"""A server whose artifacts are in S3, asked by browsers and by others."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx import Response
from starlette.testclient import TestClient

from tests.api.server_app import ServerApp, server_app
from tests.api.test_artifacts import PARQUET, keep
from tests.s3 import REGION, S3Server


def settings(s3: S3Server, **changes: object) -> dict[str, object]:
    bucket = s3.bucket()
    given = {
        "artifacts_url": f"s3://{bucket.name}/kept",
        "s3_endpoint_url": s3.url,
        "s3_region": REGION,
        "s3_access_key_id": bucket.access_key_id,
        "s3_secret_access_key": bucket.secret_access_key,
    }
    return given | changes


@pytest.fixture
def server(tmp_path: Path, sqlite_url: str, s3: S3Server) -> Iterator[ServerApp]:
    with server_app(tmp_path / "data", database_url=sqlite_url, **settings(s3)) as running:
        yield running


@pytest.fixture
def execution(server: ServerApp) -> str:
    server.make("orders")
    return server.history.execution("orders", 1)


def download(client: TestClient, id: str, query: str = "", **headers: str) -> Response:
    return client.get(f"/api/artifacts/{id}/download{query}", headers=headers, follow_redirects=False)


def test_a_download_comes_from_the_bucket(server: ServerApp, client: TestClient, execution: str) -> None:
    id = keep(server, execution, "page.html", b"<script>", "text/html", kind="file")
    answer = download(client, id)
    assert answer.status_code == 307
    assert answer.headers["cache-control"] == "no-store"
    with urllib.request.urlopen(answer.headers["location"]) as file:
        assert file.read() == b"<script>"
        assert file.headers["content-type"] == "application/octet-stream"
    assert download(client, id, **{"sec-fetch-mode": "navigate"}).status_code == 307


def test_a_script_in_a_browser_gets_it_from_the_server(server: ServerApp, client: TestClient, execution: str) -> None:
    id = keep(server, execution, "notes.txt", b"some text", "text/plain", kind="file")
    answer = download(client, id, **{"sec-fetch-mode": "cors"})
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"some text", "9")


def test_a_table_in_another_format_is_made_by_the_server(server: ServerApp, client: TestClient, tmp_path: Path) -> None:
    rows = [{"id": 1, "x": 2.5}]
    server.make("table", {"id": "rows", "type": "input", "config": {"data": rows}})
    execution = server.run("table")
    (found,) = client.get(f"/api/executions/{execution}/artifacts").json()
    assert found["media_type"] == PARQUET
    assert download(client, found["id"], "?format=csv").text == "id,x\n1,2.5\n"
    location = download(client, found["id"]).headers["location"]
    with urllib.request.urlopen(location) as file:
        assert file.read(4) == b"PAR1"
        assert "rows-data.parquet" in file.headers["content-disposition"]
    assert client.get(f"/api/artifacts/{found['id']}/preview").json()["rows"] == [[1, 2.5]]


def test_every_download_may_pass_through_the_server(tmp_path: Path, sqlite_url: str, s3: S3Server) -> None:
    given = settings(s3, artifacts_download="stream")
    with server_app(tmp_path / "data", database_url=sqlite_url, **given) as server:
        server.make("orders")
        id = keep(server, server.history.execution("orders", 1), "notes.txt", b"x", "text/plain", kind="file")
        assert (download(server.client, id).status_code, download(server.client, id).content) == (200, b"x")


def test_what_is_gone_from_the_bucket_is_not_found(server: ServerApp, client: TestClient, execution: str) -> None:
    id = keep(server, execution, "notes.txt", b"x", "text/plain", kind="file")
    server.server.engine.artifacts.delete(execution)
    assert download(client, id).status_code == 404


def test_an_unreachable_bucket_is_told_and_does_not_stop_the_server(
    tmp_path: Path, sqlite_url: str, s3: S3Server
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with server_app(tmp_path / "data", database_url=sqlite_url, **settings(s3, s3_endpoint_url=url)) as server:
        answer = server.client.get("/health")
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
        assert f"at {url} (no connection): check that its server runs" in answer.json()["detail"]
        server.make("small")
        small = server.client.get(f"/api/executions/{server.run('small')}").json()
        assert small["status"] == "success"
        server.make("table", {"id": "rows", "type": "input", "config": {"data": [{"id": 1}]}})
        failed = server.client.get(f"/api/executions/{server.run('table')}").json()
        assert failed["status"] == "failed"
        row = {"name": "a.txt", "key": f"{failed['id']}/a.txt", "media_type": "text/plain", "kind": "file"}
        unread = download(server.client, server.history.artifact("unread", failed["id"], **row))
        assert (unread.status_code, unread.json()["code"]) == (503, "artifacts_unavailable")
        assert unread.headers["retry-after"]
        assert s3.credentials.secret_key not in unread.text
