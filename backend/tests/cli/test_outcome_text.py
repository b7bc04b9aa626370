"""How an execution ended, as people read it."""

from __future__ import annotations

import time

import pytest

from flexiroaster.cli.outcome_text import cause, outputs_text, preview_text, where
from flexiroaster.cli.words import cell, duration, moment


def test_cause_names_place_value_and_cure() -> None:
    error = {
        "message": "Column amount holds 'x', which is no number.",
        "location": {"file": "orders.csv", "row": 3, "column": "amount", "value": "x"},
        "suggestion": "Correct the row, or allow a share of bad rows with max_invalid.",
    }
    assert cause(error, "check") == [
        "✗ check: Column amount holds 'x', which is no number.",
        "  at    orders.csv, row 3, column amount, value 'x'",
        "  cure  Correct the row, or allow a share of bad rows with max_invalid.",
    ]


def test_traceback_of_user_code_is_shown_below() -> None:
    assert cause({"message": "KeyError: 'a'", "traceback": "File x\nKeyError"}, None)[-2:] == ["  File x", "  KeyError"]


def test_line_belongs_to_its_file() -> None:
    assert where({"file": "stage.py", "line": 7}) == "stage.py:7"
    assert where({"line": 7}) == "line 7"
    assert where({}) == ""


def test_preview_aligns_numbers_right_and_counts_what_is_left() -> None:
    lines = preview_text(["carrier", "n"], [["AA", 5], ["B6", 1200]], total=10)
    assert lines == ["  carrier     n", "  ───────  ────", "  AA          5", "  B6       1200", "  and 8 more rows"]


def test_wide_table_says_what_it_left_out() -> None:
    columns = [f"c{i}" for i in range(15)]
    assert preview_text(columns, [list(range(15))], total=1)[-1] == "  and 3 more columns"


def test_cell_is_one_short_line() -> None:
    assert cell("a\nb") == "a\\nb"
    assert len(cell("x" * 100)) == 40
    assert cell(None) == "∅"


def test_outputs_are_json_but_text_stays_text() -> None:
    assert outputs_text({"rows": 3, "name": "x", "all": [1]}) == ["  rows  3", "  name  x", "  all   [1]"]


def test_durations_read_as_people_say_them() -> None:
    assert [duration(s) for s in (0.0421, 3.21, 75, 3725)] == ["42 ms", "3.2 s", "1 min 15 s", "1 h 2 min"]


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York", "UTC"])
def test_moments_at_the_end_of_all_years_are_shown(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert moment("9999-12-31T23:59:59Z")[:10] == "9999-12-31"
        assert moment("0001-01-01T00:00:00Z")[:10] == "0001-01-01"
    finally:
        monkeypatch.undo()
        time.tzset()
