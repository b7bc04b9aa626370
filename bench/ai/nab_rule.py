"""The scoring rule of the Numenta Anomaly Benchmark, written from its description (Lavin and Ahmad, 2015).

In each labelled window the earliest detection counts, the more the earlier it is; a detection outside costs, the more
the further behind a window; a missed window costs. 0 is a detector that says nothing, 100 a perfect one.
"""

from __future__ import annotations

import csv
import json
import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

PROFILES = {"standard": (0.11, 1.0), "low_fp": (0.22, 1.0), "low_fn": (0.11, 2.0)}
"""(cost of a false detection, cost of a missed window)"""
UNSCORED_SHARE, UNSCORED_MOST = 0.15, 750
SPLITS = 20

Steps = list[tuple[float, float]]


@dataclass(frozen=True)
class Series:
    name: str
    times: list[datetime]
    values: list[float]
    windows: list[tuple[int, int]]
    """First and last row."""

    @property
    def unscored(self) -> int:
        return min(int(UNSCORED_SHARE * len(self.values)), UNSCORED_MOST)


def read(folder: Path) -> list[Series]:
    labels = json.loads((folder / "labels" / "combined_windows.json").read_text())
    return [_series(folder, name, windows) for name, windows in sorted(labels.items())]


def _series(folder: Path, name: str, windows: list[list[str]]) -> Series:
    with (folder / "data" / name).open() as lines:
        rows = list(csv.reader(lines))[1:]
    times = [datetime.fromisoformat(row[0]) for row in rows]
    spans = []
    for first, last in windows:
        inside = [row for row, at in enumerate(times) if _time(first) <= at <= _time(last)]
        spans.append((inside[0], inside[-1]))
    return Series(name, times, [float(row[1]) for row in rows], spans)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.partition(".")[0])


def steps(series: Series, scores: Sequence[float], profile: str) -> Steps:
    """(score, change): at a threshold the series is worth minus the missed windows plus all changes at or above it."""
    false_cost, miss_cost = PROFILES[profile]
    found: Steps = []
    last: tuple[int, int] | None = None
    row = series.unscored
    for first, end in [*series.windows, (len(scores), len(scores))]:
        for place in range(row, min(first, len(scores))):
            found.append((scores[place], false_cost * _behind(place, last)))
        if first < len(scores):
            found += _window(scores, max(first, series.unscored), first, end, miss_cost)
        last, row = (first, end), max(end + 1, row)
    return found


def _behind(row: int, window: tuple[int, int] | None) -> float:
    """The weight of a false detection: nearly nothing right behind a window, -1 far from it."""
    if window is None:
        return -1.0
    return _sigmoid((row - window[1]) / max(window[1] - window[0], 1))


def _window(scores: Sequence[float], begin: int, first: int, end: int, miss_cost: float) -> Steps:
    """Only rows above all before them in the window can be the earliest at some threshold."""
    best = -math.inf
    earliest: list[tuple[float, float]] = []
    for row in range(begin, end + 1):
        if scores[row] > best:
            best = scores[row]
            worth = _sigmoid(-(end - row + 1) / (end - first + 1)) / _sigmoid(-1.0)
            earliest.append((best, worth))
    changes, worth_before = [], -miss_cost
    for score, worth in reversed(earliest):
        changes.append((score, worth - worth_before))
        worth_before = worth
    return changes


def _sigmoid(position: float) -> float:
    return -1.0 if position > 3.0 else 2.0 / (1.0 + math.exp(5.0 * position)) - 1.0


class Scored:
    """The scores of one detector on all series, and what they are worth."""

    def __init__(self, corpus: Sequence[Series], detect: Callable[[Series], Iterable[float]]) -> None:
        self._corpus = corpus
        found = [list(detect(series)) for series in corpus]
        self._steps = {
            profile: [steps(series, scores, profile) for series, scores in zip(corpus, found, strict=True)]
            for profile in PROFILES
        }

    def best(self, profile: str) -> tuple[float, float]:
        """(value, threshold) when the threshold is chosen on all series, as the published table does."""
        return self._best(profile, range(len(self._corpus)))

    def at(self, threshold: float, profile: str, chosen: Iterable[int] | None = None) -> float:
        places = list(range(len(self._corpus)) if chosen is None else chosen)
        changes = (change for place in places for score, change in self._steps[profile][place] if score >= threshold)
        return 100.0 * math.fsum(changes) / self._perfect(profile, places)

    def carried_over(self, profile: str, seed: int = 0) -> float:
        """The threshold chosen on one half of the series, the value on the other; mean over random halves."""
        chance = random.Random(seed)
        places = list(range(len(self._corpus)))
        values = []
        for _ in range(SPLITS):
            chance.shuffle(places)
            half = len(places) // 2
            for learn, test in ((places[:half], places[half:]), (places[half:], places[:half])):
                values.append(self.at(self._best(profile, learn)[1], profile, test))
        return sum(values) / len(values)

    def _best(self, profile: str, places: Iterable[int]) -> tuple[float, float]:
        places = list(places)
        changes = sorted((step for place in places for step in self._steps[profile][place]), reverse=True)
        best, threshold, total = 0.0, math.inf, 0.0
        for (score, change), (following, _) in zip(changes, [*changes[1:], (-math.inf, 0.0)], strict=True):
            total += change
            if score != following and total > best and score > 0:
                best, threshold = total, score
        return 100.0 * best / self._perfect(profile, places), threshold

    def _perfect(self, profile: str, places: Iterable[int]) -> float:
        return (1.0 + PROFILES[profile][1]) * max(sum(len(self._corpus[place].windows) for place in places), 1)
