"""What the tests of whole servers ask of them, and what must be true of any record."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence

import httpx

from tests.system.server import PATIENCE_SECONDS

FINAL = {"success", "failed", "cancelled", "timed_out"}


def until(condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Asks again and again: there is no other way to hear from another process, which may be killed."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline


def start(client: httpx.Client, pipeline: str, key: str | None = None) -> str:
    """Answers the execution's id."""
    headers = {} if key is None else {"Idempotency-Key": key}
    answer = client.post(f"/api/pipelines/{pipeline}/execute", json={}, headers=headers)
    return str(answer.raise_for_status().json()["execution_id"])


def state(client: httpx.Client, execution: str) -> str:
    return str(client.get(f"/api/executions/{execution}").raise_for_status().json()["status"])


def check_events(events: Sequence[tuple[int, str, str | None]], stages: Collection[str]) -> None:
    """Number, type and stage of all events of an execution that succeeded: complete, and nothing recorded twice."""
    assert [seq for seq, *_ in events] == list(range(1, len(events) + 1))
    completed = Counter(stage for _, type_, stage in events if type_ == "stage_completed")
    assert completed == Counter(stages)
    assert sum(type_ == "execution_completed" for _, type_, _ in events) == 1
