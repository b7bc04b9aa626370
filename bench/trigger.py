"""From a POST with a token to the finished execution, over one connection; how many POSTs a second are accepted; and
how many executions of three stages a second end that one call has started.

The bare limit is a FastAPI application that answers the same request without doing anything.
"""

from __future__ import annotations

import http.client
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from startup import command, free_port, started, wait_for

TRIGGERS = 300
POSTS = 800
CONNECTIONS = 4
BULK = 1_000
BULK_ROUNDS = 3
EMAIL, PASSWORD = "bench@example.com", "bench-password-long-enough"
PIPELINE = {"id": "one", "name": "One", "stages": [{"id": "only", "type": "noop", "needs": []}]}
THREE = {"id": "three", "name": "Three", "stages": [{"id": name, "type": "noop"} for name in "abc"]}

BARE_SERVER = """
import sys, uvicorn
from fastapi import FastAPI
app = FastAPI()
@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "healthy"}
@app.post("/api/pipelines/one/execute", status_code=202)
def execute() -> dict[str, dict[str, str]]:
    return {"end": {"status": "success"}}
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
"""


def run() -> list[dict[str, Any]]:
    with serving([sys.executable, "-c", BARE_SERVER]) as port:
        bare = [triggered(Client(port)) for _ in range(TRIGGERS)]
        bare_rate = posts_per_second(port, None)
    with tempfile.TemporaryDirectory(prefix="flexiroaster-bench-") as folder:
        os.environ |= {"FLEXIROASTER_ADMIN_EMAIL": EMAIL, "FLEXIROASTER_ADMIN_PASSWORD": PASSWORD}
        up = [*command(), "up", "--data-folder", str(Path(folder) / "data"), "--no-examples", "--port"]
        with serving(up) as port:
            token = signed_in(port)
            client = Client(port, token)
            client.ask("POST", "/api/pipelines", PIPELINE)
            for _ in range(20):
                triggered(client)
            times = [triggered(client) for _ in range(TRIGGERS)]
            rate = posts_per_second(port, token)
            client.ask("POST", "/api/pipelines", THREE)
            in_bulk(client)
            bulk_rate = statistics.median(in_bulk(client) for _ in range(BULK_ROUNDS))
    return [
        row("p50_ms", at(times, 0.5) * 1000, "ms", at(bare, 0.5) * 1000, goal=2.5),
        row("p99_ms", at(times, 0.99) * 1000, "ms", at(bare, 0.99) * 1000, goal=8.0),
        row("posts_per_s", rate, "/s", bare_rate, at_least=400.0),
        row("bulk_per_s", bulk_rate, "/s", bare_rate, at_least=1_500.0),
    ]


def row(metric: str, value: float, unit: str, limit: float, **aim: float) -> dict[str, Any]:
    return {"workload": "trigger", "metric": metric, "value": value, "unit": unit, "limit": limit, **aim}


class Client:
    """One kept connection."""

    def __init__(self, port: int, token: str | None = None) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        text = None if body is None else json.dumps(body)
        self._connection.request(method, path, body=text, headers=self._headers)
        answer = self._connection.getresponse()
        found = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {found[:300]!r}")
        return json.loads(found)


def triggered(client: Client) -> float:
    """Seconds until the execution is known to have ended well."""
    began = time.perf_counter()
    answer = client.ask("POST", "/api/pipelines/one/execute?wait=30", {})
    if answer["end"]["status"] != "success":
        raise RuntimeError(f"The execution has not ended well: {answer}")
    return time.perf_counter() - began


def in_bulk(client: Client) -> float:
    """Executions a second, from the call to the end of the last of them."""
    began = time.perf_counter()
    client.ask("POST", "/api/pipelines/three/execute/bulk", {"executions": [{}] * BULK})
    while client.ask("GET", "/api/executions?status=queued&status=running&limit=1"):
        time.sleep(0.01)
    return BULK / (time.perf_counter() - began)


def posts_per_second(port: int, token: str | None) -> float:
    def post_some() -> None:
        client = Client(port, token)
        for _ in range(POSTS // CONNECTIONS):
            client.ask("POST", "/api/pipelines/one/execute", {})

    threads = [threading.Thread(target=post_some) for _ in range(CONNECTIONS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return POSTS / (time.perf_counter() - began)


def signed_in(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    form = urlencode({"username": EMAIL, "password": PASSWORD})
    connection.request("POST", "/api/auth/login", form, {"Content-Type": "application/x-www-form-urlencoded"})
    return str(json.load(connection.getresponse())["access_token"])


@contextmanager
def serving(arguments: list[str]) -> Iterator[int]:
    port = free_port()
    with started([*arguments, str(port)]) as process:
        wait_for(f"http://127.0.0.1:{port}/health", process)
        yield port


def at(times: list[float], share: float) -> float:
    return statistics.quantiles(times, n=100)[round(share * 100) - 1]
