"""A page of a table, as JSON."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from flexiroaster.data.confinement import Confinement
from flexiroaster.data.reading import Tables
from flexiroaster.data.table import Column, TableRef
from flexiroaster.data.values import json_safe

MAX_ROWS = 1_000
_MAX_TEXT = 2_000
"""A cell's text is cut here: a preview is for looking, a download for the whole."""
TABLE = "previewed"


@dataclass(frozen=True, slots=True)
class Preview:
    columns: tuple[Column, ...]
    rows: list[list[Any]]
    offset: int
    total_rows: int


def preview(
    ref: TableRef, confinement: Confinement, *, offset: int = 0, limit: int = 100, scratch: Path | None = None
) -> Preview:
    """Rows `offset` … `offset + limit` in the table's order. Counts the table only if nobody has."""
    with tempfile.TemporaryDirectory(prefix="preview-", dir=scratch) as folder:
        return _preview(ref, confinement, max(offset, 0), max(0, min(limit, MAX_ROWS)), Path(folder))


def _preview(ref: TableRef, confinement: Confinement, offset: int, limit: int, scratch: Path) -> Preview:
    with Tables.open({TABLE: ref}, replace(confinement, shared=()), scratch) as tables:
        rows = tables.session.rows(f"SELECT * FROM {TABLE} LIMIT {limit} OFFSET {offset}")
        total = ref.rows
        if total is None:
            total = int(tables.session.row(f"SELECT count(*) FROM {TABLE}")[0])
        columns = tables.columns(TABLE)
    cells = [[_cell(value, column) for value, column in zip(row, columns, strict=True)] for row in rows]
    return Preview(columns, cells, offset, total)


def _cell(value: Any, column: Column) -> Any:
    safe = orjson.loads(value) if column.type == "JSON" and value is not None else json_safe(value)
    return f"{safe[:_MAX_TEXT]}…" if isinstance(safe, str) and len(safe) > _MAX_TEXT else safe
