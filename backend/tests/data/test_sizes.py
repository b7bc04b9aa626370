from __future__ import annotations

import pytest

from flexiroaster.data.expressions import query, value
from flexiroaster.engine.errors import StageFailed


@pytest.mark.parametrize(
    "text",
    [
        "repeat('x', 1000000000)",
        "repeat('x', a)",
        "lpad(a, 1000000000, 'x')",
        "rpad(a, b, 'x')",
        "list_sum(range(1000000000))",
        "list_sum(generate_series(1, 1000000000))",
        "list_resize([1], 1000000000)",
        "bitstring('1', 1000000000)",
        "printf('%1000000000d', a)",
        "printf('%*d', b, a)",
        "format('{:{}}', a, b)",
        "format(a, b)",
    ],
)
def test_value_as_large_as_a_number_says_is_refused(text: str) -> None:
    with pytest.raises(StageFailed):
        value(text, ["a", "b"], "operations[0]")


@pytest.mark.parametrize(
    "text", ["repeat('ab', 3)", "lpad(a, 8, '0')", "rpad(a, 10000, ' ')", "printf('%05d', b)", "format('{:>8}', a)"]
)
def test_small_sizes_are_allowed(text: str) -> None:
    value(text, ["a", "b"], "operations[0]")


def test_series_is_a_table_in_a_query_and_nothing_else() -> None:
    query("SELECT r.range FROM range(10) r", ["input"], "operations[0]")
    with pytest.raises(StageFailed, match="FROM range"):
        query("SELECT range(10) FROM input", ["input"], "operations[0]")
