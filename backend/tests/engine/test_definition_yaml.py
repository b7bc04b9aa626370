"""YAML ⇄ document ⇄ JSON is the identity."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexiroaster.engine.definition import to_yaml
from flexiroaster.engine.definition.json_reader import read_json
from flexiroaster.engine.definition.nodes import Source, plain_value
from flexiroaster.engine.definition.yaml_reader import read_yaml
from tests.engine.definition_samples import LOOSE_TYPES, SPECIFICATION, check
from tests.engine.test_definition_validator import EXAMPLE

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30) | st.text(
    "ab:#-?[]{}&*!|>'\"%@`, \n\t.~$0x1", max_size=12
)
WORDS = st.sampled_from(["no", "on", "null", "true", "1:30", "010", "0o7", "1e3", ".5", "2026-01-05", "~", "<<", "---"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | WORDS,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(TEXT | WORDS, below, max_size=4),
    max_leaves=25,
)


def from_yaml(text: str) -> Any:
    duplicates: list[tuple[str, int, int]] = []
    value = plain_value(read_yaml(Source(text), duplicates))
    assert duplicates == []
    return value


def typed(value: Any) -> str:
    """Equal only when types and order are equal too: in Python 1 == 1.0 == True."""
    return json.dumps(value)


@given(st.dictionaries(TEXT | WORDS, VALUES, max_size=6))
def test_any_document_survives_yaml_and_json(document: dict[str, Any]) -> None:
    assert typed(from_yaml(to_yaml(document))) == typed(document)
    for ascii_only in (True, False):
        text = json.dumps(document, ensure_ascii=ascii_only)
        assert typed(plain_value(read_json(Source(text), []))) == typed(document)


@pytest.mark.parametrize("source", [EXAMPLE, SPECIFICATION])
def test_definitions_survive_yaml_and_json(source: str) -> None:
    document = check(source, stage_types={}, check_support=False).document
    assert document is not None
    by_yaml = check(to_yaml(document), stage_types={}, check_support=False).document
    by_json = check(json.dumps(document), stage_types={}, check_support=False).document
    assert typed(by_yaml) == typed(by_json) == typed(document)


def test_the_large_example_reads_well() -> None:
    report = check(EXAMPLE, stage_types=LOOSE_TYPES, check_support=False)
    assert report.document is not None
    lines = to_yaml(report.document).splitlines()
    for line in (
        "apiVersion: flexiroaster/v1",
        "    default: ${{ date(execution.logical_date) }}",
        "    cron: 15 2 * * mon-fri",
        "  by: 06:00",
        "    retry_on: [transient, timeout]",
        "  - id: check",
        "    needs: [fetch]",
        "    when: ${{ !inputs.dry_run }}",
        "      message: '${{ execution.failed_stage }}: ${{ execution.error.summary }}'",
    ):
        assert line in lines
    assert sum("'" in line for line in lines) == 3  # the message above, ['X-Event-Id'] and ['all', region]


@pytest.mark.parametrize(
    ("value", "yaml"),
    [
        ("no", "no"),
        ("1:30", "1:30"),
        ("true", "'true'"),
        ("10", "'10'"),
        ("", "''"),
        (" a", "' a'"),
        ("a: b", "'a: b'"),
        ("it's", "it's"),
        ("- a", "'- a'"),
        ("@daily", "'@daily'"),
        ("*/5 * * * *", "'*/5 * * * *'"),
        ("a\nb\n", "|\n    a\n    b"),
        ("a\nb", "|-\n    a\n    b"),
        ("\x07\x85", '"\\u0007\\x85"'),
        (1.0, "1.0"),
        (1e16, "1e+16"),
        ([], "[]"),
        ({}, "{}"),
        ([1, "a", None], "[1, a, null]"),
        (["a b", "c, d"], "\n    - a b\n    - c, d"),
    ],
)
def test_quotes_stand_only_where_they_are_needed(value: Any, yaml: str) -> None:
    written = to_yaml({"k": {"v": value}})
    assert written == f"k:\n  v: {yaml}\n".replace(": \n", ":\n")
    assert from_yaml(written) == {"k": {"v": value}}
