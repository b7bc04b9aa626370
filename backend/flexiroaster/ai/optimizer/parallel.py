"""Stages that wait for others without reading anything of them."""

from __future__ import annotations

from dataclasses import replace

from flexiroaster.ai.optimizer.graph import Graph, Node
from flexiroaster.ai.optimizer.replay import Replay, Saving
from flexiroaster.ai.optimizer.suggestion import Edit, Suggestion, of_replay
from flexiroaster.ai.wording import span

LEAST_SHARE = 0.02
"""Of an execution's duration: less is not worth a change."""
SIDE_EFFECTS = frozenset({"http", "output", "pipeline", "python", "shell", "sql"})
"""Kinds whose order may matter for what they do outside, which no definition tells."""
KEEPS_ORDER = frozenset({"approval", "stop", "switch", "wait"})
"""Kinds that are there for the sake of their place."""


def parallel(graph: Graph, replay: Replay) -> list[Suggestion]:
    """For each stage that needs one it reads nothing of: to start without it. The greatest saving first."""
    found = []
    for node in graph.nodes.values():
        idle = _idle_needs(graph, node)
        if not idle:
            continue
        needs = _needs_without(graph, node, idle)
        freed = replace(node, needs=needs)
        saving = replay.saving(Graph(graph.pipeline, {**graph.nodes, node.id: freed}))
        if saving.is_worth(LEAST_SHARE):
            found.append(_suggestion(graph, node, idle, needs, replay, saving))
    return sorted(found, key=lambda suggestion: -suggestion.gain)


def _idle_needs(graph: Graph, node: Node) -> frozenset[str]:
    if not node.plain or node.kind in KEEPS_ORDER:
        return frozenset()
    kinds = {need: graph.nodes[need].kind for need in node.needs - node.data}
    return frozenset(need for need, kind in kinds.items() if kind not in KEEPS_ORDER)


def _needs_without(graph: Graph, node: Node, idle: frozenset[str]) -> frozenset[str]:
    """What it still needs, and what those it no longer needs have waited for in its place: order that was written down
    further up (a switch, an approval) stays.
    """
    kept = set(node.needs - idle)
    for need in idle:
        kept |= {above for above in graph.above(need) if graph.nodes[above].kind in KEEPS_ORDER}
    implied = {above for need in kept for above in graph.above(need)}
    return frozenset(kept - implied)


def _suggestion(
    graph: Graph, node: Node, idle: frozenset[str], needs: frozenset[str], replay: Replay, saving: Saving
) -> Suggestion:
    names = ", ".join(sorted(idle))
    text = (
        f"Start {node.id} without waiting for {names}: it reads nothing of {'it' if len(idle) == 1 else 'them'}. "
        f"Saves about {span(saving.median)} of {span(replay.usual)} ({saving.share:.0%}), replayed on "
        f"the last {saving.executions} executions."
    )
    effects = sorted(one for one in {node.id, *idle} if graph.nodes[one].kind in SIDE_EFFECTS)
    if effects:
        text += f" Check first whether {' and '.join(effects)} must keep their order for what they do elsewhere."
    edits = (Edit(node.id, ("needs",), sorted(needs)),)
    numbers = {"saving_low": saving.low, "saving_high": saving.high, "replay_error": replay.error}
    return of_replay("parallel", replay, (node.id,), text, saving, edits, numbers)
