"""An execution rebuilt from its events: what the record of an ended one must say.

The events are appended and never changed, so they are what a damaged or doubtful record is held against. Not announced,
and so not rebuilt, is what only the engine needs: counters, leases, and that a stage run became ready.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flexiroaster.engine.errors import StageError
from flexiroaster.engine.events import Event, EventType
from flexiroaster.engine.state import ExecutionStatus, StageStatus

T = EventType
StageKey = tuple[str, int]
"""A stage's id and its foreach index."""


@dataclass(slots=True)
class ReplayedStage:
    """A stage run as its events tell it. `begun`: started and not ended since."""

    status: StageStatus = StageStatus.PENDING
    attempt: int = 0
    reason: str | None = None
    error: StageError | None = None
    rows: int | None = None
    bytes: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    reused_from: str | None = None
    begun: bool = False


@dataclass(slots=True)
class Replayed:
    """An execution as its events tell it. `duration_seconds` is known once it has ended."""

    status: ExecutionStatus = ExecutionStatus.QUEUED
    number: int | None = None
    retries: int = 0
    reason: str | None = None
    error: StageError | None = None
    failed_stage: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration_seconds: float | None = None
    stages: dict[StageKey, ReplayedStage] = field(default_factory=dict)


def replay(events: Iterable[Event]) -> Replayed:
    """`events` are those of one execution, in the order of their `seq`."""
    found = Replayed()
    for event in events:
        if event.stage is None:
            _tell_execution(found, event)
        else:
            run = found.stages.setdefault((event.stage, event.index or 0), ReplayedStage())
            _tell_stage(run, event)
            if event.type in (T.STAGE_EXPANDED, T.STAGE_ITEMS_CANCELLED):
                _tell_items(found, event)
    return found


def _tell_execution(found: Replayed, event: Event) -> None:
    payload = event.payload
    found.number = payload.get("number", found.number)
    if "status" in payload:
        found.status = ExecutionStatus(payload["status"])
    match event.type:
        case T.EXECUTION_STARTED | T.EXECUTION_QUEUED:
            _begin(found, event)
        case T.EXECUTION_PAUSED | T.EXECUTION_CANCELLING:
            found.reason = payload.get("reason")
        case T.EXECUTION_RESUMED | T.EXECUTION_ADMITTED:
            found.reason = None
        case T.EXECUTION_COMPLETED | T.EXECUTION_FAILED | T.EXECUTION_CANCELLED | T.EXECUTION_TIMED_OUT:
            found.ended_at = event.at
            found.reason = payload.get("reason")
            found.error = _error(payload)
            found.failed_stage = payload.get("failed_stage")
            found.duration_seconds = payload.get("duration_seconds")


def _begin(found: Replayed, event: Event) -> None:
    """It is accepted, its first stage starts, or a person retries it."""
    retry = event.payload.get("retry")
    if retry is not None:
        found.retries = retry
        found.ended_at = found.error = found.failed_stage = found.duration_seconds = None
    if retry is not None or event.type is T.EXECUTION_STARTED:
        found.started_at = found.started_at or event.at
    found.reason = event.payload.get("reason")


_ENDS = frozenset({T.STAGE_COMPLETED, T.STAGE_FAILED, T.STAGE_SKIPPED, T.STAGE_CANCELLED})


def _tell_stage(run: ReplayedStage, event: Event) -> None:
    payload = event.payload
    if event.type is T.STAGE_STARTED:
        run.started_at, run.ended_at, run.begun = event.at, None, True
        run.reason = run.error = run.rows = run.bytes = None
    elif event.type in _ENDS:
        if not run.begun:  # of a round in which it was never claimed
            run.started_at = None
        run.begun = False
        run.ended_at = event.at
        run.reason, run.error = payload.get("reason"), _error(payload)
        run.rows, run.bytes = payload.get("rows"), payload.get("bytes")
        run.reused_from = payload.get("reused_from", run.reused_from)
    elif event.type in (T.STAGE_RETRYING, T.STAGE_WAITING, T.STAGE_REPEATING, T.STAGE_CANCELLING):
        run.reason = payload.get("reason")
        run.error = _error(payload)
    else:
        return
    run.attempt = payload.get("attempt", run.attempt)
    if "status" in payload:
        run.status = StageStatus(payload["status"])


_KEPT = (StageStatus.SUCCESS, StageStatus.SKIPPED)
_NOT_BEGUN = (StageStatus.QUEUED, StageStatus.RETRYING)


def _tell_items(found: Replayed, event: Event) -> None:
    """Items of a foreach stage are put, or open again for a retry; or those that have not begun are cancelled."""
    if event.type is T.STAGE_EXPANDED:
        count, anew = event.payload["items"], event.payload["items"] == event.payload["to_run"]
        for stage, index in [key for key in found.stages if key[0] == event.stage and key[1] > count]:
            del found.stages[stage, index]
        for index in range(1, count + 1):
            item = found.stages.setdefault((event.stage or "", index), ReplayedStage())
            if anew or item.status not in _KEPT:
                attempt = item.attempt
                found.stages[event.stage or "", index] = ReplayedStage(StageStatus.QUEUED, attempt)
        return
    for (stage, index), item in found.stages.items():
        if stage == event.stage and index and item.status in _NOT_BEGUN:
            item.status, item.reason, item.ended_at = StageStatus.CANCELLED, event.payload["reason"], event.at


def _error(payload: Mapping[str, Any]) -> StageError | None:
    error = payload.get("error")
    return None if error is None else StageError.from_json(error)
