"""Training of the durations: what trees add to the line, measured on runs that they had not seen."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from flexiroaster.ai import card
from flexiroaster.ai.prediction import learning
from flexiroaster.ai.prediction.accuracy import COLD, Accuracy
from flexiroaster.ai.prediction.duration import (
    LEAST_TO_LEARN,
    NAMES,
    SMALLEST_SCALE,
    WIDTH,
    DurationSample,
    TrainedDurations,
    offers,
)
from flexiroaster.ai.prediction.pace import LINE
from flexiroaster.ai.runs import library

NEWEST_SAMPLES = 50_000


def train_durations(samples: Sequence[DurationSample], seed: int = 0) -> TrainedDurations | None:
    """None while there is too little to learn from. The same samples and seed give the same models."""
    newest = sorted(samples, key=lambda sample: sample.started_at)[-NEWEST_SAMPLES:]
    if sum(sample.key != COLD for sample in newest) < LEAST_TO_LEARN:
        return None
    np = library("numpy")
    x = learning.matrix([sample.values for sample in newest])
    off = np.asarray([sample.seconds - sample.values[LINE] for sample in newest])
    seen, middles = _prequential(newest, x, off, seed)
    warm = [index for index, sample in enumerate(newest) if sample.key != COLD]
    middle = learning.fit_quantile(x[warm], off[warm], 0.5, seed)
    upper = learning.fit_quantile(x[seen], np.abs(off[seen] - middles), 0.8, seed)
    scales = np.maximum(learning.answers(upper, x[seen]), SMALLEST_SCALE)
    accuracy, answered = _served([newest[index] for index in seen], middles.tolist(), scales.tolist())
    return TrainedDurations(
        width=x.shape[1],
        middle=middle,
        upper=upper,
        residuals=accuracy.residuals(),
        errors=accuracy.errors(),
        card=_card(newest, answered) | {"drift": card.drift_of(NAMES, x[:, :WIDTH])},
    )


def _prequential(samples: Sequence[DurationSample], x: Any, off: Any, seed: int) -> tuple[list[int], Any]:
    """Rows scored by trees of the past, and what those trees said."""
    np = library("numpy")
    count = len(samples)
    edges = [int(count * share) for share in (0.4, 0.6, 0.8, 1.0)]
    seen: list[int] = []
    middles: list[float] = []
    for first, last in pairwise(edges):
        known = [i for i in range(first) if samples[i].ended_at <= samples[first].started_at]
        # First runs of a stage are off by whole orders: trees would learn little else from them.
        known = [i for i in known if samples[i].key != COLD] or list(range(first))
        model = learning.fit_quantile(x[known], off[known], 0.5, seed)
        middles += learning.answers(model, x[first:last])
        seen += range(first, last)
    return seen, np.asarray(middles)


def _served(
    scored: Sequence[DurationSample], middles: Sequence[float], scales: Sequence[float]
) -> tuple[Accuracy, list[card.Answered]]:
    """What would have been answered for each run, with the accuracy known at its start. First runs of a stage are left
    out of the answers: nothing could be known of them.
    """
    accuracy = Accuracy()
    answered: list[card.Answered] = []
    first_runs: list[card.Answered] = []
    ending: list[tuple[float, int]] = []
    offered = [offers(sample.values, beyond) for sample, beyond in zip(scored, middles, strict=True)]

    def end(place: int) -> None:
        sample = scored[place]
        # With hardly any runs behind it, a line errs far more than it will later; trees pool the runs of all stages.
        accuracy.add(sample.key, sample.execution, sample.seconds, offered[place], scales[place], "trees")

    for place, sample in enumerate(scored):
        while ending and ending[0][0] <= sample.started_at:
            end(heapq.heappop(ending)[1])
        middle = offered[place][accuracy.best(sample.key, offered[place])]
        upper = middle + max(accuracy.quantiles(sample.key)[1] * scales[place], 0.0)
        answer = card.Answered(sample.started_at, sample.kind, sample.seconds, offered[place], middle, upper)
        (first_runs if sample.key == COLD else answered).append(answer)
        heapq.heappush(ending, (sample.ended_at, place))
    while ending:
        end(heapq.heappop(ending)[1])
    return accuracy, answered or first_runs


def _card(samples: Sequence[DurationSample], answered: Sequence[card.Answered]) -> dict[str, Any]:
    return {
        "runs": len(samples),
        "from": samples[0].started_at,
        "to": max(sample.ended_at for sample in samples),
        "scored_runs": len(answered),
        "champion": "per stage",
        **card.of_durations(answered),
        "versions": learning.versions(),
    }
