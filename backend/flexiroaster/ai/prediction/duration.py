"""How long a run takes: the median and the quantiles around it, from the first run on."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flexiroaster.ai.prediction.models import Trees, model_from
from flexiroaster.ai.prediction.pace import DEVIATION, FIRST_SPREAD, LINE, MEDIAN, NEWEST, RECENT, Paces, logarithm
from flexiroaster.ai.runs import Run

CANDIDATES = ("median", "recent", "line", "trees")
OPEN_AT_MOST = 100_000
LEAST_TO_LEARN = 300
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
        middle, upper = model_from(document["middle"]), model_from(document["upper"])
        if not isinstance(middle, Trees) or not isinstance(upper, Trees):
            raise ValueError("The model of durations holds no trees: train it again.")
        residuals = {
            key: [(float(off), float(scale)) for off, scale in pairs] for key, pairs in document["residuals"].items()
        }
        return cls(int(document["width"]), middle, upper, residuals, document["errors"], document["card"])


class Errors:
    """Absolute errors of the candidates for one key; forgets by runs."""

    __slots__ = ("sums", "weight")

    def __init__(self) -> None:
        self.weight = 0.0
        self.sums: dict[str, float] = {}

    def add(self, errors: Mapping[str, float]) -> None:
        self.weight = 0.97 * self.weight + 1.0
        for name, error in errors.items():
            self.sums[name] = 0.97 * self.sums.get(name, 0.0) + min(error, 3.0)

    def best(self, names: Iterable[str], above: Errors | None) -> str:
        """The lowest mean error; the key's own count against what is true for all with the weight of 15 runs."""

        def mean(name: str) -> float:
            own, usual, weight = self.sums.get(name), 1.0, 0.0
            if above is not None and above.weight:
                usual, weight = above.sums.get(name, above.weight) / above.weight, 15.0
            if own is None:
                return usual
            return (own + weight * usual) / (self.weight + weight)

        return min(names, key=mean)


class Durations:
    """Learns from successful runs. Tell ends in any order: they count from the moment they happened."""

    def __init__(self, keep: int = 50_000) -> None:
        self.paces = Paces()
        self.samples: deque[DurationSample] = deque(maxlen=keep)
        self.trained: TrainedDurations | None = None
        self._errors: dict[str, Errors] = {}
        self._all_errors = Errors()
        self._residuals: dict[str, deque[Residual]] = {}
        self._all_residuals: deque[Residual] = deque(maxlen=400)
        self._open: OrderedDict[tuple[str, str, int], Sequence[float]] = OrderedDict()

    def serve(self, trained: TrainedDurations | None, width: int) -> None:
        """`width` is the number of features that runs come with."""
        if trained is not None and trained.width != width:
            raise ValueError("The model of durations was trained on other features: train it again.")
        self.trained = trained
        if trained is None:
            return
        for key, pairs in trained.residuals.items():
            own = self._residuals[key] = deque(maxlen=NEWEST)
            for off, scale in pairs:
                own.append(Residual(off, scale))
                self._all_residuals.append(Residual(off, scale))
        for key, sums in trained.errors.items():
            errors = self._errors[key] = Errors()
            errors.weight = sums["weight"]
            errors.sums = {name: value for name, value in sums.items() if name != "weight"}
        self._all_errors = self._errors.pop("", self._all_errors)

    def start(self, run: Run, known: Sequence[float]) -> list[float]:
        """`known` are the other features of the run at its start."""
        values = [*self.paces.features(run), *known]
        self._open[run.execution, run.stage, run.attempt] = values
        if len(self._open) > OPEN_AT_MOST:
            self._open.popitem(last=False)
        return values

    def end(self, run: Run) -> None:
        """A run that ended by now; those that did not succeed say nothing about durations."""
        values = self._open.pop((run.execution, run.stage, run.attempt), None)
        if run.status != "success" or run.ended_at is None:
            return
        self.paces.add(run, None if values is None else values[LINE])
        if values is None:
            return
        seconds, key = logarithm(run), key_of(run)
        offers = self._offers(values)
        errors = {name: abs(seconds - offer) for name, offer in offers.items()}
        own = self._errors.setdefault(key, Errors())
        residual = Residual(seconds - offers[own.best(offers, self._all_errors)], self._scale(values))
        self._residuals.setdefault(key, deque(maxlen=NEWEST)).append(residual)
        self._all_residuals.append(residual)
        own.add(errors)
        self._all_errors.add(errors)
        self.samples.append(DurationSample(run.started_at, run.ended_at, key, values, seconds))

    def answer(self, run: Run, values: Sequence[float]) -> DurationPrediction:
        key = key_of(run)
        offers = self._offers(values)
        name = (self._errors.get(key) or Errors()).best(offers, self._all_errors)
        middle, scale = offers[name], self._scale(values)
        low, high = self._quantiles(key)
        return DurationPrediction(
            math.exp(middle + min(low * scale, 0.0)),
            math.exp(middle),
            math.exp(middle + max(high * scale, 0.0)),
            name,
            round(math.expm1(values[0])),
            values,
        )

    def _offers(self, values: Sequence[float]) -> dict[str, float]:
        offers = {"median": values[MEDIAN], "recent": values[RECENT], "line": values[LINE]}
        if self.trained is not None:
            offers["trees"] = values[LINE] + self.trained.middle.answer(values)
        return offers

    def _scale(self, values: Sequence[float]) -> float:
        if self.trained is None:
            return max(values[DEVIATION], 0.03)
        return max(self.trained.upper.answer(values), 0.03)

    def _quantiles(self, key: str) -> tuple[float, float]:
        """The conformal 10th and 90th percentile of the residuals over their expected spread."""
        ratios = [residual.off / residual.scale for residual in self._residuals.get(key, ())]
        if len(ratios) < BORROWED:
            newest = list(self._all_residuals)[-200:]
            step = max(1, len(newest) // (BORROWED - len(ratios)))
            ratios += [residual.off / residual.scale for residual in newest[::step]]
        if len(ratios) < 5:
            return -1.5 * FIRST_SPREAD, 1.5 * FIRST_SPREAD
        return conformal(ratios, 0.1), conformal(ratios, 0.9)


def conformal(values: Sequence[float], share: float) -> float:
    """The quantile that a new value from the same source stays below with at least that probability
    (split conformal prediction: the ceiling of (n + 1) x share; mirrored below the middle).
    """
    ordered, count = sorted(values), len(values)
    if share < 0.5:
        return ordered[max(math.floor((count + 1) * share) - 1, 0)]
    return ordered[min(math.ceil((count + 1) * share), count) - 1]


def key_of(run: Run) -> str:
    return f"{run.pipeline}\0{run.stage}"
