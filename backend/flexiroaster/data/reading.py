"""How a table reference is read: its files, made readable where necessary, as one SELECT."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from flexiroaster.data import limits as machine
from flexiroaster.data.confinement import Confinement
from flexiroaster.data.expanding import PLAIN, expand
from flexiroaster.data.failures import NOT_FINITE
from flexiroaster.data.quoting import literal, name, paths
from flexiroaster.data.session import OnCancel, Session
from flexiroaster.data.table import Column, TableRef
from flexiroaster.engine.errors import StageFailed

ROW = "_flexiroaster_row"
"""The column that numbers rows where a table is read with row numbers: from 0, as Parquet files do, because DuckDB then
reads only the rows looked for. Names like this one are ours: a table may well have a column `_row`."""
FILE = "_flexiroaster_file"
UNPARSED = "_flexiroaster_unparsed"
"""In an ingested Parquet file: the original text of cells that do not fit their column's type, by column."""
BROKEN = "_flexiroaster_broken"
"""In an ingested Parquet file: true where a row breaks a rule that needs no other row, otherwise empty."""
WITHOUT_ROW = "_row"
"""In the file of `TableRef.without`: the numbers (from 1) of the rows that do not count."""
MAX_JSON_RECORD_BYTES = 64 << 20
CSV_BUFFER_BYTES = 4 << 20
LARGE_CSV_BYTES = 64 << 20
LARGE_CSV_BUFFER_BYTES = 8 << 20
"""A thread's share of a CSV file. DuckDB's own 32 MB keep files up to that size on one core; with 4 MB they are read by
all. Of a large file 8 MB make some percent less work, and 150 MB more memory on two cores; 32 MB are no faster. At
least twice the longest line (2 MB)."""


