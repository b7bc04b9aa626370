"""What is to be known of a trained model: its data, its figures beside simpler methods, calibration, slices, drift.

A card is a plain dict, stored with the model and shown as it is. Cards of failures and durations have the same keys:

    runs, failures, from, to    what it learned from (durations have no failures)
    scored_runs                 runs that it was measured on: each by models of what was before it
    champion                    the candidate that answers; `per stage` for durations
    metrics                     figures of what is served
    baselines                   the same figures of every candidate, and of what needs no model
    calibration                 bins with counts: what was predicted, what happened
    weeks                       calibration over time
    slices                      figures by stage type
    drift                       features whose values in the newest fifth differ from those before
    versions                    of the libraries that trained it
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from flexiroaster.ai.prediction.features import BY_NAME
from flexiroaster.ai.prediction.pace import LABELS
from flexiroaster.ai.prediction.scores import Bin, pinball, reliability, scores
from flexiroaster.ai.runs import DAY, library

WEEK = 7 * DAY
NEWEST_PART = 0.2
BINS = 10
NOTED_DRIFT = 0.1
"""A population stability index below says nothing; from 0.25 on, a model is usually due to be trained again."""
MOST_DRIFTS = 12
GROWING = frozenset({"stage_runs", "version_age", "version_runs", "seconds_runs"})
"""Features that are larger later, whatever happens."""


def of_failures(
    moments: Sequence[float],
    kinds: Sequence[str],
    served: Sequence[float],
    candidates: Mapping[str, Sequence[float]],
    failed: Sequence[bool],
) -> dict[str, Any]:
    """Figures of the scored runs: when each started, its stage type, the probabilities, what became of it."""
    rate = [sum(failed) / len(failed)] * len(failed)
    slices: dict[str, list[int]] = defaultdict(list)
    for index, kind in enumerate(kinds):
        slices[kind].append(index)
    return {
        "metrics": asdict(scores(served, failed)),
        "baselines": {
            "failure rate": asdict(scores(rate, failed)),
            **{name: asdict(scores(values, failed)) for name, values in candidates.items()},
        },
        "calibration": [asdict(bin) for bin in reliability(served, failed)],
        "weeks": [
            {
                "from": moments[indices[0]],
                "predicted": sum(served[i] for i in indices) / len(indices),
                **asdict(scores([served[i] for i in indices], [failed[i] for i in indices])),
            }
            for indices in by_week(moments)
        ],
        "slices": {
            kind: asdict(scores([served[i] for i in indices], [failed[i] for i in indices]))
            for kind, indices in sorted(slices.items())
        },
    }


@dataclass(frozen=True, slots=True)
class Answered:
    """A duration and what was answered for it, in logarithms: medians by candidate, the served one and its P90."""

    started_at: float
    kind: str
    seconds: float
    offers: Mapping[str, float]
    p50: float
    p90: float


def of_durations(answered: Sequence[Answered]) -> dict[str, Any]:
    names = list(answered[0].offers)
    slices: dict[str, list[Answered]] = defaultdict(list)
    for one in answered:
        slices[one.kind].append(one)
    below = sum(one.seconds <= one.p90 for one in answered) / len(answered)
    half = sum(one.seconds <= one.p50 for one in answered) / len(answered)
    weeks = by_week([one.started_at for one in answered])
    return {
        "metrics": _figures(answered, [one.p50 for one in answered]) | _upper(answered),
        "baselines": {name: _figures(answered, [one.offers[name] for one in answered]) for name in names},
        "calibration": [
            asdict(Bin(0.5, 0.5, len(answered), 0.5, half)),
            asdict(Bin(0.9, 0.9, len(answered), 0.9, below)),
        ],
        "weeks": [
            {"from": answered[indices[0]].started_at, **_figures(part, [one.p50 for one in part]), **_upper(part)}
            for indices in weeks
            if (part := [answered[i] for i in indices])
        ],
        "slices": {
            kind: _figures(part, [one.p50 for one in part]) | _upper(part) for kind, part in sorted(slices.items())
        },
    }


def _figures(answered: Sequence[Answered], middles: Sequence[float]) -> dict[str, float]:
    errors = sorted(abs(one.seconds - middle) for one, middle in zip(answered, middles, strict=True))
    return {
        "runs": len(errors),
        "median_relative_error": math.expm1(min(errors[len(errors) // 2], 20.0)),
        "within_twice": sum(error < math.log(2) for error in errors) / len(errors),
    }


def _upper(answered: Sequence[Answered]) -> dict[str, float]:
    """Pinball losses are those of logarithms: seconds would count the longest stage alone."""
    count = len(answered)
    return {
        "below_p90": sum(one.seconds <= one.p90 for one in answered) / count,
        "p90_over_p50": math.exp(sorted(one.p90 - one.p50 for one in answered)[count // 2]),
        "pinball_p90": sum(pinball(one.seconds, one.p90, 0.9) for one in answered) / count,
    }


def by_week(moments: Sequence[float]) -> Iterator[list[int]]:
    """Places of the moments of each week, in order of time; weeks without any are left out."""
    weeks: dict[int, list[int]] = defaultdict(list)
    for index in sorted(range(len(moments)), key=moments.__getitem__):
        weeks[int(moments[index] // WEEK)].append(index)
    yield from (weeks[week] for week in sorted(weeks))


@dataclass(frozen=True, slots=True)
class Reference:
    """How the values of every feature were spread: bounds of about ten equal parts, and the share in each part.

    The last share is that of unknown values.
    """

    names: tuple[str, ...]
    bounds: tuple[tuple[float, ...], ...]
    shares: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, names: tuple[str, ...], x: Any) -> Reference:
        """`x` has the shape (runs, features)."""
        np = library("numpy")
        bounds, shares = [], []
        for column in x.T:
            known = column[~np.isnan(column)]
            found = np.unique(np.quantile(known, np.arange(1, BINS) / BINS)) if len(known) else np.zeros(0)
            bounds.append(tuple(float(bound) for bound in found))
            counts = np.bincount(np.searchsorted(found, known, side="right"), minlength=len(found) + 1)
            shares.append((*(float(n) / len(column) for n in counts), 1.0 - len(known) / len(column)))
        return cls(names, tuple(bounds), tuple(shares))

    def drift(self, rows: Sequence[Sequence[float]]) -> list[dict[str, Any]]:
        """Features that differ in these rows, the most different first, each with its population stability index:
        the sum over the parts of (share now - share before) x ln(share now / share before).
        """
        found = []
        for place, name in enumerate(self.names):
            before = self.shares[place]
            now = self._shares(place, [row[place] for row in rows])
            index = sum((a - b) * math.log(a / b) for a, b in zip(_soft(now), _soft(before), strict=True))
            if index >= NOTED_DRIFT and name not in GROWING:
                label = BY_NAME[name].label if name in BY_NAME else LABELS.get(name, name)
                found.append({"feature": name, "label": label, "index": index})
        return sorted(found, key=lambda one: -float(one["index"]))[:MOST_DRIFTS]

    def _shares(self, place: int, values: Sequence[float]) -> list[float]:
        bounds = self.bounds[place]
        counts = [0] * (len(bounds) + 2)
        for value in values:
            counts[-1 if math.isnan(value) else bisect_right(bounds, value)] += 1
        return [count / max(len(values), 1) for count in counts]

    def to_document(self) -> dict[str, Any]:
        return {"bounds": [list(part) for part in self.bounds], "shares": [list(part) for part in self.shares]}

    @classmethod
    def from_document(cls, names: tuple[str, ...], document: Mapping[str, Any]) -> Reference:
        """Raises ValueError when it is none for these features."""
        bounds = tuple(tuple(map(float, part)) for part in document["bounds"])
        shares = tuple(tuple(map(float, part)) for part in document["shares"])
        fits = len(bounds) == len(shares) == len(names)
        if not fits or any(len(parts) != len(edges) + 2 for edges, parts in zip(bounds, shares, strict=True)):
            raise ValueError("The spread of the features does not fit their number: train it again.")
        return cls(names, bounds, shares)


def drift_of(names: tuple[str, ...], x: Any) -> list[dict[str, Any]]:
    """Of the newest fifth of the rows against those before."""
    newest = int(len(x) * (1 - NEWEST_PART))
    return Reference.of(names, x[:newest]).drift(x[newest:].tolist())


def _soft(shares: Sequence[float]) -> list[float]:
    """Without zeros: half a thousandth stands for an empty part."""
    return [max(share, 0.0005) for share in shares]
