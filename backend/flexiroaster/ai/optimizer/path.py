"""Where an execution's time goes: the stages that decide how long it takes, and the gaps between short ones."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence

from flexiroaster.ai.optimizer.graph import Graph
from flexiroaster.ai.optimizer.replay import Replay
from flexiroaster.ai.optimizer.suggestion import Suggestion, of_replay
from flexiroaster.ai.runs import Run
from flexiroaster.ai.wording import span

FASTER = 0.5
"""What is asked of a stage on the critical path: what would it save if it took half as long?"""
LEAST_SHARE = 0.15
MOST_NAMED = 2
GAP_SHARE = 0.1
"""Of an execution's duration that the hand-over between two stages must take to be worth a word."""
FUSED = "processing"
"""The kind of stages that can be written as one."""


def critical_path(graph: Graph, seconds: Mapping[str, float]) -> tuple[str, ...]:
    """The stages, from first to last, that one execution could not have been shorter than."""
    tails = graph.tails(seconds)
    following = [id for id, node in graph.nodes.items() if not node.needs]
    found: list[str] = []
    while following:
        id = max(following, key=lambda one: (tails[one], one))
        found.append(id)
        following = list(graph.followers[id])
    return tuple(found)


def worth_a_look(graph: Graph, replay: Replay) -> list[Suggestion]:
    """The stages that making faster would pay most for."""
    on_path = Counter(id for execution in replay.executions for id in critical_path(graph, execution.seconds))
    found = []
    for id, times in on_path.most_common():
        saving = replay.saving_of(lambda execution: _faster(execution.seconds, id))  # noqa: B023
        if saving.low > 0 and saving.share >= LEAST_SHARE:
            text = (
                f"{id} decides how long an execution takes in {times} of the last {saving.executions}: twice as fast, "
                f"it would save {span(saving.median)} of {span(replay.usual)} ({saving.share:.0%})."
            )
            numbers = {"on_path": float(times), "saving_low": saving.low, "saving_high": saving.high}
            found.append(of_replay("critical_path", replay, (id,), text, saving, (), numbers))
    found.sort(key=lambda suggestion: -suggestion.gain)
    return found[:MOST_NAMED]


def _faster(seconds: Mapping[str, float], id: str) -> Mapping[str, float]:
    return {**seconds, id: seconds.get(id, 0.0) * FASTER}


def fusions(graph: Graph, runs: Sequence[Run], usual: float) -> list[Suggestion]:
    """Stages that could be one, where going from one to the next takes a good part of the execution's time."""
    by_execution: dict[str, dict[str, Run]] = {}
    for run in runs:
        if run.stage and run.status == "success" and not run.item:
            by_execution.setdefault(run.execution, {})[run.stage] = run
    found = []
    for id, node in graph.nodes.items():
        if node.kind != FUSED or len(node.needs) != 1:
            continue
        (need,) = node.needs
        if graph.nodes[need].kind != FUSED or len(graph.followers[need]) != 1:
            continue
        gaps = [
            max(0.0, stages[id].started_at - ended)
            for stages in by_execution.values()
            if id in stages and need in stages and (ended := stages[need].ended_at) is not None
        ]
        gap = statistics.median(gaps) if gaps else 0.0
        if usual > 0 and gap / usual >= GAP_SHARE:
            text = (
                f"Write {need} and {id} as one stage: handing over from one to the other takes {span(gap)} of "
                f"{span(usual)}, and nothing else reads {need}."
            )
            found.append(
                Suggestion("fusion", graph.pipeline, (need, id), text, None, (), len(gaps), {"gap_seconds": gap})
            )
    return found
