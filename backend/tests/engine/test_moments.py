"""Moments as people write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from flexiroaster.engine.moments import InvalidMoment, parse_moment


@pytest.mark.parametrize(
    ("text", "zone", "first", "last"),
    [
        ("2026-03-05", "UTC", "2026-03-05T00:00Z", "2026-03-05T23:59:59.999999Z"),
        ("2026-03-05", "Europe/Paris", "2026-03-04T23:00Z", "2026-03-05T22:59:59.999999Z"),
        ("2026-03-29", "Europe/Paris", "2026-03-28T23:00Z", "2026-03-29T21:59:59.999999Z"),
        ("2026-03-05T06:00", "Europe/Paris", "2026-03-05T05:00Z", "2026-03-05T05:00Z"),
        ("2026-03-05 06:00:30.5", "UTC", "2026-03-05T06:00:30.500Z", "2026-03-05T06:00:30.500Z"),
        ("2026-03-05T06:00Z", "Europe/Paris", "2026-03-05T06:00Z", "2026-03-05T06:00Z"),
        ("2026-03-05T06:00+05:30", "Europe/Paris", "2026-03-05T00:30Z", "2026-03-05T00:30Z"),
        ("1970-01-01T00:00+14:00", "UTC", "1969-12-31T10:00Z", "1969-12-31T10:00Z"),
    ],
)
def test_moments(text: str, zone: str, first: str, last: str) -> None:
    assert parse_moment(text, zone) == datetime.fromisoformat(first)
    assert parse_moment(text, zone, last=True) == datetime.fromisoformat(last)
    assert parse_moment(text, zone).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-02-30", "2026-03-05T24:30", "20260305", "2026-W10-1", "2026-03-05T06", "2026-03-05Z",
     "٢026-03-05", "2026-03-05T06:00+99:00", "2026-03-05T06:00 ", "2026-03-05\n"],
)  # fmt: skip
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(InvalidMoment, match="is not a moment: write for example 2026-03-05 or 2026-03-05T06:00"):
        parse_moment(text, "UTC")


@pytest.mark.parametrize("text", ["0001-01-01", "1969-12-31", "9999-12-31"])
def test_years_that_are_no_moment_in_every_zone(text: str) -> None:
    with pytest.raises(InvalidMoment, match="is not in the years 1970 to 9998"):
        parse_moment(text, "UTC", last=True)
