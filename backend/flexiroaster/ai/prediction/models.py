"""Learned models as plain numbers: they answer without any numeric library and are stored as JSON, never pickled."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

FARTHEST = 5.0
"""Standard deviations beyond which a value counts no more in a linear model."""


def probability(log_odds: float) -> float:
    if log_odds < 0:
        power = math.exp(max(log_odds, -700.0))
        return power / (1.0 + power)
    return 1.0 / (1.0 + math.exp(-min(log_odds, 700.0)))


def log_odds(share: float) -> float:
    inside = min(max(share, 1e-6), 1.0 - 1e-6)
    return math.log(inside / (1.0 - inside))


@dataclass(frozen=True, slots=True)
class Linear:
    """A weighted sum of standardised values; an unknown value counts as the median."""

    medians: tuple[float, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    start: float

    def answer(self, values: Sequence[float]) -> float:
        total = self.start
        for value, median, mean, scale, weight in zip(
            values, self.medians, self.means, self.scales, self.weights, strict=True
        ):
            if weight:
                apart = ((median if isnan(value) else value) - mean) / scale
                total += weight * max(min(apart, FARTHEST), -FARTHEST)
        return total

    def to_document(self) -> dict[str, Any]:
        return {
            "form": "linear",
            "medians": list(self.medians),
            "means": list(self.means),
            "scales": list(self.scales),
            "weights": list(self.weights),
            "start": self.start,
        }


Node = tuple[int, float, int, int, bool]
"""Feature, threshold, node when at most the threshold, node otherwise, whether an unknown value goes to the first.
A leaf has feature -1 and its value for a threshold.
"""


@dataclass(frozen=True, slots=True)
class Trees:
    """A sum of decision trees (gradient boosting)."""

    medians: tuple[float, ...]
    start: float
    trees: tuple[tuple[Node, ...], ...]

    def answer(self, values: Sequence[float]) -> float:
        total = self.start
        for tree in self.trees:
            feature, threshold, low, high, unknown_low = tree[0]
            while feature >= 0:
                value = values[feature]
                goes_low = value <= threshold or (unknown_low and isnan(value))
                feature, threshold, low, high, unknown_low = tree[low if goes_low else high]
            total += threshold
        return total

    def to_document(self) -> dict[str, Any]:
        return {
            "form": "trees",
            "medians": list(self.medians),
            "start": self.start,
            "trees": [[list(column) for column in zip(*tree, strict=True)] for tree in self.trees],
        }


Model = Linear | Trees


def model_from(document: Mapping[str, Any]) -> Model:
    """Raises ValueError when the document is none of a model."""
    match document.get("form"):
        case "linear":
            numbers = {name: tuple(map(float, document[name])) for name in ("medians", "means", "scales", "weights")}
            return Linear(**numbers, start=float(document["start"]))
        case "trees":
            trees = tuple(tuple(_nodes(columns)) for columns in document["trees"])
            return Trees(tuple(map(float, document["medians"])), float(document["start"]), trees)
        case other:
            raise ValueError(f"A model has the form 'linear' or 'trees', not {other!r}: train it again.")


def _nodes(columns: Sequence[Sequence[Any]]) -> list[Node]:
    """Children lie behind their parent, so that an answer always ends; a file that breaks this is refused."""
    nodes: list[Node] = []
    count = len(columns[0])
    for index, (feature, threshold, low, high, unknown_low) in enumerate(zip(*columns, strict=True)):
        if feature >= 0 and not (index < low < count and index < high < count):
            raise ValueError(f"Node {index} of a tree points backwards: the file is damaged, train the model again.")
        nodes.append((int(feature), float(threshold), int(low), int(high), bool(unknown_low)))
    return nodes


@dataclass(frozen=True, slots=True)
class Calibration:
    """Moves log-odds to where they belong: `slope * x + offset`, or along the points of an isotonic curve."""

    slope: float = 1.0
    offset: float = 0.0
    points: tuple[tuple[float, float], ...] = ()
    """(log-odds, log-odds), rising."""

    def move(self, value: float) -> float:
        if not self.points:
            return self.slope * value + self.offset
        index = bisect_right(self.points, (value, math.inf))
        if index == 0:
            return self.points[0][1]
        if index == len(self.points):
            return self.points[-1][1]
        (x0, y0), (x1, y1) = self.points[index - 1], self.points[index]
        return y0 if x1 == x0 else y0 + (y1 - y0) * (value - x0) / (x1 - x0)

    def to_document(self) -> dict[str, Any]:
        return {"slope": self.slope, "offset": self.offset, "points": [list(point) for point in self.points]}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Calibration:
        points = tuple((float(x), float(y)) for x, y in document["points"])
        return cls(float(document["slope"]), float(document["offset"]), points)
