"""Times in which what happens is no news: somebody works on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from flexiroaster.ai.runs import Run


@dataclass(frozen=True, slots=True)
class Window:
    """Seconds since 1970. An empty `pipeline` means all of them."""

    begin: float
    end: float
    pipeline: str = ""


class Maintenance:
    """What lay in a window raises no alarm, and is no measure for what comes after it."""

    def __init__(self, windows: Iterable[Window] = ()) -> None:
        self._windows = tuple(windows)

    def covers(self, pipeline: str, begin: float, end: float | None) -> bool:
        """Whether any part of that time was one of maintenance."""
        return any(
            window.begin <= (begin if end is None else end) and begin < window.end
            for window in self._windows
            if window.pipeline in ("", pipeline)
        )

    def left(self, runs: Iterable[Run]) -> Iterable[Run]:
        """Those of other times."""
        if not self._windows:
            return runs
        return (run for run in runs if not self.covers(run.pipeline, run.started_at, run.ended_at))
