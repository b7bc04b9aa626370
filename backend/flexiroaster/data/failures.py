"""DuckDB's errors as sentences: which file, line, column and value, and the cure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from flexiroaster.data import locating
from flexiroaster.engine.errors import Location, StageFailed

# The texts are DuckDB 2.0's; tests/data/test_failures.py provokes each of them with a real file.
_CSV_LINE = re.compile(r"CSV Error on Line: (\d+)")
_ORIGINAL = re.compile(r"Original Line: ?(.*)")
_FILE = re.compile(r"^\s*file = (.+)$", re.MULTILINE)
_QUOTE = re.compile(r"^\s*quote = (\S) \(", re.MULTILINE)
_CELL = re.compile(r'Error when converting column "(.*?)"\. Could not convert string "(.*?)" to \'(.+?)\'', re.DOTALL)
_WIDTH = re.compile(r"Expected Number of Columns: (\d+) Found: (\d+)")
_LONG_LINE = re.compile(r"aximum line size of (\d+)")
_JSON_SYNTAX = re.compile(r'Malformed JSON in file "(.+?)", at byte (\d+) in (line|record/value) (\d+): (.+)')
_JSON_VALUE = re.compile(r'JSON transform error in file "(.+?)", in (line|record/value) (\d+): (.+)')
_CAST = re.compile(r"Could not convert (?:string|value) ['\"](.*?)['\"] to (\w+)(?:.*?column (\w+))?", re.DOTALL)
_QUOTED_FILE = re.compile(r"(?:file|File) ['\"](.+?)['\"]|(?:stream: |ZIP stream: )(\S+)")
_NO_PARQUET = ("Footer length error", "No magic bytes found", "too small to be a Parquet file", "Invalid Parquet")
_JSON_TWICE = re.compile(r'uplicate name "*(.+?)"* in struct auto-detected')
NOT_FINITE = "flexiroaster: not a finite number in column "
"""What `error()` says in the queries that read JSON."""
_TYPE_WORDS = {
    "VARCHAR": "text",
    "BIGINT": "a whole number",
    "DOUBLE": "a number",
    "BOOLEAN": "true or false",
    "DATE": "a date",
}


def explain(error: Exception, shown: Mapping[str, str]) -> StageFailed:
    """A StageFailed for an error that DuckDB raised. `shown` maps paths to the names their user gave them."""
    text = str(error)
    kind = type(error).__name__
    if kind == "InterruptException":
        return stopped()
    if kind == "OutOfMemoryException":
        return _out_of_memory(text)
    if "No space left on device" in text:
        return disk_full()
    return (
        _csv(text, shown)
        or _json(text, shown)
        or _other_file(text, shown)
        or _conversion(kind, text)
        or _unknown(kind, text, shown)
    )


def stopped() -> StageFailed:
    return StageFailed("The stage was stopped before it was done.", code="cancelled", kind="cancelled")


def disk_full(what: str = "this stage's result") -> StageFailed:
    return StageFailed(
        f"The disk is full: {what} could not be written, and nothing of it was kept. Free some space and retry.",
        code="disk_full",
        kind="transient",
    )


def bad_cell(file: str, line: int, column: str, wanted: str, value: str, *, row: int | None = None) -> StageFailed:
    return StageFailed(
        f"{file}, line {line}: column '{column}' expected {type_in_words(wanted)}, got '{value}'.",
        code="bad_value",
        kind="data",
        location=Location(file=file, line=line, row=row, column=column, value=value),
        suggestion=(
            f"Correct the cell; or add '{value}' to `null_values` of the input stage; or give the column a type "
            f"(`types: {{{column}: text}}`); or add a validation stage with `max_invalid`, which sets such rows aside."
        ),
    )


def type_in_words(type_name: str) -> str:
    return _TYPE_WORDS.get(type_name, type_name.lower())


def _csv(text: str, shown: Mapping[str, str]) -> StageFailed | None:
    found = _CSV_LINE.search(text)
    file = _shown_file(_FILE.search(text), shown)
    if "Error when sniffing file" in text:
        return StageFailed(
            f"{_quoted_file(text, shown)} could not be read as CSV: no delimiter gives the same number of columns in "
            "every line. Set `delimiter`, `quote`, `header` or `skip` at the input stage, or its right `format`.",
            code="not_csv",
            kind="data",
            location=Location(file=_quoted_file(text, shown)),
        )
    if not found:
        return None
    original = _ORIGINAL.search(text)
    excerpt = (original[1] if original else "").strip()[:200]
    line = _line_in_file(text, int(found[1]), excerpt, shown)
    if cell := _CELL.search(text):
        return bad_cell(file, line, cell[1], cell[3], cell[2][:200])
    if width := _WIDTH.search(text):
        return _ragged(file, line, int(width[1]), int(width[2]), excerpt)
    if "unicode" in text:
        return wrong_encoding(file, line=line)
    if long := _LONG_LINE.search(text):
        return _csv_fault(
            file,
            _long_line(text, int(long[1]), shown) or line,
            excerpt,
            "a line is longer than 2 MB",
            "line_too_long",
            "Usually a quote is not closed, or the delimiter or `format` is wrong.",
        )
    if "quote" in text:
        return _csv_fault(
            file,
            line,
            excerpt,
            "a quoted value is not closed or is followed by other text",
            "bad_quote",
            "Close the quote, double a quote inside a value, or set `quote` at the input stage ('' for none).",
        )
    reason = text.splitlines()[2] if len(text.splitlines()) > 2 else text
    return _csv_fault(file, line, excerpt, reason.strip().rstrip("."), "bad_csv", "Correct this line of the file.")


def _line_in_file(text: str, record: int, excerpt: str, shown: Mapping[str, str]) -> int:
    """DuckDB counts records: where values hold line breaks they are fewer than lines."""
    file, quote = _FILE.search(text), _QUOTE.search(text)
    path = _readable(file[1].strip(), shown) if file else None
    if path is None or quote is None or not excerpt:
        return record
    return locating.line_of_record(path, record, quote[1].encode(), excerpt[:50].encode()) or record


def _long_line(text: str, most_bytes: int, shown: Mapping[str, str]) -> int | None:
    found = _FILE.search(text)
    path = _readable(found[1].strip(), shown) if found else None
    return None if path is None else locating.long_line(path, most_bytes)


def _readable(path: str, shown: Mapping[str, str]) -> Path | None:
    """The file of a message, if it is one of the session's: a message may quote what a table holds."""
    return Path(path) if path in shown and Path(path).is_file() else None


