"""The functions that expressions may call beside CEL's own. All are pure, and none makes a value much larger."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flexiroaster.engine.quoting import quoted

MAX_TEXT = 1_000_000

NATIVE_FUNCTIONS = frozenset(
    {
        "bytes",
        "contains",
        "double",
        "duration",
        "dyn",
        "endsWith",
        "getDate",
        "getDayOfMonth",
        "getDayOfWeek",
        "getDayOfYear",
        "getFullYear",
        "getHours",
        "getMilliseconds",
        "getMinutes",
        "getMonth",
        "getSeconds",
        "has",
        "int",
        "matches",
        "size",
        "startsWith",
        "string",
        "timestamp",
        "type",
        "uint",
    }
)
"""What the CEL package brings along."""


class BadArgument(ValueError):
    """A function cannot work with what it was given; the message is for people."""


def _keys(value: Any) -> list[Any]:
    return sorted(_mapping(value, "keys"), key=str)


def _values(value: Any) -> list[Any]:
    mapping = _mapping(value, "values")
    return [mapping[key] for key in sorted(mapping, key=str)]


def _get(value: Any, key: Any, default: Any = None) -> Any:
    """`get(results.check, 'rows', 0)`: a member that may be missing."""
    if isinstance(value, list) and isinstance(key, int) and not isinstance(key, bool):
        return value[key] if -len(value) <= key < len(value) else default
    if value is None:
        return default
    return _mapping(value, "get").get(key, default)


def _date(value: Any, zone: str = "UTC") -> str:
    """The day (`2026-01-31`) of a timestamp in a time zone."""
    return _moment(value, "date").astimezone(_zone(zone)).date().isoformat()


def _format_time(value: Any, pattern: str, zone: str = "UTC") -> str:
    """`format_time(execution.logical_date, '%Y/%m')`, with the letters of strftime."""
    if len(_text(pattern, "format_time")) > 100:
        raise BadArgument("format_time() takes a pattern of at most 100 characters")
    return _moment(value, "format_time").astimezone(_zone(zone)).strftime(pattern)


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise BadArgument(f"bool() takes true, false or text of these, not {_kind(value)}")


def _string(value: Any) -> str:
    """Reached only for what CEL's own string() does not convert."""
    return _json(value)


def _json(value: Any) -> str:
    return _bounded(json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True, default=str))


def _lower(text: Any) -> str:
    return _text(text, "lower").lower()


def _upper(text: Any) -> str:
    return _bounded(_text(text, "upper").upper())


def _trim(text: Any) -> str:
    return _text(text, "trim").strip()


def _split(text: Any, separator: Any) -> list[str]:
    if not separator:
        raise BadArgument("split() needs a separator")
    return _text(text, "split").split(_text(separator, "split"))


def _join(items: Any, separator: Any = "") -> str:
    texts = [_text(item, "join") for item in _list(items, "join")]
    glue = _text(separator, "join")
    if sum(map(len, texts)) + len(glue) * len(texts) > MAX_TEXT:
        raise BadArgument(f"the text would be longer than {MAX_TEXT:,} characters")
    return glue.join(texts)


def _replace(text: Any, old: Any, new: Any) -> str:
    whole, part, other = (_text(value, "replace") for value in (text, old, new))
    count = whole.count(part)
    if len(whole) + count * len(other) > MAX_TEXT:
        raise BadArgument(f"the text would be longer than {MAX_TEXT:,} characters")
    return whole.replace(part, other)


def _min(*values: Any) -> Any:
    return min(_numbers(values, "min"))


def _max(*values: Any) -> Any:
    return max(_numbers(values, "max"))


def _sum(items: Any) -> Any:
    return sum(_numbers((_list(items, "sum"),), "sum", empty=True))


def _round(value: Any, digits: Any = 0) -> Any:
    (number,) = _numbers((value,), "round")
    if not isinstance(digits, int) or not 0 <= digits <= 15:
        raise BadArgument("round() takes 0 to 15 digits")
    return round(number, digits) if digits else round(number)


def _abs(value: Any) -> Any:
    return abs(_numbers((value,), "abs")[0])


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "abs": _abs,
    "bool": _bool,
    "date": _date,
    "format_time": _format_time,
    "get": _get,
    "join": _join,
    "json": _json,
    "keys": _keys,
    "lower": _lower,
    "max": _max,
    "min": _min,
    "replace": _replace,
    "round": _round,
    "split": _split,
    "string": _string,
    "sum": _sum,
    "trim": _trim,
    "upper": _upper,
    "values": _values,
}


def _mapping(value: Any, function: str) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise BadArgument(f"{function}() takes a mapping, not {_kind(value)}")
    return value


def _list(value: Any, function: str) -> list[Any]:
    if not isinstance(value, list):
        raise BadArgument(f"{function}() takes a list, not {_kind(value)}")
    return value


def _text(value: Any, function: str) -> str:
    if not isinstance(value, str):
        raise BadArgument(f"{function}() takes text, not {_kind(value)}: write string(…) around it")
    return value


def _numbers(values: tuple[Any, ...], function: str, *, empty: bool = False) -> list[int | float]:
    """Numbers, or one list of numbers."""
    given = values[0] if len(values) == 1 and isinstance(values[0], list) else list(values)
    for value in given:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise BadArgument(f"{function}() takes numbers, not {_kind(value)}")
    if not given and not empty:
        raise BadArgument(f"{function}() of nothing")
    return given


def _moment(value: Any, function: str) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            example = "2026-01-31T06:00:00Z"
            raise BadArgument(f"{function}() takes a timestamp such as {example}, not {quoted(value)}") from None
    if not isinstance(value, datetime):
        raise BadArgument(f"{function}() takes a timestamp, not {_kind(value)}")
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _zone(name: Any) -> ZoneInfo:
    try:
        return ZoneInfo(_text(name, "date"))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadArgument(f"{quoted(str(name))} is not a time zone such as Europe/Paris") from None


def _bounded(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise BadArgument(f"the text would be longer than {MAX_TEXT:,} characters")
    return text


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return f"the number {value}"
        case str():
            return "text"
        case list():
            return "a list"
        case dict():
            return "a mapping"
        case datetime():
            return "a timestamp"
        case _:
            return f"a {type(value).__name__}"
