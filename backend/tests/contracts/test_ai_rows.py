"""What the AI layer reads and keeps: the same on every database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flexiroaster.ai.insights.finding import Insight
from flexiroaster.ai.invented import history as invented
from flexiroaster.ai.optimizer.suggestion import Suggestion
from flexiroaster.artifacts.disk import DiskArtifacts
from flexiroaster.bus.local import LocalBus
from flexiroaster.services.ai.following import Following
from flexiroaster.services.ai.history import REFUSED, RunHistory
from flexiroaster.services.ai.insights import Insights
from flexiroaster.services.ai.messages import keep_said, line, of_said, parsed
from flexiroaster.services.ai.room import make_ai
from flexiroaster.services.ai.study import Study
from flexiroaster.services.ai.switch import Switch
from flexiroaster.services.pipelines import Author, Pipelines, Source
from flexiroaster.services.retention import Retention
from flexiroaster.stages.registry import default_registry
from flexiroaster.store import suggestions as suggestion_store
from flexiroaster.store.database import Database
from flexiroaster.store.insights import InsightFilter
from flexiroaster.store.models import ModelRow
from flexiroaster.store.suggestions import SuggestionFilter
from tests.ai.insights.runs import hourly
from tests.history import NOON, History
from tests.services.ai.rows import write


def insight(number: int, **changes: Any) -> Insight:
    values: dict[str, Any] = {
        "rule": "slow_runs",
        "subject": f"p{number}/load",
        "text": "It is slow.",
        "since": NOON.timestamp() + number,
        "until": None,
        "score": 1.5,
        "threshold": 1.0,
        "confidence": 0.99,
        "pipelines": (f"p{number}",),
        "executions": ("e1",),
    }
    return Insight(**values | changes)


def test_insights_are_paged_by_position(database: Database) -> None:
    insights = Insights(database, LocalBus(), lambda: NOON)
    given = [insight(number) for number in range(7)]
    insights.keep(given, looked_from=NOON, now=NOON)
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = insights.page(InsightFilter(["open"], ["slow_runs"]), limit=3, cursor=cursor)
        seen += [row.id for row in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [one.id for one in reversed(given)]
    assert [row.subject for row in insights.page(InsightFilter(pipeline_id="p3"), limit=9).items] == ["p3/load"]


def test_what_is_not_found_again_is_over_unless_it_was_not_looked_at(database: Database) -> None:
    insights = Insights(database, LocalBus(), lambda: NOON)
    old, new = insight(1, since=NOON.timestamp() - 86_400), insight(2)
    insights.keep([old, new], looked_from=NOON - timedelta(days=2), now=NOON)
    found = insights.keep([], looked_from=NOON - timedelta(hours=1), now=NOON + timedelta(hours=1))
    assert found.over == 1
    assert insights.get(old.id).until is None
    assert insights.get(new.id).until == NOON + timedelta(hours=1)


def test_suggestions_are_paged_by_what_they_save(database: Database) -> None:
    ai = make_ai(database, Pipelines(database, dict, LocalBus()), LocalBus(), clock=lambda: NOON)
    given = [Suggestion("fusion", "p", (f"s{number}",), f"Write {number}.", None, (), 20) for number in range(5)]
    ai.suggestions.keep("p", given)
    first = ai.suggestions.page(SuggestionFilter(["open"]), limit=3)
    second = ai.suggestions.page(SuggestionFilter(["open"]), limit=3, cursor=first.next_cursor)
    ids = [entry.row.id for entry in (*first.items, *second.items)]
    assert sorted(ids) == sorted(one.id for one in given)
    with database.read() as connection:
        assert suggestion_store.count(connection, SuggestionFilter(["open"], ["fusion"], "p")) == 5


def test_a_timeout_that_only_ends_what_hangs_is_no_help_against_failures(database: Database) -> None:
    ai = make_ai(database, Pipelines(database, dict, LocalBus()), LocalBus(), clock=lambda: NOON)
    numbers = {
        "none": {"now": 0.0, "timeout": 10.0},
        "long": {"now": 600.0, "timeout": 10.0},
        "short": {"now": 5.0, "timeout": 10.0},
    }
    given = [
        Suggestion("timeout", "p", (stage,), "Give it a timeout.", None, (), 20, values)
        for stage, values in numbers.items()
    ]
    ai.suggestions.keep("p", given)
    helpful = {stage: bool(ai.suggestions.against_failures("p", stage)) for stage in numbers}
    assert helpful == {"none": False, "long": False, "short": True}


def test_an_outage_is_found_by_every_pipeline_that_it_reaches_later(database: Database) -> None:
    insights = Insights(database, LocalBus(), lambda: NOON)
    for pipelines in (("p1", "p2"), ("p1", "p2", "p3")):
        one = insight(1, rule="outage", subject="connector:shop", pipelines=pipelines)
        insights.keep([one], looked_from=NOON, now=NOON)
    for id in ("p1", "p2", "p3"):
        found = insights.page(InsightFilter(pipeline_id=id), limit=9).items
        assert [row.pipelines for row in found] == [["p1", "p2", "p3"]], id


def test_what_befell_a_pipeline_is_over_once_it_is_deleted(database: Database) -> None:
    runs = [*hourly(40, version="1"), *hourly(10, start=40, version="2", failing=range(40, 50))]
    write(database, runs)
    now = datetime.fromtimestamp(max(run.ended_at or 0.0 for run in runs) + 60.0, UTC)
    insights = Insights(database, LocalBus(), lambda: now)

    def look() -> list[str]:
        found = Study(database, Switch(), lambda kind: False, lambda: now).look()
        insights.keep(found.insights, looked_from=found.looked_from, now=now)
        return [one.rule for one in found.insights]

    assert "bad_version" in look()
    Pipelines(database, dict, LocalBus()).delete("orders", "ada@example.com")
    now += timedelta(minutes=5)
    assert look() == []
    assert insights.page(InsightFilter(["open"]), limit=9).items == []


def test_one_model_of_a_kind_answers(database: Database) -> None:
    ai = make_ai(database, Pipelines(database, dict, LocalBus()), LocalBus(), clock=lambda: NOON)
    for number in range(8):
        at = NOON + timedelta(days=number)
        row = ModelRow(f"stages-failures-{number}", "stages-failures", "champion", "s", at, f"{number}.model", 1, {})
        files = ai.models.trained([row], runs=600, failures=60, note=None)
    rows = ai.models.all()
    assert [row.id for row in rows if row.status == "champion"] == ["stages-failures-7"]
    assert sorted(files) == [f"{number}.model" for number in range(3, 8)]


def test_executions_are_followed_and_predicted(database: Database) -> None:
    runs = invented(seed=5, pipelines=3, days=2).runs
    write(database, runs)
    end = datetime.fromtimestamp(max(run.ended_at or 0.0 for run in runs), UTC)
    newest = max(run.started_at for run in runs)
    now = min(end, datetime.fromtimestamp(newest, UTC) + timedelta(minutes=30))
    ai = make_ai(database, Pipelines(database, dict, LocalBus()), LocalBus(), clock=lambda: now)
    said = Following(database, Switch(), None, bytes(32), lambda: now).begin()
    assert said.predictions
    keep_said(parsed(line(of_said(said))), ai)
    expected = ai.predictions.of_executions([one.execution_id for one in said.predictions])
    assert {id: one.body["failure_probability"] for id, one in expected.items()} == {
        one.execution_id: one.probability for one in said.predictions
    }
    assert len(ai.predictions.of_pipelines({"pipeline-00": ({}, 0)})["pipeline-00"].body) > 0


def test_refused_rows_are_known_afterwards(database: Database, history: History) -> None:
    history.pipeline("orders", stages=2)
    id = history.execution("orders", 1, status="failed")
    history.stage_run(id, 0, type="validation", rows=90)
    history.result(id, 0, {"rows": 90, "invalid_count": 10})
    error = {"message": "10 rows are wrong", "code": "invalid_rows", "details": {"invalid_count": 40}}
    history.stage_run(id, 1, type="validation", status="failed", error=error)
    reader = RunHistory(database, Switch())
    (story,) = reader.newest(10, afterwards=True)
    assert {run.stage: run.attributes[REFUSED] for run in story.attempts} == {"s0": 10.0, "s1": 40.0}
    (before,) = reader.newest(10)
    assert all(REFUSED not in run.attributes for run in before.attempts), "predictions must not know it"


def test_what_people_decide_is_no_run(database: Database, history: History) -> None:
    """Whoever takes a day to approve is no slow stage, and whoever refuses no flaky one."""
    history.pipeline("orders", stages=2)
    id = history.execution("orders", 1, status="failed")
    history.stage_run(id, 0)
    error = {"message": "Bob refused.", "code": "rejected"}
    history.stage_run(id, 1, type="approval", status="failed", seconds=90_000, error=error)
    (story,) = RunHistory(database, Switch()).newest(10)
    assert [run.stage for run in story.attempts] == ["s0"]
    assert (story.errors, story.over) == ([], {"s0", "s1"})


def test_what_history_has_not_shown_for_long_goes_as_executions_do(database: Database, tmp_path: Path) -> None:
    insights, later = Insights(database, LocalBus(), lambda: NOON), NOON + timedelta(days=20)
    insights.keep([insight(1), insight(2)], looked_from=NOON, now=NOON)
    insights.judge(insight(1).id, "ada@example.com", "noise")
    kept = {
        name: {
            **EMPTY_SUGGESTION,
            "id": name,
            "kind": "timeout",
        }
        for name in ("found", "forgotten", "dismissed")
    }
    database.write(lambda tx: suggestion_store.keep(tx.sa, "p1", list(kept.values()), NOON))
    database.write(lambda tx: suggestion_store.change(tx.sa, "dismissed", NOON, state="dismissed", by="ada"))
    # Found again: what a person has dismissed, too, lest it come back.
    insights.keep([insight(2)], looked_from=NOON, now=later)
    again = [kept["found"], kept["dismissed"]]
    database.write(lambda tx: suggestion_store.keep(tx.sa, "p1", again, later))
    now = [NOON + timedelta(days=31)]
    artifacts = DiskArtifacts(tmp_path)
    retention = Retention(database, artifacts, keep=timedelta(days=30), keep_lines=None, clock=lambda: now[0])
    assert retention.look().findings == 1
    assert retention.apply().findings == 1
    with database.read() as connection:
        assert suggestion_store.find(connection, "forgotten") is not None  # it changed to gone on the 20th day
    assert insights.page(InsightFilter(), limit=9).items[0].id == insight(2).id
    assert [one.verdict for one in insights.verdicts()] == ["noise"], "the threshold stays moved"
    now[0] = NOON + timedelta(days=51)
    assert retention.apply().findings == 4
    with database.read() as connection:
        assert suggestion_store.count(connection, SuggestionFilter()) == 0
    assert Retention(database, artifacts, keep=None, keep_lines=None).apply().nothing


def test_open_suggestions_go_with_their_pipeline(database: Database) -> None:
    pipelines = Pipelines(database, default_registry().types, LocalBus())
    source = Source('{"id": "p1", "name": "P", "stages": [{"id": "a", "type": "noop"}]}', "json")
    pipelines.create(source, Author("ada@example.com", "admin"))
    rows = [{**EMPTY_SUGGESTION, "id": name, "kind": "timeout"} for name in ("open", "dismissed")]
    database.write(lambda tx: suggestion_store.keep(tx.sa, "p1", rows, NOON))
    database.write(lambda tx: suggestion_store.change(tx.sa, "dismissed", NOON, state="dismissed", by="ada"))
    pipelines.delete("p1", "ada@example.com")
    with database.read() as connection:
        left = suggestion_store.page(connection, SuggestionFilter(), limit=9)
    assert [row.id for row in left] == ["dismissed"]
    # What was found before it was deleted may be told only now.
    ai = make_ai(database, pipelines, LocalBus(), clock=lambda: NOON)
    late = Suggestion("timeout", "p1", ("a",), "Give a a timeout.", None, (), 20)
    assert ai.suggestions.keep("p1", [late]) == []


EMPTY_SUGGESTION: dict[str, Any] = {
    "pipeline_id": "p1",
    "stages": ["a"],
    "text": "Give a a timeout.",
    "edits": [],
    "saving": None,
    "numbers": {},
    "replay": None,
    "call": None,
    "executions": 20,
    "shown": [],
    "confidence": 0.9,
    "gain": 0.0,
}
