"""Why a model answered what it did: the features whose usual value would have changed the answer most."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from flexiroaster.ai.prediction.features import BY_NAME, Feature
from flexiroaster.ai.prediction.models import Calibration, Model, log_odds, probability


@dataclass(frozen=True, slots=True)
class Reason:
    """With the feature at its usual value, the log-odds would be lower by `change` and the probability `without`."""

    feature: str
    label: str
    value: float | None
    usual: float
    change: float
    without: float
    words: str


def reasons(
    model: Model, calibration: Calibration, names: Sequence[str], values: Sequence[float], most: int = 3
) -> list[Reason]:
    """The largest changes first. Each is exact: put the median in, ask the model again."""
    answer = log_odds(probability(calibration.move(model.answer(values))))
    found = []
    for index, name in enumerate(names):
        usual, value = model.medians[index], values[index]
        if value == usual:
            continue
        other = list(values)
        other[index] = usual
        without = probability(calibration.move(model.answer(other)))
        change = answer - log_odds(without)
        if abs(change) > 1e-9:
            found.append((change, name, value, usual, without))
    found.sort(key=lambda reason: -abs(reason[0]))
    return [_reason(*reason) for reason in found[:most]]


def _reason(change: float, name: str, value: float, usual: float, without: float) -> Reason:
    feature = BY_NAME.get(name) or Feature(name, name)
    direction = "raises" if change > 0 else "lowers"
    words = f"{feature.label}: {shown(feature, value)} (usual {shown(feature, usual)}) {direction} the risk"
    return Reason(name, feature.label, None if math.isnan(value) else value, usual, change, without, words)


def shown(feature: Feature, value: float) -> str:
    """The value as a person writes it."""
    if math.isnan(value):
        return "never" if feature.unit == "log seconds" else "unknown"
    match feature.unit:
        case "share":
            return f"{value:.0%}"
        case "log seconds":
            return duration(math.expm1(value))
        case "log ratio":
            return f"×{math.exp(value):.2g}"
        case "log count":
            return f"{math.expm1(value):.0f}"
        case _:
            return f"{value:.3g}"


def duration(seconds: float) -> str:
    for unit, size in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
