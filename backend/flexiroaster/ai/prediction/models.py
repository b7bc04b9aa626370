"""Learned models as plain numbers: they answer without any numeric library and are stored as JSON, never pickled."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
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


def model_from(document: Mapping[str, Any], width: int) -> Model:
    """A model for so many values. Raises ValueError when the document is none."""
    start = number(document["start"])
    match document.get("form"):
        case "linear":
            medians, means, scales, weights = (
                numbers(document[name], width) for name in ("medians", "means", "scales", "weights")
            )
            if not all(scale > 0 for scale in scales):
                raise ValueError("A linear model divides by a scale that is not positive: train it again.")
            return Linear(medians, means, scales, weights, start)
        case "trees":
            trees = tuple(tuple(_nodes(columns, width)) for columns in document["trees"])
            return Trees(numbers(document["medians"], width), start, trees)
        case other:
            raise ValueError(f"A model has the form 'linear' or 'trees', not {other!r}: train it again.")


def number(value: Any) -> float:
    """Raises ValueError for anything that is no finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{value!r:.40} is no number of a model: train it again.")
    return float(value)


def numbers(values: Any, count: int | None = None) -> tuple[float, ...]:
    if not isinstance(values, list) or (count is not None and len(values) != count):
        raise ValueError(f"A model's list has not the {count} numbers that it needs: train it again.")
    return tuple(map(number, values))


def _nodes(columns: Any, width: int) -> list[Node]:
    """Children lie behind their parent, so that an answer always ends; a file that breaks this is refused."""
    if len(columns) != 5 or not columns[0] or any(len(column) != len(columns[0]) for column in columns):
        raise ValueError("A tree has not five columns of one length: train the model again.")
    nodes: list[Node] = []
    count = len(columns[0])
    for index, (feature, threshold, low, high, unknown_low) in enumerate(zip(*columns, strict=True)):
        if any(type(whole) is not int for whole in (feature, low, high)) or not -1 <= feature < width:
            raise ValueError(f"Node {index} of a tree asks for value {feature!r} of {width}: train the model again.")
        if feature >= 0 and not (index < low < count and index < high < count):
            raise ValueError(f"Node {index} of a tree points backwards: the file is damaged, train the model again.")
        nodes.append((feature, number(threshold), low, high, bool(unknown_low)))
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
        points = tuple((number(x), number(y)) for x, y in document["points"])
        if any(before[0] > after[0] for before, after in pairwise(points)):
            raise ValueError("The points of a calibration do not rise: train the model again.")
        return cls(number(document["slope"]), number(document["offset"]), points)
