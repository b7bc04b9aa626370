from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from flexiroaster.engine.summary import LIMIT_BYTES, OMITTED, summarise

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.text(max_size=30), inner, max_size=30),
    max_leaves=200,
)


def size(value: Any) -> int:
    return len(json.dumps(value).encode())


def test_what_fits_is_left_as_it_is() -> None:
    value = {"rows": 3, "names": ["a", "b"], "ok": True}
    assert summarise(value) is value


def test_a_long_list_shows_its_first_items_and_how_many_are_missing() -> None:
    summary = summarise({"count": 5000, "rows": [{"id": number} for number in range(5000)]})
    assert summary["count"] == 5000
    assert summary["rows"][0] == {"id": 0}
    assert summary["rows"][-1][OMITTED].endswith("more items")
    assert size(summary) <= LIMIT_BYTES


def test_a_wide_object_says_how_many_keys_are_missing() -> None:
    summary = summarise({f"key{number}": "x" * 50 for number in range(5000)})
    assert summary["key0"] == "x" * 50
    assert int(summary[OMITTED].split()[0]) == 5000 - (len(summary) - 1)
    assert size(summary) <= LIMIT_BYTES


def test_a_long_text_is_cut_with_its_rest_counted() -> None:
    summary = summarise("x" * 10_000)
    assert summary.startswith("xxx") and summary.endswith("more characters)")
    assert size(summary) <= LIMIT_BYTES


def test_one_large_neighbour_does_not_hide_the_others() -> None:
    summary = summarise({"big": ["x" * 100] * 1000, "rows": 7})
    assert summary["rows"] == 7


def test_depth_is_cut_without_recursion_errors() -> None:
    value: Any = "end" * 4000
    for _ in range(500):
        value = {"inner": [value]}
    assert size(summarise(value)) <= LIMIT_BYTES


@settings(max_examples=200, deadline=None)
@given(json_values, st.integers(400, 3000))
def test_a_summary_always_fits(value: Any, limit: int) -> None:
    assert size(summarise(value, limit)) <= limit
