"""Which model may answer: every candidate is scored on runs that came after its training, in the order of time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from flexiroaster.ai import card
from flexiroaster.ai.card import Reference
from flexiroaster.ai.prediction import learning
from flexiroaster.ai.prediction.features import NAMES
from flexiroaster.ai.prediction.models import Calibration, Model, log_odds, model_from, probability
from flexiroaster.ai.prediction.scores import scores

LEAST_RUNS, LEAST_FAILURES = 500, 50
"""Below this the prior answers: on small histories it beats everything learned."""
NEWEST = 50_000
"""Rows to learn from; older ones say little and cost time."""
HALF_LIFE = 40_000.0
CALIBRATE_ABOVE = 0.03
"""Calibration error from which the scores are moved."""
FIRST_FOLD, FOLDS = 0.4, 3
"""The first 40 % only train; the rest is scored in three steps, each by models of what was before."""

_PRIOR = NAMES.index("prior")
_RETRY = NAMES.index("retry_stage_class")


@dataclass(frozen=True, slots=True)
class Sample:
    """A run that ended: what was known at its start, and what became of it."""

    started_at: float
    ended_at: float
    values: Sequence[float]
    failed: bool
    slice: str = ""
    """The stage type, for the card's figures per slice."""


def cold(values: Sequence[float]) -> float:
    """The answer that needs no learning: the prior, or for a retry what became of such retries before."""
    retry = values[_RETRY]
    return values[_PRIOR] if math.isnan(retry) else retry


@dataclass(frozen=True, slots=True)
class Trained:
    """Candidates ready to answer, the one that earned it, and what was measured."""

    names: tuple[str, ...]
    champion: str
    """`prior`, `logistic` or `trees`."""
    models: Mapping[str, tuple[Model, Calibration]]
    card: Mapping[str, Any] = field(default_factory=dict)
    reference: Reference | None = None
    """How the features were spread among the runs that it learned from."""

    @property
    def candidates(self) -> tuple[str, ...]:
        return ("prior", *self.models)

    def probability(self, candidate: str, values: Sequence[float]) -> float:
        if candidate == "prior":
            return cold(values)
        model, calibration = self.models[candidate]
        return probability(calibration.move(model.answer(values)))

    def to_document(self) -> dict[str, Any]:
        models = {
            name: {"model": model.to_document(), "calibration": calibration.to_document()}
            for name, (model, calibration) in self.models.items()
        }
        return {
            "names": list(self.names),
            "champion": self.champion,
            "models": models,
            "card": dict(self.card),
            "reference": None if self.reference is None else self.reference.to_document(),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Trained:
        """Raises ValueError, KeyError or TypeError for a document that is none of a model."""
        names = tuple(map(str, document["names"]))
        models = {
            str(name): (model_from(entry["model"], len(names)), Calibration.from_document(entry["calibration"]))
            for name, entry in document["models"].items()
        }
        champion = str(document["champion"])
        card = dict(document["card"])
        for name in (champion, "prior", *models):
            if name not in ("prior", *models) or not math.isfinite(card["baselines"][name]["brier"]):
                raise ValueError(f"{name!r} is no candidate that was measured: train it again.")
        spread = document["reference"]
        reference = None if spread is None else Reference.from_document(names, spread)
        return cls(names, champion, models, card, reference)


def enough(samples: Sequence[Sample]) -> bool:
    return len(samples) >= LEAST_RUNS and sum(sample.failed for sample in samples) >= LEAST_FAILURES


def train(samples: Sequence[Sample], names: tuple[str, ...], seed: int = 0) -> Trained | None:
    """None while there is too little to learn from. The same samples and seed give the same models."""
    newest = sorted(samples, key=lambda sample: sample.started_at)[-NEWEST:]
    if not enough(newest):
        return None
    x = learning.matrix([sample.values for sample in newest])
    failed = [sample.failed for sample in newest]
    scored = _prequential(newest, x, failed, seed)
    outcomes = failed[len(failed) - len(scored["prior"]) :]
    champion = _champion(scored, outcomes)
    models: dict[str, tuple[Model, Calibration]] = {}
    calibrated = dict(scored)
    for name, model in _fit(x, failed, seed).items():
        calibration = Calibration()
        if scores(scored[name], outcomes).ece > CALIBRATE_ABOVE:
            odds = [log_odds(p) for p in scored[name]]
            calibration = learning.calibrate(odds, outcomes)
            calibrated[name] = [probability(calibration.move(value)) for value in odds]
        models[name] = (model, calibration)
    about = _card(newest, champion, scored, calibrated[champion], outcomes) | {"drift": card.drift_of(names, x)}
    return Trained(names, champion, models, about, card.Reference.of(names, x))


def _fit(x: Any, failed: Sequence[bool], seed: int) -> dict[str, Model]:
    weights = learning.recency_weights(len(failed), HALF_LIFE)
    return {
        "logistic": learning.fit_logistic(x, failed, weights),
        "trees": learning.fit_trees(x, failed, seed),
    }


def _prequential(samples: Sequence[Sample], x: Any, failed: Sequence[bool], seed: int) -> dict[str, list[float]]:
    """Probabilities of every candidate for the runs after the first fold, by models of the past alone."""
    count = len(samples)
    edges = [int(count * (FIRST_FOLD + (1 - FIRST_FOLD) * step / FOLDS)) for step in range(FOLDS + 1)]
    scored: dict[str, list[float]] = {"prior": [], "logistic": [], "trees": []}
    for first, last in pairwise(edges):
        # What had not ended when the fold begins was not known then.
        known = [i for i in range(first) if samples[i].ended_at <= samples[first].started_at]
        outcomes = [failed[i] for i in known]
        base = [cold(samples[i].values) for i in range(first, last)]
        scored["prior"] += base
        if sum(outcomes) < 10 or all(outcomes):
            scored["logistic"] += base
            scored["trees"] += base
            continue
        for name, model in _fit(x[known], outcomes, seed).items():
            scored[name] += [probability(value) for value in learning.answers(model, x[first:last])]
    return scored


def _champion(scored: Mapping[str, Sequence[float]], outcomes: Sequence[bool]) -> str:
    """The lowest Brier score; the prior yields only to a gain that is not chance (one standard error)."""
    best, best_gain = "prior", 0.0
    for name in ("logistic", "trees"):
        gains = [
            (prior - failed) ** 2 - (learned - failed) ** 2
            for prior, learned, failed in zip(scored["prior"], scored[name], outcomes, strict=True)
        ]
        mean = sum(gains) / len(gains)
        error = math.sqrt(sum((gain - mean) ** 2 for gain in gains)) / len(gains)
        if mean > error and mean > best_gain:
            best, best_gain = name, mean
    return best


def _card(
    samples: Sequence[Sample],
    champion: str,
    scored: Mapping[str, Sequence[float]],
    served: Sequence[float],
    outcomes: Sequence[bool],
) -> dict[str, Any]:
    tail = samples[len(samples) - len(outcomes) :]
    return {
        "runs": len(samples),
        "failures": sum(sample.failed for sample in samples),
        "from": samples[0].started_at,
        "to": max(sample.ended_at for sample in samples),
        "scored_runs": len(outcomes),
        "champion": champion,
        **card.of_failures(
            [sample.started_at for sample in tail], [sample.slice for sample in tail], served, scored, outcomes
        ),
        "versions": learning.versions(),
    }
