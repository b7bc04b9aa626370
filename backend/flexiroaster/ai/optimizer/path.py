"""Where an execution's time goes: the stages that decide how long it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from flexiroaster.ai.optimizer.graph import Graph
from flexiroaster.ai.optimizer.replay import Replay
from flexiroaster.ai.optimizer.suggestion import Suggestion, of_replay
from flexiroaster.ai.wording import span

FASTER = 0.5
"""What is asked of a stage on the critical path: what would it save if it took half as long?"""
LEAST_SHARE = 0.15
MOST_NAMED = 2


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
        if saving.is_worth(LEAST_SHARE):
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
