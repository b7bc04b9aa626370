"""Checks a table against rules in one scan, and sets the rows aside that break them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flexiroaster.data.quoting import literal, name
from flexiroaster.data.reading import FILE, FILE_ROW, ROW, UNPARSED, Opened, ReadOptions, lenient, scan, scan_text
from flexiroaster.data.rules import Rule, key_of, type_rule
from flexiroaster.data.session import Session
from flexiroaster.data.table import Column, TableRef
from flexiroaster.data.values import json_safe
from flexiroaster.engine.errors import Location, StageFailed

RULES = "_rules"
_BAD = "bad_rows"
_CONTENT = "bad_rows_content"
_REPEATED = "repeated_keys"
TABLE = "checked_rows"


@dataclass(frozen=True, slots=True)
class Typed:
    """A table whose columns have the wanted types, as a numbered scan of Parquet.

    `rules` report the cells that do not fit (they read as NULL); `original` gives their text by column.
    """

    scan: str
    columns: tuple[Column, ...]
    rules: list[Rule]
    original: dict[str, str]
    casts: dict[str, str] = field(default_factory=dict)
    """Columns that the Parquet file holds as another type."""
    has_files: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule's result; `samples` are its first rows."""

    rule: Rule
    failed: int
    samples: list[dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        return {
            "rule": self.rule.rule, "column": self.rule.column, "failed": self.failed,
            "expected": self.rule.says.replace("{value}", "…"), "samples": self.samples,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Checked:
    rows: int
    invalid: int
    findings: list[Finding]


def typed_parquet(source: Opened, wanted: dict[str, str]) -> Typed:
    """A single Parquet file, read where it is: casts happen while reading."""
    stored = {column.name: column.type for column in source.ref.columns}
    casts = {column: type_name for column, type_name in wanted.items() if stored[column] != type_name}
    earlier = source.options.casts
    options = source.options.model_copy(update={"casts": {**earlier, **casts}})
    columns = tuple(Column(name=c, type=casts.get(c, stored[c])) for c in stored)
    raw = {column: f"_raw_{position}" for position, column in enumerate(casts | earlier)}
    texts = [f"CAST({name(column)} AS VARCHAR) AS {name(text)}" for column, text in raw.items()]
    ref = source.ref.model_copy(update={"columns": columns})
    numbered = scan(replace(source, ref=ref, options=options), numbered=True, also=texts)
    rules = [
        type_rule(column, (casts | earlier).get(column, stored[column]),
                  f"{name(text)} IS NOT NULL AND {name(column)} IS NULL")
        for column, text in raw.items()
    ]  # fmt: skip
    original = {column: name(text) for column, text in raw.items()}
    return Typed(numbered, columns, rules, original, casts=options.casts)


def ingest(session: Session, source: Opened, wanted: dict[str, str], path: Path) -> Typed:
    """Write the table as one Parquet file with the wanted types.

    This costs no more than loading it into memory, every later look is fast, and what was checked is what later
    stages read, whatever happens to the source. Strict reading is a fifth faster, so it is tried first; cells that do
    not fit are kept as text beside the typed columns.
    """
    columns = tuple(
        Column(name=column.name, type=wanted.get(column.name, column.type)) for column in source.ref.columns
    )
    typed = replace(source, ref=source.ref.model_copy(update={"columns": columns}))
    several = len(source.files) > 1 and source.ref.format == "csv"
    if source.ref.format == "parquet":
        session.write(scan(source), path)
        copy = TableRef(table=path.as_uri(), columns=source.ref.columns)
        return typed_parquet(Opened(copy, ReadOptions(), (path,), None), wanted)
    try:
        session.write(_with_file(typed, scan) if several else scan(typed), path)
    except StageFailed as error:
        if error.code != "bad_value":
            raise
        return _ingest_leniently(session, typed, columns, path, several=several)
    return Typed(_numbered(columns, path, [FILE] if several else []), columns, [], {}, has_files=several)


def _ingest_leniently(
    session: Session, source: Opened, columns: tuple[Column, ...], path: Path, *, several: bool
) -> Typed:
    is_json = source.ref.format != "csv"
    text = {c.name: f"({name(c.name)} ->> '$')" if is_json else name(c.name) for c in columns}
    cast = {c.name: _cast_text(c, source.options, text[c.name]) for c in columns if c.type not in ("VARCHAR", "JSON")}
    misfits = {c: f"{text[c]} IS NOT NULL AND {sql} IS NULL" for c, sql in cast.items()}
    chosen = [
        f"{cast.get(c.name, name(c.name) if c.type == 'JSON' else text[c.name])} AS {name(c.name)}" for c in columns
    ]
    texts = ", ".join(f"{name(c)} := CASE WHEN {condition} THEN {text[c]} END" for c, condition in misfits.items())
    chosen.append(f"CASE WHEN {' OR '.join(misfits.values())} THEN struct_pack({texts}) END AS {name(UNPARSED)}")
    chosen += [name(FILE)] if several else []
    relation = _with_file(source, scan_text) if several else scan_text(source)
    session.write(f"SELECT {', '.join(chosen)} FROM ({relation})", path)
    hidden = [UNPARSED, *([FILE] if several else [])]
    original = {c: f"{name(UNPARSED)}.{name(c)}" for c in cast}
    types = {column.name: column.type for column in columns}
    rules = [type_rule(c, types[c], f"{original[c]} IS NOT NULL") for c in cast]
    return Typed(_numbered(columns, path, hidden), columns, rules, original, has_files=several)


def _cast_text(column: Column, options: ReadOptions, text: str) -> str:
    """Nested types are cast from the JSON itself, plain ones from the text."""
    nested = ("(" in column.type and not column.type.startswith("DECIMAL")) or column.type.endswith("]")
    return f"TRY_CAST({name(column.name)} AS {column.type})" if nested else lenient(column, options, text)


def _with_file(source: Opened, read: Callable[[Opened], str]) -> str:
    """The scan with each row's file, so that a bad row can be found again."""
    column = source.options.file_column or FILE
    if source.options.file_column:
        return f"SELECT *, {name(column)} AS {name(FILE)} FROM ({read(source)})"
    options = source.options.model_copy(update={"file_column": FILE})
    columns = (*source.ref.columns, Column(name=FILE, type="VARCHAR"))
    return read(replace(source, ref=source.ref.model_copy(update={"columns": columns}), options=options))


def _numbered(columns: Iterable[Column], path: Path, hidden: Sequence[str] = ()) -> str:
    chosen = ", ".join([*(name(column.name) for column in columns), *map(name, hidden)])
    return (
        f"SELECT {chosen}, file_row_number + 1 AS {name(ROW)} "
        f"FROM read_parquet({literal(path)}, file_row_number = true)"
    )


def check(session: Session, typed: Typed, rules: Sequence[Rule], samples: int) -> Checked:
    """One scan for all rules of rows, and one for each unique key. Leaves the rows' rules in a temporary table."""
    session.view(TABLE, typed.scan)
    session.run(f"CREATE OR REPLACE TEMP TABLE {_BAD} ({name(ROW)} BIGINT, rule INTEGER)")
    by_condition = [(number, rule.broken) for number, rule in enumerate(rules) if rule.broken is not None]
    if by_condition:
        conditions = " OR ".join(f"({broken})" for _, broken in by_condition)
        broken_rules = ", ".join(f"CASE WHEN {broken} THEN {number} END" for number, broken in by_condition)
        session.run(
            f"INSERT INTO {_BAD} SELECT {name(ROW)}, unnest(list_filter([{broken_rules}], lambda x: x IS NOT NULL)) "
            f"FROM {TABLE} WHERE {conditions}"
        )
    for number, rule in enumerate(rules):
        if rule.unique_over:
            _find_repeated(session, number, rule)
    rows = int(session.row(f"SELECT count(*) FROM {TABLE}")[0])
    return summary(session, typed, rules, samples, rows)


def summary(session: Session, typed: Typed, rules: Sequence[Rule], samples: int, rows: int) -> Checked:
    counts = dict(session.rows(f"SELECT rule, count(*) FROM {_BAD} GROUP BY rule"))
    invalid = int(session.row(f"SELECT count(DISTINCT {name(ROW)}) FROM {_BAD}")[0])
    if invalid:
        # Their content is read once, for the samples and for the quarantine.
        session.run(
            f"CREATE OR REPLACE TEMP TABLE {_CONTENT} AS "
            f"SELECT * FROM {TABLE} WHERE {name(ROW)} IN (SELECT {name(ROW)} FROM {_BAD})"
        )
    shown = _samples(session, typed, rules, samples) if invalid else {}
    return Checked(rows, invalid, [Finding(r, counts.get(n, 0), shown.get(n, [])) for n, r in enumerate(rules)])


def add_broken(session: Session, found: Path) -> None:
    """Rows found elsewhere: a CSV file of row numbers and rule numbers."""
    session.run(
        f"INSERT INTO {_BAD} SELECT * FROM read_csv({literal(found)}, header = false, auto_detect = false, "
        "delim = ',', columns = {'r': 'BIGINT', 'n': 'INTEGER'})"
    )


def _find_repeated(session: Session, number: int, rule: Rule) -> None:
    key = key_of(rule)
    present = " AND ".join(f"{name(column)} IS NOT NULL" for column in rule.unique_over)
    session.run(
        f"CREATE OR REPLACE TEMP TABLE {_REPEATED} AS "
        f"SELECT {key} FROM {TABLE} WHERE {present} GROUP BY {key} HAVING count(*) > 1"
    )
    if session.row(f"SELECT count(*) FROM {_REPEATED}")[0] == 0:
        return
    # Only now, and only among the repeated keys, is it worth finding which row came first.
    session.run(
        f"INSERT INTO {_BAD} SELECT {name(ROW)}, {number} FROM ("
        f"SELECT {name(ROW)}, row_number() OVER (PARTITION BY {key} ORDER BY {name(ROW)}) AS occurrence "
        f"FROM {TABLE} SEMI JOIN {_REPEATED} USING ({key})) WHERE occurrence > 1"
    )


def _samples(session: Session, typed: Typed, rules: Sequence[Rule], samples: int) -> dict[int, list[dict[str, Any]]]:
    picked = session.rows(
        f"SELECT rule, {name(ROW)} FROM {_BAD} "
        f"QUALIFY row_number() OVER (PARTITION BY rule ORDER BY {name(ROW)}) <= {max(samples, 1)} ORDER BY ALL"
    )
    values = _values(session, typed, {rule.column for rule in rules if rule.column}, {row for _, row in picked})
    files = _places(session, {row for _, row in picked}) if typed.has_files else {}
    shown: dict[int, list[dict[str, Any]]] = {}
    for number, row in picked:
        sample: dict[str, Any] = {"row": row}
        if row in files:
            sample["file"], sample["row"] = files[row]
        column = rules[number].column
        if column is not None:
            sample["value"] = values[row][column]
        shown.setdefault(number, []).append(sample)
    return shown


def _values(session: Session, typed: Typed, columns: set[str], rows: set[int]) -> dict[int, dict[str, Any]]:
    wanted = sorted(columns)
    chosen = [
        f"coalesce({typed.original[c]}, CAST({name(c)} AS VARCHAR))" if c in typed.original else name(c) for c in wanted
    ]
    listed = ", ".join(map(str, sorted(rows)))
    found = session.rows(f"SELECT {', '.join([name(ROW), *chosen])} FROM {_CONTENT} WHERE {name(ROW)} IN ({listed})")
    return {row[0]: {c: json_safe(value) for c, value in zip(wanted, row[1:], strict=True)} for row in found}


def _places(session: Session, rows: set[int]) -> dict[int, tuple[str, int]]:
    """Which file, and which row of it, a row of several files' table is."""
    listed = ", ".join(map(str, sorted(rows)))
    found = session.rows(
        f"SELECT t.{name(ROW)}, t.{name(FILE)}, t.{name(ROW)} - f.first + 1 AS {name(FILE_ROW)} FROM {TABLE} t "
        f"JOIN (SELECT {name(FILE)}, min({name(ROW)}) AS first FROM {TABLE} GROUP BY 1) f USING ({name(FILE)}) "
        f"WHERE t.{name(ROW)} IN ({listed})"
    )
    return {row: (file, file_row) for row, file, file_row in found}


def quarantine_query(typed: Typed, rules: Sequence[Rule]) -> str:
    """The rows that break a rule: their number, the rules, and every column, as text where a cell did not fit."""
    labels = literal([rule.label for rule in rules])
    columns = [
        f"coalesce({typed.original[c.name]}, CAST({name(c.name)} AS VARCHAR)) AS {name(c.name)}"
        if c.name in typed.original
        else f"t.{name(c.name)}"
        for c in typed.columns
    ]
    file = [f"t.{name(FILE)}"] if typed.has_files else []
    return (
        f"SELECT {', '.join([f't.{name(ROW)}', *file, f'b.{name(RULES)}', *columns])} FROM {_CONTENT} t JOIN ("
        f"SELECT {name(ROW)}, list_transform(list_sort(list(rule)), lambda n: ({labels})[n + 1]) AS {name(RULES)} "
        f"FROM {_BAD} GROUP BY 1) b USING ({name(ROW)}) ORDER BY t.{name(ROW)}"
    )


def first_failure(checked: Checked, file: str | None) -> tuple[str, Location]:
    """The sentence of the first bad row, and its place."""
    broken = [finding for finding in checked.findings if finding.samples]
    first = min(broken, key=lambda finding: finding.samples[0]["row"])
    sample, rule = first.samples[0], first.rule
    value = None if sample.get("value") is None else str(sample["value"])[:200]
    says = rule.says.replace("{value}", value or "")
    subject = f"column '{rule.column}' {says}" if rule.column else says
    place = sample.get("file") or file
    where = f"{place}, row {sample['row']}" if place else f"row {sample['row']}"
    return f"{where}: {subject}", Location(file=place, row=sample["row"], column=rule.column, value=value)


def digest(*files: Path | None) -> str:
    """Of what the files hold: equal digests mean equal data."""
    result = hashlib.sha256()
    for path in files:
        if path is None:
            continue
        with path.open("rb") as file:
            result.update(hashlib.file_digest(file, "sha256").digest())
    return result.hexdigest()
