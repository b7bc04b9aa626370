"""Waiting for the end of an execution with one request."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from flexiroaster.api.ends import end_within
from flexiroaster.services.ends import Ends
from flexiroaster.store.executions import EndRow
from tests.api.server_app import PATIENCE_SECONDS, ServerApp

LONG = 60


def test_the_answer_to_a_start_holds_the_end(server: ServerApp) -> None:
    server.make("short", outputs={"day": "${{ inputs.day }}"}, inputs={"day": {"type": "string"}})
    answer = server.client.post("/api/pipelines/short/execute", params={"wait": LONG}, json={"inputs": {"day": "mon"}})
    assert answer.status_code == 202
    end = answer.json()["end"]
    assert (end["status"], end["outputs"], end["error"]) == ("success", {"day": "mon"}, None)
    shown = server.client.get(f"/api/executions/{answer.json()['execution_id']}").json()
    assert (shown["ended_at"], shown["duration_seconds"]) == (end["ended_at"], end["duration_seconds"])


def test_a_failed_end_says_why(server: ServerApp) -> None:
    server.make("broken", {"id": "look", "type": "input", "config": {"path": "missing.csv"}})
    end = server.client.post("/api/pipelines/broken/execute", params={"wait": LONG}).json()["end"]
    assert (end["status"], end["failed_stage"], end["error"]["stage"]) == ("failed", "look", "look")


def test_an_idempotent_start_answers_the_end_that_was(server: ServerApp) -> None:
    server.make("once")
    first, second = (
        server.client.post(
            "/api/pipelines/once/execute", params={"wait": LONG}, headers={"Idempotency-Key": "k"}
        ).json()
        for _ in range(2)
    )
    assert second["replayed"]
    assert first["end"] == second["end"]


def test_what_takes_longer_is_answered_without_an_end(still: ServerApp) -> None:
    still.make("slow")
    answer = still.client.post("/api/pipelines/slow/execute", params={"wait": 0.01}).json()
    assert (answer["status"], answer["end"]) == ("started", None)
    shown = still.client.get(f"/api/executions/{answer['execution_id']}", params={"wait": 0.01}).json()
    assert shown["status"] == "queued"


async def test_who_waits_is_let_go_when_the_server_stops(still: ServerApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was started, so the answer says that it was, and not that something went wrong."""
    id = still.client.post(f"/api/pipelines/{still.make('slow')}/execute").json()["execution_id"]
    ends = Ends(still.server.engine.database, still.server.engine.bus)
    looked = asyncio.Event()
    loop, of = asyncio.get_running_loop(), ends.of

    def look(execution_id: str) -> EndRow | None:
        loop.call_soon_threadsafe(looked.set)
        return of(execution_id)

    monkeypatch.setattr(ends, "of", look)
    waiting = asyncio.create_task(end_within(ends, PATIENCE_SECONDS * 10, lambda: id))
    await looked.wait()
    ends.stop()
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await waiting is None


def test_a_reader_is_answered_when_it_has_ended(server: ServerApp) -> None:
    server.make("ask", {"id": "sure", "type": "approval", "config": {"message": "Sure?"}})
    id = server.client.post("/api/pipelines/ask/execute").json()["execution_id"]
    entered = _told(server, id)
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(server.client.get, f"/api/executions/{id}", params={"wait": LONG})
        assert entered.wait(PATIENCE_SECONDS)
        server.client.post(f"/api/executions/{id}/cancel")
        assert waiting.result(PATIENCE_SECONDS).json()["status"] == "cancelled"
    assert not server.server.services.ends._waiting


@pytest.mark.parametrize("wait", [-1, 61, "soon", "nan"])
def test_a_wait_without_sense_is_refused(server: ServerApp, wait: Any) -> None:
    server.make("any")
    assert server.client.post("/api/pipelines/any/execute", params={"wait": wait}).status_code == 422


def test_waiting_for_what_is_not_there(server: ServerApp) -> None:
    assert server.client.get("/api/executions/none", params={"wait": LONG}).status_code == 404


def _told(server: ServerApp, id: str) -> threading.Event:
    """Set as soon as somebody watches this execution."""
    ends, entered = server.server.services.ends, threading.Event()
    watched: Callable[..., Any] = ends.of

    def of(execution_id: str) -> Any:
        found = watched(execution_id)
        if execution_id == id:
            entered.set()
        return found

    ends.of = of  # type: ignore[method-assign]
    return entered