def _ragged(file: str, line: int, expected: int, found: int, excerpt: str) -> StageFailed:
    more = found > expected
    cure = (
        "Quote values that contain the delimiter, or set the right `delimiter` at the input stage."
        if more
        else "Complete the line, or set `short_rows: fill` at the input stage to read missing values as empty."
    )
    return _csv_fault(file, line, excerpt, f"has {found} values where {expected} are expected", "ragged_row", cure)


def _csv_fault(file: str, line: int, excerpt: str, reason: str, code: str, cure: str) -> StageFailed:
    return StageFailed(
        f"{file}, line {line}: {reason}. {cure}",
        code=code,
        kind="data",
        location=Location(file=file, line=line, value=excerpt or None),
        suggestion=cure,
    )


def wrong_encoding(
    file: str, *, encoding: str = "utf-8", line: int | None = None, byte: int | None = None
) -> StageFailed:
    where = f"{file}, line {line}" if line else file
    at = f" at byte {byte}" if byte is not None else ""
    cure = "Set `encoding` at the input stage: `latin-1` or `cp1252` for western files, `utf-16` for exports of Excel."
    return StageFailed(
        f"{where}: the text is not {encoding}{at}. {cure}",
        code="wrong_encoding",
        kind="data",
        location=Location(file=file, line=line),
        suggestion=cure,
        details={} if byte is None else {"byte": byte},
    )


def _json(text: str, shown: Mapping[str, str]) -> StageFailed | None:
    if found := _JSON_SYNTAX.search(text):
        return _json_syntax(_readable(found[1], shown), _name(found[1], shown), found)
    if found := _JSON_TWICE.search(text):
        return keys_too_similar(_any_of(shown), found[1])
    if "JSON exceeds maximum recursion depth" in text:
        return _too_deep(shown)
    if NOT_FINITE in text:
        return _not_finite(shown, text.partition(NOT_FINITE)[2].splitlines()[0])
    if found := _JSON_VALUE.search(text):
        file, row, path = _name(found[1], shown), int(found[3]), _readable(found[1], shown)
        line = locating.line_of_value(path, row) if path is not None and found[2] == "line" else None
        where = f"line {line}" if line else f"record {row}"
        reason = found[4].splitlines()[0].strip().rstrip(".")
        return StageFailed(
            f"{file}, {where}: {_lower_first(reason)}. Correct the record, or give its column "
            "a type at the input stage (`types: {column: text}`).",
            code="bad_value",
            kind="data",
            location=Location(file=file, line=line, row=row),
        )
    return None


def _json_syntax(path: Path | None, file: str, found: re.Match[str]) -> StageFailed:
    """DuckDB counts the values of a file, not its lines, and one too many."""
    near = max(1, int(found[4]) - 1)
    in_lines = found[3] == "line"
    fault = None
    if path is not None:
        fault = locating.faulty_line(path, near) if in_lines else locating.faulty_document(path)
    if fault is None:
        where, reason = f"{file}, value {near}", f"{found[5].strip().rstrip('.')} at byte {found[2]} of the value"
    else:
        where, reason = f"{file}, line {fault.line}", f"{fault.reason} at character {fault.column}"
    cure = "Correct the line; JSON Lines need one complete value in each." if in_lines else "Correct the file there."
    return StageFailed(
        f"{where}: not valid JSON ({_lower_first(reason)}). {cure}",
        code="bad_json",
        kind="data",
        location=Location(file=file, line=fault.line if fault else None, row=near),
    )


