"""What is in a table: empty and distinct values, range, mean and distribution of every column."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flexiroaster.data.confinement import Confinement
from flexiroaster.data.quoting import literal, name
from flexiroaster.data.reading import Tables
from flexiroaster.data.session import Session
from flexiroaster.data.table import Column, TableRef
from flexiroaster.data.types import is_moment, is_number
from flexiroaster.data.values import json_safe

TABLE = "profiled"
BUCKETS = 20
TOP_VALUES = 10
_FEW_DISTINCT = 1_000


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """`histogram` has buckets {from, to, count} for numbers and times, the commonest {value, count} for the rest."""

    name: str
    type: str
    nulls: int
    distinct: int | None
    min: Any = None
    max: Any = None
    mean: float | None = None
    histogram: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Profile:
    rows: int
    bytes: int
    columns: list[ColumnProfile]


def profile(ref: TableRef, confinement: Confinement, *, scratch: Path | None = None) -> Profile:
    """Two scans: one for the numbers of every column, one for their distributions."""
    with (
        tempfile.TemporaryDirectory(prefix="profile-", dir=scratch) as folder,
        Tables.open({TABLE: ref}, replace(confinement, shared=()), Path(folder)) as tables,
    ):
        return _profile(tables.session, tables.columns(TABLE), ref)


def _profile(session: Session, columns: tuple[Column, ...], ref: TableRef) -> Profile:
    parts = ["count(*)"]
    for column in columns:
        parts += _statistics(column)
    row = list(session.row(f"SELECT {', '.join(parts)} FROM {TABLE}"))
    rows = int(row.pop(0))
    numbers = [row[i : i + 5] for i in range(0, len(row), 5)]
    histograms = _histograms(session, columns, numbers)
    profiles = [
        ColumnProfile(
            column.name, column.type, rows - int(filled), min(int(distinct), int(filled)), json_safe(least),
            json_safe(most), _mean(mean), histograms.get(column.name, []),
        )
        for column, (filled, distinct, least, most, mean) in zip(columns, numbers, strict=True)
    ]  # fmt: skip
    return Profile(rows, ref.bytes or 0, profiles)


def _statistics(column: Column) -> list[str]:
    sql = name(column.name)
    simple = is_number(column.type) or is_moment(column.type) or column.type in ("VARCHAR", "TIME", "UUID")
    ends = [f"min({sql})", f"max({sql})"] if simple else ["NULL", "NULL"]
    if column.type == "VARCHAR":
        ends = [f"left({end}, 200)" for end in ends]
    finite = f" FILTER (WHERE isfinite({sql}))" if column.type in ("DOUBLE", "FLOAT") else ""
    mean = f"avg({sql}){finite}" if is_number(column.type) else "NULL"
    return [f"count({sql})", f"approx_count_distinct({sql})", *ends, mean]


def _mean(value: Any) -> float | None:
    return None if value is None else float(value)


def _histograms(
    session: Session, columns: tuple[Column, ...], numbers: list[list[Any]]
) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    bucketed = []
    for column, (filled, distinct, least, most, _) in zip(columns, numbers, strict=True):
        if not filled:
            continue
        if (is_number(column.type) or is_moment(column.type)) and least is not None and least < most:
            bucketed.append((column, *_ends(column, least, most)))
        elif distinct <= _FEW_DISTINCT:
            found[column.name] = _top_values(session, column)
    if bucketed:
        found |= _buckets(session, bucketed)
    return found


def _ends(column: Column, least: Any, most: Any) -> tuple[str, float, float]:
    """The column as a number, and its finite ends."""
    sql = name(column.name)
    as_number = f"epoch({sql})" if is_moment(column.type) else f"CAST({sql} AS DOUBLE)"
    return as_number, least, most


def _buckets(session: Session, wanted: list[tuple[Column, str, Any, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Equal buckets from least to most, of all columns in one scan."""
    ends = ", ".join(
        f"min({number}) FILTER (WHERE isfinite({number})), max({number}) FILTER (WHERE isfinite({number}))"
        for _, number, _, _ in wanted
    )
    limits = session.row(f"SELECT {ends} FROM {TABLE}")
    counts = []
    for (_, number, _, _), low, high in zip(wanted, limits[::2], limits[1::2], strict=True):
        width = (high - low) / BUCKETS or 1
        bucket = f"least(floor(({number} - {low!r}) / {width!r}), {BUCKETS - 1})::INTEGER"
        counts.append(f"histogram({bucket}) FILTER (WHERE isfinite({number}))")
    row = session.row(f"SELECT {', '.join(counts)} FROM {TABLE}")
    result = {}
    for (column, _, _, _), low, high, found in zip(wanted, limits[::2], limits[1::2], row, strict=True):
        width = (high - low) / BUCKETS or 1
        edges = [_edge(session, column, low + width * i) for i in range(BUCKETS + 1)]
        result[column.name] = [
            {"from": edges[i], "to": edges[i + 1], "count": (found or {}).get(i, 0)} for i in range(BUCKETS)
        ]
    return result


def _edge(session: Session, column: Column, value: float) -> Any:
    if not is_moment(column.type):
        return value
    return json_safe(session.row(f"SELECT make_timestamp({literal(int(value * 1_000_000))})")[0])


def _top_values(session: Session, column: Column) -> list[dict[str, Any]]:
    sql = name(column.name)
    rows = session.rows(
        f"SELECT {sql}, count(*) FROM {TABLE} WHERE {sql} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {TOP_VALUES}"
    )
    return [{"value": json_safe(value), "count": count} for value, count in rows]
