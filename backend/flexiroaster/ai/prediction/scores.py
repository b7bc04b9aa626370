"""How good predictions were: measured on runs that came after what the predictor knew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scores:
    """`auc` and `average_precision` are None when all runs ended alike."""

    runs: int
    failures: int
    auc: float | None
    average_precision: float | None
    brier: float
    ece: float
    """Expected calibration error over ten bins of equal width."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Runs whose predicted probability lay between `low` and `high`: the mean of it, and what share it happened to."""

    low: float
    high: float
    runs: int
    predicted: float
    happened: float


def scores(predicted: Sequence[float], failed: Sequence[bool]) -> Scores:
    runs = len(predicted)
    if runs == 0:
        return Scores(0, 0, None, None, 0.0, 0.0)
    brier = sum((p - f) ** 2 for p, f in zip(predicted, failed, strict=True)) / runs
    ece = sum(bin.runs / runs * abs(bin.predicted - bin.happened) for bin in reliability(predicted, failed))
    return Scores(runs, sum(failed), auc(predicted, failed), average_precision(predicted, failed), brier, ece)


def auc(predicted: Sequence[float], failed: Sequence[bool]) -> float | None:
    """Probability that a failed run had the higher number than a successful one (ties count half)."""
    failures = sum(failed)
    successes = len(failed) - failures
    if not failures or not successes:
        return None
    order = sorted(range(len(predicted)), key=predicted.__getitem__)
    ranks, index = 0.0, 0
    while index < len(order):
        end = index
        while end < len(order) and predicted[order[end]] == predicted[order[index]]:
            end += 1
        ranks += sum(failed[order[i]] for i in range(index, end)) * (index + 1 + end) / 2.0
        index = end
    return (ranks - failures * (failures + 1) / 2.0) / (failures * successes)


def average_precision(predicted: Sequence[float], failed: Sequence[bool]) -> float | None:
    failures = sum(failed)
    if not failures:
        return None
    order = sorted(range(len(predicted)), key=lambda i: -predicted[i])
    total, hits, index = 0.0, 0, 0
    while index < len(order):
        end = index
        while end < len(order) and predicted[order[end]] == predicted[order[index]]:
            end += 1
        new = sum(failed[order[i]] for i in range(index, end))
        hits += new
        total += new * hits / end
        index = end
    return total / failures


def reliability(predicted: Sequence[float], failed: Sequence[bool], bins: int = 10) -> list[Bin]:
    groups: list[list[int]] = [[] for _ in range(bins)]
    for index, value in enumerate(predicted):
        groups[min(int(value * bins), bins - 1)].append(index)
    return [
        Bin(
            number / bins,
            (number + 1) / bins,
            len(group),
            sum(predicted[i] for i in group) / len(group),
            sum(failed[i] for i in group) / len(group),
        )
        for number, group in enumerate(groups)
        if group
    ]


def pinball(seconds: float, quantile: float, share: float) -> float:
    """The loss that the `share` quantile minimises."""
    return (seconds - quantile) * (share if seconds >= quantile else share - 1.0)
