"""What people say of insights, and when they work themselves, reaches the next look at the history."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from flexiroaster.ai.insights.budget import NOISE_STEP
from flexiroaster.ai.runs import HOUR, Run
from flexiroaster.bus.local import LocalBus
from flexiroaster.services.ai.messages import keep_findings, line, of_findings, parsed
from flexiroaster.services.ai.room import AiServices, make_ai
from flexiroaster.services.ai.study import Study
from flexiroaster.services.ai.switch import Switch
from flexiroaster.services.pipelines import Pipelines
from flexiroaster.store.database import Database
from flexiroaster.store.insights import InsightFilter, InsightRow
from tests.services.ai.rows import at, write

BEGIN = 1_760_000_000.0
EXECUTIONS, SLOW = 260, range(200, 220)
NOW = BEGIN + EXECUTIONS * HOUR


@pytest.fixture
def ai(database: Database) -> AiServices:
    chance = random.Random(4)
    write(
        database,
        [
            Run(
                f"e{n}",
                "orders",
                BEGIN + n * HOUR,
                "load",
                ended_at=BEGIN + n * HOUR + 60 * chance.lognormvariate(0, 0.05) * (1.5 if n in SLOW else 1),
                status="success",
            )
            for n in range(EXECUTIONS)
        ],
    )
    return make_ai(database, Pipelines(database, dict, LocalBus()), LocalBus(), clock=lambda: at(NOW))  # type: ignore[arg-type, return-value]


def looked(database: Database, ai: AiServices, *, seconds: float = 0.0) -> list[InsightRow]:
    now = at(NOW + seconds)
    assert now is not None
    findings = Study(database, Switch(), lambda kind: False, clock=lambda: now).look()
    keep_findings(parsed(line(of_findings(findings))), ai, now)
    rows = ai.insights.page(InsightFilter(rules=["slow_runs"]), limit=9).items
    return [row for row in rows if row.seen_at == now]


def test_a_verdict_moves_the_threshold_of_the_next_look(database: Database, ai: AiServices) -> None:
    (before,) = looked(database, ai)
    ai.insights.judge(before.id, "ada@example.com", "noise")
    (after,) = looked(database, ai, seconds=60)
    assert after.id == before.id
    assert after.threshold == pytest.approx(before.threshold * NOISE_STEP)
    ai.insights.judge(before.id, "ada@example.com", "useful")  # a person's newest word counts
    (again,) = looked(database, ai, seconds=120)
    assert again.threshold < before.threshold
    for number in range(8):
        ai.insights.judge(before.id, f"{number}@example.com", "noise")
    assert looked(database, ai, seconds=180) == []


def test_maintenance_keeps_what_happened_then_out(database: Database, ai: AiServices) -> None:
    assert len(looked(database, ai)) == 1
    begin, end = (at(BEGIN + (n + 0.5) * HOUR) for n in (SLOW[0] - 1, SLOW[-1]))
    assert begin is not None
    assert end is not None
    elsewhere = ai.maintenance.plan(begin - timedelta(days=90), end - timedelta(days=80), "ada@example.com")
    assert len(looked(database, ai, seconds=60)) == 1
    planned = ai.maintenance.plan(begin, end, "ada@example.com", pipeline_id="orders", reason="A new disk.")
    assert looked(database, ai, seconds=120) == []
    ai.maintenance.delete(planned.id, "ada@example.com")
    assert len(looked(database, ai, seconds=180)) == 1
    assert ai.maintenance.all() == [elsewhere]
