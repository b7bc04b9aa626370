"""How long a run takes: the median and the quantiles around it, from the first run on."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flexiroaster.ai.prediction.features import NAMES as BY_ORDER
from flexiroaster.ai.prediction.models import Trees, model_from, number
from flexiroaster.ai.prediction.pace import (
    DEVIATION,
    FIRST_SPREAD,
    LINE,
    MEDIAN,
    NEWEST,
    RECENT,
    RUNS,
    Paces,
    logarithm,
    seconds_from,
)
from flexiroaster.ai.prediction.pace import NAMES as FROM_PACE
from flexiroaster.ai.prediction.under_way import UnderWay
from flexiroaster.ai.prediction.window import Window
from flexiroaster.ai.runs import Run

LEAST_TO_LEARN = 300
COLD = "\0"
"""The key of first runs of a stage."""
FROM_FAILURES = (
    *("attempt", "connector_trouble", "execution_late", "previous_late", "hour_sine", "hour_cosine", "weekday", "wait"),
    *("running", "connector_running", "rows", "rows_apart", "bytes", "bytes_apart", "fan_in"),
)
"""Of the features of failures, those that may slow a run down; the others would only name single executions."""
WIDTH = len(FROM_PACE) + len(FROM_FAILURES)
_TAKEN = tuple(BY_ORDER.index(name) for name in FROM_FAILURES)
HANDICAP = 0.5
"""The line answers unless another candidate errs clearly less; how clearly, falls with the root of the evidence."""
BORROWED = 20
"""Residuals of all stages stand in until a stage has this many of its own."""


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


@dataclass(frozen=True, slots=True)
class Residual:
    """What a prediction was off by, in logarithms, and the spread it had expected."""

    off: float
    scale: float


@dataclass(frozen=True, slots=True)
class DurationSample:
    started_at: float
    ended_at: float
    execution: str
    key: str
    values: Sequence[float]
    seconds: float
    """Logarithm."""


@dataclass(frozen=True, slots=True)
class TrainedDurations:
    """Trees for what the line leaves over: its median, and how far the 90th percentile lies above that."""

    width: int
    middle: Trees
    upper: Trees
    residuals: Mapping[str, Sequence[tuple[float, float]]]
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
        if not all("weight" in sums for sums in errors.values()):
            raise ValueError("The model of durations does not say how much its errors weigh: train it again.")
        return cls(width, middle, upper, residuals, errors, dict(document["card"]))


class Errors:
    """Absolute errors of the candidates for one key; forgets by executions, half in 23."""

    __slots__ = ("_execution", "_items", "sums", "weight")

    def __init__(self) -> None:
        self._execution = ""
        self._items = 0
        self.weight = 0.0
        self.sums: dict[str, float] = {}

    def add(self, errors: Mapping[str, float], execution: str) -> None:
        """A hundred items of one execution err together: they weigh as much as ten executions of one item."""
        keep = 1.0 if execution == self._execution else 0.97
        self._items = self._items + 1 if execution == self._execution else 1
        self._execution = execution
        weight = math.sqrt(self._items) - math.sqrt(self._items - 1)
        self.weight = keep * self.weight + weight
        for name, error in errors.items():
            self.sums[name] = keep * self.sums.get(name, 0.0) + weight * min(error, 3.0)

    def best(self, names: Iterable[str], above: Errors | None) -> str:
        """The lowest mean error; the key's own count against what is true for all with the weight of 10 runs."""

        handicap = 1.0 + HANDICAP / math.sqrt(self.weight + 10.0)

        def mean(name: str) -> float:
            usual, weight = 1.0, 0.0
            if above is not None and above.weight:
                usual, weight = above.sums.get(name, above.weight) / above.weight, 10.0
            own = self.sums.get(name)
            error = usual if own is None else (own + weight * usual) / (self.weight + weight)
            return error if name == "line" else error * handicap

        return min(names, key=mean)


