from __future__ import annotations

import json
import math
import random

import numpy as np
import pytest

from flexiroaster.ai import card
from flexiroaster.ai.card import WEEK, Answered, Reference
from flexiroaster.ai.runs import DAY

NAMES = ("connector_hour", "rows", "another")


def test_figures_of_failures_stand_beside_every_candidate() -> None:
    moments = [DAY * day for day in range(20)]
    failed = [day % 4 == 0 for day in range(20)]
    sure = [0.9 if one else 0.05 for one in failed]
    found = card.of_failures(moments, ["sql", "http"] * 10, sure, {"prior": [0.25] * 20, "trees": sure}, failed)
    assert found["metrics"]["auc"] == 1.0
    assert found["metrics"] == found["baselines"]["trees"]
    assert found["metrics"]["brier"] < found["baselines"]["prior"]["brier"]
    assert found["baselines"]["failure rate"]["brier"] == pytest.approx(0.25 * 0.75)
    assert [(bin["runs"], bin["happened"]) for bin in found["calibration"]] == [(15, 0.0), (5, 1.0)]
    assert {kind: part["runs"] for kind, part in found["slices"].items()} == {"http": 10, "sql": 10}
    assert [week["runs"] for week in found["weeks"]] == [7, 7, 6]
    assert [week["from"] for week in found["weeks"]] == [0.0, WEEK, 2 * WEEK]
    assert found == json.loads(json.dumps(found, allow_nan=False))


def test_figures_of_durations_say_how_many_ended_within_the_percentile() -> None:
    chance = random.Random(1)
    answered = []
    for number in range(1000):
        seconds = chance.gauss(3.0, 0.1)
        offered = {"median": 3.5, "line": 3.0}
        answered.append(Answered(DAY * number / 50, "sql", seconds, offered, 3.0, 3.0 + 0.1 * 1.2816))
    found = card.of_durations(answered)
    assert found["metrics"]["below_p90"] == pytest.approx(0.9, abs=0.02)
    assert found["metrics"]["p90_over_p50"] == pytest.approx(math.exp(0.128), abs=0.01)
    assert found["metrics"]["median_relative_error"] == pytest.approx(0.07, abs=0.01)
    assert found["baselines"]["median"]["median_relative_error"] > 0.5
    assert found["calibration"][1]["happened"] == found["metrics"]["below_p90"]
    assert sum(week["runs"] for week in found["weeks"]) == 1000
    assert list(found["slices"]) == ["sql"]


def rows(seed: int, shift: float, unknown: float) -> np.ndarray:
    chance = np.random.default_rng(seed)
    x = chance.normal(size=(2000, 3))
    x[:, 1] += shift
    x[chance.random(2000) < unknown, 2] = np.nan
    return x


def test_features_that_moved_are_named_and_others_are_not() -> None:
    reference = Reference.of(NAMES, rows(1, 0.0, 0.1))
    assert reference.drift(rows(2, 0.0, 0.1).tolist()) == []
    moved = reference.drift(rows(3, 2.0, 0.6).tolist())
    assert [one["feature"] for one in moved] == ["rows", "another"]
    assert moved[0]["label"] == "rows read"
    assert moved[0]["index"] > 1


def test_the_index_is_that_of_its_definition() -> None:
    before = np.repeat([[0.0], [1.0]], [600, 400], axis=0)
    now = [[0.0]] * 200 + [[1.0]] * 800
    found = Reference.of(("x",), before).drift(now)
    assert found[0]["index"] == pytest.approx((0.2 - 0.6) * math.log(0.2 / 0.6) + (0.8 - 0.4) * math.log(0.8 / 0.4))


def test_a_column_that_is_never_known_is_no_drift() -> None:
    x = np.full((300, 1), np.nan)
    assert Reference.of(("x",), x).drift(x.tolist()) == []


def test_a_reference_comes_back_as_it_was_and_no_other_shape_does() -> None:
    reference = Reference.of(NAMES, rows(1, 0.0, 0.1))
    document = json.loads(json.dumps(reference.to_document()))
    assert Reference.from_document(NAMES, document) == reference
    with pytest.raises(ValueError, match="does not fit"):
        Reference.from_document(NAMES[:2], document)
    document["shares"][0].pop()
    with pytest.raises(ValueError, match="does not fit"):
        Reference.from_document(NAMES, document)
