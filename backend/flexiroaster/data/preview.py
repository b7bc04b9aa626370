"""A page of a table, as JSON."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from flexiroaster.data.confinement import Confinement
from flexiroaster.data.reading import Tables, scan, scan_text
from flexiroaster.data.table import Column, TableRef
from flexiroaster.data.values import json_safe
from flexiroaster.engine.errors import StageFailed

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
        columns = tables.columns(TABLE)
        page = f"SELECT * FROM {TABLE} LIMIT {limit} OFFSET {offset}"
        try:
            rows = tables.session.rows(page)
        except StageFailed as error:
            if error.code != "bad_value" or ref.format == "parquet":
                raise
            # A cell that does not fit its type is what people come to see.
            tables.session.view(TABLE, scan_text(tables.opened[TABLE]))
            rows = tables.session.rows(page)
            columns = tuple(Column(name=c.name, type="JSON" if ref.format != "csv" else "VARCHAR") for c in columns)
        total = ref.rows if ref.rows is not None else _count(tables)
    cells = [[_cell(value, column) for value, column in zip(row, columns, strict=True)] for row in rows]
    return Preview(columns, cells, offset, total)


def _count(tables: Tables) -> int:
    """Of the text, where there is one: cells need not fit their types to be counted."""
    source = tables.opened[TABLE]
    query = scan(source) if source.ref.format == "parquet" else scan_text(source)
    return int(tables.session.row(f"SELECT count(*) FROM ({query})")[0])


def _cell(value: Any, column: Column) -> Any:
    safe = _parsed(value) if column.type == "JSON" and value is not None else json_safe(value)
    return f"{safe[:_MAX_TEXT]}…" if isinstance(safe, str) and len(safe) > _MAX_TEXT else safe


def _parsed(text: str) -> Any:
    """A number such as NaN, which JSON does not have, stays the text that it is."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
