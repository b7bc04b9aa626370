from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexiroaster.engine.expressions import ExpressionError, Template, is_templated, whole_expression
from tests.effort import bounded

SCOPE: dict[str, Any] = {
    "inputs": {"day": "2026-01-05", "n": 3, "ratio": 1.5, "on": True, "none": None, "list": [1, 2.5, "a"]},
    "results": {"fetch": {"rows": 3, "data": {"table": "file:///t", "z": 1, "a": 2}}},
    "execution": {"logical_date": datetime(2026, 1, 5, 23, tzinfo=UTC), "due": date(2026, 1, 6)},
    "trigger": {"headers": {"X-Event-Id": "e1"}},
    "vars": {},
    "item": "eu",
}


def render(text: Any, scope: dict[str, Any] = SCOPE) -> Any:
    return Template.parse(text).render(scope)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${{ inputs.n }}", 3),
        (" ${{ inputs.n }} ", 3),
        ("${{ inputs.ratio }}", 1.5),
        ("${{ inputs.on }}", True),
        ("${{ inputs.none }}", None),
        ("${{ inputs.list }}", [1, 2.5, "a"]),
        ("${{ results.fetch.data }}", {"table": "file:///t", "z": 1, "a": 2}),
        ("${{ results['fetch'].rows + 1 }}", 4),
        ("${{ trigger.headers['X-Event-Id'] }}", "e1"),
        ("${{ inputs.list[1] }}", 2.5),
        ("${{ execution.logical_date }}", "2026-01-05T23:00:00Z"),
        ("${{ execution.logical_date + duration('2h') }}", "2026-01-06T01:00:00Z"),
        ("${{ execution.due }}", "2026-01-06"),
        ("${{ duration('90m') }}", "1h30m"),
        ("${{ date(execution.logical_date) }}", "2026-01-05"),
        ("${{ date(execution.logical_date, 'Asia/Tokyo') }}", "2026-01-06"),
        ("${{ format_time(execution.logical_date, '%Y/%m') }}", "2026/01"),
        ("${{ keys(results.fetch.data) }}", ["a", "table", "z"]),
        ("${{ values(results.fetch.data) }}", [2, "file:///t", 1]),
        ("${{ get(results.fetch, 'missing', 7) }}", 7),
        ("${{ inputs.list.map(x, string(x)) }}", ["1", "2.5", "a"]),
        ("${{ {'b': 1, 'a': {'z': 2}} }}", {"a": {"z": 2}, "b": 1}),
        ("${{ {'b': {'a': 1}}}}", {"b": {"a": 1}}),
        ("${{ {1: 'a', 2: 'b'} }}", {"1": "a", "2": "b"}),
        ("${{ 'a}}b' }}", "a}}b"),
        ("${{ has(results.fetch.nothing) }}", False),
        ("${{ string(true) + string([1]) }}", "true[1]"),
        ("${{ inputs.day in ['all', inputs.day] }}", True),
        ("${{ min(3, 1, 2) + max([1, 2]) + sum([]) }}", 3),
        ("${{ upper(item) + '-' + join(split('a,b', ','), '+') }}", "EU-a+b"),
        ("/orders?day=${{ inputs.day }}&n=${{ inputs.n }}", "/orders?day=2026-01-05&n=3"),
        ("<${{ inputs.none }}|${{ inputs.on }}|${{ inputs.list }}>", '<|true|[1,2.5,"a"]>'),
        ("no expression }} {{ x }} $", "no expression }} {{ x }} $"),
        ({"a": ["${{ inputs.n }}", 1, None]}, {"a": [3, 1, None]}),
    ],
)
def test_templates_are_rendered(text: Any, value: Any) -> None:
    rendered = render(text)
    assert rendered == value
    assert json.loads(json.dumps(rendered)) == rendered
    assert type(rendered) is type(value)


def test_a_mapping_that_is_passed_on_keeps_its_order() -> None:
    assert list(render("${{ results.fetch.data }}")) == ["table", "z", "a"]


def test_rendering_shares_nothing_with_the_scope() -> None:
    rendered = render("${{ results.fetch.data }}")
    rendered["table"] = "changed"
    assert SCOPE["results"]["fetch"]["data"]["table"] == "file:///t"