def _too_deep(shown: Mapping[str, str]) -> StageFailed:
    """DuckDB names no file: the first one that is so deep."""
    found = ((file, locating.too_deep(start)) for file, start in _starts(shown))
    file, line = next((each for each in found if each[1] is not None), (_any_of(shown), None))
    where = f"{file}, line {line}" if line else file
    return StageFailed(
        f"{where}: JSON is nested more than {locating.DEEPEST_JSON} deep, the most that can be read: flatten it first.",
        code="bad_json",
        kind="data",
        location=Location(file=file, line=line),
    )


def _not_finite(shown: Mapping[str, str], column: str) -> StageFailed:
    for file, start in _starts(shown):
        if found := locating.not_finite(start):
            return number_not_finite(file, *found)
    return number_not_finite(_any_of(shown), None, "NaN", column)


def _starts(shown: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    for path, file in shown.items():
        if Path(path).is_file():
            yield file, locating.start_of(Path(path))


def _any_of(shown: Mapping[str, str]) -> str:
    return " or ".join(dict.fromkeys(shown.values())) or "the file"


def number_not_finite(file: str, line: int | None, number: str, column: str | None = None) -> StageFailed:
    where = f"{file}, line {line}" if line else f"{file}, column '{column}'"
    return StageFailed(
        f"{where}: {number} is not a finite number. Write null for a missing value, or a text in quotes.",
        code="bad_value",
        kind="data",
        location=Location(file=file, line=line, column=column, value=number),
    )


def keys_too_similar(file: str, key: str, other: str | None = None) -> StageFailed:
    """Column names differ by more than their case; DuckDB would keep the values of one key and lose the other's."""
    keys = f"the keys '{key}' and '{other}' differ" if other else f"an object has keys that differ from '{key}'"
    return StageFailed(
        f"{file}: {keys} only in upper and lower case, which columns cannot: rename one.",
        code="duplicate_column",
        kind="data",
        location=Location(file=file, column=key),
    )


def _other_file(text: str, shown: Mapping[str, str]) -> StageFailed | None:
    file = _quoted_file(text, shown)
    if any(mark in text for mark in _NO_PARQUET) or ("parquet" in text.lower() and "corrupt" in text.lower()):
        return StageFailed(
            f"{file} is not a Parquet file, or its end is missing: write it again, or set its right `format`.",
            code="not_parquet",
            kind="data",
            location=Location(file=file),
        )
    if "Cannot access file" in text or "disabled by configuration" in text:
        return StageFailed(
            f"{file} is outside the folders that this stage may use.",
            code="outside_data_dirs",
            location=Location(file=file),
        )
    if "No files found" in text or "No such file" in text:
        return StageFailed(
            f"{file} no longer exists.", code="file_not_found", kind="data", location=Location(file=file)
        )
    return None


def _conversion(kind: str, text: str) -> StageFailed | None:
    if kind != "ConversionException":
        return None
    first = text.splitlines()[0].removeprefix("Conversion Error: ").rstrip(".")
    found = _CAST.search(text)
    return StageFailed(
        f"A value does not fit its type: {_lower_first(first)}. Use try_cast(… as …) to read such values as empty, "
        "or a validation stage to set their rows aside.",
        code="bad_value",
        kind="data",
        location=Location(column=found[3], value=found[1][:200]) if found else None,
    )


def _out_of_memory(text: str) -> StageFailed:
    limit = re.search(r"\(([\d.]+ \w+)/([\d.]+ \w+) used\)", text)
    of = f" of {limit[2]}" if limit else ""
    return StageFailed(
        f"The query needs more memory than its limit{of}, even with the disk's help. Select fewer columns before "
        "sorting or joining, aggregate earlier, or raise the memory limit of the data stages.",
        code="out_of_memory",
    )


def _unknown(kind: str, text: str, shown: Mapping[str, str]) -> StageFailed:
    first = text.splitlines()[0] if text else kind
    first = re.sub(r"^\w+(?: \w+)? Error: ", "", first)
    for path, name in shown.items():
        first = first.replace(path, name)
    candidates = re.search(r"Candidate bindings: (.+)", text)
    known = f". There are: {candidates[1].strip()}" if candidates else ""
    return StageFailed(f"The query failed: {_lower_first(first).rstrip('.!')}{known}.", code="query_failed")


def _shown_file(found: re.Match[str] | None, shown: Mapping[str, str]) -> str:
    return _name(found[1].strip(), shown) if found else "the file"


def _quoted_file(text: str, shown: Mapping[str, str]) -> str:
    found = _QUOTED_FILE.search(text)
    return _name((found[1] or found[2]).rstrip("."), shown) if found else next(iter(shown.values()), "the file")


def _name(path: str, shown: Mapping[str, str]) -> str:
    return shown.get(path) or Path(path).name


def _lower_first(text: str) -> str:
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]
