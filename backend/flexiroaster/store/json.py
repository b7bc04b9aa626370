"""JSON in the database: orjson, which refuses NaN silently by writing null, so callers check before."""

from __future__ import annotations

from typing import Any

import orjson

OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z


def dumps(value: Any) -> str:
    return orjson.dumps(value, option=OPTIONS).decode()


def loads(text: str | bytes) -> Any:
    return orjson.loads(text)
