"""Column types of DuckDB as Spark says them. Spark has fewer: some are carried as another type and come back as they
were, others cannot be said."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from flexiroaster.data.table import Column
from flexiroaster.engine.errors import Location, StageFailed

_SAME = {
    "BOOLEAN": "BOOLEAN",
    "TINYINT": "TINYINT",
    "SMALLINT": "SMALLINT",
    "INTEGER": "INT",
    "BIGINT": "BIGINT",
    "FLOAT": "FLOAT",
    "DOUBLE": "DOUBLE",
    "VARCHAR": "STRING",
    "JSON": "STRING",
    "BLOB": "BINARY",
    "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMP_NTZ",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP_LTZ",
}
_WIDER = {
    "UTINYINT": "SMALLINT",
    "USMALLINT": "INT",
    "UINTEGER": "BIGINT",
    "UBIGINT": "DECIMAL(20,0)",
    "HUGEINT": "DECIMAL(38,0)",
    "UUID": "STRING",
    '"NULL"': "STRING",
}
"""A type that holds all values (of HUGEINT those that a table can keep)."""
_STORED = {"UTINYINT": "SMALLINT", "USMALLINT": "INTEGER", "UINTEGER": "BIGINT", "UBIGINT": "DECIMAL(20,0)"}
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_NAMED = re.compile(r'\s*("(?:[^"]|"")*"|\w+)\s+(.*)', re.DOTALL)


class CannotCarry(Exception):
    """`type` is a DuckDB type that Spark has no type for."""

    def __init__(self, type_name: str) -> None:
        super().__init__(type_name)
        self.type = type_name


def spark_type(type_name: str) -> str:
    """`STRUCT(a BIGINT, b VARCHAR[])` → `STRUCT<`a`: BIGINT, `b`: ARRAY<STRING>>`. Raises CannotCarry."""
    if type_name.endswith("[]"):
        return f"ARRAY<{spark_type(type_name[:-2])}>"
    if type_name.startswith("STRUCT("):
        fields = ", ".join(f"{quoted(name)}: {spark_type(kind)}" for name, kind in fields_of(type_name))
        return f"STRUCT<{fields}>"
    if type_name.startswith("MAP("):
        key, value = split_parts(type_name[4:-1])
        return f"MAP<{spark_type(key.strip())}, {spark_type(value.strip())}>"
    if type_name.startswith("ENUM("):
        return "STRING"
    if _DECIMAL.fullmatch(type_name):
        return type_name
    found = _SAME.get(type_name) or _WIDER.get(type_name)
    if found is None:
        raise CannotCarry(type_name)
    return found


def column_type(column: Column, where: str = "") -> str:
    try:
        return spark_type(column.type)
    except CannotCarry as error:
        raise StageFailed(
            f"{where}Column '{column.name}' is {column.type}, and Spark has nothing like {error.type}: cast it to text "
            "or leave it out in a stage before, or run this stage without `engine: spark`.",
            code="not_in_spark",
            location=Location(column=column.name),
        ) from error


def is_read_as_it_is(type_name: str) -> bool:
    """Whether Spark reads such a column from Parquet without another reader's help."""
    return not re.search(r"\b(?:U(?:TINYINT|SMALLINT|INTEGER|BIGINT|UID)|HUGEINT|ENUM|NULL)\b", type_name)


def stored(sql: str, type_name: str) -> str:
    """The DuckDB expression of a column whose value Spark can read from Parquet."""
    if is_read_as_it_is(type_name):
        return sql
    return f"CAST({sql} AS {_stored_type(type_name)})"


def _stored_type(type_name: str) -> str:
    if type_name.endswith("[]"):
        return f"{_stored_type(type_name[:-2])}[]"
    if type_name.startswith("STRUCT("):
        return f"STRUCT({', '.join(f'{_double(name)} {_stored_type(kind)}' for name, kind in fields_of(type_name))})"
    if type_name.startswith("MAP("):
        key, value = split_parts(type_name[4:-1])
        return f"MAP({_stored_type(key.strip())}, {_stored_type(value.strip())})"
    if type_name in ("UUID", '"NULL"') or type_name.startswith("ENUM("):
        return "VARCHAR"
    return "DECIMAL(38,0)" if type_name == "HUGEINT" else _STORED.get(type_name, type_name)


def fields_of(struct: str) -> Iterator[tuple[str, str]]:
    for part in split_parts(struct[len("STRUCT(") : -1]):
        found = _NAMED.fullmatch(part)
        if found is None:
            raise CannotCarry(struct)
        name = found[1]
        yield (name[1:-1].replace('""', '"') if name.startswith('"') else name), found[2].strip()


def split_parts(text: str) -> list[str]:
    """At the commas outside brackets and quotes."""
    parts, depth, start, in_quotes = [], 0, 0, False
    for position, char in enumerate(text):
        if char == '"':
            in_quotes = not in_quotes
        elif in_quotes:
            continue
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def text_literal(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _double(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def schema(columns: Sequence[Column]) -> str:
    return ", ".join(f"{quoted(column.name)} {column_type(column)}" for column in columns)


INTEGERS = frozenset(
    ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
)
FLOATS = frozenset(("FLOAT", "DOUBLE"))
MOMENTS = frozenset(("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"))


def is_decimal(type_name: str) -> bool:
    return _DECIMAL.fullmatch(type_name) is not None


def is_numeric(type_name: str) -> bool:
    return type_name in INTEGERS or type_name in FLOATS or is_decimal(type_name)
