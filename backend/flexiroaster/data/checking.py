"""Checks a table against rules in one scan, and sets the rows aside that break them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flexiroaster.data.ingesting import Typed
from flexiroaster.data.quoting import literal, name
from flexiroaster.data.reading import FILE, FILE_ROW, ROW
from flexiroaster.data.rules import Rule, key_of
from flexiroaster.data.session import Session
from flexiroaster.data.values import json_safe
from flexiroaster.engine.errors import Location

RULES = "_rules"
_BAD = "bad_rows"
_CONTENT = "bad_rows_content"
_REPEATED = "repeated_keys"
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


def check(session: Session, typed: Typed, samples: int) -> Checked:
    """One scan for all rules of rows, and one for each unique key. Leaves the rows' rules in a temporary table."""
    session.view(TABLE, typed.scan)
    session.run(f"CREATE OR REPLACE TEMP TABLE {_BAD} ({name(ROW)} BIGINT, rule INTEGER)")
    by_condition = [(number, rule.broken) for number, rule in enumerate(typed.rules) if rule.broken is not None]
    if by_condition:
        any_broken = " OR ".join(f"({broken})" for _, broken in by_condition)
        each = ", ".join(f"CASE WHEN {broken} THEN {number} END" for number, broken in by_condition)
        session.run(
            f"INSERT INTO {_BAD} SELECT {name(ROW)}, unnest(list_filter([{each}], lambda x: x IS NOT NULL)) "
            f"FROM {TABLE} WHERE {any_broken}"
        )
    for number, rule in enumerate(typed.rules):
        if rule.unique_over:
            _find_repeated(session, number, rule)
    return summary(session, typed, samples)


def summary(session: Session, typed: Typed, samples: int) -> Checked:
    rows = int(session.row(f"SELECT count(*) FROM {TABLE}")[0])
    counts = dict(session.rows(f"SELECT rule, count(*) FROM {_BAD} GROUP BY rule"))
    invalid = int(session.row(f"SELECT count(DISTINCT {name(ROW)}) FROM {_BAD}")[0])
    if invalid:
        # Their content is read once, for the samples and for the quarantine.
        session.run(
            f"CREATE OR REPLACE TEMP TABLE {_CONTENT} AS "
            f"SELECT * FROM {TABLE} WHERE {name(ROW)} IN (SELECT {name(ROW)} FROM {_BAD})"
        )
    shown = _samples(session, typed, samples) if invalid else {}
    findings = [Finding(rule, counts.get(n, 0), shown.get(n, [])) for n, rule in enumerate(typed.rules)]
    return Checked(rows, invalid, findings)


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


def _samples(session: Session, typed: Typed, samples: int) -> dict[int, list[dict[str, Any]]]:
    picked = session.rows(
        f"SELECT rule, {name(ROW)} FROM {_BAD} "
        f"QUALIFY row_number() OVER (PARTITION BY rule ORDER BY {name(ROW)}) <= {max(samples, 1)} ORDER BY ALL"
    )
    values = _values(session, typed, {rule.column for rule in typed.rules if rule.column}, {row for _, row in picked})
    files = _places(session, {row for _, row in picked}) if typed.has_files else {}
    shown: dict[int, list[dict[str, Any]]] = {}
    for number, row in picked:
        sample: dict[str, Any] = {"row": row}
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
        f"SELECT t.{name(ROW)}, t.{name(FILE)}, t.{name(ROW)} - f.first + 1 AS {name(FILE_ROW)} FROM {TABLE} t "
        f"JOIN (SELECT {name(FILE)}, min({name(ROW)}) AS first FROM {TABLE} GROUP BY 1) f USING ({name(FILE)}) "
        f"WHERE t.{name(ROW)} IN ({listed})"
    )
    return {row: (file, file_row) for row, file, file_row in found}


def quarantine_query(typed: Typed) -> str:
    """The rows that break a rule: their number, the rules, and every column, as text where a cell did not fit."""
    labels = literal([rule.label for rule in typed.rules])
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
