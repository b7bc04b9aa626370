"""`-i key=value`: text becomes what the pipeline's inputs ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer

from flexiroaster.cli.typed_inputs import typed, typed_inputs


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ("5", {"type": "integer"}, 5),
        ("5", {"type": "string"}, "5"),
        ("5.5", {"type": "number"}, 5.5),
        ("5", {"type": "number"}, 5),
        ("true", {"type": "boolean"}, True),
        ("true", {"type": "string"}, "true"),
        ("true", {"type": "integer"}, "true"),
        ("[1, 2]", {"type": "array"}, [1, 2]),
        ("a,b", {"type": "array"}, ["a", "b"]),
        ("1,2", {"type": "array", "items": {"type": "integer"}}, [1, 2]),
        ('{"a": 1}', {"type": "object"}, {"a": 1}),
        ("", {"type": ["string", "null"]}, None),
        ("eu", {"enum": ["all", "eu"]}, "eu"),
        ("2", {"enum": [1, 2]}, 2),
        ("2026-01-05", {"type": "string", "format": "date"}, "2026-01-05"),
        ("many", {"type": "integer"}, "many"),
        ("5", {}, 5),
        ("five", {}, "five"),
        ("=", {"type": "string"}, "="),
        ("NaN", {}, "NaN"),
        ("1e400", {"type": "number"}, "1e400"),
        ("[" * 5_000, {"type": "array"}, "[" * 5_000),
    ],
)
def test_text_becomes_the_declared_type(text: str, schema: dict[str, Any], value: Any) -> None:
    result = typed(text, schema)
    assert (result, type(result)) == (value, type(value))


def test_value_may_hold_an_equals_sign() -> None:
    assert typed_inputs(["where=a=b"], {"where": {"type": "string"}}) == {"where": "a=b"}


def test_value_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text("[1]")
    assert typed_inputs([f"rows=@{tmp_path / 'rows.json'}"], {"rows": {"type": "array"}}) == {"rows": [1]}


@pytest.mark.parametrize("pair", ["key", "=value", ""])
def test_what_is_no_pair_is_refused(pair: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not key=value"):
        typed_inputs([pair], {})


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="the file of rows cannot be read"):
        typed_inputs([f"rows=@{tmp_path / 'gone'}"], {})
