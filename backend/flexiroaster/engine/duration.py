"""Durations as people write them: `90s`, `5m`, `1h30m`, `7d`, `250ms`."""

from __future__ import annotations

import re
from datetime import timedelta

from flexiroaster.engine.quoting import quoted

MAX_DURATION = timedelta(days=3650)
"""Ten years: far beyond any use, and safe to add to any date."""

_UNITS = (
    ("d", timedelta(days=1)),
    ("h", timedelta(hours=1)),
    ("m", timedelta(minutes=1)),
    ("s", timedelta(seconds=1)),
    ("ms", timedelta(milliseconds=1)),
)
DURATION_PATTERN = r"^(?=[0-9])([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"
_DURATION = re.compile(DURATION_PATTERN, re.ASCII)
_MAX_LENGTH = 40


class InvalidDuration(ValueError):
    """The text is not a duration; the message says how to write one."""


def parse_duration(text: str) -> timedelta:
    """Raises `InvalidDuration`. Units go from large to small, each at most once."""
    match = _DURATION.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if match is None:
        raise InvalidDuration(_refusal(text))
    milliseconds = sum(
        int(part[: -len(unit)]) * (size // timedelta(milliseconds=1))
        for part, (unit, size) in zip(match.groups(), _UNITS, strict=True)
        if part
    )
    if milliseconds > MAX_DURATION // timedelta(milliseconds=1):
        raise InvalidDuration(f"The duration {text!r} is longer than {MAX_DURATION.days}d.")
    return timedelta(milliseconds=milliseconds)


def format_duration(duration: timedelta) -> str:
    """The one canonical text: `90s` and `1m30s` both give `1m30s`. Parts below a millisecond are dropped."""
    milliseconds = duration // timedelta(milliseconds=1)
    if milliseconds < 0:
        raise InvalidDuration("A duration cannot be negative.")
    parts = []
    for unit, size in _UNITS:
        count, milliseconds = divmod(milliseconds, size // timedelta(milliseconds=1))
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def suggest_duration(value: object) -> str | None:
    """What the author probably meant by a refused value: 90 → `90s`, `1.5h` → `1h30m`, `5 min` → `5m`."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**8:
        return format_duration(timedelta(seconds=value))
    if not isinstance(value, str) or len(value) > _MAX_LENGTH:
        return None
    found = re.fullmatch(r"\s*([0-9]{1,8}(?:\.[0-9]{1,6})?)\s*([a-zA-Z]*)\s*", value, re.ASCII)
    unit = _SPOKEN_UNITS.get(found[2].lower()) if found else None
    if found is None or unit is None:
        return None
    guess = timedelta(seconds=float(found[1]) * unit.total_seconds())
    return format_duration(guess) if guess <= MAX_DURATION else None


def _refusal(text: str) -> str:
    return f"{quoted(text)} is not a duration: write for example 90s, 5m, 1h30m or 7d."


_SPOKEN_UNITS = {
    word: size
    for words, size in (
        ("w week weeks", timedelta(weeks=1)),
        ("d day days", timedelta(days=1)),
        ("h hr hrs hour hours", timedelta(hours=1)),
        ("m min mins minute minutes", timedelta(minutes=1)),
        (" s sec secs second seconds", timedelta(seconds=1)),
        ("ms msec millis millisecond milliseconds", timedelta(milliseconds=1)),
    )
    for word in words.split(" ")
}
