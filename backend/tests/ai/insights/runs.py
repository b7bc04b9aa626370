"""Makes runs in one call."""

from __future__ import annotations

from typing import Any

from flexiroaster.ai.runs import Run

HOUR = 3_600.0
DAY = 86_400.0
BEGIN = 1_760_313_600.0


def stage_run(number: int, *, pipeline: str = "orders", stage: str = "load", seconds: float = 60.0, **more: Any) -> Run:
    """Of the hourly execution `number`; `at` moves it, `failed` makes it fail."""
    at = more.pop("at", BEGIN + number * HOUR)
    failed = more.pop("failed", False)
    values: dict[str, Any] = {
        "execution": f"{pipeline}-{number}",
        "pipeline": pipeline,
        "stage": stage,
        "started_at": at,
        "ended_at": at + seconds,
        "status": "failed" if failed else "success",
        "error_class": "OSError" if failed else "",
    }
    return Run(**values | more)


def hourly(count: int, *, failing: Any = (), start: int = 0, **more: Any) -> list[Run]:
    """One run an hour, those in `failing` failed."""
    return [stage_run(number, failed=number in failing, **more) for number in range(start, start + count)]
