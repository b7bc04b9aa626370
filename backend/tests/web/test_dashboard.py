"""The built dashboard: one page for every address, compressed as it was built, cached as long as it may be."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from flexiroaster.web.dashboard import Dashboard
from flexiroaster.web.routes import install_dashboard
from tests.api.server_app import ServerApp, server_app

BROWSER = {"accept": "text/html,application/xhtml+xml"}


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>Page</title>")
    (folder / "assets" / "app-1a2b.js").write_text("console.log(1)")
    (folder / "assets" / "app-1a2b.js.gz").write_bytes(gzip.compress(b"console.log(1)"))
    (folder / "favicon.svg").write_text("<svg/>")
    (tmp_path / "secret.txt").write_text("secret")
    return folder


@pytest.fixture
def still(tmp_path: Path, sqlite_url: str) -> Iterator[ServerApp]:
    with server_app(tmp_path / "data", database_url=sqlite_url, running=False) as idle:
        yield idle


@pytest.fixture
def client(dist: Path) -> TestClient:
    app = FastAPI()

    @app.get("/api/known")
    def known() -> dict[str, bool]:
        return {"ok": True}

    install_dashboard(app, Dashboard(dist), "1.2.3")
    return TestClient(app)


def test_root_is_json_for_programs_and_a_page_for_browsers(client: TestClient) -> None:
    assert client.get("/").json() == {"message": "FlexiRoaster API", "version": "1.2.3"}
    page = client.get("/", headers=BROWSER)
    assert page.headers["content-type"].startswith("text/html")
    assert "Page" in page.text


@pytest.mark.parametrize("path", ["/pipelines", "/executions/1b2c/stages", "/apiary"])
def test_every_address_of_the_dashboard_is_the_page(client: TestClient, path: str) -> None:
    assert "Page" in client.get(path, headers=BROWSER).text


@pytest.mark.parametrize("path", ["/api/unknown", "/api", "/health/x", "/socket.io/x"])
def test_unknown_server_address_is_an_error_even_for_a_browser(client: TestClient, path: str) -> None:
    assert client.get(path, headers=BROWSER).status_code == 404


def test_missing_file_is_an_error_for_who_wants_no_page(client: TestClient) -> None:
    assert client.get("/assets/gone.js", headers={"accept": "*/*"}).status_code == 404


def test_assets_are_kept_for_ever_and_the_page_is_asked_for(client: TestClient) -> None:
    assert "immutable" in client.get("/assets/app-1a2b.js").headers["cache-control"]
    assert client.get("/", headers=BROWSER).headers["cache-control"] == "no-cache"
    assert client.get("/favicon.svg").headers["cache-control"] == "no-cache"


def test_compressed_file_is_sent_as_it_was_built(client: TestClient) -> None:
    packed = client.get("/assets/app-1a2b.js", headers={"accept-encoding": "gzip, br"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.text == "console.log(1)"
    assert packed.headers["content-type"].startswith("text/javascript")
    plain = client.get("/assets/app-1a2b.js", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.headers["vary"] == "accept-encoding"


def test_unchanged_file_is_not_sent_again(client: TestClient) -> None:
    etag = client.get("/", headers=BROWSER).headers["etag"]
    again = client.get("/", headers=BROWSER | {"if-none-match": etag})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/../secret.txt", "/assets/../../secret.txt", "/%2e%2e/secret.txt", "//etc/passwd"])
def test_no_address_leaves_the_folder(client: TestClient, path: str) -> None:
    answer = client.get(path, headers={"accept": "*/*"})
    assert answer.status_code == 404


def test_new_build_is_picked_up(client: TestClient, dist: Path) -> None:
    (dist / "assets" / "app-9z.js").write_text("2")
    (dist / "index.html").write_text("<title>Newer</title>")
    os.utime(dist / "index.html", ns=(1, 1))
    assert "Newer" in client.get("/", headers=BROWSER).text
    assert client.get("/assets/app-9z.js").text == "2"


def test_missing_build_says_what_to_do() -> None:
    app = FastAPI()
    install_dashboard(app, None, "1.2.3")
    answer = TestClient(app).get("/", headers=BROWSER)
    assert answer.status_code == 503
    assert "make setup" in answer.text


PAGES = ["/", "/docs", "/docs/docs.js", "/docs/swagger-ui.css", "/openapi.json", "/health"]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("accept", ["*/*", BROWSER["accept"]])
def test_the_headers_of_every_page_can_be_asked_for_alone(still: ServerApp, path: str, accept: str) -> None:
    whole = still.client.get(path, headers={"accept": accept})
    alone = still.client.head(path, headers={"accept": accept})
    assert alone.status_code == whole.status_code
    assert alone.headers["content-type"] == whole.headers["content-type"]
    assert alone.headers["content-length"] == whole.headers["content-length"]
