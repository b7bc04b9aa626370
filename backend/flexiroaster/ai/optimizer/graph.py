"""The main stages of a definition as a graph, with what is known of each edge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from flexiroaster.engine.expressions import EVERYTHING, Template
from flexiroaster.engine.pipeline import Join, Pipeline, StageSpec


@dataclass(frozen=True, slots=True)
class Node:
    """A stage. `data` are those of its needs whose results it reads, or may read."""

    id: str
    kind: str
    needs: frozenset[str]
    data: frozenset[str]
    timeout: timedelta | None
    max_attempts: int
    pool: str | None
    cached: bool
    plain: bool
    """Whether its edges only say what comes before it: no condition, no join rule and no choice hangs on them."""


@dataclass(frozen=True)
class Graph:
    """Acyclic; in the order of the definition."""

    pipeline: str
    nodes: Mapping[str, Node]

    @classmethod
    def of(cls, document: Mapping[str, Any], takes_data: Callable[[str], bool] = lambda kind: True) -> Graph:
        """From a normalised document. `takes_data` says of a stage type whether it works on the table of the stage
        before it; unless it is known, each is taken to.
        """
        pipeline = Pipeline.from_document(document)
        switches = {stage.id for stage in pipeline.stages if stage.type == "switch"}
        nodes = {stage.id: _node(pipeline, stage, switches, takes_data) for stage in pipeline.stages}
        return cls(pipeline.id, nodes)

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Every stage after those it needs."""
        left = {id: set(node.needs) for id, node in self.nodes.items()}
        found: list[str] = []
        ready = [id for id, needs in left.items() if not needs]
        while ready:
            id = ready.pop()
            found.append(id)
            for following in self.followers[id]:
                left[following].discard(id)
                if not left[following]:
                    ready.append(following)
        return tuple(found)

    @cached_property
    def followers(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {id: [] for id in self.nodes}
        for id, node in self.nodes.items():
            for need in node.needs:
                found[need].append(id)
        return {id: tuple(ids) for id, ids in found.items()}

    def above(self, id: str) -> frozenset[str]:
        """All stages that have ended before this one starts."""
        found: set[str] = set()
        waiting = list(self.nodes[id].needs)
        while waiting:
            need = waiting.pop()
            if need not in found:
                found.add(need)
                waiting += self.nodes[need].needs
        return frozenset(found)

    def tails(self, seconds: Mapping[str, float]) -> dict[str, float]:
        """The longest way from the start of each stage to the end of the execution."""
        found: dict[str, float] = {}
        for id in reversed(self.order):
            found[id] = seconds.get(id, 0.0) + max((found[next] for next in self.followers[id]), default=0.0)
        return found


def _node(pipeline: Pipeline, stage: StageSpec, switches: set[str], takes_data: Callable[[str], bool]) -> Node:
    needs = frozenset(stage.needs)
    read = _results_read(stage)
    data = needs if EVERYTHING in read else needs & read
    if len(needs) == 1 and "data" not in stage.config and takes_data(stage.type):
        data = needs
    return Node(
        id=stage.id,
        kind=stage.type,
        needs=needs,
        data=data,
        timeout=pipeline.timeout_for(stage),
        max_attempts=pipeline.retry_for(stage).max_attempts,
        pool=stage.pool,
        cached=stage.cache is not None,
        plain=stage.when is None and stage.join is Join.NO_FAILURE and not needs & switches,
    )


def _results_read(stage: StageSpec) -> set[str]:
    """Ids of the stages whose results its settings name; `*` where that depends on values."""
    written = stage.model_dump(by_alias=True, mode="json", exclude={"needs", "compensate"})
    return {name for root, name in Template.parse(written).references() if root == "results"}