class ReadOptions(BaseModel):
    """`TableRef.options`: how its source is read. Everything is settled; nothing is guessed at reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    paths: list[str] | None = None
    """All files of the table, where it has several; `table` is then the first."""
    delimiter: str = ","
    quote: str = '"'
    escape: str = '"'
    header: bool = True
    skip: int = 0
    null_values: list[str] = []
    encoding: str = "utf-8"
    gzip: bool = False
    date_format: str | None = None
    timestamp_format: str | None = None
    decimal: str = "."
    short_rows: Literal["fail", "fill"] = "fail"
    parts: dict[str, list[str]] | None = None
    """The column names by path, where files with different columns are put together by name; the first path's are
    those of every path left out."""
    json_format: Literal["newline_delimited", "array", "unstructured"] = "newline_delimited"
    records: bool = True
    """False where a JSON file holds plain values: the table has the one column `value`."""
    file_column: str | None = None
    casts: dict[str, str] = {}
    """Columns of a Parquet file that are read as another type; what does not fit becomes NULL."""


def options_of(ref: TableRef) -> ReadOptions:
    try:
        return ReadOptions.model_validate(ref.options)
    except ValidationError as error:
        first = error.errors()[0]
        raise StageFailed(
            f"The table reference has a wrong option {'.'.join(map(str, first['loc']))!r}: {first['msg']}. "
            "Use the `data` of another stage's result as it is.",
            code="bad_table",
        ) from error


@dataclass(frozen=True, slots=True)
class Opened:
    """A table reference whose files are known to be allowed and readable."""

    ref: TableRef
    options: ReadOptions
    files: tuple[Path, ...]
    without: Path | None

    @property
    def single_parquet(self) -> bool:
        return self.ref.format == "parquet" and len(self.files) == 1


class Tables:
    """A session with named tables, each a view of its source. Use as a context manager."""

    def __init__(self, session: Session, opened: Mapping[str, Opened]) -> None:
        self.session = session
        self.opened = dict(opened)
        for table, source in opened.items():
            session.view(table, scan(source))

    @classmethod
    def open(
        cls,
        refs: Mapping[str, TableRef],
        confinement: Confinement,
        scratch: Path,
        *,
        files: Iterable[Path] = (),
        folders: Iterable[Path] = (),
        on_cancel: OnCancel | None = None,
        cancelled: threading.Event | None = None,
    ) -> Self:
        shown: dict[str, str] = {}
        opened = {
            table: open_ref(ref, confinement, scratch / f"expanded-{number}", shown, cancelled)
            for number, (table, ref) in enumerate(refs.items())
        }
        readable = [file for source in opened.values() for file in (*source.files, source.without) if file]
        writable = [*folders, *([confinement.artifact_dir] if confinement.artifact_dir else [])]
        session = Session(
            files=[*readable, *files],
            folders=writable,
            scratch=scratch,
            shown=shown,
            shared=confinement.shared,
            on_cancel=on_cancel,
        )
        try:
            return cls(session, opened)
        except BaseException:
            session.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.session.close()

    def columns(self, table: str) -> tuple[Column, ...]:
        return self.opened[table].ref.columns or self.session.columns(f"SELECT * FROM {name(table)}")


def open_ref(
    ref: TableRef,
    confinement: Confinement,
    scratch: Path,
    shown: dict[str, str],
    cancelled: threading.Event | None = None,
) -> Opened:
    """Check every path of a reference and expand what DuckDB cannot read as it is. Fills `shown`."""
    options = options_of(ref)
    files = []
    for number, uri in enumerate(options.paths or [ref.table]):
        file = confinement.source(uri)
        called = confinement.shown(file)
        if needs_expanding(ref.format, options):
            plain = scratch / str(number) / file.name.removesuffix(".gz")
            file = expand(
                file,
                plain,
                called,
                gzipped=options.gzip,
                encoding=options.encoding,
                limits=machine.current(),
                cancelled=cancelled,
            ).resolve()
        shown[str(file)] = called
        files.append(file)
    without = confinement.source(ref.without) if ref.without else None
    return Opened(ref, options, tuple(files), without)


def needs_expanding(format: str, options: ReadOptions) -> bool:
    return format != "parquet" and (options.gzip or options.encoding not in PLAIN)


def scan(source: Opened, *, numbered: bool = False, also: Sequence[str] = ()) -> str:
    """The SELECT that reads the table: its columns, `_row` where `numbered`, and `also` expressions."""
    ref, options = source.ref, source.options
    count_rows = numbered or source.without is not None
    relation, number = _relation(source, count_rows=count_rows)
    chosen = [_column(column, options) for column in ref.columns] or ["*"]
    if numbered:
        chosen.append(f"{number} AS {name(ROW)}")
    conditions = [f"{name(key)} IS NOT DISTINCT FROM {literal(value)}" for key, value in (ref.equals or {}).items()]
    if source.without is not None:
        left_out = f"SELECT {name(WITHOUT_ROW)} - 1 FROM read_parquet({literal(source.without)})"
        conditions.append(f"{number} NOT IN ({left_out})")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"SELECT {', '.join([*chosen, *also])} FROM {relation}{where}"


def scan_text(source: Opened) -> str:
    """The same rows with every column as the text in the file (`VARCHAR`; `JSON` for JSON), and unfiltered."""
    as_text = "JSON" if source.ref.format in ("json", "jsonl") else "VARCHAR"
    columns = tuple(Column(name=column.name, type=as_text) for column in source.ref.columns)
    text = source.ref.model_copy(update={"columns": columns, "without": None, "equals": None})
    return scan(Opened(text, source.options, source.files, None))


def lenient(column: Column, options: ReadOptions, text: str) -> str:
    """An expression that reads a text as the column's type, NULL where it does not fit."""
    if column.type == "DATE" and options.date_format:
        return f"CAST(try_strptime({text}, {literal(options.date_format)}) AS DATE)"
    if column.type == "TIMESTAMP" and options.timestamp_format:
        return f"try_strptime({text}, {literal(options.timestamp_format)})"
    if options.decimal == "," and column.type.startswith(("DOUBLE", "DECIMAL")):
        text = f"replace(replace({text}, '.', ''), ',', '.')"
    return f"TRY_CAST({text} AS {column.type})"


