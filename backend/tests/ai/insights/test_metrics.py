from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexiroaster.ai.insights.metric_events import metric_anomalies
from flexiroaster.ai.insights.metrics import LEARNING_ROWS, QUIET_ROWS, MetricDetector, detector

START = datetime(2026, 3, 2, tzinfo=UTC)
STEP = timedelta(minutes=5)


def stream(rows: int, *, seed: int = 1) -> list[tuple[datetime, float]]:
    """A metric of a business week: office hours, less at the weekend, noise."""
    chance = random.Random(seed)
    found = []
    for row in range(rows):
        at = START + row * STEP
        busy = 60 if 8 <= at.hour < 18 and at.weekday() < 5 else 20
        found.append((at, busy + chance.gauss(0, 2)))
    return found


def changed(rows: list[tuple[datetime, float]], where: range, change: float) -> list[tuple[datetime, float]]:
    return [(at, value + change * (row in where)) for row, (at, value) in enumerate(rows)]


def alerts(rows: list[tuple[datetime, float]]) -> list[int]:
    return [row for row, score in enumerate(detector(rows)) if score >= 1]


def test_ordinary_weeks_give_no_alert() -> None:
    usual = alerts(stream(6_000))
    # The first weekend and the first Monday after it are new to the detector.
    assert [row for row in usual if row > 2_016] == []


@pytest.mark.parametrize("change", [120, -60])
def test_spike_is_found_at_its_first_row(change: float) -> None:
    assert 5_000 in alerts(changed(stream(6_000), range(5_000, 5_003), change))


def test_missing_busy_hours_are_found_though_the_values_are_common() -> None:
    rows = stream(6_000)
    at_noon = next(row for row, (at, _) in enumerate(rows) if row > 4_100 and at.hour == 12 and at.weekday() == 2)
    assert any(at_noon <= row < at_noon + 12 for row in alerts(changed(rows, range(at_noon, at_noon + 24), -40)))


def test_lasting_shift_is_told_once() -> None:
    found = [row for row in alerts(changed(stream(6_000), range(5_000, 6_000), 90)) if row >= 5_000]
    assert found
    assert found[0] == 5_000
    assert len(found) <= 3


def test_flat_line_that_moves_is_an_anomaly() -> None:
    assert alerts([(START + row * STEP, 45.0 + (row == 700)) for row in range(1_000)]) == [700]


def test_flat_line_stays_quiet() -> None:
    assert set(detector([45.0] * 500)) == {0.0}


def test_nothing_is_said_while_it_learns() -> None:
    assert set(list(detector([0.0, 1e9] * LEARNING_ROWS))[:LEARNING_ROWS]) == {0.0}


def test_weaker_event_shortly_after_a_stronger_one_is_quiet() -> None:
    rows = changed(changed(stream(6_000), range(5_000, 5_002), 300), range(5_100, 5_102), 150)
    scores = list(detector(rows))
    assert scores[5_000] >= 1
    assert scores[5_100] == 0
    assert QUIET_ROWS > 100


@pytest.mark.parametrize("missing", [None, math.nan, math.inf])
def test_missing_value_scores_nothing_and_changes_nothing(missing: float | None) -> None:
    rows = stream(3_000)
    metric, other = MetricDetector(), MetricDetector()
    for at, value in rows:
        assert metric.score(missing, at) == 0
        assert metric.score(value, at) == other.score(value, at)


def test_scale_and_offset_of_the_metric_do_not_matter() -> None:
    rows = changed(stream(4_000), range(3_500, 3_503), 100)
    scaled = [(at, 1_000 * value + 5_000_000) for at, value in rows]
    assert alerts(rows) == alerts(scaled)


def test_rows_may_be_mappings_texts_or_bare_values() -> None:
    rows = changed(stream(2_000), range(1_500, 1_502), 500)
    texts = [{"timestamp": at.isoformat(), "value": str(value)} for at, value in rows]
    assert list(detector(texts)) == list(detector(rows))
    assert list(detector(value for _, value in rows)) == list(
        detector(rows)
    )  # it begins on a Monday, five minutes apart


def test_memory_does_not_grow_with_the_stream() -> None:
    metric = MetricDetector()
    for row in range(20_000):
        metric.score(row % 7, START + row * STEP)
    assert len(metric._profile) <= 168
    assert len(metric._recent) <= QUIET_ROWS + 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=200))
def test_any_numbers_are_borne(values: list[float]) -> None:
    assert all(math.isfinite(score) and score >= 0 for score in detector(values))


def test_event_is_told_in_a_sentence_with_numbers() -> None:
    rows = changed(stream(6_000), range(5_000, 5_003), 120)
    [one] = [one for one in metric_anomalies("cpu", rows) if one.since >= rows[4_990][0].timestamp()]
    assert one.text.startswith("cpu was 1")
    assert f"{rows[5_000][0]:%A, %d %B at %H:%M}" in one.text
    assert one.subject == "metric:cpu"
    assert one.since == rows[5_000][0].timestamp()
    assert one.numbers["value"] == rows[5_000][1]
    assert abs(one.numbers["expected"] - rows[4_700][1]) < 60
    assert 0.5 <= one.confidence < 1


def test_verdicts_move_the_threshold_of_a_metric() -> None:
    rows = changed(stream(6_000), range(5_000, 5_003), 120)
    assert len(metric_anomalies("cpu", rows, factor=3.0)) < len(metric_anomalies("cpu", rows))
