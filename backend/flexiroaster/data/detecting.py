"""What a source file is: format, encoding, delimiter, header, columns and their types, found from its beginning."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from flexiroaster.data import limits as machine
from flexiroaster.data import locating
from flexiroaster.data.confinement import Confinement
from flexiroaster.data.detecting_json import detect_json
from flexiroaster.data.expanding import codec, head
from flexiroaster.data.quoting import did_you_mean, literal, paths
from flexiroaster.data.reading import Opened, ReadOptions, Tables, scan, scan_text
from flexiroaster.data.sampling import SAMPLE_BYTES, SAMPLE_ROWS, Sample, inferred, take_sample
from flexiroaster.data.session import OnCancel, Session
from flexiroaster.data.table import Column, TableRef
from flexiroaster.data.types import duckdb_type, wider
from flexiroaster.engine.errors import Location, StageFailed

Format = Literal["csv", "json", "jsonl", "parquet", "excel"]

_SUFFIXES: dict[str, Format] = {
    ".csv": "csv", ".tsv": "csv", ".tab": "csv", ".txt": "csv",
    ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl",
    ".parquet": "parquet", ".pq": "parquet",
    ".xlsx": "excel", ".xlsm": "excel", ".xlsb": "excel", ".xls": "excel", ".ods": "excel",
}  # fmt: skip
_SAMPLE_FILES = 16
_DELIMITERS = (",", ";", "\t", "|")
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True, slots=True)
class Hints:
    """What the user says about a source; None means: find out."""

    format: Format | None = None
    delimiter: str | None = None
    quote: str | None = None
    header: bool = True
    columns: list[str] | None = None
    skip: int = 0
    null_values: list[str] = field(default_factory=list)
    encoding: str | None = None
    types: dict[str, str] = field(default_factory=dict)
    date_format: str | None = None
    timestamp_format: str | None = None
    decimal: str = "."
    short_rows: Literal["fail", "fill"] = "fail"
    by_name: bool = False
    file_column: str | None = None


def detect_format(path: Path, shown: str) -> Format:
    """By the name's ending, otherwise by the first bytes."""
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    start = head(path, shown, gzipped=is_gzip(path), size=4096)
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        return "excel"
    first = start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if first in (b"{", b"["):
        return "json"
    return "csv"


def is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def detect(
    files: Sequence[Path],
    format: Format,
    hints: Hints,
    confinement: Confinement,
    scratch: Path,
    on_cancel: OnCancel | None = None,
) -> TableRef:
    """A reference to the files with everything settled. `rows` is counted where that is cheap."""
    shown = {str(file): confinement.shown(file) for file in files}
    for file in files:
        _refuse_empty(file, shown[str(file)])
    session = partial(Session, files=files, folders=[], scratch=scratch, shared=confinement.shared, on_cancel=on_cancel)
    if format == "parquet":
        ref = _parquet(files, hints, shown, session)
    else:
        ref = _text(files, hints, shown, scratch, session, _csv if format == "csv" else _json)
    ref = _with_file_column(_with_types(ref, hints), hints)
    _refuse_too_many(len(ref.columns), shown[str(files[0])])
    size = sum(file.stat().st_size for file in files)
    ref = ref.model_copy(update={"bytes": size})
    if size > machine.current().fully_read_bytes or ref.rows is not None:
        return ref
    return ref.model_copy(update={"rows": count_rows(ref, confinement, scratch, on_cancel)})


def count_rows(ref: TableRef, confinement: Confinement, scratch: Path, on_cancel: OnCancel | None) -> int:
    """Reads every row, so that a malformed one is found here. Cells may still not fit their column's type."""
    with Tables.open({"input": ref}, confinement, scratch, on_cancel=on_cancel) as tables:
        source = tables.opened["input"]
        text = scan(source) if ref.format == "parquet" else scan_text(source)
        first = ref.columns[0].name.replace('"', '""')
        query = f'SELECT count(*), count("{first}") FROM ({text})'
        return int(tables.session.row(query)[0])


