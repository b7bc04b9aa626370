"""A suggestion from real executions, applied and published: the next executions really are shorter."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flexiroaster.ai.optimizer import caching
from flexiroaster.services.ai.messages import keep_findings, line, of_findings, parsed
from flexiroaster.services.ai.study import Study
from tests.api.server_app import ServerApp, server_app

pytestmark = pytest.mark.slow

ANSWER_SECONDS = 0.15
EXECUTIONS = 21


class Slow(BaseHTTPRequestHandler):
    """Takes its time: what the stages wait for."""

    def do_GET(self) -> None:
        threading.Event().wait(ANSWER_SECONDS)
        body = b'[{"rate": 1.5}]'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    outside = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=outside.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{outside.server_port}"
    outside.shutdown()
    outside.server_close()


@pytest.fixture
def server(tmp_path: Path, sqlite_url: str, address: str) -> Iterator[ServerApp]:
    with server_app(tmp_path / "data", database_url=sqlite_url, http_allow=(address,)) as running:
        yield running


def study(server: ServerApp) -> None:
    """As the learner's process does it."""
    services = server.server.services
    looked = Study(services.database, services.ai.switch, lambda kind: False)
    keep_findings(parsed(line(of_findings(looked.look()))), services.ai, services.history.now())


def test_an_applied_suggestion_shortens_the_next_executions(server: ServerApp, address: str) -> None:
    server.make(
        "report",
        {"id": "orders", "type": "http", "url": f"http://{address}/orders", "needs": []},
        {"id": "rates", "type": "http", "url": f"http://{address}/rates", "needs": ["orders"]},
        {"id": "price", "type": "noop", "needs": ["orders", "rates"]},
    )
    study(server)
    assert server.client.get("/api/suggestions").json() == []
    for _ in range(EXECUTIONS):
        server.run("report")
    study(server)
    found = next(one for one in server.client.get("/api/suggestions").json() if one["kind"] == "parallel")
    assert found["stages"] == ["rates"]
    path = f"/api/suggestions/{found['id']}"
    assert server.client.post(f"{path}/apply").json()["version_applied"] == 2
    assert server.client.get("/api/pipelines/report").json()["version"] == 1
    assert server.client.post("/api/pipelines/report/versions/2/publish").json()["version"] == 2
    for _ in range(EXECUTIONS):
        server.run("report")
    outcome = server.client.get(path).json()["outcome"]
    print(f"applied: {outcome['text']} The replay had foreseen {found['saving']['share']:.0%}.")
    assert outcome["low"] > 0
    assert outcome["saved_share"] > 0.25
    assert server.client.post(f"{path}/undo").json()["version_undone"] == 3
    assert server.client.get("/api/pipelines/report").json()["stages"][1]["needs"] == ["orders"]


def test_results_that_are_kept_shorten_the_next_executions(
    server: ServerApp, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outside answers the same each time, but for the date among the headers. What lasts days elsewhere lasts
    seconds here.
    """
    monkeypatch.setattr(caching, "KEPT_FOR", (1.5, 1.0))
    monkeypatch.setattr(caching, "_written", lambda seconds: "1h")
    server.make(
        "report",
        {"id": "rates", "type": "http", "url": f"http://{address}/rates", "needs": []},
        {"id": "price", "type": "noop", "needs": ["rates"]},
    )
    for _ in range(3 * EXECUTIONS):
        server.run("report")
    study(server)
    (found,) = [one for one in server.client.get("/api/suggestions").json() if one["kind"] == "cache"]
    assert (found["stages"], found["value"]) == (["rates"], "cheaper")
    assert server.client.post(f"/api/suggestions/{found['id']}/apply").json()["version_applied"] == 2
    assert server.client.post("/api/pipelines/report/versions/2/publish").json()["version"] == 2
    for _ in range(EXECUTIONS):
        server.run("report")
    outcome = server.client.get(f"/api/suggestions/{found['id']}").json()["outcome"]
    assert outcome["low"] > 0.5, outcome["text"]
