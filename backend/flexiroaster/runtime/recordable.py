"""What is kept of an error: small enough to be listed, streamed and shown, of text that every database takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from flexiroaster.engine.errors import Location, StageError
from flexiroaster.engine.summary import summarise
from flexiroaster.runtime.attempt import encodable

MESSAGE_LIMIT = 4_000
TRACEBACK_LIMIT = 20_000
NAME_LIMIT = 1_000
"""Characters."""


def recordable(error: StageError) -> StageError:
    """The same error within its bounds. Of a long traceback the end is kept: there stands the cause."""
    return replace(
        error,
        message=_start(error.message, MESSAGE_LIMIT),
        code=_start(error.code, 100),
        location=None if error.location is None else _place(error.location),
        suggestion=None if error.suggestion is None else _start(error.suggestion, MESSAGE_LIMIT),
        traceback=None if error.traceback is None else _end(error.traceback, TRACEBACK_LIMIT),
        details=_details(error.details),
    )


def _details(details: dict[str, object]) -> dict[str, object]:
    try:
        cut: dict[str, object] = summarise(_encodable(orjson.loads(orjson.dumps(details, default=str))))
    except TypeError:  # text that is no UTF-8, or endless nesting: the message stands without them
        return {}
    return cut


def _place(location: Location) -> Location:
    return replace(
        location,
        file=None if location.file is None else _start(location.file, NAME_LIMIT),
        column=None if location.column is None else _start(location.column, NAME_LIMIT),
        value=None if location.value is None else _start(location.value, NAME_LIMIT),
    )


def _start(text: str, limit: int) -> str:
    cut = text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit:,} more characters)"
    return encodable(cut)


def _end(text: str, limit: int) -> str:
    cut = text if len(text) <= limit else f"({len(text) - limit:,} characters before) …{text[-limit:]}"
    return encodable(cut)


def _encodable(value: Any) -> Any:
    """All the texts in a JSON value."""
    match value:
        case str():
            return encodable(value)
        case dict():
            return {_encodable(key): _encodable(item) for key, item in value.items()}
        case list():
            return [_encodable(item) for item in value]
        case _:
            return value
