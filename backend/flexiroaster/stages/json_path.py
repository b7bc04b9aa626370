"""The small part of JSONPath that names one value: `$`, `$.a.b`, `$.items[0]`, `$['odd name']`."""

from __future__ import annotations

import re
from typing import Any

PATTERN = r"""^\$(\.[A-Za-z_@][A-Za-z0-9_@-]*|\[-?[0-9]+\]|\['[^']*'\]|\["[^"]*"\])*$"""
_STEP = re.compile(r"""\.([A-Za-z_@][A-Za-z0-9_@-]*)|\[(-?[0-9]+)\]|\['([^']*)'\]|\["([^"]*)"\]""")


class Missing(LookupError):
    """The path leads nowhere; the text says where it ends."""


def find(document: Any, path: str) -> Any:
    """The value at `path`, which must match PATTERN. Raises Missing."""
    value, walked = document, "$"
    for step in _STEP.finditer(path):
        name = step[1] or step[3] or step[4]
        value = _item(value, int(step[2]), walked) if step[2] else _member(value, name or "", walked)
        walked += step[0]
    return value


def _item(value: Any, index: int, walked: str) -> Any:
    if not isinstance(value, list):
        raise Missing(f"{walked} is {kind(value)}, not a list")
    try:
        return value[index]
    except IndexError:
        raise Missing(f"{walked} has only {len(value)} items") from None


def _member(value: Any, name: str, walked: str) -> Any:
    if not isinstance(value, dict):
        raise Missing(f"{walked} is {kind(value)}, not an object")
    if name not in value:
        keys = ", ".join(map(str, list(value)[:10])) or "no keys"
        raise Missing(f"{walked} has no {name!r} (it has {keys})")
    return value[name]


def kind(value: Any) -> str:
    """What a JSON value is, in words."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "an object"
