"""Events as log lines, so that the log of an execution reads as a story even where its stages say nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from flexiroaster.engine.events import Event, EventType
from flexiroaster.engine.foreach import items
from flexiroaster.engine.plurals import counted
from flexiroaster.store.progress import NOT_TOLD_OF_ITEMS, LogEntry


def narrate(events: Iterable[Event]) -> Iterator[LogEntry]:
    for event in events:
        told = _TELLERS.get(event.type)
        if told is None or (event.index and event.type in NOT_TOLD_OF_ITEMS):
            continue
        level, message = told(event)
        yield LogEntry(  # one for every stage, and with keywords it would cost twice as much
            event.at,
            level,
            message,
            event.pipeline_id,
            event.execution_id,
            event.stage,
            event.index,
            event.payload.get("attempt"),
            None,
            event.seq,
        )


def is_told(event: Event) -> bool:
    return event.type in _TELLERS and not (event.index and event.type in NOT_TOLD_OF_ITEMS)


def as_events(entries: Iterable[LogEntry]) -> list[Event]:
    """Log lines of executions as they are streamed."""
    return [
        Event(
            EventType.LOG,
            entry.execution_id,
            entry.pipeline_id or "",
            0,
            entry.at,
            entry.stage,
            entry.index,
            {"level": entry.level, "message": entry.message, "attempt": entry.attempt},
        )
        for entry in entries
        if entry.execution_id is not None
    ]


def _started(event: Event) -> tuple[str, str]:
    retry = event.payload.get("retry")
    again = f" again (retry {retry}, {counted(event.payload['stages'], 'stage')} to run)" if retry else ""
    return "info", f"execution #{event.payload['number']} started{again}"


def _stage_completed(event: Event) -> tuple[str, str]:
    payload = event.payload
    if payload.get("cached_from") is not None:
        return "info", str(payload.get("reason"))
    rows = f", {counted(payload['rows'], 'row')}" if payload.get("rows") is not None else ""
    if payload.get("reused_from"):
        return "info", f"reused from execution {payload['reused_from']}{rows}"
    return "info", f"succeeded in {_seconds(payload)}{rows}"


def _stage_failed(event: Event) -> tuple[str, str]:
    word = "timed out" if event.payload.get("status") == "timed_out" else "failed"
    return "error", f"{word}: {_message(event)}"


def _stage_retrying(event: Event) -> tuple[str, str]:
    message = _message(event)
    cause = f": {message}" if message else ""
    return "warning", f"{event.payload.get('reason', 'trying again')}{cause}"


def _approval_requested(event: Event) -> tuple[str, str]:
    return "info", f"{event.payload['reason']}: {event.payload.get('message')}"


def _approval_decided(event: Event) -> tuple[str, str]:
    decision = event.payload
    comment = f": {decision['comment']}" if decision.get("comment") else ""
    if decision.get("by") is None:
        return "warning", str(decision.get("comment"))
    return "info", f"{'approved' if decision['approved'] else 'rejected'} by {decision['by']}{comment}"


def _signalled(event: Event) -> tuple[str, str]:
    payload = event.payload
    by = f" by {payload['by']}" if payload.get("by") else ""
    heard = f", {', '.join(payload['stages'])} went on" if payload["stages"] else ""
    return "info", f"told of {payload['name']}{by}{heard}"


def _deadline_missed(event: Event) -> tuple[str, str]:
    payload = event.payload
    who = f"execution #{payload['number']}" if event.stage is None else event.stage
    return "warning", f"{who} is late: it was to have ended by {payload['by']} {payload['timezone']}"


def _stage_skipped(event: Event) -> tuple[str, str]:
    return "info", f"not run: {event.payload.get('reason', '')}"


def _stage_cancelling(event: Event) -> tuple[str, str]:
    return "info", f"told to stop: {event.payload['reason']}"


def _stage_cancelled(event: Event) -> tuple[str, str]:
    reason = str(event.payload.get("reason") or "cancelled")
    return "info", reason if reason.startswith("cancelled") else f"cancelled: {reason}"


def _items_cancelled(event: Event) -> tuple[str, str]:
    count, reason = items(event.payload["count"]), event.payload["reason"]
    return "info", f"{count} {reason}" if reason.startswith("not run") else f"{count} not run: {reason}"


def _stage_repeating(event: Event) -> tuple[str, str]:
    return "info", str(event.payload["reason"])


_PHASES = {
    "compensation": "undoing what succeeded",
    "on_failure": "running what is to run on failure",
    "on_success": "running what is to run on success",
    "finally": "running what is to run in the end",
}


def _phase_begun(event: Event) -> tuple[str, str]:
    count = event.payload["stages"]
    return "info", f"{_PHASES[event.payload['phase']]} ({count} {'stage' if count == 1 else 'stages'})"


def _paused_or_resumed(event: Event) -> tuple[str, str]:
    return "info", f"execution #{event.payload['number']} {event.payload['reason']}"


def _ended(event: Event) -> tuple[str, str]:
    status = event.payload["status"]
    word = {"success": "succeeded", "timed_out": "timed out"}.get(status, status)
    level = "info" if status in ("success", "cancelled") else "error"
    stage = event.payload.get("failed_stage")
    at = f" at {stage}" if stage else ""
    why = _message(event) or event.payload.get("reason")
    cause = f": {why}" if why else ""
    return level, f"execution #{event.payload['number']} {word}{at} after {_seconds(event.payload)}{cause}"


_TELLERS = {
    EventType.EXECUTION_STARTED: _started,
    EventType.STAGE_COMPLETED: _stage_completed,
    EventType.STAGE_FAILED: _stage_failed,
    EventType.STAGE_RETRYING: _stage_retrying,
    EventType.APPROVAL_REQUESTED: _approval_requested,
    EventType.APPROVAL_DECIDED: _approval_decided,
    EventType.EXECUTION_SIGNALLED: _signalled,
    EventType.DEADLINE_MISSED: _deadline_missed,
    EventType.STAGE_SKIPPED: _stage_skipped,
    EventType.STAGE_CANCELLING: _stage_cancelling,
    EventType.STAGE_CANCELLED: _stage_cancelled,
    EventType.STAGE_ITEMS_CANCELLED: _items_cancelled,
    EventType.STAGE_REPEATING: _stage_repeating,
    EventType.EXECUTION_PHASE: _phase_begun,
    EventType.EXECUTION_PAUSED: _paused_or_resumed,
    EventType.EXECUTION_RESUMED: _paused_or_resumed,
    EventType.EXECUTION_COMPLETED: _ended,
    EventType.EXECUTION_FAILED: _ended,
    EventType.EXECUTION_CANCELLED: _ended,
    EventType.EXECUTION_TIMED_OUT: _ended,
}


def _message(event: Event) -> str:
    error: dict[str, Any] = event.payload.get("error") or {}
    return str(error.get("message", ""))


def _seconds(payload: Any) -> str:
    seconds = float(payload.get("duration_seconds") or 0)
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"
