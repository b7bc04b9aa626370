"""A version of a pipeline as the planner wants it: positions instead of names, edges both ways."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from flexiroaster.engine.pipeline import Join, Pipeline, Retry


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """`needs` and `successors` are positions. `rank` orders stages so that each comes after all it needs."""

    position: int
    id: str
    type: str
    needs: tuple[int, ...]
    successors: tuple[int, ...]
    join: Join
    retry: Retry
    timeout: timedelta | None
    rank: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Immutable, made once per version and shared by its executions."""

    stages: tuple[PlannedStage, ...]
    timeout: timedelta | None
    positions: dict[str, int]

    @classmethod
    def of(cls, pipeline: Pipeline, default_timeout: timedelta | None = None) -> Plan:
        """The pipeline must be valid: known needs, no cycle. `default_timeout` is for stages that name none."""
        positions = {stage.id: position for position, stage in enumerate(pipeline.stages)}
        needs = [tuple(positions[name] for name in stage.needs) for stage in pipeline.stages]
        successors: list[list[int]] = [[] for _ in pipeline.stages]
        for position, needed in enumerate(needs):
            for other in needed:
                successors[other].append(position)
        ranks = _ranks(needs, successors)
        stages = tuple(
            PlannedStage(
                position=position,
                id=stage.id,
                type=stage.type,
                needs=needs[position],
                successors=tuple(successors[position]),
                join=stage.join,
                retry=pipeline.retry_for(stage),
                timeout=pipeline.timeout_for(stage) or default_timeout,
                rank=ranks[position],
            )
            for position, stage in enumerate(pipeline.stages)
        )
        return cls(stages=stages, timeout=pipeline.timeout, positions=positions)

    def rank_of(self, stage: str) -> int:
        return self.stages[self.positions[stage]].rank

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
    for rank, position in enumerate(ready):  # grows while it is walked
        ranks[position] = rank
        for successor in successors[position]:
            left[successor] -= 1
            if left[successor] == 0:
                ready.append(successor)
    return ranks
