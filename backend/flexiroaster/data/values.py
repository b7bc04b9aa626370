"""Values of DuckDB as JSON, and as cells that a spreadsheet will not run."""

from __future__ import annotations

import base64
import datetime as dt
import math
from decimal import Decimal
from typing import Any
from uuid import UUID

_MAX_SAFE_INTEGER = 2**53 - 1


def json_safe(value: Any) -> Any:
    """Exact where JSON can be: a decimal or an integer that a browser would round is text, NaN and infinity too."""
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if abs(value) <= _MAX_SAFE_INTEGER else str(value)
        case float():
            return value if math.isfinite(value) else str(value)
        case Decimal():
            return _decimal(value)
        case dt.datetime() | dt.date() | dt.time():
            return value.isoformat()
        case dt.timedelta() | UUID():
            return str(value)
        case bytes() | bytearray() | memoryview():
            return base64.b64encode(bytes(value)).decode()
        case dict():
            return {str(key): json_safe(item) for key, item in value.items()}
        case list() | tuple() | set():
            return [json_safe(item) for item in value]
        case _:
            return str(value)


def _decimal(value: Decimal) -> int | float | str:
    if value == value.to_integral_value():
        return json_safe(int(value)) if value.as_tuple().exponent == 0 else _float_or_text(value)
    return _float_or_text(value)


def _float_or_text(value: Decimal) -> float | str:
    return float(value) if Decimal(repr(float(value))) == value else str(value)


def spreadsheet_safe(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula gets a leading apostrophe (OWASP: CSV injection).

    For files that people download and open; files that programs read stay exact.
    """
    if isinstance(value, str) and value.lstrip(" ")[:1] in ("=", "+", "-", "@", "\t", "\r") and not _is_number(value):
        return "'" + value
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
