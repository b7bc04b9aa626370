"""The runs as the rules read them: in the order in which they ended, by stage, by connector, by execution."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from flexiroaster.ai.runs import Run

NO_CONNECTOR = frozenset({"", "none"})
StageKey = tuple[str, str]
"""(pipeline, stage)"""


@dataclass(frozen=True, slots=True)
class StageOutcome:
    """All attempts of one stage in one execution."""

    attempts: tuple[Run, ...]

    @property
    def last(self) -> Run:
        return self.attempts[-1]

    @property
    def execution(self) -> str:
        return self.last.execution

    @property
    def ever_failed(self) -> bool:
        return any(run.failed for run in self.attempts)

    @property
    def recovered(self) -> bool:
        return self.last.status == "success" and self.ever_failed


class Past:
    """What had ended by `now`. Runs without an end, cancelled and skipped ones say nothing and are left out."""

    def __init__(self, runs: Iterable[Run | Mapping[str, Any]], *, now: float) -> None:
        ended = (Run.of(run) for run in runs)
        known = [run for run in ended if _counts(run) and _end(run) <= now]
        known.sort(key=_order)
        self.now = now
        with_stages = {run.execution for run in known if run.stage}
        # Of an execution whose stages are not known, the whole stands for its one stage.
        self.attempts = [run for run in known if run.stage or not (run.stages_known or run.execution in with_stages)]
        self.executions = _executions(known)
        self.by_stage = _outcomes(self.attempts)
        self._by_connector: dict[str, list[Run]] = defaultdict(list)
        for run in self.attempts:
            if run.connector not in NO_CONNECTOR:
                self._by_connector[run.connector].append(run)
        self._of_execution: dict[str, list[Run]] = defaultdict(list)
        for run in self.attempts:
            self._of_execution[run.execution].append(run)

    @property
    def connectors(self) -> Iterator[str]:
        return iter(self._by_connector)

    def on_connector(self, connector: str, since: float = float("-inf"), until: float = float("inf")) -> list[Run]:
        """Attempts that ended between the two times, both included."""
        runs = self._by_connector.get(connector, [])
        return runs[bisect_left(runs, since, key=_end) : bisect_right(runs, until, key=_end)]

    def in_execution(self, execution: str) -> list[Run]:
        return self._of_execution.get(execution, [])


def _counts(run: Run) -> bool:
    return run.ended_at is not None and run.status in ("success", "failed", "timed_out")


def _end(run: Run) -> float:
    return run.started_at if run.ended_at is None else run.ended_at


def _order(run: Run) -> tuple[float, str, str, int]:
    return _end(run), run.execution, run.stage, run.attempt


def _outcomes(attempts: Iterable[Run]) -> dict[StageKey, list[StageOutcome]]:
    """In the order in which the last attempts ended."""
    grouped: dict[tuple[str, str, str], list[Run]] = defaultdict(list)
    for run in attempts:
        grouped[run.pipeline, run.stage, run.execution].append(run)
    found: dict[StageKey, list[StageOutcome]] = defaultdict(list)
    for (pipeline, stage, _), runs in sorted(grouped.items(), key=lambda item: _order(item[1][-1])):
        found[pipeline, stage].append(StageOutcome(tuple(sorted(runs, key=lambda run: run.attempt))))
    return found


def _executions(runs: Iterable[Run]) -> list[Run]:
    """One row for each execution: the given one, or what its stages make of it."""
    whole: dict[str, Run] = {}
    stages: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        if run.stage:
            stages[run.execution].append(run)
        else:
            whole[run.execution] = run
    for execution, own in stages.items():
        if execution not in whole:
            whole[execution] = _from_stages(own)
    return sorted(whole.values(), key=_order)


def _from_stages(runs: list[Run]) -> Run:
    last = {run.stage: run for run in sorted(runs, key=lambda run: run.attempt)}
    lost = [run for run in last.values() if run.failed]
    first = min(runs, key=lambda run: run.started_at)
    cause = max(lost, key=_end) if lost else first
    return replace(
        first,
        stage="",
        kind="",
        connector="",
        attempt=1,
        needs=(),
        ended_at=max(_end(run) for run in runs),
        status=cause.status if lost else "success",
        error_class=cause.error_class if lost else "",
        fingerprint=cause.fingerprint if lost else "",
        input_rows=None,
        input_bytes=None,
        output_rows=None,
    )
