"""Checks a table against rules in one scan, and sets the rows aside that break them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flexiroaster.data import limits as machine
from flexiroaster.data.ingesting import Typed
from flexiroaster.data.quoting import literal, name
from flexiroaster.data.reading import FILE, ROW, WITHOUT_ROW
from flexiroaster.data.rules import Rule, key_of
from flexiroaster.data.session import Session
from flexiroaster.data.values import json_safe
from flexiroaster.engine.errors import Location

_RULES = "_rules"
_FILE = "_file"
_BAD = "bad_rows"
_NUMBERS = "bad_row_numbers"
_CONTENT = "bad_row_content"
_REPEATED = "repeated_keys"
_BLOCKS = "repeated_blocks"
_SUSPECTED = "suspected_keys"
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
_DIGESTED_BYTES = 16 << 20
_SPARSEST = 16
"""Keys lie close to each other up to this many numbers for each row: then four rows or more share a block."""
TABLE = "checked_rows"


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


def begin(session: Session, typed: Typed) -> None:
    """Make the table known as `TABLE`, whose rows are numbered."""
    session.view(TABLE, typed.scan)


def check(
    session: Session, typed: Typed, samples: int, found: Path | None = None, broken: str | None = None
) -> Checked:
    """One scan for all rules of rows, one for each unique key, and one for the content of bad rows if there are any.

    Call `begin` first. `found` is a CSV file of rows that break rules without a condition: row and rule numbers.
    `broken` is a query that gives those of all other rules, where they have been looked for elsewhere.
    """
    session.run(f"CREATE OR REPLACE TEMP TABLE {_BAD} ({name(ROW)} BIGINT, rule INTEGER)")
    if found is not None:
        _add_found(session, found)
    if broken is not None:
        session.run(f"INSERT INTO {_BAD} {broken}")
        _take_content(session, None)
    else:
        _find_broken(session, typed)
    invalid = int(session.row(f"SELECT count(DISTINCT {name(ROW)}) FROM {_BAD}")[0])
    rows = int(session.row(f"SELECT count(*) FROM {TABLE}")[0])
    counts = dict(session.rows(f"SELECT rule, count(*) FROM {_BAD} GROUP BY rule"))
    shown = _samples(session, typed, samples) if invalid else {}
    findings = [Finding(rule, counts.get(n, 0), shown.get(n, [])) for n, rule in enumerate(typed.rules)]
    return Checked(rows, invalid, findings)


def _find_broken(session: Session, typed: Typed) -> None:
    types = {column.name: column.type for column in typed.columns}
    for number, rule in enumerate(typed.rules):
        if rule.unique_over:
            _find_repeated(session, number, rule, types)
    if _take_content(session, typed.broken):
        _add_conditions(session, typed.rules)


def _add_found(session: Session, found: Path) -> None:
    session.run(
        f"INSERT INTO {_BAD} SELECT * FROM read_csv({literal(found)}, header = false, auto_detect = false, "
        "delim = ',', columns = {'r': 'BIGINT', 'n': 'INTEGER'})"
    )


def _take_content(session: Session, broken: str | None) -> bool:
    """Keep every column of the bad rows, which are mostly few: for their rules, the samples and the quarantine. They
    are those found so far, and those for which `broken` is true."""
    session.run(
        f"CREATE OR REPLACE TEMP TABLE {_NUMBERS} AS SELECT {name(ROW)} FROM {_BAD}"
        + (f" UNION ALL SELECT {name(ROW)} FROM {TABLE} WHERE {broken}" if broken else "")
    )
    if session.row(f"SELECT count(*) FROM {_NUMBERS}")[0] == 0:
        return False
    session.run(
        f"CREATE OR REPLACE TEMP TABLE {_CONTENT} AS "
        f"SELECT * FROM {TABLE} WHERE {name(ROW)} IN (SELECT {name(ROW)} FROM {_NUMBERS})"
    )
    return True


def _add_conditions(session: Session, rules: Sequence[Rule]) -> None:
    conditions = [(number, rule.broken) for number, rule in enumerate(rules) if rule.broken is not None]
    each = ", ".join(f"CASE WHEN {broken} THEN {number} END" for number, broken in conditions)
    if each:
        session.run(
            f"INSERT INTO {_BAD} SELECT {name(ROW)}, "
            f"unnest(list_filter([{each}], lambda x: x IS NOT NULL)) FROM {_CONTENT}"
        )


def _find_repeated(session: Session, number: int, rule: Rule, types: Mapping[str, str]) -> None:
    key = key_of(rule)
    keys = _suspected(session, rule, types)
    if keys is None:
        return
    present = " AND ".join(f"{name(column)} IS NOT NULL" for column in rule.unique_over)
    session.run(
        f"CREATE OR REPLACE TEMP TABLE {_REPEATED} AS "
        f"SELECT {key} FROM {keys} WHERE {present} GROUP BY {key} HAVING count(*) > 1"
    )
    if session.row(f"SELECT count(*) FROM {_REPEATED}")[0] == 0:
        return
    # Only now, and only among the repeated keys, is it worth finding which row came first.
    session.run(
        f"INSERT INTO {_BAD} SELECT {name(ROW)}, {number} FROM ("
        f"SELECT {name(ROW)}, row_number() OVER (PARTITION BY {key} ORDER BY {name(ROW)}) AS occurrence "
        f"FROM {keys} SEMI JOIN {_REPEATED} USING ({key})) WHERE occurrence > 1"
    )


def _suspected(session: Session, rule: Rule, types: Mapping[str, str]) -> str | None:
    """The table that holds the keys which may be repeated: all of them, or where they are whole numbers close to each
    other, as ids are, those of the blocks of 64 numbers that have more rows than numbers. None where no block has.

    There are few blocks to count in, so this takes a fifth of the work of counting every key.
    """
    if len(rule.unique_over) > 1 or types[rule.unique_over[0]] not in _INTEGERS:
        return TABLE
    key = key_of(rule)
    least, most, count = session.row(f"SELECT min({key})::HUGEINT, max({key})::HUGEINT, count({key}) FROM {TABLE}")
    if count == 0 or most - least > count * _SPARSEST:
        return TABLE
    block, bit = f"({key}::BIGINT >> 6)", f"1::UBIGINT << ({key}::BIGINT & 63)::UBIGINT"
    session.run(
        f"CREATE OR REPLACE TEMP TABLE {_BLOCKS} AS SELECT {block} AS block FROM {TABLE} "
        f"WHERE {key} IS NOT NULL GROUP BY block HAVING count(*) <> bit_count(bit_or({bit}))"
    )
    if session.row(f"SELECT count(*) FROM {_BLOCKS}")[0] == 0:
        return None
    session.run(
        f"CREATE OR REPLACE TEMP TABLE {_SUSPECTED} AS SELECT {name(ROW)}, {key} FROM {TABLE} "
        f"WHERE {block} IN (SELECT block FROM {_BLOCKS})"
    )
    return _SUSPECTED


def _samples(session: Session, typed: Typed, samples: int) -> dict[int, list[dict[str, Any]]]:
    picked = session.rows(
        f"SELECT rule, {name(ROW)} FROM {_BAD} "
        f"QUALIFY row_number() OVER (PARTITION BY rule ORDER BY {name(ROW)}) <= {max(samples, 1)} ORDER BY ALL"
    )
    values = _values(session, typed, {rule.column for rule in typed.rules if rule.column}, {row for _, row in picked})
    files = _places(session, {row for _, row in picked}) if typed.has_files else {}
    shown: dict[int, list[dict[str, Any]]] = {}
    for number, row in picked:
        sample: dict[str, Any] = {"row": row + 1}
        if row in files:
            sample["file"], sample["row"] = files[row]
        column = typed.rules[number].column
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
        f"SELECT t.{name(ROW)}, t.{name(FILE)}, t.{name(ROW)} - f.first + 1 FROM {TABLE} t "
        f"JOIN (SELECT {name(FILE)}, min({name(ROW)}) AS first FROM {TABLE} GROUP BY 1) f USING ({name(FILE)}) "
        f"WHERE t.{name(ROW)} IN ({listed})"
    )
    return {row: (file, file_row) for row, file, file_row in found}


def quarantine_query(typed: Typed) -> str:
    """The rows that break a rule: their number, the rules, and every column, as text where a cell did not fit."""
    labels = literal([rule.label for rule in typed.rules])
    ours = {WITHOUT_ROW: f"t.{name(ROW)} + 1", _FILE: f"t.{name(FILE)}", _RULES: "b.rules"}
    if not typed.has_files:
        del ours[_FILE]
    called = _apart([c.name for c in typed.columns], ours)
    columns = {
        called[c.name]: f"coalesce({typed.original[c.name]}, CAST({name(c.name)} AS VARCHAR))"
        if c.name in typed.original
        else f"t.{name(c.name)}"
        for c in typed.columns
    }
    chosen = ", ".join(f"{sql} AS {name(column)}" for column, sql in (ours | columns).items())
    return (
        f"SELECT {chosen} FROM {_CONTENT} t JOIN ("
        f"SELECT {name(ROW)}, list_transform(list_sort(list(rule)), lambda n: ({labels})[n + 1]) AS rules "
        f"FROM {_BAD} GROUP BY 1) b USING ({name(ROW)}) ORDER BY t.{name(ROW)}"
    )


def _apart(columns: list[str], ours: Mapping[str, str]) -> dict[str, str]:
    """What columns are called beside ours: a quarantine that is checked again has columns of the same names."""
    taken = {*ours, *(column.lower() for column in columns)}
    called = {}
    for column in columns:
        free = column
        while free.lower() in ours or (free != column and free.lower() in taken):
            free += "_"
        taken.add(free.lower())
        called[column] = free
    return called


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
    """Of what the files hold: equal digests mean equal data. Parts are digested on all cores, then their digests."""
    parts = [
        (path, start) for path in files if path is not None for start in range(0, path.stat().st_size, _DIGESTED_BYTES)
    ]
    with ThreadPoolExecutor(max_workers=machine.current().threads) as cores:
        return hashlib.sha256(b"".join(cores.map(_digest_of, parts))).hexdigest()


def _digest_of(part: tuple[Path, int]) -> bytes:
    path, start = part
    result, left = hashlib.sha256(), _DIGESTED_BYTES
    with path.open("rb") as file:
        file.seek(start)
        while left and (chunk := file.read(min(left, 1 << 20))):
            result.update(chunk)
            left -= len(chunk)
    return result.digest()
