"""How likely a run is to fail, why, and how sure that is."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from flexiroaster.ai.prediction.explain import Reason, reasons
from flexiroaster.ai.prediction.features import NAMES
from flexiroaster.ai.prediction.history import FINAL, History
from flexiroaster.ai.prediction.prior import Share, interval
from flexiroaster.ai.prediction.training import LEAST_FAILURES, LEAST_RUNS, NEWEST, Sample, Trained, cold
from flexiroaster.ai.prediction.under_way import UnderWay
from flexiroaster.ai.runs import Run

LEAST_LOOKED_AT, NEWEST_LOOKED_AT = 200, 2_000
"""Runs that a look at the drift of features takes."""


@dataclass(frozen=True, slots=True)
class FailurePrediction:
    probability: float
    weight: float
    """As many runs as the answer stands on."""
    model: str
    """Which candidate answered: `prior`, `logistic` or `trees`."""
    words: str
    """The counts behind it, for a person; says so when there is too little data."""
    values: Sequence[float] = field(repr=False)
    """The features, to be stored with the prediction."""

    @property
    def low(self) -> float:
        """`low` to `high` holds the middle 80 % of what the probability may be, given how much is known."""
        return interval(self.probability, self.weight)[0]

    @property
    def high(self) -> float:
        return interval(self.probability, self.weight)[1]


@dataclass(slots=True)
class Race:
    """Squared errors of the candidates on the runs that they predicted; half of them forgotten after 500 runs."""

    errors: dict[str, float] = field(default_factory=dict)
    weight: float = 0.0
    leader: str = "prior"

    def begin(self, trained: Trained) -> None:
        """With the figures of the training as if the last 500 runs had given them."""
        baselines = trained.card["baselines"]
        self.weight = 500.0
        self.errors = {name: 500.0 * baselines[name]["brier"] for name in trained.candidates}
        self.leader = trained.champion

    def means(self) -> dict[str, float]:
        return {name: error / self.weight for name, error in self.errors.items()} if self.weight else {}

    def add(self, predicted: dict[str, float], failed: bool) -> None:
        keep = 0.5 ** (1 / 500)
        self.weight = keep * self.weight + 1.0
        for name, value in predicted.items():
            self.errors[name] = keep * self.errors.get(name, 0.0) + (value - failed) ** 2
        best = min(predicted, key=lambda name: self.errors[name])
        # A change of the leader needs a clear lead: two equal ones would take turns.
        if best != self.leader and self.errors[best] < 0.98 * self.errors.get(self.leader, float("inf")):
            self.leader = best


class Failures:
    """Learns from runs of one level (attempts of stages, or executions) and predicts their failure."""

    def __init__(self, attributes: tuple[str, ...] = (), keep: int = NEWEST) -> None:
        self.names = NAMES + attributes
        self.history = History(attributes)
        self.history.listeners.append(self._ended)
        self.samples: deque[Sample] = deque(maxlen=keep)
        self.trained: Trained | None = None
        self.race = Race()
        self._open: UnderWay[tuple[float, list[float]]] = UnderWay()

    def serve(self, trained: Trained | None) -> None:
        """Let these models answer from now on; None leaves the prior alone."""
        if trained is not None and trained.names != self.names:
            raise ValueError("The model was trained on other features: train it again.")
        self.trained = trained
        if trained is not None:
            self.race.begin(trained)

    def start(self, run: Run) -> list[float]:
        """Remember what is known of a run at its start, to learn from when it ends."""
        values = self.history.start(run)
        self._open.put(run, (run.started_at, values))
        return values

    def _ended(self, run: Run) -> None:
        opened = self._open.take(run)
        if opened is None or run.status not in FINAL or run.ended_at is None:
            return
        started_at, values = opened
        if self.trained is not None:
            self.race.add(
                {name: self.trained.probability(name, values) for name in self.trained.candidates}, run.failed
            )
        self.samples.append(Sample(started_at, run.ended_at, values, run.failed, run.kind))

    def predict(self, run: Run) -> FailurePrediction:
        values = self.start(run)
        return self.answer(run, values)

    def answer(self, run: Run, values: Sequence[float]) -> FailurePrediction:
        model = self.race.leader if self.trained is not None else "prior"
        value = self.probability(values)
        # A learned answer stands on the runs of other stages too.
        weight = self.history.prior.weight(run) * (1.0 if model == "prior" else 3.0)
        return FailurePrediction(value, weight, model, self._words(run), values)

    def probability(self, values: Sequence[float]) -> float:
        return cold(values) if self.trained is None else self.trained.probability(self.race.leader, values)

    def standing(self) -> dict[str, Any]:
        """How the candidates did of late, on runs that they predicted, and which features have moved since training."""
        if self.trained is None:
            return {"leader": "prior", "runs": 0, "brier": {}, "drift": []}
        known_until = float(self.trained.card.get("to", math.inf))
        newer = [sample.values for sample in self.samples if sample.started_at >= known_until][-NEWEST_LOOKED_AT:]
        reference = self.trained.reference if len(newer) >= LEAST_LOOKED_AT else None
        return {
            "leader": self.race.leader,
            "runs": len(newer),
            "brier": self.race.means(),
            "drift": [] if reference is None else reference.drift(newer),
        }

    def explain(self, values: Sequence[float], most: int = 3) -> list[Reason]:
        """What moved the learned answer furthest from the usual one; empty for the prior, whose words say it."""
        if self.trained is None or self.race.leader == "prior":
            return []
        model, calibration = self.trained.models[self.race.leader]
        return reasons(model, calibration, self.names, values, most)

    def _words(self, run: Run) -> str:
        words = self.history.prior.words(run)
        if self.trained is not None:
            return words
        share = self.history.prior.shares.get("*") or Share(1.0)
        failures = self.history.failures_seen
        return (
            f"{words} Nothing is learned yet: {min(share.seen, LEAST_RUNS)} of {LEAST_RUNS} runs and "
            f"{min(failures, LEAST_FAILURES)} of {LEAST_FAILURES} failures seen."
        )
