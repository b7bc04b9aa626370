"""Level 1: what the text of a definition may be, and where its problems stand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexiroaster.engine.definition import Report
from tests.effort import bounded
from tests.engine.definition_samples import SPECIFICATION, check, codes, document

PARTS = [
    "id: x\n", "name: y\n", "stages:\n", "  - id: a\n", "    type: noop\n", "  - {id: b, type: noop}\n", "needs: [a]\n",
    "    when: ${{ results.a }}\n", "    config:\n", "      path: x\n", "triggers:\n", "&a ", "*a ", "<<: ", "!!int ",
    "---\n", "? ", ": ", "- ", "[", "]", "{", "}", '"', "'", "|\n", ">-\n", "# ", "\t", "null", "010", "1e9",
    "inputs:\n", "    needs:\n", "${{ ", " }}", "@daily", "%", "\\u0000", "é", "\x85", "😀",
    "defaults: {retry: {max_attempts: ",
]  # fmt: skip


def config_of(yaml: str) -> Any:
    """The config of the only stage, with `yaml` as the value of its key `v`."""
    report = check(f"id: x\nstages:\n  - id: a\n    type: any\n    config:\n      v: {yaml}\n", stage_types={})
    assert report.document is not None, report.problems
    return report.document["stages"][0]["config"]["v"]


@pytest.mark.parametrize(
    ("yaml", "value"),
    [
        ("no", "no"),
        ("NO", "NO"),
        ("on", "on"),
        ("y", "y"),
        ("1:30", "1:30"),
        ("2026-11-22", "2026-11-22"),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("0b1", "0b1"),
        ("1_000", "1_000"),
        ("1.10", 1.1),
        ("1.", 1.0),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("+1", 1),
        ("-0.5E-2", -0.005),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("Null", None),
        ('"1"', "1"),
        ("'true'", "true"),
        ("! 1", "1"),
        ("!!str 1", "1"),
        ("${{ inputs.url }}", "${{ inputs.url }}"),
        ("{1: a, true: b}", {"1": "a", "true": "b"}),
        ("&a [1, *b]".replace("*b", "2"), [1, 2]),
    ],
)
def test_plain_values_follow_the_core_schema(yaml: str, value: Any) -> None:
    found = config_of(yaml)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "code", "line", "column", "suggestion"),
    [
        ("", "empty", 1, 1, "begin with `id:`, `name:` and `stages:`"),
        ("id: a\nid: b\n", "duplicate_key", 2, 1, None),
        ("id: a\nurl: {{ inputs.url }}", "yaml_braces", 2, 6, "put a $ before the braces: ${{ … }}"),
        ("id: a\nx: [${{ a }}]", "yaml_quote", 2, 5, 'quote it: "${{ a }}"'),
        ("x: {k: ${{ a }}}", "yaml_quote", 1, 8, 'quote it: "${{ a }}"'),
        ('x: ${{ a == "x: y" }}', "yaml_quote", 1, 15, "quote it: '${{ a == \"x: y\" }}'"),
        ("x: ${{ a #b }}", "yaml_quote", 1, 9, 'quote it: "${{ a #b }}"'),
        ("cron: */5 * * * *", "yaml_quote", 1, 8, 'quote it: "*/5 * * * *"'),
        ("cron: @daily", "yaml_quote", 1, 7, 'quote it: "@daily"'),
        ('x: "a" == b', "yaml_quote", 1, 8, "quote it: '\"a\" == b'"),
        ("x: a: b", "yaml_quote", 1, 5, 'quote it: "a: b"'),
        ("a:\n\tb: 1", "yaml_tab", 2, 1, "replace the tab by two spaces"),
        ("when: !inputs.x", "yaml_tag", 1, 7, "write ${{ !inputs.x }} if it is an expression"),
        ("x: !!python/object:os.system y", "yaml_tag", 1, 4, "remove the tag"),
        ("x: 1\n---\ny: 2", "multiple_documents", 2, 1, None),
        ("<<: {a: 1}", "merge_key", 1, 1, None),
        ("x: &a [*a]", "alias", 1, 8, None),
        ("x: *nope", "alias", 1, 4, 'quote it if it is text: "*nope"'),
        ("? [a]\n: b", "key_not_text", 1, 3, "quote it"),
        ("?\n: b", "empty_key", 1, 2, None),
        ("x: .nan", "not_finite", 1, 4, None),
        ("x: -.inf", "not_finite", 1, 4, None),
        ("x: 1e999", "not_finite", 1, 4, None),
        ("x: 9223372036854775808", "number_too_large", 1, 4, 'quote it if it is text: "9223372036854775808"'),
        ("x: a\x00b", "invalid_text", 1, 5, None),
        ("x: \ud800", "invalid_text", 1, 4, None),
        ('x: "\\0"', "invalid_text", 1, 4, None),
        ("x: \x07", "invalid_text", 1, 4, 'write it as an escape in double quotes, such as "\\x07"'),
        ("[" * 70, "too_deep", 1, 65, None),
        ("x: {a: 1", "yaml_syntax", 1, 9, None),
        ("- a\n- b", "wrong_type", 1, 1, "id: my_pipeline"),
    ],
)  # fmt: skip
def test_yaml_that_is_refused(text: str, code: str, line: int, column: int, suggestion: str | None) -> None:
    problem = _problem(check(text, format="yaml"), code)
    assert (problem.line, problem.column, problem.suggestion) == (line, column, suggestion)


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ('{"id": NaN}', "not_finite", 1, 8),
        ('{"id": -Infinity}', "not_finite", 1, 8),
        ('{"id": 1e400}', "not_finite", 1, 8),
        ('{"id": 18446744073709551616}', "number_too_large", 1, 8),
        ('{\n "id": 1,\n "id": 2}', "duplicate_key", 3, 2),
        ('{"id": 1,}', "json_syntax", 1, 10),
        ("{'id': 1}", "json_syntax", 1, 2),
        ('{"id": 1} x', "json_syntax", 1, 11),
        ('{"id" 1}', "json_syntax", 1, 7),
        ('{"id": 01}', "json_syntax", 1, 9),
        ('{"id": "a\nb"}', "json_syntax", 1, 10),
        ('{"id": "\\ud800"}', "invalid_text", 1, 8),
        ('{"id": "\\u0000"}', "invalid_text", 1, 8),
        ('{"id": // no\n1}', "json_syntax", 1, 8),
        ("", "json_syntax", 1, 1),
        ("[" * 100, "too_deep", 1, 65),
        ('{"a":' * 100, "too_deep", 1, 321),
        ("[]", "wrong_type", 1, 1),
        ("3", "wrong_type", 1, 1),
    ],
)
def test_json_that_is_refused(text: str, code: str, line: int, column: int) -> None:
    problem = _problem(check(text, format="json"), code)
    assert (problem.line, problem.column) == (line, column)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"id": float("nan")}, "not_finite"),
        ({"id": 2**64}, "number_too_large"),
        ({"id": "\x00"}, "invalid_text"),
        ({"id": "\udfff"}, "invalid_text"),
        ({1: 2}, "not_json"),
        ({"id": object()}, "not_json"),
        ({"id": b"x"}, "not_json"),
    ],
)
def test_documents_from_python_that_are_refused(value: Any, code: str) -> None:
    assert codes(check(value)) == [code]


def test_a_duplicate_key_names_both_lines() -> None:
    problem = _problem(check(SPECIFICATION + "name: Other\n"), "duplicate_key")
    assert problem.message == "The key 'name' stands twice, in line 2 and again in line 7: keep one."


def test_an_alias_repeats_its_value() -> None:
    report = check("id: x\nstages:\n  - &a {id: a, type: noop, labels: &l {k: 1}}\n  - {id: b, type: noop, more: *l}\n")
    assert report.document is not None
    assert report.document["stages"][1]["config"]["more"] == {"k": 1}


def test_an_alias_bomb_is_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    long_text = f"a: &a {'x' * 500_000}\nb: [*a, *a, *a]"
    with bounded():
        assert codes(check("\n".join(lines))) == ["alias"]
        assert codes(check(long_text)) == ["alias"]


def test_a_value_that_holds_itself_is_refused() -> None:
    endless: dict[str, Any] = {"id": "x"}
    endless["self"] = endless
    assert codes(check(endless)) == ["too_deep"]


def test_shared_parts_cannot_grow_without_end() -> None:
    shared: Any = "x"
    for _ in range(40):
        shared = [shared, shared]
    assert codes(check({"id": shared})) == ["too_large"]


def test_text_over_two_megabytes_is_refused() -> None:
    assert codes(check("# " + "x" * (2 * 1024 * 1024))) == ["too_large"]
    assert codes(check("# " + "é" * (1024 * 1024))) == ["too_large"]


@pytest.mark.parametrize("format", [None, "json"])
def test_json_reads_like_yaml(format: Any) -> None:
    expected = check(SPECIFICATION)
    assert expected.ok
    text = json.dumps(expected.document, ensure_ascii=True)
    assert check(text, format=format).document == expected.document


def test_flow_yaml_is_not_taken_for_json() -> None:
    assert check("{id: x, stages: [{id: a, type: noop}]}").ok


def test_a_byte_order_mark_and_windows_lines_are_fine() -> None:
    report = check("\ufeff" + SPECIFICATION.replace("\n", "\r\n") + "nope: 1\r\n")
    problem = _problem(report, "unknown_key")
    assert (problem.line, problem.column) == (7, 1)


@given(st.lists(st.sampled_from(PARTS), max_size=30).map("".join))
def test_no_yaml_text_makes_the_validator_raise(text: str) -> None:
    _is_sound(check(text))


@given(st.text(max_size=80))
def test_no_text_makes_the_validator_raise(text: str) -> None:
    for format in ("yaml", "json"):
        _is_sound(check(text, format=format))


STAGE_WORDS = ["id", "name", "type", "needs", "when", "config", "retry", "x", "as", "items", "inputs"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text("ab${} .:\n", max_size=12),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.sampled_from(STAGE_WORDS), below),
    max_leaves=15,
)
KEYS = st.sampled_from([*document(), "inputs", "triggers", "defaults", "outputs", "tests", "finally", "timeout"])


@given(st.dictionaries(KEYS, VALUES | st.lists(VALUES)), st.booleans())
def test_no_structure_makes_the_validator_raise(value: dict[str, Any], supported: bool) -> None:
    _is_sound(check(value, check_support=supported))
    _is_sound(check(json.dumps(value), check_support=supported))


def _is_sound(report: Report) -> None:
    """Every problem is a sentence with a code, and the report agrees with itself."""
    assert report.ok == (report.pipeline is not None)
    for problem in report.problems:
        assert problem.code.replace("_", "").isalpha()
        assert problem.message
        assert (problem.line is None) == (problem.column is None)
    json.dumps([problem.found for problem in report.problems], allow_nan=True)


def _problem(report: Report, code: str) -> Any:
    assert report.pipeline is None
    return next(problem for problem in report.problems if problem.code == code)
