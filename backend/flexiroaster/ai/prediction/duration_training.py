"""Training of the durations: what trees add to the line, measured on runs that they had not seen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from flexiroaster.ai.prediction import learning
from flexiroaster.ai.prediction.duration import (
    COLD,
    LEAST_TO_LEARN,
    DurationSample,
    Errors,
    TrainedDurations,
    conformal,
)
from flexiroaster.ai.prediction.pace import LINE, MEDIAN, NEWEST, RECENT
from flexiroaster.ai.prediction.window import Window
from flexiroaster.ai.runs import library

NEWEST_SAMPLES = 50_000
SMALLEST_SCALE = 0.03


def train_durations(samples: Sequence[DurationSample], seed: int = 0) -> TrainedDurations | None:
    """None while there is too little to learn from. The same samples and seed give the same models."""
    newest = sorted(samples, key=lambda sample: sample.started_at)[-NEWEST_SAMPLES:]
    if sum(sample.key != COLD for sample in newest) < LEAST_TO_LEARN:
        return None
    np = library("numpy")
    x = learning.matrix([sample.values for sample in newest])
    off = np.asarray([sample.seconds - sample.values[LINE] for sample in newest])
    seen, middles = _prequential(newest, x, off, seed)
    residuals = off[seen] - middles
    warm = [index for index, sample in enumerate(newest) if sample.key != COLD]
    middle = learning.fit_quantile(x[warm], off[warm], 0.5, seed)
    upper = learning.fit_quantile(x[seen], np.abs(residuals), 0.8, seed)
    scales = np.maximum(learning.answers(upper, x[seen]), SMALLEST_SCALE)
    scored = [newest[index] for index in seen]
    return TrainedDurations(
        width=x.shape[1],
        middle=middle,
        upper=upper,
        residuals=_residuals(scored, residuals, scales),
        errors=_errors(scored, residuals),
        card=_card(newest, scored, residuals, scales),
    )


def _prequential(samples: Sequence[DurationSample], x: Any, off: Any, seed: int) -> tuple[list[int], Any]:
    """Rows scored by trees of the past, and what those trees said."""
    np = library("numpy")
    count = len(samples)
    edges = [int(count * share) for share in (0.4, 0.6, 0.8, 1.0)]
    seen: list[int] = []
    middles: list[float] = []
    for first, last in pairwise(edges):
        known = [i for i in range(first) if samples[i].ended_at <= samples[first].started_at]
        # First runs of a stage are off by whole orders: trees would learn little else from them.
        known = [i for i in known if samples[i].key != COLD] or list(range(first))
        model = learning.fit_quantile(x[known], off[known], 0.5, seed)
        middles += learning.answers(model, x[first:last])
        seen += range(first, last)
    return seen, np.asarray(middles)


def _residuals(scored: Sequence[DurationSample], residuals: Any, scales: Any) -> dict[str, list[tuple[float, float]]]:
    kept: dict[str, Window[tuple[float, float]]] = defaultdict(lambda: Window(NEWEST))
    for sample, residual, scale in zip(scored, residuals, scales, strict=True):
        kept[sample.key].add((float(f"{residual:.5g}"), float(f"{scale:.5g}")), sample.execution)
    return {key: window.values() for key, window in kept.items()}


def _errors(scored: Sequence[DurationSample], residuals: Any) -> dict[str, dict[str, float]]:
    """Of every candidate, per stage and (under the empty key) of all."""
    kept: dict[str, Errors] = defaultdict(Errors)
    for sample, residual in zip(scored, residuals, strict=True):
        errors = _offered(sample, float(residual))
        kept[sample.key].add(errors, sample.execution)
        if sample.key != COLD:
            kept[""].add(errors, sample.execution)
    return {key: {"weight": errors.weight, **errors.sums} for key, errors in kept.items()}


def _offered(sample: DurationSample, residual: float) -> dict[str, float]:
    return {
        "median": abs(sample.seconds - sample.values[MEDIAN]),
        "recent": abs(sample.seconds - sample.values[RECENT]),
        "line": abs(sample.seconds - sample.values[LINE]),
        "trees": abs(residual),
        "both": abs(residual + sample.seconds - sample.values[LINE]) / 2.0,
    }


def _card(
    samples: Sequence[DurationSample], scored: Sequence[DurationSample], residuals: Any, scales: Any
) -> dict[str, Any]:
    """Median relative errors of every candidate, and what share stayed below the 90th percentile."""
    np = library("numpy")
    errors: dict[str, list[float]] = defaultdict(list)
    for sample, residual in zip(scored, residuals, strict=True):
        for name, error in _offered(sample, float(residual)).items():
            errors[name].append(error)
    half = len(scored) // 2
    ratio = conformal([float(value) for value in residuals[:half] / scales[:half]], 0.9)
    return {
        "runs": len(samples),
        "from": samples[0].started_at,
        "to": max(sample.ended_at for sample in samples),
        "scored_runs": len(scored),
        "median_relative_error": {name: float(np.expm1(np.median(values))) for name, values in errors.items()},
        "within_twice": {name: float(np.mean(np.asarray(values) < np.log(2))) for name, values in errors.items()},
        "below_p90": float(np.mean(residuals[half:] <= ratio * scales[half:])),
        "versions": learning.versions(),
    }
