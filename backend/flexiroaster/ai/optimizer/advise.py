"""All that the history of a pipeline suggests to change in its definition, and what a change has brought."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flexiroaster.ai.optimizer.caching import Made, caching, keys
from flexiroaster.ai.optimizer.fusion import fusions
from flexiroaster.ai.optimizer.graph import Graph
from flexiroaster.ai.optimizer.limits import retries, timeouts
from flexiroaster.ai.optimizer.parallel import parallel
from flexiroaster.ai.optimizer.path import worth_a_look
from flexiroaster.ai.optimizer.replay import Replay, interval, recorded
from flexiroaster.ai.optimizer.suggestion import NotEnough, Suggestion
from flexiroaster.ai.runs import Run
from flexiroaster.ai.wording import span

WANTED = 20
"""Executions before anything is suggested, and after a change before it is judged."""
NEWEST = 100
"""Executions that a replay looks at."""


@dataclass(frozen=True, slots=True)
class Advice:
    """The best of each kind first. `missing` is what more executions may show."""

    suggestions: list[Suggestion]
    missing: list[NotEnough]


def advise(
    document: Mapping[str, Any],
    runs: Iterable[Run | Mapping[str, Any]],
    *,
    workers: int | None = None,
    takes_data: Callable[[str], bool] = lambda kind: True,
    made: Iterable[Made] = (),
) -> list[Suggestion] | NotEnough:
    """The best first. `document` is the normalised definition, `runs` the attempts of its stages (of this version, or
    of earlier ones with the same stages). `workers` are those that an execution has to itself; None for enough. `made`
    says what results were made of, by the expressions of `caching.keys`; without it no results are kept.
    """
    advice = look(document, runs, workers=workers, takes_data=takes_data, made=made)
    whole = next((one for one in advice.missing if one.kind is None), None)
    return advice.suggestions if whole is None else whole


def look(
    document: Mapping[str, Any],
    runs: Iterable[Run | Mapping[str, Any]],
    *,
    workers: int | None = None,
    takes_data: Callable[[str], bool] = lambda kind: True,
    made: Iterable[Made] = (),
) -> Advice:
    """As `advise`, with what is missing for more."""
    graph = Graph.of(document, takes_data)
    known = [run for row in runs if (run := Run.of(row)).pipeline == graph.pipeline and run.stage in graph.nodes]
    executions = recorded(known)[-NEWEST:]
    if len(executions) < WANTED:
        return Advice([], [NotEnough(graph.pipeline, len(executions), WANTED)])
    replay = Replay(graph, executions, workers)
    kept, missing = caching(graph, replay, keys(document, takes_data), made)
    found = [
        *parallel(graph, replay),
        *kept,
        *timeouts(graph, known),
        *retries(graph, known),
        *worth_a_look(graph, replay),
        *fusions(document, graph, known, replay),
    ]
    return Advice(found, missing)


@dataclass(frozen=True, slots=True)
class Effect:
    """Durations of executions after a change against those before it. `low` and `high` hold the saved share 9 times
    in 10.
    """

    text: str
    saved_share: float
    low: float
    high: float
    before: int
    after: int


def effect(before: Sequence[float], after: Sequence[float]) -> Effect | NotEnough:
    """What a change has brought: seconds of successful executions on either side of it, in order of time."""
    before, after = before[-NEWEST:], after[:NEWEST]
    if len(after) < WANTED or len(before) < WANTED:
        return NotEnough("", min(len(before), len(after)), WANTED)
    was, now = statistics.median(before), statistics.median(after)
    (fast_before, slow_before), (fast_after, slow_after) = interval(before), interval(after)
    share, low, high = 1 - now / was, 1 - slow_after / max(fast_before, 1e-9), 1 - fast_after / max(slow_before, 1e-9)
    if low > 0:
        verdict = f"It saves {share:.0%}"
    elif high < 0:
        verdict = f"It costs {-share:.0%}"
    else:
        verdict = "No difference that chance would not explain"
    text = f"{verdict}: {span(was)} before, {span(now)} in the {len(after)} executions since."
    return Effect(text, share, low, high, len(before), len(after))
