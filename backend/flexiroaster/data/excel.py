"""Excel sheets in and out, through plain files: sheets are small, and DuckDB reads and writes the rest."""

from __future__ import annotations

import csv
import datetime as dt
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from flexiroaster.data import limits as machine
from flexiroaster.data.quoting import did_you_mean
from flexiroaster.data.table import Column
from flexiroaster.engine.errors import Location, StageFailed

MAX_ROWS = 1_048_576
_EXPANDED_BYTES = 1 << 30
"""A workbook is held in memory while it is read."""


def sheet_to_csv(file: Path, target: Path, shown: str, *, sheet: str | None, header: bool, skip: int) -> None:
    """Write one sheet (the first by default) as UTF-8 CSV with a header line."""
    from python_calamine import CalamineError, CalamineWorkbook

    _refuse_bomb(file, shown)
    try:
        workbook = CalamineWorkbook.from_path(str(file))
        name = sheet or next(iter(workbook.sheet_names), None)
        if name is None or name not in workbook.sheet_names:
            raise StageFailed(
                f"{shown} has no sheet {sheet!r}.{did_you_mean(sheet or '', workbook.sheet_names)}",
                code="unknown_sheet",
                location=Location(file=shown),
            )
        rows = workbook.get_sheet_by_name(name).to_python(skip_empty_area=False)
    except (CalamineError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise StageFailed(
            f"{shown} cannot be read as an Excel workbook ({_reason(error)}): save it as .xlsx without a password.",
            code="bad_excel",
            kind="data",
            location=Location(file=shown),
        ) from error
    _write_csv(rows[skip:], target, shown, header=header)


def _refuse_bomb(file: Path, shown: str) -> None:
    if not zipfile.is_zipfile(file):
        return
    with zipfile.ZipFile(file) as archive:
        expanded = sum(entry.file_size for entry in archive.infolist())
    packed = file.stat().st_size
    if expanded > min(_EXPANDED_BYTES, machine.current().expanded_bytes):
        raise StageFailed(
            f"{shown} expands from {packed:,} to {expanded:,} bytes, more than a workbook may have here: "
            "save the sheet as CSV.",
            code="expands_too_much",
            kind="data",
            location=Location(file=shown),
        )


def _write_csv(rows: list[list[Any]], target: Path, shown: str, *, header: bool) -> None:
    while rows and not any(_cell(value) for value in rows[-1]):
        rows.pop()
    if not rows:
        raise StageFailed(
            f"The sheet of {shown} is empty: name another one with `sheet`.",
            code="empty_file",
            kind="data",
            location=Location(file=shown),
        )
    width = max((position + 1 for row in rows for position, value in enumerate(row) if _cell(value)), default=1)
    names = [_cell(value) for value in rows[0][:width]] if header else []
    names += [""] * (width - len(names))
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(_unique(names))
        for row in rows[1:] if header else rows:
            writer.writerow([_cell(value) for value in row[:width]])


def _unique(names: Sequence[str]) -> list[str]:
    """Nameless columns are `column_1`, …; repeated names get a number."""
    taken: set[str] = set()
    result = []
    for position, name in enumerate(names, 1):
        base = name or f"column_{position}"
        unique = next(n for n in (base, *(f"{base}_{i}" for i in range(1, len(names) + 1))) if n.lower() not in taken)
        taken.add(unique.lower())
        result.append(unique)
    return result


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        case dt.datetime() | dt.date() | dt.time():
            return value.isoformat(sep=" ") if isinstance(value, dt.datetime) else value.isoformat()
        case _:
            return str(value)


def write_sheet(
    path: Path, columns: Sequence[Column], rows: Iterable[tuple[Any, ...]], *, sheet: str, header: bool = True
) -> int:
    """Write rows as one sheet; returns their number. Texts stay texts: none becomes a formula or a link."""
    import xlsxwriter

    workbook = xlsxwriter.Workbook(
        str(path),
        {
            "constant_memory": True,
            "tmpdir": str(path.parent),
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "nan_inf_to_errors": True,
        },
    )
    formats = {
        dt.datetime: workbook.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
        dt.date: workbook.add_format({"num_format": "yyyy-mm-dd"}),
        dt.time: workbook.add_format({"num_format": "hh:mm:ss"}),
    }
    page = workbook.add_worksheet(sheet)
    if header:
        page.write_row(0, 0, [column.name for column in columns], workbook.add_format({"bold": True}))
        page.freeze_panes(1, 0)
    written = 0
    for row in rows:
        if written + header >= MAX_ROWS:
            workbook.close()
            raise StageFailed(
                f"The table has more than {MAX_ROWS - header:,} rows, the most that an Excel sheet holds: "
                "write CSV or Parquet, or aggregate first.",
                code="too_many_rows",
            )
        _write_row(page, written + header, row, formats)
        written += 1
    workbook.close()
    return written


def _write_row(page: Any, line: int, row: tuple[Any, ...], formats: dict[type, Any]) -> None:
    for position, value in enumerate(row):
        if isinstance(value, dt.datetime):
            page.write_datetime(line, position, value.replace(tzinfo=None), formats[dt.datetime])
        elif type(value) in formats:
            page.write_datetime(line, position, value, formats[type(value)])
        elif isinstance(value, bool | str | int | float) and not _too_long(value):
            page.write(line, position, value)
        elif value is not None:
            page.write_string(line, position, str(value)[:32_767])


def _too_long(value: Any) -> bool:
    """Excel keeps 15 digits of a number and 32,767 characters of a text."""
    return (isinstance(value, int) and abs(value) >= 10**15) or (isinstance(value, str) and len(value) > 32_767)


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".")[:120] or type(error).__name__