@pytest.mark.parametrize(
    ("text", "code", "suggestion"),
    [
        ("${{ inputs.n +", "expression_unclosed", None),
        ("${{ inputs.n + }}", "expression_syntax", None),
        ("${{ }}", "expression_syntax", None),
        ("${{ inputs.on and true }}", "expression_syntax", "write && for and"),
        ("${{ inputs.n | string }}", "expression_syntax", "write a function, f(x), for a pipe, x | f"),
        ("${{ inputs.n = 3 }}", "expression_syntax", "write == to compare"),
        ("${{ keyz(inputs) }}", "unknown_function", "keys"),
        ("${{ len(inputs) }}", "unknown_function", "size"),
        ("${{ resluts.fetch }}", "unknown_name", "results"),
        ("${{ inputs.on == True }}", "unknown_name", "true"),
        ("${{ secrets.key }}", "unknown_name", None),
        ("${{ results.fetch.rowz }}", "unknown_member", "rows"),
        ("${{ results.fetch.rowz > 1 }}", "unknown_member", "rows"),
        ("${{ results.fetch.rows.x }}", "unknown_member", None),
        ("${{ inputs.none.x }}", "unknown_member", None),
        ("${{ inputs.list[3] }}", "unknown_member", None),
        ("${{ inputs.ratio + 1 }}", "expression", None),
        ("${{ inputs.n / 0 }}", "expression", None),
        ("${{ 1.0 / 0.0 }}", "expression", None),
        ("${{ 9223372036854775807 + 1 }}", "expression", None),
        ("${{ b'bytes' }}", "expression", None),
        ("${{ upper(inputs.n) }}", "expression", None),
        ("${{ date('yesterday') }}", "expression", None),
        ("${{ date(execution.due, 'Mars/Base') }}", "expression", None),
        ("${{ [1].map(inputs, inputs) }}", "expression_syntax", "x"),
        ("${{ [1].map(a, [1].map(b, [1].map(c, c))) }}", "expression_limit", None),
        ("${{ " + "1+" * 1_500 + "1 }}", "expression_limit", None),
        ("${{ " + "(" * 100 + "1" + ")" * 100 + " }}", "expression_limit", None),
    ],
)
def test_what_goes_wrong_is_named(text: str, code: str, suggestion: str | None) -> None:
    with pytest.raises(ExpressionError) as raised:
        render(text)
    assert raised.value.code == code
    assert raised.value.suggestion == suggestion
    assert "\n" not in str(raised.value)


def test_errors_name_expression_cause_and_what_there_is() -> None:
    with pytest.raises(
        ExpressionError, match=r"`results\.fetch\.rowz` `results\.fetch` has no `rowz`, did you mean `rows`"
    ):
        render("${{ results.fetch.rowz }}")
    with pytest.raises(ExpressionError, match=r"`inputs\.ratio \+ 1` failed: float \+ int are of different types"):
        render("${{ inputs.ratio + 1 }}")


def test_the_offset_of_a_syntax_error_counts_in_the_text() -> None:
    text = "day ${{ inputs.day + }}!"
    with pytest.raises(ExpressionError) as raised:
        Template.parse(text)
    assert raised.value.offset == text.index("+") + 1


@pytest.mark.parametrize(
    ("text", "references"),
    [
        ("${{ results.fetch.rows }}", {("results", "fetch")}),
        ("${{ results['fetch'].rows }}", {("results", "fetch")}),
        ("${{ size(results) }}", {("results", "*")}),
        ("${{ results[item] }}", {("results", "*"), ("item", "*")}),
        ("${{ inputs.list.filter(x, x > inputs.n) }}", {("inputs", "list"), ("inputs", "n")}),
        ("${{ [1].map(x, x) + [x] }}", {("x", "*")}),
        ("${{ 'results.fake' + inputs.day }}", {("inputs", "day")}),
        ("${{ {'results': inputs.n} }}", {("inputs", "n")}),
        ("${{ inputs.a.startsWith(inputs.b) ? 1 : 2 }}", {("inputs", "a"), ("inputs", "b")}),
        ("${{ inputs.a // results.comment\n }}", {("inputs", "a")}),
        ("${{ type(inputs.a) == int }}", {("inputs", "a")}),
        (["${{ inputs.a }}", {"k": "x ${{ vars.b }} ${{ item }}"}], {("inputs", "a"), ("vars", "b"), ("item", "*")}),
        ("plain", set()),
    ],
)
def test_references_are_found(text: Any, references: set[tuple[str, str]]) -> None:
    assert Template.parse(text).references() == references


def test_macros_over_long_lists_are_refused_before_they_run() -> None:
    for text in ("${{ big.map(a, a + 1) }}", "${{ small.map(a, small.map(b, a + b)) }}"):
        with bounded(), pytest.raises(ExpressionError) as raised:
            render(text, {"big": list(range(20_000)), "small": list(range(1_000))})
        assert raised.value.code == "expression_limit"


