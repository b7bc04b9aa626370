"""How long a run takes: the median and the quantiles around it, from the first run on."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flexiroaster.ai.prediction.accuracy import COLD, Accuracy, Residuals
from flexiroaster.ai.prediction.features import NAMES as BY_ORDER
from flexiroaster.ai.prediction.models import Trees, model_from, number
from flexiroaster.ai.prediction.pace import (
    DEVIATION,
    LINE,
    MEDIAN,
    RECENT,
    RUNS,
    Paces,
    logarithm,
    seconds_from,
)
from flexiroaster.ai.prediction.pace import NAMES as FROM_PACE
from flexiroaster.ai.prediction.under_way import UnderWay
from flexiroaster.ai.runs import Run

LEAST_TO_LEARN = 300
FROM_FAILURES = (
    *("attempt", "connector_trouble", "execution_late", "previous_late", "hour_sine", "hour_cosine", "weekday", "wait"),
    *("running", "connector_running", "rows", "rows_apart", "bytes", "bytes_apart", "fan_in"),
)
"""Of the features of failures, those that may slow a run down; the others would only name single executions."""
NAMES = FROM_PACE + FROM_FAILURES
"""In the order of the values; the attributes of the runs come after them."""
WIDTH = len(NAMES)
_TAKEN = tuple(BY_ORDER.index(name) for name in FROM_FAILURES)
SMALLEST_SCALE = 0.03


@dataclass(frozen=True, slots=True)
class DurationPrediction:
    """Seconds. Nine of ten runs like it should end within `p90`, one of ten within `p10`."""

    p10: float
    p50: float
    p90: float
    model: str
    runs: int
    """Earlier successful runs of the stage."""
    values: Sequence[float] = field(repr=False, default=())
    guessed: bool = False
    """Nothing like it has run: neither the stage, nor one of its name or of its type anywhere."""


@dataclass(frozen=True, slots=True)
class DurationSample:
    started_at: float
    ended_at: float
    execution: str
    key: str
    kind: str
    values: Sequence[float]
    seconds: float
    """Logarithm."""


@dataclass(frozen=True, slots=True)
class TrainedDurations:
    """Trees for what the line leaves over: its median, and how far the 90th percentile lies above that."""

    width: int
    middle: Trees
    upper: Trees
    residuals: Residuals
    """Per stage, of predictions for runs that the trees had not seen: what conformal quantiles begin with."""
    errors: Mapping[str, Mapping[str, float]]
    card: Mapping[str, Any] = field(default_factory=dict)

    def to_document(self) -> dict[str, Any]:
        return {
            "width": self.width,
            "middle": self.middle.to_document(),
            "upper": self.upper.to_document(),
            "residuals": {key: [list(pair) for pair in pairs] for key, pairs in self.residuals.items()},
            "errors": {key: dict(errors) for key, errors in self.errors.items()},
            "card": dict(self.card),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> TrainedDurations:
        """Raises ValueError, KeyError or TypeError for a document that is none of a model."""
        width = int(document["width"])
        middle, upper = model_from(document["middle"], width), model_from(document["upper"], width)
        if not isinstance(middle, Trees) or not isinstance(upper, Trees):
            raise ValueError("The model of durations holds no trees: train it again.")
        residuals = {
            str(key): [(number(off), number(scale)) for off, scale in pairs]
            for key, pairs in document["residuals"].items()
        }
        if not all(scale > 0 for pairs in residuals.values() for _, scale in pairs):
            raise ValueError("The model of durations has a spread that is not positive: train it again.")
        errors = {
            str(key): {str(name): number(value) for name, value in sums.items()}
            for key, sums in document["errors"].items()
        }
        if not all("weight" in sums and "executions" in sums for sums in errors.values()):
            raise ValueError("The model of durations does not say how much its errors weigh: train it again.")
        return cls(width, middle, upper, residuals, errors, dict(document["card"]))


def offers(values: Sequence[float], beyond: float | None) -> dict[str, float]:
    """What each candidate answers, in logarithms; `beyond` is what the trees say that the line leaves over."""
    found = {"median": values[MEDIAN], "recent": values[RECENT], "line": values[LINE]}
    if beyond is not None:
        found["trees"] = values[LINE] + beyond
        found["both"] = values[LINE] + beyond / 2.0
    return found


class Durations:
    """Learns from successful runs. Tell ends in any order: they count from the moment they happened."""

    def __init__(self, keep: int = 50_000) -> None:
        self.paces = Paces()
        self.samples: deque[DurationSample] = deque(maxlen=keep)
        self.trained: TrainedDurations | None = None
        self.accuracy = Accuracy()
        self._open: UnderWay[Sequence[float]] = UnderWay()

    def serve(self, trained: TrainedDurations | None, attributes: int) -> None:
        """`attributes` is the number of attributes that runs come with."""
        if trained is not None and trained.width != WIDTH + attributes:
            raise ValueError("The model of durations was trained on other features: train it again.")
        self.trained = trained
        if trained is not None:
            self.accuracy.resume(trained.residuals, trained.errors)

    def start(self, run: Run, known: Sequence[float]) -> list[float]:
        """`known` are the features of failures at the start of the run."""
        values = self.features(run, known)
        self._open.put(run, values)
        return values

    def features(self, run: Run, known: Sequence[float]) -> list[float]:
        attributes = known[len(BY_ORDER) :]
        return [*self.paces.features(run), *(known[index] for index in _TAKEN), *attributes]

    def end(self, run: Run) -> None:
        """A run that ended by now; those that did not succeed say nothing about durations."""
        values = self._open.take(run)
        if run.status != "success" or run.ended_at is None:
            return
        self.paces.add(run, values)
        if values is None:
            return
        seconds, key = logarithm(run), key_of(run, values)
        self.accuracy.add(key, run.execution, seconds, self._offers(values), self._scale(values))
        sample = DurationSample(run.started_at, run.ended_at, run.execution, key, run.kind, values, seconds)
        self.samples.append(sample)

    def answer(self, run: Run, values: Sequence[float]) -> DurationPrediction:
        key = key_of(run, values)
        offered = self._offers(values)
        name = self.accuracy.best(key, offered)
        middle, scale = offered[name], self._scale(values)
        low, high = self.accuracy.quantiles(key)
        return DurationPrediction(
            seconds_from(middle + min(low * scale, 0.0)),
            seconds_from(middle),
            seconds_from(middle + max(high * scale, 0.0)),
            name,
            round(math.expm1(values[0])),
            values,
            guessed=not self.paces.know(run),
        )

    def _offers(self, values: Sequence[float]) -> dict[str, float]:
        return offers(values, None if self.trained is None else self.trained.middle.answer(values))

    def _scale(self, values: Sequence[float]) -> float:
        scale = values[DEVIATION] if self.trained is None else self.trained.upper.answer(values)
        return max(scale, SMALLEST_SCALE)


def key_of(run: Run, values: Sequence[float]) -> str:
    if values[RUNS] == 0.0:
        return COLD
    return f"{run.pipeline}\0{run.stage}"
