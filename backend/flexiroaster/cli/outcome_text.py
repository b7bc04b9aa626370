"""How an execution ended, for people: the cause with its place and cure, the outputs, the first rows of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from flexiroaster.cli.words import cell
from flexiroaster.engine.plurals import counted

PREVIEW_COLUMNS = 12
INDENT = "  "


def cause(error: Mapping[str, Any], stage: str | None) -> list[str]:
    """The block that is shown for a failure: sentence, place, suggestion."""
    place = where(error.get("location") or {})
    lines = [f"✗ {stage}: {error['message']}" if stage else f"✗ {error['message']}"]
    lines += [f"{INDENT}at    {place}"] if place else []
    lines += [f"{INDENT}cure  {error['suggestion']}"] if error.get("suggestion") else []
    trace = error.get("traceback")
    return lines + ([""] + [INDENT + line for line in trace.rstrip().splitlines()] if trace else [])


def where(location: Mapping[str, Any]) -> str:
    """`file:line`, `row 3`, `column amount`, `value 'x'`: what is known of it."""
    parts = []
    if location.get("file"):
        parts.append(f"{location['file']}:{location['line']}" if location.get("line") else str(location["file"]))
    elif location.get("line"):
        parts.append(f"line {location['line']}")
    for name in ("row", "column"):
        if location.get(name) is not None:
            parts.append(f"{name} {location[name]}")
    if location.get("value") is not None:
        parts.append(f"value {location['value']!r}")
    return ", ".join(parts)


def outputs_text(outputs: Mapping[str, Any]) -> list[str]:
    width = max(map(len, outputs), default=0)
    return [f"{INDENT}{name:<{width}}  {_json(value)}" for name, value in outputs.items()]


def preview_text(columns: Sequence[str], rows: Sequence[Sequence[Any]], total: int) -> list[str]:
    """The first rows in aligned columns; numbers to the right."""
    shown = list(columns[:PREVIEW_COLUMNS])
    table = [[cell(value) for value in row[:PREVIEW_COLUMNS]] for row in rows]
    numeric = [all(isinstance(row[i], int | float | None) for row in rows) for i in range(len(shown))]
    widths = [max([len(name), *(len(row[i]) for row in table)]) for i, name in enumerate(shown)]
    lines = [_aligned(shown, widths, numeric), _aligned(["─" * width for width in widths], widths, numeric)]
    lines += [_aligned(row, widths, numeric) for row in table]
    left = [counted(total - len(rows), "more row")] if total > len(rows) else []
    left += [counted(len(columns) - len(shown), "more column")] if len(columns) > len(shown) else []
    return lines + ([f"{INDENT}and {', '.join(left)}"] if left else [])


def _aligned(cells: Sequence[str], widths: Sequence[int], to_the_right: Sequence[bool]) -> str:
    padded = (
        text.rjust(width) if right else text.ljust(width)
        for text, width, right in zip(cells, widths, to_the_right, strict=True)
    )
    return (INDENT + "  ".join(padded)).rstrip()


def _json(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
