"""Where in a file a fault is. DuckDB meets faults fast but often misnames their line: the file is read again for it."""

from __future__ import annotations

import gzip
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

import orjson

LOOKED_THROUGH_BYTES = 64 << 20
"""Files are searched up to here where that takes Python seconds for each 100 MB."""
DEEPEST_JSON = 128
"""DuckDB reads no deeper."""
SEARCHED_CSV_BYTES = 1 << 30
"""Looking for the line breaks inside of a CSV file's values takes a second for each 400 MB."""
LONGEST_PIECE = 1 << 22
"""Of a CSV file: longer than the longest line that is taken."""
_WINDOW = 5
_STRING = rb'"(?:[^"\\]|\\.)*(?:"|\Z)'
_NUMBER = rb"(-?\b(?:nan|inf(?:inity)?)\b|-?\b\d[\d.]{300,}|-?\b\d[\d.]*e\+?\d{3,})"
_STRINGS_AND_NUMBERS = re.compile(_STRING + b"|" + _NUMBER, re.IGNORECASE | re.DOTALL)
_STRINGS_AND_BRACKETS = re.compile(_STRING + rb"|([\[{])|([\]}])", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Fault:
    """`reason` is a clause such as “expecting ',' delimiter”; lines and columns count from 1."""

    line: int
    column: int
    reason: str


def faulty_line(path: Path, near: int) -> Fault | None:
    """The first line of a JSON Lines file that is no JSON value. `near` is about which value it is, counted from 1."""
    for number, line in _values(path, after=near - _WINDOW, count=2 * _WINDOW):
        try:
            orjson.loads(line.rstrip())
        except orjson.JSONDecodeError as error:
            return Fault(number, error.colno, error.msg.partition(": line")[0])
    return None


def line_of_value(path: Path, value: int) -> int | None:
    """The line of a value of a JSON Lines file, counted from 1: empty lines are no values."""
    return next((number for number, _ in _values(path, after=value - 1, count=1)), None)


def _values(path: Path, *, after: int, count: int) -> Iterator[tuple[int, bytes]]:
    """Some lines that hold values, with their numbers."""
    seen = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            seen += 1
            if seen > after + count:
                return
            if seen > after:
                yield number, line


def faulty_document(path: Path) -> Fault | None:
    """Where a file of JSON values over several lines goes wrong; None for a file too large to look through."""
    if path.stat().st_size > LOOKED_THROUGH_BYTES:
        return None
    text, position = path.read_bytes().decode(errors="replace"), 0
    decoder = json.JSONDecoder(parse_constant=_refuse)
    try:
        while position < len(text):
            if text[position].isspace() or text[position] == "\ufeff":
                position += 1
            else:
                position = decoder.raw_decode(text, position)[1]
    except json.JSONDecodeError as error:
        return Fault(error.lineno, error.colno, error.msg[:1].lower() + error.msg[1:])
    except (RecursionError, ValueError):
        return None
    return None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def not_finite(text: bytes) -> tuple[int, str] | None:
    """The line of the first number that JSON does not have (NaN, Infinity) or that no computer number holds (1e999)."""
    if re.search(rb"nan|inf|e\+?\d\d\d|\d{300}", text, re.IGNORECASE) is None:
        return None
    for found in _STRINGS_AND_NUMBERS.finditer(text):
        if found[1] is not None and not _is_finite(found[1]):
            return text.count(b"\n", 0, found.start()) + 1, found[1].decode(errors="replace")[:50]
    return None


def _is_finite(number: bytes) -> bool:
    try:
        return math.isfinite(float(number))
    except ValueError:
        return True  # no number at all: that is another fault


def too_deep(text: bytes) -> int | None:
    """The line where JSON is nested more deeply than DuckDB reads."""
    depth = 0
    for found in _STRINGS_AND_BRACKETS.finditer(text):
        if found[1] is not None:
            depth += 1
        elif found[2] is not None:
            depth -= 1
        if depth > DEEPEST_JSON:
            return text.count(b"\n", 0, found.start()) + 1
    return None


def long_line(path: Path, most_bytes: int, quote: bytes = b'"') -> int | None:
    """The line of a CSV file where a row begins that is longer than `most_bytes`."""
    begins, length, open_quote = 1, 0, False
    with path.open("rb") as file:
        for number, line in enumerate(_pieces(file, most_bytes), 1):
            if not open_quote:
                begins, length = number, 0
            length += len(line)
            if length > most_bytes:
                return begins
            open_quote ^= line.count(quote) % 2 == 1
    return None


def line_of_record(path: Path, record: int, quote: bytes, begins_with: bytes) -> int | None:
    """The line of a CSV file where a record begins that DuckDB calls line `record`: it counts no line breaks inside of
    quoted values. None where that line does not begin so, or the file is too large to look through.
    """
    if path.stat().st_size > SEARCHED_CSV_BYTES:
        return None
    seen, open_quote = 0, False
    with _unpacked(path) as file:
        for number, line in enumerate(_pieces(file, LONGEST_PIECE), 1):
            if not open_quote:
                seen += 1
                if seen == record:
                    return number if line.lstrip().startswith(begins_with) else None
            open_quote ^= line.count(quote) % 2 == 1
    return None


def _unpacked(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else path.open("rb")  # type: ignore[return-value]


def _pieces(file: BinaryIO, most_bytes: int) -> Iterator[bytes]:
    """Lines, none of them read further than it takes to see that it is too long."""
    read = file.readline
    while line := read(most_bytes + 1):
        yield line


def start_of(path: Path, size: int = LOOKED_THROUGH_BYTES) -> bytes:
    with path.open("rb") as file:
        return file.read(size)
