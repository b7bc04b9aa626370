"""JSON Schema for the records of a table: flat ones become rules in SQL, the rest is checked record by record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from flexiroaster.data.quoting import name
from flexiroaster.data.reading import ROW
from flexiroaster.data.rules import ColumnRules, Rule, column_rules, unique
from flexiroaster.data.session import Session
from flexiroaster.data.table import Column
from flexiroaster.data.types import is_number
from flexiroaster.engine.errors import StageFailed

_ANNOTATIONS = frozenset(
    {"$schema", "$id", "$comment", "title", "description", "default", "examples", "readOnly", "writeOnly"}
)
_RECORD_KEYS = _ANNOTATIONS | {"type", "properties", "required"}
_VALUE_KEYS = _ANNOTATIONS | {
    "type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "pattern", "enum",
}  # fmt: skip
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT")


@dataclass(frozen=True, slots=True)
class TableSchema:
    """A JSON Schema as it applies to a table: to each record (or value), and to their number."""

    record: dict[str, Any] = field(default_factory=dict)
    min_rows: int | None = None
    max_rows: int | None = None
    unique_rows: bool = False


def table_schema(schema: Mapping[str, Any]) -> TableSchema:
    """`type: array` speaks of the whole table, its `items` of a record; any other schema of a record."""
    import jsonschema_rs

    try:
        jsonschema_rs.validator_for(dict(schema))
    except jsonschema_rs.ValidationError as error:
        raise StageFailed(f"`schema` is not a JSON Schema: {error.message}.", code="bad_schema") from error
    if schema.get("type") != "array" and "items" not in schema:
        return TableSchema(dict(schema))
    items = schema.get("items", {})
    return TableSchema(
        items if isinstance(items, dict) else {"not": {}} if items is False else {},
        schema.get("minItems"),
        schema.get("maxItems"),
        bool(schema.get("uniqueItems", False)),
    )


def wanted_types(schema: TableSchema, columns: Mapping[str, str], *, from_text: bool) -> dict[str, str]:
    """Types that columns of a text file are to be read as, because the schema says so."""
    if not from_text:
        return {}
    as_type = {"integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN"}
    properties = schema.record.get("properties", {})
    return {
        column: as_type[given["type"]]
        for column, given in properties.items()
        if column in columns and isinstance(given, dict) and isinstance(given.get("type"), str)
        and given["type"] in as_type and columns[column] == "VARCHAR"
    }  # fmt: skip


def sql_rules(schema: TableSchema, columns: Mapping[str, str]) -> list[Rule] | None:
    """The schema as rules, or None where it says more than columns and SQL can."""
    record = schema.record
    if not record and not schema.unique_rows:
        return []
    properties = record.get("properties", {})
    if set(record) - _RECORD_KEYS or record.get("type", "object") != "object":
        return None
    if not all(_is_flat(given, columns.get(column)) for column, given in properties.items()):
        return None
    required = set(record.get("required", []))
    if not required <= set(columns):
        return None
    named = [*properties, *(column for column in sorted(required) if column not in properties)]
    given = {column: _rules_of(properties.get(column, {}), column in required) for column in named}
    rules = column_rules(given, columns, {})
    if schema.unique_rows:
        rules.append(unique(list(columns)))
    return rules


def _is_flat(given: Any, type_name: str | None) -> bool:
    if given is True or type_name is None:
        return True
    if not isinstance(given, dict) or set(given) - _VALUE_KEYS:
        return False
    if "enum" in given and not all(isinstance(value, str | int | float | bool) for value in given["enum"]):
        return False
    match given.get("type"):
        case None:
            return set(given) <= _ANNOTATIONS | {"enum"}
        case "integer":
            return type_name in _INTEGERS
        case "number":
            return is_number(type_name)
        case "boolean":
            return type_name == "BOOLEAN"
        case "string":
            return type_name == "VARCHAR"
        case _:
            return False


def _rules_of(given: Any, required: bool) -> ColumnRules:
    keys = given if isinstance(given, dict) else {}
    return ColumnRules(
        required=required, not_null=required,
        min=keys.get("minimum"), max=keys.get("maximum"),
        above=keys.get("exclusiveMinimum"), below=keys.get("exclusiveMaximum"),
        min_length=keys.get("minLength"), max_length=keys.get("maxLength"),
        pattern=keys.get("pattern"), allowed=keys.get("enum"),
    )  # fmt: skip


def check_records(
    session: Session, table: str, columns: tuple[Column, ...], schema: TableSchema, first_number: int, found: Path
) -> list[Rule]:
    """Check every record in Python (about 100,000 a second); writes `row,rule` lines to `found`."""
    import jsonschema_rs

    validator = jsonschema_rs.validator_for(schema.record)
    is_values = [column.name for column in columns] == ["value"] and schema.record.get("type") != "object"
    numbers: dict[tuple[str, str | None], int] = {}
    rules: list[Rule] = []
    with found.open("w", encoding="utf-8") as out:
        for row, record in _records(session, table, columns):
            instance = record.get("value") if is_values else record
            if validator.is_valid(instance):
                continue
            for key, says in {(_keyword(e), _column(e)): e.message for e in validator.iter_errors(instance)}.items():
                if key not in numbers:
                    numbers[key] = first_number + len(rules)
                    rules.append(Rule(f"schema {key[0]}", key[1], f"breaks the schema: {says}"))
                out.write(f"{row},{numbers[key]}\n")
    return rules


def _records(session: Session, table: str, columns: tuple[Column, ...]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Row numbers and records as JSON has them; an empty value is an absent key."""
    names = [column.name for column in columns]
    chosen = ", ".join(f"to_json({name(column)})" for column in names)
    for row in session.stream(f"SELECT {name(ROW)}, {chosen} FROM {table}"):
        record = {
            column: orjson.loads(text)
            for column, text in zip(names, row[1:], strict=True)
            if text is not None and text != "null"
        }
        yield row[0], record


def _keyword(error: Any) -> str:
    path = list(error.schema_path)
    return str(path[-1]) if path else "false"


def _column(error: Any) -> str | None:
    path = list(error.instance_path)
    return path[0] if path and isinstance(path[0], str) else None