def _refuse_empty(file: Path, shown: str) -> None:
    if file.stat().st_size == 0:
        raise StageFailed(
            f"{shown} is empty (0 bytes): check what should have written it, or exclude it from the pattern.",
            code="empty_file",
            kind="data",
            location=Location(file=shown),
        )


def _parquet(
    files: Sequence[Path], hints: Hints, shown: dict[str, str], open_session: Callable[..., Session]
) -> TableRef:
    _refuse_text_hints(hints)
    with open_session(shown=shown) as session:
        draft = TableRef(table=files[0].as_uri(), options=_several(files))
        query = scan(Opened(draft, ReadOptions(**draft.options), tuple(files), None))
        schemas = {file: session.columns(f"SELECT * FROM read_parquet({paths([file])})") for file in files[:1]}
        columns = session.columns(query) if len(files) > 1 else schemas[files[0]]
        rows = session.row(f"SELECT count(*) FROM ({query})")[0]
    return draft.model_copy(update={"columns": columns, "rows": int(rows)})


def _refuse_text_hints(hints: Hints) -> None:
    given = {"delimiter": hints.delimiter, "encoding": hints.encoding, "columns": hints.columns}
    wrong = [key for key, value in given.items() if value is not None]
    if wrong:
        raise StageFailed(f"A Parquet file has no {wrong[0]!r}: remove it from the config.", code="bad_hint")


_Read = tuple[list[Column], dict[str, Any], str]
"""Columns, options and the format's exact name."""


def _text(
    files: Sequence[Path],
    hints: Hints,
    shown: dict[str, str],
    scratch: Path,
    open_session: Callable[..., Session],
    read: Callable[[Session, list[Sample], Hints], _Read],
) -> TableRef:
    first = shown[str(files[0])]
    gzipped = is_gzip(files[0])
    if any(is_gzip(file) != gzipped for file in files):
        raise StageFailed(f"Some files beside {first} are gzip and some are not: use two input stages and a union.")
    if not gzipped and files[0].name.lower().endswith(".gz"):
        raise StageFailed(
            f"{first} is not a gzip file: remove `.gz` from its name, or compress it.",
            code="bad_gzip",
            kind="data",
            location=Location(file=first),
        )
    encoding = codec(hints.encoding) if hints.encoding else _encoding(files[0], first, gzipped=gzipped)
    samples = [
        take_sample(file, shown[str(file)], scratch / f"sample-{number}", gzipped=gzipped, encoding=encoding)
        for number, file in enumerate(_to_sample(files, shown, hints, gzipped=gzipped))
    ]
    names = {str(sample.file.resolve()): sample.shown for sample in samples}
    with open_session(shown={**shown, **names}) as session:
        columns, found, format = read(session, samples, hints)
    options = {**found, **_several(files), "gzip": gzipped, "encoding": encoding}
    return TableRef(
        table=files[0].as_uri(), format=format, columns=tuple(columns), options=_not_default(ReadOptions(**options))
    )


def _to_sample(files: Sequence[Path], shown: dict[str, str], hints: Hints, *, gzipped: bool) -> list[Path]:
    """The first files, and every further one whose header differs: those could be read into the wrong columns."""

    def header(file: Path) -> bytes:
        start = head(file, shown[str(file)], gzipped=gzipped, size=64 << 10)
        return b"".join(start.splitlines()[hints.skip : hints.skip + 1])

    first = header(files[0]) if len(files) > _SAMPLE_FILES else b""
    return [file for n, file in enumerate(files) if n < _SAMPLE_FILES or (hints.header and header(file) != first)]


def _encoding(file: Path, shown: str, *, gzipped: bool) -> str:
    start = head(file, shown, gzipped=gzipped, size=4)
    for bom, encoding in _BOMS:
        if start.startswith(bom):
            return codec(encoding)
    return "utf-8"


