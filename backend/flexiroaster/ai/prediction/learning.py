"""Training: the only module here that needs numpy and scikit-learn. Everything runs on one thread.

Gives models as plain numbers (`models`); what scikit-learn fitted is thrown away.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from flexiroaster.ai.prediction.models import FARTHEST, Calibration, Linear, Node, Trees, log_odds, probability
from flexiroaster.ai.runs import library

Matrix = Any
"""A numpy array of shape (runs, features)."""

LARGEST = 1e308
"""Stands for an infinite threshold (known or unknown, nothing else), which JSON cannot write."""

RATE = 0.04
FEWEST_ROUNDS, MOST_ROUNDS = 150, 300
FEWEST_LEAVES, MOST_LEAVES = 8, 20
"""Small trees while failures are few, or they learn single incidents by heart: a leaf more per 150 failures."""


@contextmanager
def one_thread() -> Iterator[None]:
    """More threads than free cores make gradient boosting ten times slower, and the machine belongs to the runs."""
    with library("threadpoolctl").threadpool_limits(limits=1):
        yield


def matrix(rows: Sequence[Sequence[float]]) -> Matrix:
    np = library("numpy")
    return np.asarray(rows, dtype=np.float64)


def medians_of(x: Matrix) -> Matrix:
    """Per column; 0 for a column where nothing is known (scikit-learn 1.9 fails on those)."""
    np = library("numpy")
    known = ~np.isnan(x).all(axis=0)
    medians = np.zeros(x.shape[1])
    medians[known] = np.nanmedian(x[:, known], axis=0)
    return medians


def without_empty(x: Matrix) -> Matrix:
    np = library("numpy")
    empty = np.isnan(x).all(axis=0)
    if not empty.any():
        return x
    filled = x.copy()
    filled[:, empty] = 0.0
    return filled


def recency_weights(count: int, half_life: float) -> Matrix:
    """The newest row weighs 1, one `half_life` rows older a half."""
    np = library("numpy")
    return 0.5 ** (np.arange(count - 1, -1, -1) / half_life)


def fit_logistic(x: Matrix, failed: Sequence[bool], weights: Matrix) -> Linear:
    np = library("numpy")
    medians = medians_of(x)
    filled = np.where(np.isnan(x), medians, x)
    means, scales = filled.mean(axis=0), filled.std(axis=0)
    scales = np.where(scales < 1e-9, 1.0, scales)
    z = np.clip((filled - means) / scales, -FARTHEST, FARTHEST)
    fitted = library("sklearn.linear_model").LogisticRegression(C=0.05, max_iter=400)
    with one_thread():
        fitted.fit(z, np.asarray(failed, dtype=int), sample_weight=weights)
    start = float(fitted.intercept_[0])
    return Linear(_floats(medians), _floats(means), _floats(scales), _floats(fitted.coef_[0]), start)


def fit_trees(x: Matrix, failed: Sequence[bool], seed: int) -> Trees:
    """Every row weighs alike: weights make scikit-learn's binning of the columns slower than all the rest."""
    np = library("numpy")
    rarer = min(sum(failed), len(failed) - sum(failed))
    fitted = library("sklearn.ensemble").HistGradientBoostingClassifier(
        learning_rate=RATE,
        max_iter=max(FEWEST_ROUNDS, min(MOST_ROUNDS, rarer // 10)),
        max_leaf_nodes=max(FEWEST_LEAVES, min(MOST_LEAVES, rarer // 150)),
        min_samples_leaf=max(10, min(60, len(x) // 100)),
        l2_regularization=8.0,
        max_features=0.3,
        early_stopping=False,
        random_state=seed,
    )
    with one_thread():
        fitted.fit(without_empty(x), np.asarray(failed, dtype=int))
    return trees_from(fitted, medians_of(x))


def fit_quantile(x: Matrix, values: Matrix, share: float, seed: int) -> Trees:
    fitted = library("sklearn.ensemble").HistGradientBoostingRegressor(
        loss="absolute_error" if share == 0.5 else "quantile",
        quantile=None if share == 0.5 else share,
        learning_rate=0.06,
        max_iter=max(40, min(160, len(x) // 60)),
        max_leaf_nodes=16,
        min_samples_leaf=max(5, min(30, len(x) // 100)),
        l2_regularization=2.0,
        max_features=0.4,
        early_stopping=False,
        random_state=seed,
    )
    with one_thread():
        fitted.fit(without_empty(x), values)
    return trees_from(fitted, medians_of(x))


def trees_from(fitted: Any, medians: Matrix) -> Trees:
    """The numbers inside scikit-learn's gradient boosting. A test compares the answers of both."""
    np = library("numpy")
    trees = tuple(tuple(_node(node) for node in stage[0].nodes) for stage in fitted._predictors)
    return Trees(_floats(medians), float(np.ravel(fitted._baseline_prediction)[0]), trees)


def _node(node: Any) -> Node:
    if node["is_leaf"]:
        return -1, float(node["value"]), 0, 0, False
    return (
        int(node["feature_idx"]),
        min(float(node["num_threshold"]), LARGEST),
        int(node["left"]),
        int(node["right"]),
        bool(node["missing_go_to_left"]),
    )


def answers(model: Linear | Trees, x: Matrix) -> list[float]:
    """The model's answer for every row, column-wise: the same numbers as `model.answer`, many at once."""
    np = library("numpy")
    if isinstance(model, Linear):
        filled = np.where(np.isnan(x), np.asarray(model.medians), x)
        z = np.clip((filled - np.asarray(model.means)) / np.asarray(model.scales), -FARTHEST, FARTHEST)
        return list(map(float, z @ np.asarray(model.weights) + model.start))
    total = np.full(len(x), model.start)
    rows = np.arange(len(x))
    for tree in model.trees:
        feature, threshold, low, high, unknown_low = (np.asarray(column) for column in zip(*tree, strict=True))
        at = np.zeros(len(x), dtype=np.int64)
        while True:
            inner = feature[at] >= 0
            if not inner.any():
                break
            value = x[rows, np.maximum(feature[at], 0)]
            goes_low = (value <= threshold[at]) | (np.isnan(value) & unknown_low[at])
            at = np.where(inner, np.where(goes_low, low[at], high[at]), at)
        total += threshold[at]
    return list(map(float, total))


def calibrate(values: Sequence[float], failed: Sequence[bool], isotonic_from: int = 200) -> Calibration:
    """From log-odds and outcomes: an isotonic curve with many failures, a line (Platt) with few."""
    if sum(failed) >= isotonic_from:
        return _isotonic(values, failed)
    np = library("numpy")
    fitted = library("sklearn.linear_model").LogisticRegression(C=1.0, max_iter=200)
    with one_thread():
        fitted.fit(np.asarray(values).reshape(-1, 1), np.asarray(failed, dtype=int))
    slope = float(fitted.coef_[0][0])
    # A falling line would turn the order of risks around: then only the level is moved.
    return Calibration(slope, float(fitted.intercept_[0])) if slope > 0 else _level(values, failed)


def _level(values: Sequence[float], failed: Sequence[bool]) -> Calibration:
    mean = sum(map(probability, values)) / len(values)
    return Calibration(1.0, log_odds((sum(failed) + 0.5) / (len(failed) + 1.0)) - log_odds(mean))


def _isotonic(values: Sequence[float], failed: Sequence[bool]) -> Calibration:
    """Pool adjacent violators over groups of at least 100 runs; the points are the groups' means."""
    order = sorted(range(len(values)), key=values.__getitem__)
    size = max(100, len(values) // 200)
    blocks: list[tuple[float, float, float]] = []
    for first in range(0, len(order), size):
        group = order[first : first + size]
        blocks.append((sum(values[i] for i in group), float(sum(failed[i] for i in group)), float(len(group))))
        while len(blocks) > 1 and blocks[-2][1] / blocks[-2][2] >= blocks[-1][1] / blocks[-1][2]:
            last, before = blocks.pop(), blocks.pop()
            blocks.append((last[0] + before[0], last[1] + before[1], last[2] + before[2]))
    return Calibration(points=tuple((x / n, log_odds((f + 0.5) / (n + 1.0))) for x, f, n in blocks))


def _floats(values: Any) -> tuple[float, ...]:
    # Nine digits keep every answer to a millionth and a third of the file's size.
    return tuple(float(f"{value:.9g}") if math.isfinite(value) else 0.0 for value in values)


def versions() -> dict[str, str]:
    return {name: str(library(name).__version__) for name in ("numpy", "sklearn")}
