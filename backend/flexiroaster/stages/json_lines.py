"""Rows written as a JSON Lines table, with the columns seen on the way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import IO, Any

import orjson

from flexiroaster.data.table import Column
from flexiroaster.engine.errors import StageFailed

MEDIA_TYPE = "application/x-ndjson"
_INT64 = range(-(2**63), 2**63)


class JsonLines:
    """Writes rows to a binary file. A row that is not an object becomes `{"value": row}`."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._types: dict[str, str | None] = {}
        self.rows = 0

    def write(self, rows: Iterable[Any]) -> int:
        """Write rows and give their number. Raises orjson.JSONEncodeError on what is no JSON."""
        before = self.rows
        for row in rows:
            line = row if isinstance(row, dict) else {"value": row}
            self._file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
            for name, value in line.items():
                self._types[name] = widened(self._types.get(name), value)
            self.rows += 1
        return self.rows - before

    def columns(self) -> tuple[Column, ...]:
        """In the order first seen; a column that was always null is text."""
        return columns_of(self._types)


def columns_of(types: Mapping[str, str | None]) -> tuple[Column, ...]:
    """A table without rows, whose columns nobody knows, gets the one column of plain values: none cannot be read.

    Raises StageFailed where two differ only in case, which columns of a table cannot.
    """
    first: dict[str, str] = {}
    for name in types:
        if (other := first.setdefault(name.lower(), name)) != name:
            raise StageFailed(
                f"The rows have the keys '{other}' and '{name}', which differ only in upper and lower case: "
                "rename one.",
                code="duplicate_column",
                kind="data",
            )
    return tuple(Column(name=name, type=type or "VARCHAR") for name, type in (types or {"value": None}).items())


def widened(type: str | None, value: Any) -> str | None:
    """DuckDB's type for a column so far of `type`, after one more value."""
    new = _type(value)
    if type is None or new is None or type == new:
        return new or type
    return "DOUBLE" if {type, new} == {"BIGINT", "DOUBLE"} else "JSON"


def _type(value: Any) -> str | None:
    match value:
        case None:
            return None
        case bool():
            return "BOOLEAN"
        case int():
            return "BIGINT" if value in _INT64 else "DOUBLE"
        case float():
            return "DOUBLE"
        case str():
            return "VARCHAR"
        case _:
            return "JSON"
