"""Executions run again in simulated time, with the durations they had, under another graph or number of workers."""

from __future__ import annotations

import heapq
import itertools
import random
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from flexiroaster.ai.optimizer.confidence import of_saving
from flexiroaster.ai.optimizer.graph import Graph
from flexiroaster.ai.optimizer.order import played
from flexiroaster.ai.runs import Run

RESAMPLES = 400
SEED = 1


@dataclass(frozen=True, slots=True)
class Recorded:
    """An execution that succeeded: how long each stage ran, retries and the waits between them included."""

    id: str
    started_at: float
    seconds: Mapping[str, float]
    took: float
    """From its first start to its last end."""


LEAST_SECONDS = 0.1
"""Saved in an execution: less is not worth anybody's look, however large a share of it that is."""


@dataclass(frozen=True, slots=True)
class Saving:
    """Seconds of an execution, as median over the executions, with an interval that holds it 9 times in 10."""

    median: float
    low: float
    high: float
    share: float
    """Of the median duration."""
    executions: int
    confidence: float = 1.0
    """That there is one at all."""

    def is_worth(self, least_share: float) -> bool:
        return self.low > 0 and self.share >= least_share and self.median >= LEAST_SECONDS


@dataclass(frozen=True, slots=True)
class Arrival:
    """Something that wants a worker at a moment, for so long."""

    at: float
    seconds: float


def recorded(runs: Iterable[Run]) -> list[Recorded]:
    """The executions whose stages all succeeded, oldest first. Items of a foreach stage count as one stage run."""
    stages: dict[str, dict[str, list[Run]]] = {}
    for run in runs:
        if run.stage:
            stages.setdefault(run.execution, {}).setdefault(run.stage, []).append(run)
    found = [execution for id, by_stage in stages.items() if (execution := _recorded(id, by_stage)) is not None]
    return sorted(found, key=lambda execution: execution.started_at)


def _recorded(id: str, stages: Mapping[str, Sequence[Run]]) -> Recorded | None:
    seconds = {}
    for stage, attempts in stages.items():
        ends = [run.ended_at for run in attempts if run.ended_at is not None]
        newest = max(attempts, key=lambda run: (run.started_at, run.attempt))
        if len(ends) < len(attempts) or newest.failed or newest.status == "cancelled":
            return None
        seconds[stage] = max(ends) - min(run.started_at for run in attempts)
    every = [run for attempts in stages.values() for run in attempts]
    began = min(run.started_at for run in every)
    return Recorded(id, began, seconds, max(run.ended_at or began for run in every) - began)


def makespan(
    graph: Graph,
    seconds: Mapping[str, float],
    workers: int | None = None,
    priorities: Mapping[str, float] | None = None,
) -> float:
    """Seconds from start to end; a stage without a duration was skipped and takes none. Without `workers` there is
    always one free. `priorities` are those of `policy`; by default the longest way to the end goes first, as the engine
    has it.
    """
    if workers is None:
        return max(graph.tails(seconds).values(), default=0.0)
    first = graph.tails(seconds) if priorities is None else priorities
    needs = {id: node.needs for id, node in graph.nodes.items()}
    starts = played(needs, graph.followers, seconds, workers, first)
    return max((start + seconds.get(id, 0.0) for id, start in starts.items()), default=0.0)


@dataclass(frozen=True)
class Replay:
    """The same executions under the graph they had and under another."""

    graph: Graph
    executions: Sequence[Recorded]
    workers: int | None = None

    @cached_property
    def before(self) -> list[float]:
        return [makespan(self.graph, execution.seconds, self.workers) for execution in self.executions]

    @cached_property
    def _off(self) -> list[float]:
        """By how many seconds each replay is from what really happened."""
        return [was - execution.took for was, execution in zip(self.before, self.executions, strict=True)]

    @property
    def ids(self) -> tuple[str, ...]:
        """Of the executions, newest first."""
        return tuple(execution.id for execution in reversed(self.executions))

    @property
    def usual(self) -> float:
        """Median seconds of an execution as it is now."""
        return statistics.median(self.before)

    @property
    def error(self) -> float:
        """How far a replayed execution is from what it really took: the median of the relative difference."""
        return statistics.median(
            abs(off) / max(execution.took, 1e-3) for off, execution in zip(self._off, self.executions, strict=True)
        )

    def saving(self, graph: Graph) -> Saving:
        """Of the same durations under another graph."""
        return self.saving_of_totals(
            [makespan(graph, execution.seconds, self.workers) for execution in self.executions]
        )

    def saving_of(self, change: Callable[[Recorded], Mapping[str, float]]) -> Saving:
        """Of other durations under the same graph."""
        return self.saving_of_totals(
            [makespan(self.graph, change(execution), self.workers) for execution in self.executions]
        )

    def saving_of_totals(self, after: Sequence[float]) -> Saving:
        """Of executions that would have taken so many seconds, in their order."""
        return self.saving_against(self.before, after)

    def saving_against(self, before: Sequence[float], after: Sequence[float]) -> Saving:
        """Where what is saved is no part of the stages' own seconds, both are told."""
        saved = [was - now for was, now in zip(before, after, strict=True)]
        low, high = interval(saved)
        median = statistics.median(saved)
        sure = of_saving(saved, [was - one.took for was, one in zip(before, self.executions, strict=True)])
        return Saving(median, low, high, median / max(statistics.median(before), 1e-9), len(saved), sure)


def interval(values: Sequence[float], share: float = 0.9, blocks: Sequence[int] | None = None) -> tuple[float, float]:
    """Of the median, by drawing the values again; the same for the same values. Values of one block are drawn
    together: they are no independent evidence.
    """
    chance = random.Random(SEED)
    by_block: dict[int, list[float]] = {}
    for place, value in enumerate(values):
        by_block.setdefault(place if blocks is None else blocks[place], []).append(value)
    drawn = list(by_block.values())
    medians = sorted(
        statistics.median(itertools.chain.from_iterable(chance.choices(drawn, k=len(drawn)))) for _ in range(RESAMPLES)
    )
    outside = (1 - share) / 2
    return medians[int(outside * RESAMPLES)], medians[int((1 - outside) * RESAMPLES) - 1]


def waits(arrivals: Iterable[Arrival], workers: int) -> list[float]:
    """Seconds that each waits for a worker, in the order of arrival, when so many work them off one after the other."""
    free = [0.0] * workers
    found = []
    for arrival in sorted(arrivals, key=lambda arrival: arrival.at):
        start = max(arrival.at, heapq.heappop(free))
        found.append(start - arrival.at)
        heapq.heappush(free, start + arrival.seconds)
    return found
