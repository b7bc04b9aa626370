"""Data written in the pipeline or sent with an execution: records, plain values or one object, as JSON Lines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from flexiroaster.engine.errors import StageFailed


def records(data: Any) -> list[Any]:
    """The rows of inline data: a list's items, or one object as the only row."""
    if isinstance(data, Mapping):
        return [dict(data)] if data else []
    if isinstance(data, list | tuple):
        return list(data)
    raise StageFailed(
        f"`data` is {_word(data)}: give a list of records, a list of values, or one object.", code="bad_data"
    )


def holds_records(rows: list[Any]) -> bool:
    """Whether the rows are objects. A mixture is refused: it would be a table of neither."""
    objects = [isinstance(row, Mapping) for row in rows]
    if any(objects) and not all(objects):
        position = objects.index(not objects[0]) + 1
        raise StageFailed(
            f"Row {position} of `data` is {_word(rows[position - 1])} while row 1 is {_word(rows[0])}: "
            "give either records or plain values.",
            code="bad_data",
        )
    return all(objects)


def refuse_similar_keys(rows: list[Any]) -> None:
    """Columns differ by more than their case: DuckDB would lose the values of one key."""
    first: dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        for key in map(str, row):
            if first.setdefault(key.lower(), key) != key:
                raise StageFailed(
                    f"Row {number} of `data` has the key '{key}', which differs from '{first[key.lower()]}' "
                    "only in upper and lower case: rename one.",
                    code="duplicate_column",
                    kind="data",
                )


def write_jsonl(rows: list[Any], path: Path) -> None:
    """One row a line; plain values stay plain."""
    try:
        with path.open("wb") as out:
            for row in rows:
                out.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS))
    except orjson.JSONEncodeError as error:
        raise StageFailed(f"`data` holds a value that JSON cannot: {error}.", code="bad_data") from error


def _word(value: Any) -> str:
    if value is None:
        return "null"
    words = {dict: "an object", list: "a list", str: "text", bool: "a boolean", int: "a number", float: "a number"}
    return words.get(type(value), type(value).__name__)
