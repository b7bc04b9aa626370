from __future__ import annotations

import random

from flexiroaster.ai.insights.outages import as_insight, failures_in, incidents
from flexiroaster.ai.insights.past import Past
from flexiroaster.ai.invented import history
from flexiroaster.ai.runs import Run

from .runs import BEGIN, DAY, HOUR, stage_run

PIPELINES = ("orders", "billing", "stock", "mail")


def fleet(
    down: range = range(0), *, hours: int = 300, pipelines: tuple[str, ...] = PIPELINES, **more: object
) -> list[Run]:
    """Every pipeline once an hour, five minutes apart, on one connector that is down in some hours."""
    return [
        stage_run(
            hour,
            pipeline=name,
            at=BEGIN + hour * HOUR + place * 300,
            connector="warehouse",
            failed=hour in down,
            **more,
        )
        for hour in range(hours)
        for place, name in enumerate(pipelines)
    ]


def past(runs: list[Run], days: float = 20) -> Past:
    return Past(runs, now=BEGIN + days * DAY)


def test_one_incident_for_all_pipelines() -> None:
    [incident] = incidents(past(fleet(range(200, 203))))
    insight = as_insight(incident)
    assert insight.subject == "connector:warehouse"
    assert insight.pipelines == tuple(sorted(PIPELINES))
    assert insight.numbers["executions"] == 12
    assert insight.since == BEGIN + 200 * HOUR + 60
    assert insight.until == BEGIN + 202 * HOUR + 900 + 60
    assert "warehouse made 12 executions of 4 pipelines fail within 2 h 15 min" in insight.text


def test_outage_that_lasts_has_no_end() -> None:
    [incident] = incidents(past(fleet(range(298, 300)), days=300 / 24))
    assert as_insight(incident).until is None


def test_two_outages_are_two_incidents() -> None:
    runs = [*fleet(range(100, 101), hours=150)]
    runs += [run for run in fleet(range(200, 201)) if run.started_at >= BEGIN + 150 * HOUR]
    found = incidents(past(runs))
    assert [round((incident.since - BEGIN) / HOUR) for incident in found] == [100, 200]


def test_one_pipeline_alone_is_no_outage() -> None:
    assert incidents(past(fleet(range(200, 210), pipelines=("orders",)))) == []


def test_retries_of_one_execution_prove_nothing() -> None:
    runs = fleet()
    at = BEGIN + 200 * HOUR
    runs += [
        stage_run(200, pipeline=name, at=at + 60 * attempt, connector="warehouse", attempt=attempt, failed=True)
        for name in ("orders", "billing")
        for attempt in range(1, 6)
    ]
    assert incidents(past(runs)) == []


def test_usual_failures_are_no_outage() -> None:
    runs = [
        stage_run(
            hour, pipeline=name, at=BEGIN + hour * HOUR + place * 300, connector="c", failed=(hour + place) % 9 == 0
        )
        for hour in range(400)
        for place, name in enumerate(PIPELINES)
    ]
    assert incidents(past(runs)) == []


def test_connectors_are_told_apart() -> None:
    runs = fleet(range(200, 202))
    others = [
        stage_run(hour, pipeline=f"other-{place}", at=BEGIN + hour * HOUR + place * 300, connector="lake")
        for hour in range(300)
        for place in range(4)
    ]
    [incident] = incidents(past(runs + others))
    assert incident.root == ("connector", "warehouse")
    assert all(run.connector == "warehouse" for run in incident.failures)


def test_one_error_everywhere_is_an_incident_without_a_connector() -> None:
    runs = [
        stage_run(
            hour,
            pipeline=name,
            at=BEGIN + hour * HOUR + place * 300,
            failed=hour == 200,
            fingerprint="f00d" if hour == 200 else "",
        )
        for hour in range(300)
        for place, name in enumerate(PIPELINES)
    ]
    [incident] = incidents(past(runs))
    assert incident.subject == "error:f00d"
    assert len(failures_in([incident])) == 4


def test_error_of_a_connector_outage_is_not_told_twice() -> None:
    runs = fleet(range(200, 202), fingerprint="f00d")
    assert [incident.root[0] for incident in incidents(past(runs))] == ["connector"]


def test_verdicts_raise_the_threshold() -> None:
    runs = fleet(range(200, 201))
    assert incidents(past(runs))
    assert incidents(past(runs), lambda subject: 3.0) == []


def test_short_outage_after_many_healthy_runs_is_found() -> None:
    [incident] = incidents(past(fleet(range(200, 201), pipelines=PIPELINES[:3])))
    assert len(incident.executions) == 3


def test_outage_among_pipelines_that_run_seldom_is_one_incident() -> None:
    """Each of them runs every eight hours, at another hour."""
    runs = [
        stage_run(
            number,
            pipeline=name,
            at=BEGIN + (8 * number + 2 * place) * HOUR,
            connector="warehouse",
            failed=60 <= number < 62,
        )
        for number in range(90)
        for place, name in enumerate(PIPELINES)
    ]
    [incident] = incidents(past(runs, days=30))
    assert len(incident.executions) == 8
    assert incident.over


def test_version_that_fails_for_days_is_no_outage_though_another_pipeline_fails_once() -> None:
    runs = [
        stage_run(
            number,
            pipeline=name,
            at=BEGIN + (2 * number + place / 2) * HOUR,
            connector="warehouse",
            failed=(place == 0 and number >= 200) or (place == 1 and number == 205),
        )
        for number in range(220)
        for place, name in enumerate(PIPELINES)
    ]
    assert incidents(past(runs)) == []


def test_busy_connector_that_often_fails_is_not_out() -> None:
    """Far more runs in half an hour than the window holds, one in ten of them a failure."""
    chance = random.Random(1)
    runs = [
        stage_run(
            number,
            pipeline=PIPELINES[number % 4],
            at=BEGIN + number * 10,
            connector="warehouse",
            failed=chance.random() < 0.1,
        )
        for number in range(5_000)
    ]
    assert incidents(past(runs)) == []


def test_outages_of_another_fleet_are_found_and_nothing_else() -> None:
    invented = history(3, pipelines=30, days=25)
    found = incidents(Past(invented.runs, now=max(run.ended_at or 0.0 for run in invented.runs)))
    spans = [(name, span) for name, spans in invented.outages.items() for span in spans]
    true = [
        any(
            one.root[1] == name and one.last_failure >= span.begin and one.since < span.end + HOUR
            for name, span in spans
        )
        for one in found
    ]
    assert len(found) >= 8
    assert all(true)
