"""Values on their way into and out of an expression."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from flexiroaster.engine.duration import format_duration

MAX_DEPTH = 64
_INT64 = range(-(2**63), 2**63)


class UnfitValue(ValueError):
    """A value that expressions cannot hold or JSON cannot say; the message is for people."""


class Measure:
    """How large the scope of an evaluation is: the longest collection, the characters of all text, and the values in
    the largest element of a list and in the largest member of one.
    """

    def __init__(self) -> None:
        self.longest = 1
        self.characters = 0
        self.values = 0
        self.element = 1
        self.member = 1


def into_cel(value: Any, measure: Measure, depth: int = 0) -> Any:
    """Raises `UnfitValue`. Dates become timestamps; integers beyond 64 bits are refused, not rounded."""
    if depth > MAX_DEPTH:
        raise UnfitValue(f"it is nested deeper than {MAX_DEPTH} levels")
    measure.values += 1
    match value:
        case None | bool() | float() | timedelta():
            return value
        case int():
            if value not in _INT64:
                raise UnfitValue(f"the number {str(value)[:30]} does not fit into 64 bits")
            return int(value)
        case str():
            measure.characters += len(value)
            return str(value)
        case datetime():
            return value if value.tzinfo else value.replace(tzinfo=UTC)
        case date():
            return datetime(value.year, value.month, value.day, tzinfo=UTC)
        case Mapping():
            measure.longest = max(measure.longest, len(value))
            return {str(key): into_cel(item, measure, depth + 1) for key, item in value.items()}
        case list() | tuple():
            measure.longest = max(measure.longest, len(value))
            return [_element(item, measure, depth + 1) for item in value]
        case _:
            raise UnfitValue(f"a {type(value).__name__} cannot be used in an expression")


def _element(value: Any, measure: Measure, depth: int) -> Any:
    before = measure.values
    converted = into_cel(value, measure, depth)
    measure.element = max(measure.element, measure.values - before)
    if isinstance(value, Mapping | list | tuple):
        members = value.values() if isinstance(value, Mapping) else value
        measure.member = max(measure.member, max(map(weight, members), default=1))
    return converted


def weight(value: Any) -> int:
    """How many values it is made of."""
    if isinstance(value, Mapping):
        return 1 + sum(map(weight, value.values()))
    if isinstance(value, list | tuple):
        return 1 + sum(map(weight, value))
    return 1


def to_json(value: Any, *, sort: bool, depth: int = 0) -> Any:
    """A JSON value. Raises `UnfitValue`. Timestamps become ISO 8601 in UTC, durations text such as `1h30m`.

    `sort` the keys of what CEL made: it keeps no order, and the same expression must give the same text twice.
    """
    if depth > MAX_DEPTH:
        raise UnfitValue(f"it is nested deeper than {MAX_DEPTH} levels")
    match value:
        case None | bool() | int():
            return value
        case str():
            return _made(value) if sort else value
        case float():
            if not math.isfinite(value):
                raise UnfitValue("it is not a finite number (a division by zero?)")
            return value
        case datetime():
            return timestamp_text(value)
        case date():
            return value.isoformat()
        case timedelta():
            return duration_text(value)
        case Mapping():
            keys = sorted(value, key=key_text) if sort else value
            text_of = _made_key if sort else key_text
            return {text_of(key): to_json(value[key], sort=sort, depth=depth + 1) for key in keys}
        case list() | tuple():
            return [to_json(item, sort=sort, depth=depth + 1) for item in value]
        case bytes():
            raise UnfitValue("bytes cannot be written as JSON: write string(…) around it")
        case _:
            raise UnfitValue(f"a {type(value).__name__} cannot be written as JSON")


def _made(text: str) -> str:
    """By CEL, which can write what no definition and no request may hold."""
    if "\0" in text:  # PostgreSQL takes none
        raise UnfitValue("its text holds the character NUL (\\u0000): leave it out")
    return text


def _made_key(key: Any) -> str:
    return _made(key_text(key))


def as_text(value: Any) -> str:
    """A JSON value inside a longer text; null is empty, as in a form that was not filled in."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case _:
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def timestamp_text(moment: datetime) -> str:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")


def duration_text(duration: timedelta) -> str:
    return f"-{format_duration(-duration)}" if duration < timedelta(0) else format_duration(duration)


def key_text(key: Any) -> str:
    return key if isinstance(key, str) else as_text(key)
