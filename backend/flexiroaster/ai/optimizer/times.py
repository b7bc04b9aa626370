"""Schedules as they are written, moved by some minutes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def only_schedule(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The one trigger by time of a pipeline, if there is one that a cron line says. With several, executions do not
    tell which of them began them."""
    found = [trigger for trigger in document.get("triggers", ()) if trigger.get("type") == "schedule"]
    return found[0] if len(found) == 1 and found[0].get("cron") else None


def later(cron: str, minutes: int) -> str | None:
    """The same times so many minutes (less than an hour) later; None where one line cannot say so."""
    fields = cron.split()
    if len(fields) != 5 or not fields[0].isdigit():
        return None
    carried, minute = divmod(int(fields[0]) + minutes, 60)
    hour = fields[1]
    if carried and hour != "*":
        if not hour.isdigit() or int(hour) >= 23:
            return None
        hour = str(int(hour) + 1)
    return " ".join([str(minute), hour, *fields[2:]])
