"""A version of a pipeline as the planner wants it: positions instead of names, edges both ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby

from flexiroaster.engine.foreach import ItemRules
from flexiroaster.engine.pipeline import Join, Pipeline, RateLimit, Repeat, Retry, compensation_id
from flexiroaster.engine.state import Phase

DEFAULT_POOL = "default"
"""What stages without a pool are called where somebody names the pools of a worker."""


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """`needs` and `successors` are positions. `rank` counts the stages before it on the longest way to it.

    `undoes` is, for a compensation, the position of the stage it belongs to.
    """

    position: int
    id: str
    type: str
    needs: tuple[int, ...]
    successors: tuple[int, ...]
    join: Join
    retry: Retry
    timeout: timedelta | None
    rank: int
    priority: int = 0
    pool: str | None = None
    rate_limit: RateLimit | None = None
    queue_timeout: timedelta | None = None
    phase: Phase = Phase.MAIN
    undoes: int | None = None
    repeat: Repeat | None = None
    items: ItemRules | None = None

    @property
    def gated(self) -> bool:
        """Whether it may have to wait for more than a worker."""
        return self.pool is not None or self.rate_limit is not None

    @property
    def own_pool(self) -> str | None:
        """Whose slots its own run takes: those of a foreach stage are for its items."""
        return self.pool if self.items is None else None


@dataclass(frozen=True, slots=True)
class Plan:
    """Immutable, made once per version and shared by its executions.

    The first `main` of the stages are there from the start of an execution, the others from that of their phase;
    `phases` has the positions of those.
    """

    stages: tuple[PlannedStage, ...]
    timeout: timedelta | None
    queue_timeout: timedelta | None
    positions: dict[str, int]
    main: int
    phases: dict[Phase, tuple[int, ...]]
    gated: bool
    outputs: bool
    """Whether it answers something, which may turn out to be impossible."""

    @classmethod
    def of(cls, pipeline: Pipeline, default_timeout: timedelta | None = None) -> Plan:
        """The pipeline must be valid: known needs, no cycle. `default_timeout` is for working stages that name none."""
        specs = list(pipeline.in_phases())
        positions = {stage.id: position for position, (_, stage) in enumerate(specs)}
        needs = [tuple(positions[name] for name in stage.needs) for _, stage in specs]
        successors: list[list[int]] = [[] for _ in specs]
        for position, needed in enumerate(needs):
            for other in needed:
                successors[other].append(position)
        ranks = _ranks(needs, successors)
        undone = {compensation_id(stage.id): positions[stage.id] for stage in pipeline.stages if stage.compensate}
        stages = tuple(
            PlannedStage(
                position=position,
                id=stage.id,
                type=stage.type,
                needs=needs[position],
                successors=tuple(successors[position]),
                join=stage.join,
                retry=pipeline.retry_for(stage),
                timeout=pipeline.timeout_for(stage, default_timeout),
                rank=ranks[position],
                priority=stage.priority,
                pool=stage.pool,
                rate_limit=stage.rate_limit,
                queue_timeout=stage.queue_timeout,
                phase=phase,
                undoes=undone.get(stage.id),
                repeat=stage.repeat,
                items=None if stage.foreach is None else ItemRules.of(stage.foreach),
            )
            for position, (phase, stage) in enumerate(specs)
        )
        main = len(pipeline.stages)
        phases = {
            phase: tuple(stage.position for stage in group)
            for phase, group in groupby(stages[main:], key=lambda stage: stage.phase)
        }
        return cls(
            stages=stages,
            timeout=pipeline.timeout,
            queue_timeout=pipeline.queue_timeout,
            positions=positions,
            main=main,
            phases=phases,
            gated=any(stage.gated for stage in stages),
            outputs=bool(pipeline.outputs),
        )

    def rank_of(self, stage: str) -> int:
        return self.stages[self.positions[stage]].rank

    def tails(self, seconds: Mapping[str, float]) -> list[float]:
        """By position: how long the longest path from a stage to the end of its phase takes, the stage included.

        `seconds` are expected durations by stage id; a stage without one counts as their mean, or as 1.
        """
        usual = sum(seconds.values()) / len(seconds) if seconds else 1.0
        tails = [0.0] * len(self.stages)
        for stage in sorted(self.stages, key=lambda stage: -stage.rank):
            after = max((tails[successor] for successor in stage.successors), default=0.0)
            tails[stage.position] = seconds.get(stage.id, usual) + after
        return tails

    def downstream(self, positions: set[int]) -> set[int]:
        """The given positions and everything that needs them, directly or not."""
        found = set(positions)
        open_ = list(positions)
        while open_:
            for successor in self.stages[open_.pop()].successors:
                if successor not in found:
                    found.add(successor)
                    open_.append(successor)
        return found


def _ranks(needs: list[tuple[int, ...]], successors: list[list[int]]) -> list[int]:
    """Kahn's algorithm."""
    left = [len(needed) for needed in needs]
    ready = [position for position, count in enumerate(left) if count == 0]
    ranks = [0] * len(needs)
    for position in ready:  # grows while it is walked
        for successor in successors[position]:
            ranks[successor] = max(ranks[successor], ranks[position] + 1)
            left[successor] -= 1
            if left[successor] == 0:
                ready.append(successor)
    return ranks