def _column(column: Column, options: ReadOptions) -> str:
    if column.name == options.file_column:
        return f"parse_filename({name(FILE)}) AS {name(column.name)}"
    wanted = options.casts.get(column.name)
    return f"TRY_CAST({name(column.name)} AS {wanted}) AS {name(column.name)}" if wanted else name(column.name)


def _relation(source: Opened, *, count_rows: bool) -> tuple[str, str]:
    """FROM what, and which expression numbers its rows."""
    if source.ref.format == "parquet":
        flags = _flags(source)
        if source.single_parquet:
            flags += ", file_row_number = true" if count_rows else ""
            return f"read_parquet({paths(source.files)}{flags})", "file_row_number"
        relation = f"read_parquet({paths(source.files)}{flags}, union_by_name = true)"
    elif source.ref.format == "csv":
        relation = _csv(source)
    else:
        relation = _json(source)
    if not count_rows:
        return relation, ""
    return f"(SELECT *, row_number() OVER () - 1 AS {name(ROW)} FROM {relation})", name(ROW)


def _flags(source: Opened) -> str:
    return f", filename = {literal(FILE)}" if source.options.file_column else ""


def _csv(source: Opened) -> str:
    options, stored = source.options, _stored(source)
    if options.parts is None:
        return _csv_files(source, source.files, stored)
    by_name = {column.name: column for column in stored}
    common = next(iter(options.parts.values()))
    selects = [
        f"SELECT * FROM {_csv_files(source, [file], [by_name[part] for part in options.parts.get(uri, common)])}"
        for file, uri in zip(source.files, options.paths or [source.ref.table], strict=True)
    ]
    return f"({' UNION ALL BY NAME '.join(selects)})"


def _csv_files(source: Opened, files: Sequence[Path], columns: Sequence[Column]) -> str:
    options = source.options
    settings = {
        "auto_detect": False,
        "columns": {column.name: column.type for column in columns},
        "delim": options.delimiter,
        "quote": options.quote,
        "escape": options.escape,
        "header": options.header,
        "skip": options.skip,
        "nullstr": ["", *options.null_values],
        "compression": "none",
        "buffer_size": _buffer_bytes(files),
    }
    if options.date_format:
        settings["dateformat"] = options.date_format
    if options.timestamp_format:
        settings["timestampformat"] = options.timestamp_format
    if options.decimal != ".":
        settings["decimal_separator"] = options.decimal
    if options.short_rows == "fill":
        settings["null_padding"] = True
    given = ", ".join(f"{key} = {literal(value)}" for key, value in settings.items())
    return f"read_csv({paths(files)}, {given}{_flags(source)})"


def _buffer_bytes(files: Sequence[Path]) -> int:
    large = sum(file.stat().st_size for file in files) >= LARGE_CSV_BYTES
    return LARGE_CSV_BUFFER_BYTES if large else CSV_BUFFER_BYTES


def _json(source: Opened) -> str:
    options = source.options
    columns = {("json" if not options.records else column.name): column.type for column in _stored(source)}
    relation = (
        f"read_json({paths(source.files)}, columns = {literal(columns)}, format = {literal(options.json_format)}, "
        f"records = {literal(options.records)}, compression = 'none', "
        f"maximum_object_size = {MAX_JSON_RECORD_BYTES}{_flags(source)})"
    )
    if not options.records:
        relation = f"(SELECT * RENAME (json AS {name(source.ref.columns[0].name)}) FROM {relation})"
    return _finite(relation, _stored(source))


def _finite(relation: str, columns: Iterable[Column]) -> str:
    """DuckDB reads NaN and Infinity, which JSON does not have and which no JSON could be written from."""
    replaced = ", ".join(
        f"CASE WHEN isfinite({sql}) OR {sql} IS NULL THEN {sql} ELSE error({says}) END AS {sql}"
        for sql, says in (
            (name(column.name), literal(NOT_FINITE + column.name))
            for column in columns
            if column.type in ("DOUBLE", "FLOAT")
        )
    )
    return f"(SELECT * REPLACE ({replaced}) FROM {relation})" if replaced else relation


def _stored(source: Opened) -> list[Column]:
    return [column for column in source.ref.columns if column.name != source.options.file_column]