def _csv(session: Session, samples: list[Sample], hints: Hints) -> _Read:
    sniffed = [_sniff(session, sample, hints) for sample in samples]
    first = sniffed[0]
    if any([c.name for c in other.columns] != [c.name for c in first.columns] for other in sniffed):
        if not hints.by_name:
            raise _different_columns(samples, sniffed)
        first.options["parts"] = {
            sample.source.as_uri(): [column.name for column in other.columns]
            for sample, other in zip(samples, sniffed, strict=True)
        }
    types: dict[str, str] = {}
    for other in sniffed:
        for column in other.columns:
            types[column.name] = wider(types.get(column.name, column.type), column.type)
    return [Column(name=name, type=type_) for name, type_ in types.items()], first.options, "csv"


@dataclass(frozen=True, slots=True)
class _Sniffed:
    columns: list[Column]
    options: dict[str, Any]


def _sniff(session: Session, sample: Sample, hints: Hints) -> _Sniffed:
    _refuse_many_columns(sample, hints)
    settings: dict[str, Any] = {"sample_size": SAMPLE_ROWS, "header": hints.header, "compression": "none"}
    settings["nullstr"] = ["", *hints.null_values]
    optional = {
        "delim": _delimiter(sample, hints), "quote": _quote(sample, hints), "skip": hints.skip,
        "dateformat": hints.date_format, "timestampformat": hints.timestamp_format,
        "null_padding": True if hints.short_rows == "fill" else None,
        "decimal_separator": hints.decimal if hints.decimal != "." else None,
    }  # fmt: skip
    settings.update({key: value for key, value in optional.items() if value is not None})
    given = ", ".join(f"{key} = {literal(value)}" for key, value in settings.items())
    path = paths([sample.file.resolve()])
    try:
        row = session.row(
            "SELECT Delimiter, Quote, Escape, SkipRows, Columns, DateFormat, TimestampFormat "
            f"FROM sniff_csv({path}, {given})"
        )
    except StageFailed as error:
        _find_bad_line(session, sample, settings, error)
        raise
    delimiter, quote, escape, skip, columns, date_format, timestamp_format = row
    found = [Column(name=column["name"], type=inferred(column["type"])) for column in columns]
    if hints.columns is not None:
        found = _named(found, hints.columns, sample.shown)
    quote = hints.quote if hints.quote is not None else (_given(quote) or '"')
    options = {
        "delimiter": delimiter, "quote": quote, "escape": _given(escape) or quote, "header": hints.header,
        "skip": max(hints.skip, int(skip or 0)), "null_values": hints.null_values,
        "date_format": hints.date_format or date_format, "decimal": hints.decimal,
        "timestamp_format": hints.timestamp_format or timestamp_format, "short_rows": hints.short_rows,
    }  # fmt: skip
    return _Sniffed(found, options)


def _refuse_many_columns(sample: Sample, hints: Hints) -> None:
    """Before the sniffer sees them: 20,000 take a minute until they are written, and nobody meant a table so wide."""
    lines = locating.start_of(sample.file, SAMPLE_BYTES).split(b"\n", hints.skip + 1)
    first = lines[hints.skip] if len(lines) > hints.skip else b""
    mark = _delimiter(sample, hints)
    columns = 1 + max(first.count(each.encode()) for each in ([mark] if mark else _DELIMITERS))
    _refuse_too_many(columns, sample.shown)


def _refuse_too_many(columns: int, shown: str) -> None:
    most = machine.current().columns
    if columns > most:
        raise StageFailed(
            f"{shown} has about {columns:,} columns, more than {most:,}: turn it so that they are rows, or split it. "
            "If it has fewer, set its right `delimiter`.",
            code="too_many_columns",
            kind="data",
            location=Location(file=shown, line=1),
        )


