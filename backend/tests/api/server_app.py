"""The whole server as `main` composes it, in this process: its engine runs, its port does not exist."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.testclient import TestClient

from flexiroaster.auth.errors import Unauthenticated
from flexiroaster.auth.identity import Caller
from flexiroaster.config import Settings
from flexiroaster.engine.events import Event
from flexiroaster.engine.state import EXECUTION_FINAL
from flexiroaster.main import Server, make_app, make_server
from tests.history import History

URL = "http://127.0.0.1:8000"
PATIENCE_SECONDS = 60
ROLES = ("viewer", "operator", "editor", "admin")


@dataclass
class ServerApp:
    app: FastAPI
    server: Server
    client: TestClient
    """Signed in as an administrator."""

    @property
    def history(self) -> History:
        return History(self.server.engine.database)

    def make(self, id: str, *stages: dict[str, Any], **changes: Any) -> str:
        body = {"id": id, "name": id.title(), "stages": list(stages) or [{"id": "s0", "type": "noop"}], **changes}
        answer = self.client.post("/api/pipelines", json=body)
        assert answer.status_code == 201, answer.text
        return id

    def run(self, pipeline_id: str, **body: Any) -> str:
        """Execute and wait for the end; answers the execution's id."""
        answer = self.client.post(f"/api/pipelines/{pipeline_id}/execute", json=body)
        assert answer.status_code == 202, answer.text
        id = str(answer.json()["execution_id"])
        self.ended(id)
        return id

    def ended(self, id: str) -> dict[str, Any]:
        """Wait for the end of an execution; answers it."""
        woken = threading.Event()

        def listen(events: Sequence[Event]) -> None:
            if any(event.execution_id == id and event.stage is None for event in events):
                woken.set()

        unsubscribe = self.server.engine.bus.subscribe(listen)
        try:
            while (found := self._execution(id))["status"] not in EXECUTION_FINAL:
                assert woken.wait(PATIENCE_SECONDS), f"execution {id} did not end"
                woken.clear()
        finally:
            unsubscribe()
        return found

    def _execution(self, id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(f"/api/executions/{id}").json()
        return found


class Roles:
    """Who is asking: the token is the role's name."""

    def known_caller(self, token: str) -> Caller:
        if token not in ROLES:
            raise Unauthenticated
        return Caller(token, f"{token}@example.com", token, "session", datetime.max.replace(tzinfo=UTC))


@contextmanager
def server_app(folder: Path, *, running: bool = True, learning: bool = False, **settings: Any) -> Iterator[ServerApp]:
    """`running=False` leaves the engine off: what is started stays queued. With `learning` the learner's processes run,
    at once.
    """
    server = make_server(Settings.load(data_folder=folder, examples=False, **settings))
    if server.learner is not None and learning:
        server.learner.first_wait = server.learner.first_study = 0.0
    elif not learning:
        server.learner = None
    app = make_app(server, URL)
    app.state.accounts = Roles()
    client = TestClient(app, base_url=URL, headers={"authorization": "Bearer admin"})
    try:
        if running:
            with client:
                yield ServerApp(app, server, client)
        else:
            yield ServerApp(app, server, client)
    finally:
        server.stop()
