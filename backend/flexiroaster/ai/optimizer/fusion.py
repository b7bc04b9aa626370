"""Chains of stages that could be one, where going from one to the next takes a good part of the time."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import orjson

from flexiroaster.ai.optimizer.graph import Graph
from flexiroaster.ai.optimizer.replay import Recorded, Replay, makespan
from flexiroaster.ai.optimizer.suggestion import Edit, Suggestion, of_replay
from flexiroaster.ai.runs import Run
from flexiroaster.ai.wording import span

GAP_SHARE = 0.1
"""Of an execution's duration that the hand-overs must take to be worth a word."""
FUSED = "processing"
"""The kind of stages that can be written as one: their operations, one after the other."""
PLAIN_KEYS = frozenset({"id", "name", "description", "type", "needs", "config"})
"""What a stage may say that becomes part of another; whatever else it says would be lost."""
PLAIN_CONFIG = frozenset({"data", "operations", "engine"})
LAST_ONLY = "group"
"""An operation that nothing can follow."""
MOST_OPERATIONS = 200


def fusions(document: Mapping[str, Any], graph: Graph, runs: Iterable[Run], replay: Replay) -> list[Suggestion]:
    """With the change where the definition allows it to be made; otherwise advice. The greatest saving first."""
    times = _times(runs)
    found = []
    for chain in _chains(graph):
        gaps = [_gap(times.get(execution.id, {}), chain) for execution in replay.executions]
        saving = replay.saving_against(
            [
                makespan(graph, _with_gap(execution, chain[-1], gap), replay.workers)
                for execution, gap in zip(replay.executions, gaps, strict=True)
            ],
            replay.before,
        )
        if not saving.is_worth(GAP_SHARE):
            continue
        edits = _edits(document, chain)
        gap = statistics.median(gaps)
        names = f"{', '.join(chain[:-1])} and {chain[-1]}"
        text = (
            f"Write {names} as one stage: handing over takes {span(gap)} of {span(replay.usual + gap)}, and nothing "
            f"else reads {' or '.join(chain[:-1])}. Saves about {span(saving.median)} ({saving.share:.0%}), replayed "
            f"on the last {saving.executions} executions."
        )
        if edits:
            text += f" What {' and '.join(chain[:-1])} made is not kept for itself any more."
        numbers = {"gap_seconds": gap, "saving_low": saving.low, "saving_high": saving.high}
        found.append(of_replay("fusion", replay, chain, text, saving, edits, numbers))
    return sorted(found, key=lambda one: -one.gain)


def _chains(graph: Graph) -> list[tuple[str, ...]]:
    """As long as they are: each stage needs the one before alone, which nothing else needs."""
    following = {
        need: id
        for id, node in graph.nodes.items()
        if node.kind == FUSED and node.plain and len(node.needs) == 1
        for need in node.needs
        if graph.nodes[need].kind == FUSED and len(graph.followers[need]) == 1
    }
    found = []
    for id in following.keys() - set(following.values()):
        chain = [id]
        while chain[-1] in following:
            chain.append(following[chain[-1]])
        found.append(tuple(chain))
    return sorted(found)


def _times(runs: Iterable[Run]) -> dict[str, dict[str, tuple[float, float]]]:
    """By execution and stage: begin and end of the attempt that succeeded."""
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for run in runs:
        if run.stage and run.status == "success" and not run.item and run.ended_at is not None:
            found.setdefault(run.execution, {})[run.stage] = run.started_at, run.ended_at
    return found


def _gap(times: Mapping[str, tuple[float, float]], chain: Sequence[str]) -> float:
    ran = [times[stage] for stage in chain if stage in times]
    return sum(max(0.0, begin - end) for (_, end), (begin, _) in pairwise(ran))


def _with_gap(execution: Recorded, last: str, gap: float) -> Mapping[str, float]:
    return {**execution.seconds, last: execution.seconds.get(last, 0.0) + gap}


def _edits(document: Mapping[str, Any], chain: Sequence[str]) -> tuple[Edit, ...]:
    """None where something would be lost or is read elsewhere."""
    stages = {stage["id"]: stage for stage in document["stages"]}
    own = [stages[id] for id in chain]
    configs = [stage.get("config", {}) for stage in own]
    rest = {**document, "stages": [stage for stage in document["stages"] if stage["id"] not in chain]}
    elsewhere = orjson.dumps(rest).decode()
    if (
        any(set(stage) - PLAIN_KEYS for stage in own[:-1])
        or any(set(config) - PLAIN_CONFIG for config in configs)
        or len({config.get("engine") for config in configs}) > 1
        or any(_is_read(id, elsewhere) for id in chain[:-1])
    ):
        return ()
    operations: list[Any] = []
    for place, config in enumerate(configs):
        written = orjson.dumps(config.get("operations", [])).decode()
        if any(_is_read(id, written) for id in chain) or (place and not _goes_on(config.get("data"), chain[place - 1])):
            return ()
        operations += config.get("operations", [])
    if len(operations) > MOST_OPERATIONS or any(one.get("op") == LAST_ONLY for one in operations[:-1]):
        return ()
    last = chain[-1]
    edits = [Edit(last, ("config", "operations"), operations), Edit(last, ("needs",), list(own[0].get("needs", [])))]
    if "data" in configs[0]:
        edits.append(Edit(last, ("config", "data"), configs[0]["data"]))
    elif "data" in configs[-1]:
        edits.append(Edit(last, ("config", "data"), None, remove=True))
    return (*edits, *(Edit("", ("stages", id), None, remove=True) for id in chain[:-1]))


def _is_read(id: str, text: str) -> bool:
    """In JSON: by an expression, or as one of the needs."""
    return re.search(rf'results\.{id}\b|"{id}"|results\s*\[', text) is not None


def _goes_on(data: Any, before: str) -> bool:
    """Whether it works on the table of the stage before it."""
    return data is None or re.fullmatch(rf"\$\{{\{{\s*results\.{before}(\.data)?\s*\}}\}}", str(data)) is not None