class Durations:
    """Learns from successful runs. Tell ends in any order: they count from the moment they happened."""

    def __init__(self, keep: int = 50_000) -> None:
        self.paces = Paces()
        self.samples: deque[DurationSample] = deque(maxlen=keep)
        self.trained: TrainedDurations | None = None
        self._errors: dict[str, Errors] = {}
        self._all_errors = Errors()
        self._residuals: dict[str, Window[Residual]] = {}
        self._all_residuals: Window[Residual] = Window(400)
        self._open: UnderWay[Sequence[float]] = UnderWay()

    def serve(self, trained: TrainedDurations | None, attributes: int) -> None:
        """`attributes` is the number of attributes that runs come with."""
        if trained is not None and trained.width != WIDTH + attributes:
            raise ValueError("The model of durations was trained on other features: train it again.")
        self.trained = trained
        if trained is None:
            return
        for key, pairs in trained.residuals.items():
            own = self._residuals[key] = Window(NEWEST)
            for place, pair in enumerate(pairs):
                own.add(Residual(*pair), str(place))
        for age, pair in sorted(aged(trained.residuals), reverse=True):
            self._all_residuals.add(Residual(*pair), str(age))
        for key, sums in trained.errors.items():
            errors = self._errors[key] = Errors()
            errors.weight = sums["weight"]
            errors.sums = {name: value for name, value in sums.items() if name != "weight"}
        self._all_errors = self._errors.pop("", self._all_errors)

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
        self.paces.add(run, None if values is None else values[LINE])
        if values is None:
            return
        seconds, key = logarithm(run), key_of(run, values)
        offers = self._offers(values)
        errors = {name: abs(seconds - offer) for name, offer in offers.items()}
        own = self._errors.setdefault(key, Errors())
        residual = Residual(seconds - offers[own.best(offers, self._all_errors)], self._scale(values))
        self._residuals.setdefault(key, Window(NEWEST)).add(residual, run.execution)
        own.add(errors, run.execution)
        if key != COLD:
            self._all_residuals.add(residual, run.execution)
            self._all_errors.add(errors, run.execution)
        self.samples.append(DurationSample(run.started_at, run.ended_at, run.execution, key, values, seconds))

    def answer(self, run: Run, values: Sequence[float]) -> DurationPrediction:
        key = key_of(run, values)
        offers = self._offers(values)
        name = (self._errors.get(key) or Errors()).best(offers, self._all_errors)
        middle, scale = offers[name], self._scale(values)
        low, high = self._quantiles(key)
        return DurationPrediction(
            seconds_from(middle + min(low * scale, 0.0)),
            seconds_from(middle),
            seconds_from(middle + max(high * scale, 0.0)),
            name,
            round(math.expm1(values[0])),
            values,
        )

    def _offers(self, values: Sequence[float]) -> dict[str, float]:
        offers = {"median": values[MEDIAN], "recent": values[RECENT], "line": values[LINE]}
        if self.trained is not None:
            beyond = self.trained.middle.answer(values)
            offers["trees"] = values[LINE] + beyond
            offers["both"] = values[LINE] + beyond / 2.0
        return offers

    def _scale(self, values: Sequence[float]) -> float:
        if self.trained is None:
            return max(values[DEVIATION], 0.03)
        return max(self.trained.upper.answer(values), 0.03)

    def _quantiles(self, key: str) -> tuple[float, float]:
        """The conformal 10th and 90th percentile of the residuals over their expected spread."""
        own = self._residuals.get(key)
        ratios = [residual.off / residual.scale for residual in own.values()] if own else []
        if len(ratios) < BORROWED:
            newest = self._all_residuals.values()[-200:]
            step = max(1, len(newest) // (BORROWED - len(ratios)))
            ratios += [residual.off / residual.scale for residual in newest[::step]]
        if len(ratios) < 5:
            return -1.5 * FIRST_SPREAD, 1.5 * FIRST_SPREAD
        return conformal(ratios, 0.1), conformal(ratios, 0.9)


def aged(residuals: Mapping[str, Sequence[tuple[float, float]]]) -> Iterator[tuple[int, tuple[float, float]]]:
    """Each residual with the number of newer ones of its stage; first runs of stages are left out."""
    for key, pairs in residuals.items():
        if key != COLD:
            yield from enumerate(reversed(pairs))


def conformal(values: Sequence[float], share: float) -> float:
    """The quantile that a new value from the same source stays below with at least that probability
    (split conformal prediction: the ceiling of (n + 1) x share; mirrored below the middle).
    """
    ordered, count = sorted(values), len(values)
    if share < 0.5:
        return ordered[max(math.floor((count + 1) * share) - 1, 0)]
    return ordered[min(math.ceil((count + 1) * share), count) - 1]


def key_of(run: Run, values: Sequence[float]) -> str:
    """First runs of a stage are off by far more than later ones: they are counted among themselves."""
    if values[RUNS] == 0.0:
        return COLD
    return f"{run.pipeline}\0{run.stage}"
