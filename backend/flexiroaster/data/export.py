"""Tables as files that people download: CSV that no spreadsheet runs, JSON, Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from flexiroaster.data.quoting import literal, name
from flexiroaster.data.reading import Tables
from flexiroaster.data.session import PARQUET
from flexiroaster.data.table import Column

ExportFormat = Literal["csv", "json", "parquet"]

_OPTIONS: dict[ExportFormat, str] = {
    "csv": "FORMAT csv, HEADER true",
    "json": "FORMAT json, ARRAY true",
    "parquet": PARQUET,
}
_HARMLESS = (
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
    *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"),
    *("FLOAT", "DOUBLE", "DECIMAL", "BOOLEAN", "DATE", "TIME", "TIMESTAMP", "UUID", "INTERVAL"),
)
_FORMULA = r"^ *[=+\-@\t\r]"


def export(tables: Tables, table: str, format: ExportFormat, path: Path) -> None:
    """Write a table of the session to `path`, which must lie in its scratch folder."""
    query = f"SELECT {_columns(tables, table, format)} FROM {name(table)}"
    tables.session.write(query, path, _OPTIONS[format])


def _columns(tables: Tables, table: str, format: ExportFormat) -> str:
    if format != "csv":
        return "*"
    return ", ".join(f"{_safe(column)} AS {name(_safe_header(column.name))}" for column in tables.columns(table))


def _safe(column: Column) -> str:
    """A text that a spreadsheet would run as a formula gets a leading apostrophe (OWASP: CSV injection)."""
    if column.type.startswith(_HARMLESS) and not column.type.endswith("]"):
        return name(column.name)
    text = f"CAST({name(column.name)} AS VARCHAR)"
    dangerous = f"regexp_matches({text}, {literal(_FORMULA)}) AND TRY_CAST({text} AS DOUBLE) IS NULL"
    return f"CASE WHEN {dangerous} THEN '''' || {text} ELSE {text} END"


def _safe_header(text: str) -> str:
    return f"'{text}" if text.lstrip(" ")[:1] in ("=", "+", "-", "@", "\t", "\r") else text
