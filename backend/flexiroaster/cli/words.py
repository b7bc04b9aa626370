"""Numbers, durations and moments as people read them."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime


def count(number: int) -> str:
    return f"{number:,}"


def duration(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def moment(iso: str | None) -> str:
    """An ISO 8601 moment in the local time zone, to the second."""
    if iso is None:
        return ""
    found = datetime.fromisoformat(iso)
    with suppress(OverflowError, ValueError):  # the last day of the year 9999, which stands for "without an end"
        found = found.astimezone()
    return found.isoformat(" ", "seconds")[:19]


def cell(value: object) -> str:
    """A value of a table on one line."""
    if value is None:
        return "∅"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    shown = text if text.isprintable() else repr(text)[1:-1]
    return shown if len(shown) <= 40 else shown[:39] + "…"


def plain(name: str) -> str:
    """The name of a state or a kind as words."""
    return name.replace("_", " ")
