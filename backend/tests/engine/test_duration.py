from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexiroaster.engine.duration import (
    MAX_DURATION,
    InvalidDuration,
    format_duration,
    parse_duration,
    suggest_duration,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("1h30m", 5400), ("7d", 604800), ("250ms", 0.25), ("0s", 0), ("1d2h3m4s5ms", 93784.005)],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "90", "1.5h", "-5m", "5 m", "30m1h", "5m5m", "5M", "٣s", "1h\n", "9" * 50 + "s", "3651d"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidDuration):
        parse_duration(text)


@pytest.mark.parametrize(
    ("value", "suggestion"),
    [
        (90, "1m30s"),
        ("1.5h", "1h30m"),
        ("5 min", "5m"),
        ("90", "1m30s"),
        ("2 weeks", "14d"),
        ("soon", None),
        (True, None),
    ],
)
def test_a_refused_duration_gets_a_suggestion(value: object, suggestion: str | None) -> None:
    assert suggest_duration(value) == suggestion


@given(st.integers(0, MAX_DURATION // timedelta(milliseconds=1)))
def test_the_canonical_text_reads_back(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(duration)) == duration


def test_equal_durations_have_one_text() -> None:
    assert format_duration(parse_duration("90s")) == format_duration(parse_duration("1m30s")) == "1m30s"
