"""Histories whose best change is known."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from flexiroaster.ai.optimizer.graph import Graph
from flexiroaster.ai.runs import Run

DAY = 86_400.0


def document(*stages: dict[str, Any]) -> dict[str, Any]:
    """Stages are `noop` and need nothing unless they say so."""
    return {
        "id": "p",
        "name": "P",
        "stages": [{"type": "noop", "needs": [], **stage} for stage in stages],
    }


def ran(
    definition: Mapping[str, Any],
    seconds: Mapping[str, float],
    executions: int = 40,
    spread: float = 0.1,
    seed: int = 1,
) -> list[Run]:
    """Successful executions as an engine without queues would run them: each stage starts when all it needs ended."""
    chance = random.Random(seed)
    graph = Graph.of(definition)
    found = []
    for number in range(executions):
        ends: dict[str, float] = {}
        for id in graph.order:
            begin = max((ends[need] for need in graph.nodes[id].needs), default=number * DAY)
            ends[id] = begin + seconds[id] * chance.lognormvariate(0.0, spread)
            found.append(Run(f"e{number}", "p", begin, id, ended_at=ends[id], status="success"))
    return found


def attempts(stage: str, outcomes: Sequence[Sequence[bool]]) -> list[Run]:
    """Of each execution whether its attempts succeeded."""
    return [
        Run(
            f"a{number}",
            "p",
            number * DAY + attempt,
            stage,
            ended_at=number * DAY + attempt + 0.5,
            status="success" if good else "failed",
            attempt=attempt,
        )
        for number, tries in enumerate(outcomes)
        for attempt, good in enumerate(tries, 1)
    ]
