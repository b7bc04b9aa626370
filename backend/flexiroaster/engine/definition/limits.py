"""What no definition may hold, whatever it is written in."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from flexiroaster.engine.quoting import quoted, shortened

MAX_BYTES = 2 * 1024 * 1024
MAX_DEPTH = 64
MAX_ALIAS_WEIGHT = 1_000_000
"""How much anchors may add by being used again, in characters and values: an alias bomb ends here."""
MAX_VALUES = 250_000
"""Lists, mappings, and what is in them. 10,000 stages with 20 values each have room; the largest takes a second to read
and to check."""
_INT64 = range(-(2**63), 2**63)
_UNFIT = re.compile("[\x00\ud800-\udfff]")


class Refused(Exception):
    """A definition that cannot be read. `offset` counts characters of the text, None for a document from Python."""

    def __init__(self, code: str, message: str, offset: int | None = None, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.offset = offset
        self.suggestion = suggestion


def check_text(text: str) -> None:
    """Raises `Refused`."""
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise Refused("too_large", f"The definition is larger than {MAX_BYTES // 1024 // 1024} MB: split the pipeline.")
    check_characters(text, 0)


def check_characters(text: str, start: int | None) -> None:
    unfit = _UNFIT.search(text)
    if unfit is not None:
        kind = "a NUL character" if unfit[0] == "\x00" else "half of a surrogate pair"
        raise Refused(
            "invalid_text",
            f"The text holds {kind} (U+{ord(unfit[0]):04X}): remove it.",
            None if start is None else start + (unfit.start() if start == 0 else 0),
        )


def check_number(value: int | float, written: str, start: int | None) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise Refused("not_finite", f"{shortened(written)} is not a finite number: JSON cannot hold it.", start)
    if isinstance(value, int) and value not in _INT64:
        raise Refused(
            "number_too_large",
            f"The number {shortened(written)} does not fit into 64 bits.",
            start,
            f'quote it if it is text: "{shortened(written)}"',
        )


def too_many_values(start: int | None) -> Refused:
    return Refused(
        "too_large", f"The definition holds more than {MAX_VALUES:,} values: keep data in files, or split it.", start
    )


def too_deep(start: int | None) -> Refused:
    return Refused("too_deep", f"The definition is nested deeper than {MAX_DEPTH} levels.", start)


def plain_document(value: Any) -> Any:
    """A copy of what a Python caller gave, made of JSON values alone. Raises `Refused`."""
    return _Copier().copy(value, 0)


def beginning_of(value: Any, still_wrong: Callable[[Any], bool], most_values: int) -> Any:
    """A value that is wrong, with every list and mapping cut to the same length: to as much as has `most_values`, or to
    as little as is still wrong. The cut itself may do further wrong, such as to leave out a key.
    """
    if count_values(value) <= most_values:
        return value
    longest = _longest(value)
    fitting = _first_length(longest, lambda length: count_values(_cut(value, length)) > most_values) - 1
    part = _cut(value, max(fitting, 1))
    if still_wrong(part):
        return part
    return _cut(value, _first_length(longest, lambda length: still_wrong(_cut(value, length))))


def _first_length(longest: int, holds: Callable[[int], bool]) -> int:
    """The smallest length for which it holds; it holds for `longest`, and from the smallest on."""
    low, high = 1, longest
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return high


def count_values(value: Any) -> int:
    return sum(len(part) for part in _containers(value)) + 1


def _longest(value: Any) -> int:
    return max((len(part) for part in _containers(value)), default=0)


def _containers(value: Any) -> Iterator[Mapping[str, Any] | list[Any]]:
    parts = [value]
    while parts:
        part = parts.pop()
        if isinstance(part, Mapping | list):
            yield part
            parts.extend(part.values() if isinstance(part, Mapping) else part)


def _cut(value: Any, length: int) -> Any:
    if isinstance(value, Mapping):
        return {key: _cut(item, length) for key, item in islice(value.items(), length)}
    if isinstance(value, list):
        return [_cut(item, length) for item in value[:length]]
    return value


class _Copier:
    """Counts values: a structure that shares parts may be small in memory and endless as JSON."""

    def __init__(self) -> None:
        self.values = 0

    def copy(self, value: Any, depth: int) -> Any:
        self.values += 1
        if self.values > MAX_VALUES:
            raise too_many_values(None)
        if depth > MAX_DEPTH:
            raise too_deep(None)
        match value:
            case None | bool():
                return value
            case str():
                check_characters(value, None)
                return str(value)
            case int() | float():
                number = int(value) if isinstance(value, int) else float(value)
                check_number(number, _written(number), None)
                return number
            case Mapping():
                return {self._key(key): self.copy(item, depth + 1) for key, item in value.items()}
            case list() | tuple():
                return [self.copy(item, depth + 1) for item in value]
            case _:
                raise Refused("not_json", f"The definition holds a {type(value).__name__}, which JSON cannot.")

    def _key(self, key: Any) -> str:
        if not isinstance(key, str):
            raise Refused("not_json", f"The key {quoted(str(key))} is not text.")
        check_characters(key, None)
        return str(key)


def _written(number: int | float) -> str:
    if isinstance(number, int) and number.bit_length() > 10_000:
        return "that"
    return str(number)
