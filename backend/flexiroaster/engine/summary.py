"""Cut a JSON value to a size that may travel in an event, keeping its shape and saying what was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

LIMIT_BYTES = 8 * 1024
OMITTED = "__omitted__"
"""The key, or the last item's key, under which a summary says what it left out."""

_DEEPEST = 6
_LONGEST_TEXT = 1024
_MARKER_BYTES = 120


def summarise(value: Any, limit_bytes: int = LIMIT_BYTES) -> Any:
    """`value` itself where its JSON fits, else a smaller value of the same shape.

    A cut object carries `"__omitted__": "12 more keys"`, a cut list ends with `{"__omitted__": "990 more items"}`, a
    cut text with `… (4000 more characters)`.
    """
    if _size(value, limit_bytes) <= limit_bytes:
        return value
    return _cut(value, limit_bytes, 0)[0]


def _cut(value: Any, budget: int, depth: int) -> tuple[Any, int]:
    """The summary and the bytes it takes at most; a container is given at least room for its marker."""
    if isinstance(value, str):
        return _cut_text(value, budget)
    if isinstance(value, Mapping):
        return _cut_object(value, budget, depth)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return _cut_list(value, budget, depth)
    return value, _size(value, budget)


def _cut_text(text: str, budget: int) -> tuple[str, int]:
    size = _size(text, budget)
    if size <= budget and len(text) <= _LONGEST_TEXT:
        return text, size
    kept = text[: max(0, min(_LONGEST_TEXT, (budget - 48) // _bytes_a_character(text)))]
    cut = f"{kept}… ({len(text) - len(kept)} more characters)"
    return cut, _size(cut, 1 << 30)


def _cut_object(value: Mapping[Any, Any], budget: int, depth: int) -> tuple[dict[str, Any], int]:
    kept: dict[str, Any] = {}
    used = 2 + _MARKER_BYTES
    for position, (key, item) in enumerate(value.items()):
        name = str(key)
        left = budget - used - _size(name, budget) - 2
        if depth >= _DEEPEST or left < _MARKER_BYTES:
            kept[OMITTED] = f"{len(value) - position} more keys"
            break
        kept[name], size = _fitting(item, left, depth)
        used = budget - left + size
    return kept, used


def _cut_list(value: Sequence[Any], budget: int, depth: int) -> tuple[list[Any], int]:
    kept: list[Any] = []
    used = 2 + _MARKER_BYTES
    for position, item in enumerate(value):
        left = budget - used - 1
        if depth >= _DEEPEST or left < _MARKER_BYTES:
            kept.append({OMITTED: f"{len(value) - position} more items"})
            break
        cut, size = _fitting(item, left, depth)
        kept.append(cut)
        used = budget - left + size
    return kept, used


def _fitting(item: Any, left: int, depth: int) -> tuple[Any, int]:
    """The item itself where it fits; otherwise it may take half of what is left, so that its neighbours show too."""
    size = _size(item, left)
    if size <= left and not (isinstance(item, str) and len(item) > _LONGEST_TEXT):
        return item, size
    return _cut(item, max(left // 2, _MARKER_BYTES), depth + 1)


def _bytes_a_character(text: str) -> int:
    """Once escaped, at most: `\\u00e9`, or a pair of those for what lies beyond 16 bits."""
    return 12 if max(text, default="") > "\uffff" else 6


def _size(value: Any, limit: int) -> int:
    """An upper bound of the bytes of the value's JSON; stops counting once past `limit`."""
    total = 0
    waiting = [value]
    while waiting and total <= limit:
        item = waiting.pop()
        if item is None or isinstance(item, bool):
            total += 6
        elif isinstance(item, str):
            plain = item.isascii() and item.isprintable()
            total += 3 + (len(item) if plain else _bytes_a_character(item) * len(item))
            total += item.count('"') + item.count("\\")
        elif isinstance(item, Mapping):
            total += 2 + 2 * len(item)
            if total > limit:
                break
            for key, inner in item.items():
                waiting.append(str(key))
                waiting.append(inner)
        elif isinstance(item, Sequence) and not isinstance(item, bytes | bytearray):
            total += 2 + len(item)
            if total > limit:
                break
            waiting.extend(item)
        else:
            total += 1 + len(str(item))
    return total
