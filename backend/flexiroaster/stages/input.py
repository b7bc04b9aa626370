"""The stage that names where data comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

import orjson
from pydantic import Field, model_validator

from flexiroaster.data import limits as machine
from flexiroaster.data.detecting import Format, Hints, detect, detect_format
from flexiroaster.data.excel import sheet_to_csv
from flexiroaster.data.reading import open_ref, options_of, scan
from flexiroaster.data.table import TableRef
from flexiroaster.engine.errors import StageFailed
from flexiroaster.engine.outcome import Succeeded
from flexiroaster.stages.base import Stage, StageConfig, StageContext, StageExample
from flexiroaster.stages.tables import as_table, confinement, keep, keep_inline, open_session, result_of

_UNSAID = ("paths", "parts", "casts", "file_column")


class InputConfig(StageConfig):
    """Either `data` or `path`; with neither, the data that the execution was started with."""

    data: Any = Field(None, description="Inline data: a list of records, a list of values, or one object.")
    path: str | list[str] | None = Field(
        None,
        description="A file, a glob such as `sales/*.csv`, or a list of them. Relative to the first data folder.",
        examples=["orders.csv", "sales/**/*.parquet"],
    )
    format: Format | None = Field(None, description="Found from the file's ending and first bytes when left out.")
    encoding: str | None = Field(
        None, description="`utf-8` unless a byte order mark says otherwise.", examples=["latin-1", "cp1252", "utf-16"]
    )
    delimiter: str | None = Field(None, min_length=1, max_length=4, description="CSV: found when left out.")
    quote: str | None = Field(None, max_length=1, description='CSV: `"` when left out; an empty text for none.')
    header: bool = Field(True, description="Whether the first line (after `skip`) names the columns.")
    columns: list[str] | None = Field(None, description="CSV: names of the columns, in order, instead of the header's.")
    skip: int = Field(0, ge=0, description="CSV, Excel: lines to leave out before the header.")
    null_values: list[str] = Field([], description="CSV: texts that mean “no value”.", examples=[["NA", "N/A", "-"]])
    types: dict[str, str] = Field(
        {},
        description=(
            "Column types where the found ones are not right: text, integer, number, decimal(p,s), boolean, date, "
            "time, timestamp, uuid, json."
        ),
        examples=[{"postcode": "text", "amount": "decimal(12,2)"}],
    )
    date_format: str | None = Field(None, description="CSV: how dates are written.", examples=["%d.%m.%Y"])
    timestamp_format: str | None = Field(None, description="CSV: how timestamps are written.")
    decimal: Literal[".", ","] = Field(".", description="CSV: the decimal mark of numbers.")
    short_rows: Literal["fail", "fill"] = Field(
        "fail", description="CSV: what to do with lines of too few values: fail, or read the missing ones as empty."
    )
    by_name: bool = Field(False, description="Several files: put them together by column name although they differ.")
    file_column: str | None = Field(None, description="Add a column of this name with each row's file name.")
    sheet: str | None = Field(None, description="Excel: the sheet's name; the first sheet when left out.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.data is not None and self.path is not None:
            raise ValueError("give either `data` or `path`, not both")
        return self


class InputStage(Stage):
    type = "input"
    summary = "Reads files, or data written in the pipeline."
    description = (
        "Hands on a table by reference: the file stays where it is, and later stages read it. The beginning of a file "
        "tells its format, delimiter and column types; the result states them. Files of up to 1 MB are read whole, so "
        "their rows are counted here and a malformed line fails this stage; in larger files it fails the stage that "
        "meets it. CSV, TSV, JSON, JSON Lines, Parquet and Excel are read, CSV and JSON also with gzip."
    )
    Config = InputConfig
    examples = (
        StageExample("A CSV file", {"path": "orders.csv"}),
        StageExample(
            "A European CSV file",
            {"path": "umsatz.csv", "delimiter": ";", "decimal": ",", "encoding": "cp1252", "date_format": "%d.%m.%Y"},
        ),
        StageExample(
            "Many files as one table",
            {"path": "sales/2026-*.csv.gz", "by_name": True, "file_column": "source_file"},
            "`by_name` allows files whose columns differ.",
        ),
        StageExample(
            "Types that must not be guessed",
            {"path": "orders.csv", "types": {"postcode": "text", "amount": "decimal(12,2)"}, "null_values": ["NA"]},
        ),
        StageExample("One sheet of a workbook", {"path": "budget.xlsx", "sheet": "2026", "skip": 2}),
        StageExample("Data in the pipeline", {"data": [{"region": "eu", "amount": 12.5}]}),
        StageExample("The data that the execution was started with", {}, "`POST …/execute` with a `data` key."),
    )

    def run(self, config: InputConfig, context: StageContext) -> Succeeded:
        if config.path is None:
            return _inline(config.data if config.data is not None else context.data, context)
        return _files(config.path, config, context)


def _inline(data: Any, context: StageContext) -> Succeeded:
    if data is None:
        context.log("warning", "There is no data: set `path` or `data`, or start the execution with `data`.")
        data = []
    ref = as_table(data, context, "data.parquet") if _is_reference(data) else keep_inline(data, context)
    small = not _is_reference(data) and len(orjson.dumps(data, default=str)) <= machine.current().inline_bytes
    result = result_of(ref, format="inline", columns=_columns(ref), count=ref.rows)
    # `input_data` and `count` are the names of the specification's input stage.
    result["input_data"] = data if small else result["data"]
    return Succeeded(result, rows=ref.rows, bytes=ref.bytes)


def _is_reference(data: Any) -> bool:
    return isinstance(data, dict) and "table" in data and "schema" in data


def _files(path: str | list[str], config: InputConfig, context: StageContext) -> Succeeded:
    allowed = confinement(context)
    patterns = [path] if isinstance(path, str) else path
    files = list(dict.fromkeys(file for pattern in patterns for file in allowed.inputs(pattern)))
    if not files:
        raise StageFailed("`path` is an empty list: name at least one file.", code="file_not_found")
    formats = {config.format or detect_format(file, allowed.shown(file)) for file in files}
    if len(formats) > 1:
        raise StageFailed(
            f"`path` names files of different formats ({', '.join(sorted(formats))}): use an input stage for each.",
            code="different_formats",
        )
    format = formats.pop()
    if format == "excel":
        ref = _excel(files, config, context)
    else:
        ref = detect(files, format, _hints(config), allowed, context.scratch_dir, context.on_cancel)
    shown = [allowed.shown(file) for file in files]
    if ref.rows == 0:
        context.log("warning", "The input has columns but no rows.", files=shown[:10])
    read_as = _read_as(ref)
    result = result_of(
        ref, format=format, files=shown, columns=_columns(ref), read_as=read_as, count=ref.rows, input_data=None
    )
    result["input_data"] = result["data"]
    return Succeeded(result, rows=ref.rows, bytes=ref.bytes)


def _hints(config: InputConfig) -> Hints:
    return Hints(
        **config.model_dump(exclude={"data", "path", "sheet"}),
    )


def _excel(files: Sequence[Path], config: InputConfig, context: StageContext) -> TableRef:
    """Sheets become one Parquet artifact: DuckDB cannot read them where they are."""
    allowed = confinement(context)
    sheets = []
    for number, file in enumerate(files):
        sheet = context.scratch_dir.resolve() / f"sheet-{number}" / f"{file.stem}.csv"
        sheet_to_csv(file, sheet, allowed.shown(file), sheet=config.sheet, header=config.header, skip=config.skip)
        sheets.append(sheet)
    hints = _hints(config.model_copy(update={"header": True, "skip": 0, "delimiter": ",", "encoding": None}))
    in_scratch = replace(allowed, data_dirs=(context.scratch_dir,))
    ref = detect(sheets, "csv", hints, in_scratch, context.scratch_dir, context.on_cancel)
    names = {str(sheet): allowed.shown(file) for sheet, file in zip(sheets, files, strict=True)}
    with open_session(context, names) as session:
        return keep(context, session, scan(open_ref(ref, in_scratch, context.scratch_dir, dict(names))))


def _read_as(ref: TableRef) -> dict[str, Any]:
    """How the text of the file is understood, for people to check."""
    always = {"csv": ("encoding", "delimiter", "quote", "header")}.get(ref.format, ())
    options = options_of(ref).model_dump(mode="json")
    return {key: options[key] for key in options if key in always or (key in ref.options and key not in _UNSAID)}


def _columns(ref: TableRef) -> list[dict[str, str]]:
    return [column.model_dump() for column in ref.columns]