def _find_bad_line(session: Session, sample: Sample, settings: dict[str, Any], error: StageFailed) -> None:
    """The sniffer only says that nothing fits; reading with the header's columns names the line."""
    lines = sample.start.splitlines()
    if error.code != "not_csv" or "delim" not in settings or len(lines) <= settings.get("skip", 0):
        return
    header = lines[settings.get("skip", 0)].decode(errors="replace")
    width = len(next(csv.reader([header], delimiter=settings["delim"])))
    exact = {
        "auto_detect": False, "columns": {f"column_{number}": "VARCHAR" for number in range(width)},
        "delim": settings["delim"], "quote": settings.get("quote", '"'), "header": settings["header"],
        "skip": settings.get("skip", 0), "compression": "none",
    }  # fmt: skip
    given = ", ".join(f"{key} = {literal(value)}" for key, value in exact.items())
    session.row(f"SELECT count(*), count(column_0) FROM read_csv({paths([sample.file.resolve()])}, {given})")


def _delimiter(sample: Sample, hints: Hints) -> str | None:
    """Where the header leaves no doubt; None leaves it to the sniffer, which tries every pair of marks and is slow."""
    if hints.delimiter is not None:
        return hints.delimiter
    if sample.file.name.lower().removesuffix(".gz").endswith((".tsv", ".tab")):
        return "\t"
    lines = sample.start.splitlines()
    header = lines[min(hints.skip, len(lines) - 1)] if lines else b""
    found = [mark for mark in _DELIMITERS if mark.encode() in header]
    # A file of one column has no delimiter to find; the sniffer would take a letter-like one from the values.
    return found[0] if len(found) == 1 else None if found else ","


def _quote(sample: Sample, hints: Hints) -> str | None:
    if hints.quote is not None:
        return hints.quote
    return None if b"'" in sample.start else '"'


def _given(found: str | None) -> str | None:
    return None if found in (None, "", "(empty)", "\0") else found


def _named(found: list[Column], names: list[str], shown: str) -> list[Column]:
    if len(names) != len(found):
        raise StageFailed(
            f"{shown} has {len(found)} columns, but `columns` names {len(names)}: name each once.",
            code="bad_hint",
            location=Location(file=shown),
        )
    return [Column(name=name, type=column.type) for name, column in zip(names, found, strict=True)]


def _different_columns(samples: list[Sample], sniffed: list[_Sniffed]) -> StageFailed:
    first = [column.name for column in sniffed[0].columns]
    position = next(i for i, other in enumerate(sniffed) if [column.name for column in other.columns] != first)
    other = [column.name for column in sniffed[position].columns]
    return StageFailed(
        f"{samples[position].shown} has the columns {', '.join(other)}, but {samples[0].shown} has "
        f"{', '.join(first)}. Set `by_name: true` to put files together by column name, or use a narrower pattern.",
        code="different_columns",
        kind="data",
        location=Location(file=samples[position].shown, line=1),
    )


def _json(session: Session, samples: list[Sample], hints: Hints) -> _Read:
    return detect_json(session, samples)


def _with_types(ref: TableRef, hints: Hints) -> TableRef:
    known = {column.name: column for column in ref.columns}
    for name in hints.types:
        if name not in known:
            raise StageFailed(
                f"`types` names the column '{name}', which the file does not have.{did_you_mean(name, known)}",
                code="unknown_column",
                location=Location(column=name),
            )
    wanted = {name: duckdb_type(text, f"Column '{name}': ") for name, text in hints.types.items()}
    columns = tuple(Column(name=name, type=wanted.get(name, column.type)) for name, column in known.items())
    if ref.format != "parquet" or not wanted:
        return ref.model_copy(update={"columns": columns})
    return ref.model_copy(update={"columns": columns, "options": {**ref.options, "casts": wanted}})


def _with_file_column(ref: TableRef, hints: Hints) -> TableRef:
    if hints.file_column is None:
        return ref
    return ref.model_copy(
        update={
            "columns": (*ref.columns, Column(name=hints.file_column, type="VARCHAR")),
            "options": {**ref.options, "file_column": hints.file_column},
        }
    )


def _several(files: Sequence[Path]) -> dict[str, Any]:
    return {"paths": [file.as_uri() for file in files]} if len(files) > 1 else {}


def _not_default(options: ReadOptions) -> dict[str, Any]:
    return options.model_dump(mode="json", exclude_defaults=True)
