"""Column types as users write them, and as DuckDB names them."""

from __future__ import annotations

import re

from flexiroaster.data.quoting import did_you_mean
from flexiroaster.engine.errors import StageFailed

WORDS = {
    "text": "VARCHAR",
    "string": "VARCHAR",
    "integer": "BIGINT",
    "int": "BIGINT",
    "number": "DOUBLE",
    "float": "DOUBLE",
    "decimal": "DECIMAL(18,4)",
    "boolean": "BOOLEAN",
    "bool": "BOOLEAN",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "TIMESTAMP",
    "datetime": "TIMESTAMP",
    "uuid": "UUID",
    "json": "JSON",
}
_PLAIN = frozenset(
    """BIGINT BLOB BOOLEAN DATE DECIMAL DOUBLE FLOAT HUGEINT INTEGER INTERVAL JSON REAL SMALLINT TIME TIMESTAMP
    TIMESTAMPTZ TINYINT UBIGINT UINTEGER USMALLINT UTINYINT UUID VARCHAR""".split()  # noqa: SIM905
)
_SHAPE = re.compile(r"([A-Z]+)(\(\d{1,2}(?:,\d{1,2})?\))?((?:\[\])*)")


def duckdb_type(text: str, where: str = "") -> str:
    """`decimal(12,2)` → `DECIMAL(12,2)`, `integer[]` → `BIGINT[]`. Raises StageFailed for any other text."""
    compact = re.sub(r"\s+", "", text)
    word = WORDS.get(compact.lower().rstrip("[]"))
    if word is not None:
        return word + "[]" * compact.count("[]")
    found = _SHAPE.fullmatch(compact.upper())
    if found and found[1] in _PLAIN and (found[2] is None or found[1] == "DECIMAL"):
        return found[0]
    raise StageFailed(f"{where}There is no column type {text!r}.{did_you_mean(text, WORDS)}", code="unknown_type")


def is_number(type_name: str) -> bool:
    return type_name.startswith(
        ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINY", "USMALL", "UINT", "UBIG", "UHUGE", "FLOAT",
         "DOUBLE", "DECIMAL")
    ) and not type_name.endswith("]")  # fmt: skip


def is_moment(type_name: str) -> bool:
    return type_name.startswith(("DATE", "TIMESTAMP")) and not type_name.endswith("]")


def wider(one: str, other: str) -> str:
    """A type that holds the values of both; text holds everything."""
    if one == other:
        return one
    if is_number(one) and is_number(other):
        return "DOUBLE" if "DOUBLE" in (one, other) or "DECIMAL" in one + other else "BIGINT"
    if is_moment(one) and is_moment(other):
        return "TIMESTAMP"
    return "VARCHAR"
