"""In which order ready stages are to start when there are fewer workers than stages that could run."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Collection, Mapping
from statistics import fmean

from flexiroaster.ai.optimizer.graph import Graph

USUAL_WORKERS = (4, 8, 16)
"""Numbers of workers that an order is good for on average, where theirs is not told."""
ROUNDS = 6
"""Of playing an execution backwards and forwards. Most of the gain comes with the first two."""

Links = Mapping[str, Collection[str]]


def policy(graph: Graph, estimates: Mapping[str, float], workers: int | None = None) -> dict[str, float]:
    """Priorities for the ready stages of an execution, between 0 and 1: the highest goes first.

    The way from a stage to the end of the execution decides, and how much else wants a worker on that way: the
    execution is played forwards and backwards with the expected seconds (forward-backward improvement; Li and Willis,
    European Journal of Operational Research 56, 1992), and the best order is kept. `workers` are those that it has to
    itself; without them the order is one for few and for many. A stage without an estimate counts as the mean of the
    others: an order is better off without what was only guessed (`DurationPrediction.guessed`).
    """
    usual = fmean(estimates.values()) if estimates else 1.0
    seconds = {id: estimates.get(id, usual) for id in graph.nodes}
    tails, firsts = graph.tails(seconds), weights(graph, seconds)
    priorities = dict.fromkeys(graph.nodes, 0.0)
    sizes = USUAL_WORKERS if workers is None else (workers,)
    for size in sizes:
        order = _improved(graph, seconds, size, firsts, tails)
        highest = max(order.values(), default=0.0)
        for id, before_end in order.items():
            priorities[id] += before_end / max(highest, 1e-9) / len(sizes)
    return priorities


def weights(graph: Graph, seconds: Mapping[str, float]) -> dict[str, float]:
    """The way from each stage to the end, where several ways count for more than the longest of them: durations are
    only expected, and of several that may turn out long one does. The root of the sum of their squares.
    """
    found: dict[str, float] = {}
    for id in reversed(graph.order):
        found[id] = seconds.get(id, 0.0) + math.hypot(*(found[next] for next in graph.followers[id]))
    return found


def _improved(
    graph: Graph, seconds: Mapping[str, float], workers: int, first: Mapping[str, float], least: Mapping[str, float]
) -> Mapping[str, float]:
    """How long before the end of the execution each stage must start for the shortest one that was found from `first`;
    `least` where that is no shorter.
    """
    place = {id: number for number, id in enumerate(graph.nodes)}
    # A set has another order in every process, which would decide between equals.
    needs: Links = {id: sorted(node.needs, key=place.__getitem__) for id, node in graph.nodes.items()}
    starts = played(needs, graph.followers, seconds, workers, first)
    best, order = _end(starts, seconds), first
    for _ in range(ROUNDS):
        # Seen from the end, the stage that ended last is ready first.
        ends = {id: start + seconds.get(id, 0.0) for id, start in starts.items()}
        backwards = played(graph.followers, needs, seconds, workers, ends)
        before_end = {id: start + seconds.get(id, 0.0) for id, start in backwards.items()}
        starts = played(needs, graph.followers, seconds, workers, before_end)
        took = _end(starts, seconds)
        if took < best - 1e-9:
            best, order = took, before_end
    if _end(played(needs, graph.followers, seconds, workers, least), seconds) < best - 1e-9:
        return least
    return order


def played(
    needs: Links, followers: Links, seconds: Mapping[str, float], workers: int, first: Mapping[str, float]
) -> dict[str, float]:
    """When each stage starts: whenever a worker is free, the ready one with the highest number of `first` does. Equals
    go in the order in which they became ready; a stage without a duration takes none.
    """
    left = {id: len(before) for id, before in needs.items()}
    arrivals = itertools.count()
    ready = [(-first.get(id, 0.0), next(arrivals), id) for id, count in left.items() if not count]
    heapq.heapify(ready)
    running: list[tuple[float, int, str]] = []
    starts: dict[str, float] = {}
    now = 0.0
    while ready or running:
        while ready and len(running) < workers:
            *_, id = heapq.heappop(ready)
            starts[id] = now
            heapq.heappush(running, (now + seconds.get(id, 0.0), next(arrivals), id))
        now, _, ended = heapq.heappop(running)
        for following in followers[ended]:
            left[following] -= 1
            if not left[following]:
                heapq.heappush(ready, (-first.get(following, 0.0), next(arrivals), following))
    return starts


def _end(starts: Mapping[str, float], seconds: Mapping[str, float]) -> float:
    return max((start + seconds.get(id, 0.0) for id, start in starts.items()), default=0.0)
