"""What a JSON source is: one list, lines or values one after another; its columns and their types."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Any

from flexiroaster.data import locating
from flexiroaster.data.failures import keys_too_similar, number_not_finite
from flexiroaster.data.quoting import literal, paths
from flexiroaster.data.reading import MAX_JSON_RECORD_BYTES
from flexiroaster.data.sampling import SAMPLE_BYTES, SAMPLE_ROWS, Sample, inferred
from flexiroaster.data.session import Session
from flexiroaster.data.table import Column
from flexiroaster.engine.errors import Location, StageFailed


def detect_json(session: Session, samples: list[Sample]) -> tuple[list[Column], dict[str, Any], str]:
    """Columns, options and the format's exact name."""
    starts = {sample.start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] for sample in samples}
    if b"" in starts:
        empty = next(sample for sample in samples if not sample.start.strip())
        raise StageFailed(
            f"{empty.shown} holds no JSON value: an empty list is written as [].",
            code="empty_file",
            kind="data",
            location=Location(file=empty.shown),
        )
    for sample in samples:
        _refuse_odd_json(sample)
    json_format = "array" if starts == {b"["} else _lines_or_values(samples[0])
    for sample in samples if json_format == "array" else []:
        _require_end(sample)
    files = paths([sample.file.resolve() for sample in samples])
    described = session.columns(
        f"SELECT * FROM read_json({files}, format = {literal(json_format)}, sample_size = {SAMPLE_ROWS}, "
        f"compression = 'none', union_by_name = true, maximum_object_size = {MAX_JSON_RECORD_BYTES})"
    )
    records = [column.name for column in described] != ["json"]
    if records:
        _refuse_similar_keys(session, samples, json_format, [column.name for column in described])
    columns = [Column(name=column.name if records else "value", type=inferred(column.type)) for column in described]
    return columns, {"json_format": json_format, "records": records}, "jsonl" if json_format[0] == "n" else "json"


def _refuse_odd_json(sample: Sample) -> None:
    """What DuckDB takes for a table although it is none, or for numbers although they are no JSON."""
    start = locating.start_of(sample.file, SAMPLE_BYTES)
    if found := locating.not_finite(start):
        raise number_not_finite(sample.shown, *found)
    value = start.removeprefix(codecs.BOM_UTF8).strip()
    if not value.startswith((b"{", b"[")) and b"\n" not in value and len(start) < SAMPLE_BYTES:
        raise StageFailed(
            f"{sample.shown} holds a single value, {value[:50].decode(errors='replace')}, which is no table: "
            'write a list of values, such as [1, 2], or records, such as [{"n": 1}].',
            code="bad_json",
            kind="data",
            location=Location(file=sample.shown, line=1),
        )


_NUMBERED = re.compile(r"(.+)_\d+")


def _refuse_similar_keys(session: Session, samples: list[Sample], json_format: str, columns: list[str]) -> None:
    """Of keys that differ only in case DuckDB makes columns `A` and `a_1`, and finds the values of neither."""
    lower = {column.lower() for column in columns}
    if not any((found := _NUMBERED.fullmatch(column)) and found[1].lower() in lower for column in columns):
        return
    for sample in samples:
        keys = session.rows(
            f"SELECT DISTINCT unnest(json_keys(json)) FROM (FROM read_json_objects({paths([sample.file.resolve()])}, "
            f"format = {literal(json_format)}, compression = 'none', maximum_object_size = {MAX_JSON_RECORD_BYTES}) "
            f"LIMIT {SAMPLE_ROWS}) ORDER BY 1"
        )
        first: dict[str, str] = {}
        for (key,) in keys:
            if first.setdefault(key.lower(), key) != key:
                raise keys_too_similar(sample.shown, first[key.lower()], key)


def _require_end(sample: Sample) -> None:
    """DuckDB takes a list that breaks off after a comma for a whole one."""
    if sample.file != sample.source:
        return
    with sample.file.open("rb") as file:
        file.seek(max(0, sample.file.stat().st_size - 4096))
        end = file.read().rstrip()
    if end.endswith(b","):
        raise StageFailed(
            f"{sample.shown} ends in the middle of its list: it was cut off; copy or write it again.",
            code="bad_json",
            kind="data",
            location=Location(file=sample.shown),
        )


def _lines_or_values(sample: Sample) -> str:
    """`{…}` may be JSON Lines, or values spread over several lines: the name or the first line tells."""
    import orjson

    if Path(sample.shown.lower().removesuffix(".gz")).suffix in (".jsonl", ".ndjson"):
        return "newline_delimited"
    first = sample.start.splitlines()[0]
    try:
        orjson.loads(first.removeprefix(codecs.BOM_UTF8))
    except orjson.JSONDecodeError:
        complete = first.rstrip().endswith((b"}", b"]"))
        return "newline_delimited" if len(sample.start) >= 4096 or complete else "unstructured"
    return "newline_delimited"