RECORDS = [{f"k{column}": column for column in range(20)} for _ in range(1_000)]
FIFTY = list(range(50))


@pytest.mark.parametrize(
    "text",
    [
        "${{ rows.filter(row, row.k0 >= 0) }}",
        "${{ rows.map(row, row) }}",
        "${{ rows.map(row, [row]) }}",
        "${{ rows.exists(a, rows.exists(b, b.k0 > a.k0)) }}",
        "${{ fifty.map(a, fifty.map(b, fifty)) }}",
        "${{ fifty.map(a, fifty.map(b, fifty)).map(c, fifty.map(d, c)) }}",
        "${{ fifty.map(a, fifty).map(b, b + b).map(c, c + c) }}",
        "${{ rows" + ".map(x, [x.k0, x, x, x, x, x])" * 4 + " }}",
    ],
)
def test_lists_of_large_elements_are_refused_before_they_are_copied(text: str) -> None:
    with bounded(), pytest.raises(ExpressionError) as raised:
        render(text, {"rows": RECORDS, "fifty": FIFTY})
    assert raised.value.code == "expression_limit"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("${{ rows.map(row, row.k0) }}", 1_000),
        ("${{ rows.map(row, row.k1 * n) }}", 1_000),
        ("${{ rows.map(row, {'a': row.k0}) }}", 1_000),
        ("${{ fifty.map(a, fifty.map(b, a * b)) }}", 50),
        ("${{ fifty.filter(a, fifty.exists(b, b == a)).map(a, a * 2) }}", 50),
    ],
)
def test_what_keeps_little_of_each_element_may_be_long(text: str, size: int) -> None:
    assert len(render(text, {"rows": RECORDS, "fifty": FIFTY, "n": 2})) == size


def test_whether_any_of_many_large_elements_fits_may_be_asked() -> None:
    assert render("${{ rows.exists(row, row.k1 == 1) && rows.all(row, row.k0 == 0) }}", {"rows": RECORDS}) is True


def test_values_that_are_only_passed_on_may_be_long() -> None:
    big = list(range(20_000))
    assert render("${{ big }}", {"big": big}) == big
    assert render("${{ size(big) }}", {"big": big}) == 20_000


def test_only_what_is_mentioned_is_converted() -> None:
    assert render("${{ results.a.n + 1 }}", {"results": {"a": {"n": 1, "other": object()}, "b": object()}}) == 2


def test_text_that_postgresql_cannot_keep_is_refused() -> None:
    """It can only be written in an expression: no definition and no request may hold it."""
    for source in (r"'a\u0000b'", r"['a\u0000b']", r"{'a\u0000b': 1}", r"'x' + 'a\u0000'"):
        with pytest.raises(ExpressionError, match="holds the character NUL"):
            Template.parse(f"${{{{ {source} }}}}").render({})


def test_numbers_beyond_64_bits_are_refused_not_rounded() -> None:
    with pytest.raises(ExpressionError, match="does not fit into 64 bits"):
        render("${{ inputs.n + 0 }}", {"inputs": {"n": 2**70}})


@pytest.mark.parametrize("delta", [timedelta(hours=1), -timedelta(minutes=90)])
def test_durations_become_text(delta: timedelta) -> None:
    assert render("${{ d }}", {"d": delta}) == ("1h" if delta > timedelta(0) else "-1h30m")


def test_whole_expressions_are_told_from_text() -> None:
    assert whole_expression("${{ a }}") == " a "
    assert whole_expression("${{ a }} ${{ b }}") is None
    assert whole_expression("a") is None
    assert is_templated("x ${{ a }}")
    assert not is_templated(3)


@given(st.text(alphabet="ab.()[]{}$'\"|&+-!?:, \\\n0x}inputs", max_size=60))
def test_any_text_parses_or_is_refused(text: str) -> None:
    for candidate in (text, f"${{{{ {text} }}}}"):
        try:
            Template.parse(candidate).render(SCOPE)
        except ExpressionError as error:
            assert str(error)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(alphabet=st.characters(exclude_categories=["Cs"])),
        lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text("abc", max_size=3), below, max_size=4),
        max_leaves=12,
    )
)
def test_values_pass_through_unchanged(value: Any) -> None:
    assert render("${{ v }}", {"v": value}) == value
    assert render("${{ [v][0] }}", {"v": value}) == value
