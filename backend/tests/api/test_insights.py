"""Predictions, insights, suggestions, models and causes, as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from flexiroaster.ai.insights.finding import Insight
from flexiroaster.ai.optimizer.replay import Saving
from flexiroaster.ai.optimizer.suggestion import Edit, Suggestion
from flexiroaster.engine.errors import Conflict
from flexiroaster.engine.events import Event, EventType
from flexiroaster.services.ai.suggestions import Suggestions
from flexiroaster.services.drafts import Drafts
from flexiroaster.services.pipelines import Author
from flexiroaster.store.models import ModelRow
from flexiroaster.store.predictions import ForecastRow, NewPrediction
from tests.api.server_app import ServerApp, server_app

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
SOURCE = """\
id: report
name: Report
stages:
  # The orders of the day.
  - id: orders
    type: noop
    needs: []
  - id: rates
    type: noop
    needs: [orders]  # for no reason
  - {id: price, type: noop, needs: [orders, rates]}
"""
BODY = {
    "failure_probability": 0.25,
    "failure_low": 0.1,
    "failure_high": 0.5,
    "p10_seconds": 1.0,
    "p50_seconds": 2.0,
    "p90_seconds": 4.0,
    "executions": 31,
    "model": "prior",
    "words": "4 of the last 16 runs failed.",
    "reasons": [],
    "stages": [{"stage": "s0", "failure_probability": 0.25, "p50_seconds": 2.0, "p90_seconds": 4.0}],
}


def insight(rule: Any = "slow_runs", pipeline: str = "orders", hours: float = 0.0, **changes: Any) -> Insight:
    values: dict[str, Any] = {
        "rule": rule,
        "subject": f"{pipeline}/load",
        "text": f"Stage load of {pipeline} takes 92 s, 50 % more.",
        "since": NOW.timestamp() - 3600 * hours,
        "until": None,
        "score": 1.8,
        "threshold": 1.0,
        "confidence": 0.99,
        "pipelines": (pipeline,),
        "executions": ("e2", "e1"),
        "stage": "load",
        "numbers": {"usual": 61.0, "now": 92.0},
    }
    return Insight(**values | changes)


def keep(server: ServerApp, *found: Insight, at: datetime = NOW) -> None:
    server.server.services.ai.insights.keep(found, looked_from=NOW - timedelta(days=30), now=at)


def suggestion(needs: Sequence[str] = (), kind: Any = "parallel", gain: float = 12.0) -> Suggestion:
    saving = Saving(gain, gain - 2, gain + 2, gain / 40, 30)
    edits = (Edit("rates", ("needs",), list(needs)),)
    return Suggestion(
        kind, "report", ("rates",), "Start rates without waiting for orders: it reads nothing of it.", saving, edits, 30
    )


@pytest.fixture
def report(server: ServerApp) -> ServerApp:
    answer = server.client.post("/api/pipelines", content=SOURCE, headers={"content-type": "application/yaml"})
    assert answer.status_code == 201, answer.text
    return server


# Predictions


def test_a_pipeline_without_a_history_says_so(server: ServerApp) -> None:
    server.make("a")
    for _ in range(3):
        server.run("a")
    (listed,) = server.client.get("/api/pipelines").json()
    expected = listed["prediction"]
    assert expected["note"] == "Not enough data yet (3 of 20 executions)."
    assert not expected["enough"]
    assert expected["failure_probability"] is None
    assert server.client.get("/api/pipelines/a").json()["prediction"] == expected


def test_a_prediction_stands_in_executions_and_pipelines(server: ServerApp) -> None:
    server.make("a")
    id = server.run("a")
    predictions = server.server.services.ai.predictions
    new = NewPrediction(id, "a", NOW, NOW, None, [0.5, None], "schema", 0.25, BODY)
    predictions.keep([new, NewPrediction("gone", "a", NOW, NOW, None, [], "schema", 0.5, BODY)])
    predictions.keep_forecasts([ForecastRow("a", NOW, BODY)])
    shown = server.client.get(f"/api/executions/{id}").json()["prediction"]
    assert shown["failure_probability"] == 0.25
    assert shown["basis"] == "counts"
    assert shown["enough"]
    assert shown["note"] is None
    assert shown["stages"][0]["stage"] == "s0"
    for path in ("/api/executions", "/api/pipelines/a/executions", "/api/pipelines"):
        (listed,) = server.client.get(path).json()
        assert listed["prediction"]["failure_probability"] == 0.25, path


def test_the_first_prediction_of_an_execution_stays(server: ServerApp) -> None:
    server.make("a")
    id = server.run("a")
    predictions = server.server.services.ai.predictions
    for probability in (0.25, 0.75):
        body = BODY | {"failure_probability": probability}
        predictions.keep([NewPrediction(id, "a", NOW, NOW, None, [], "schema", probability, body)])
    assert server.client.get(f"/api/executions/{id}").json()["prediction"]["failure_probability"] == 0.25


def test_an_outlook_moves_with_the_execution_and_goes_with_it(server: ServerApp) -> None:
    server.make("a")
    id = server.run("a")
    heard: list[Event] = []
    server.server.engine.bus.subscribe(heard.extend)
    predictions = server.server.services.ai.predictions
    predictions.keep([NewPrediction(id, "a", NOW, NOW, None, [], "schema", 0.25, BODY)])
    moments = {name: NOW.isoformat() for name in ("as_of", "ends_earliest", "ends_at", "ends_latest")}
    predictions.keep_outlooks({id: ("a", {**moments, "probability": 0.05, "critical": ["s0"]})})
    shown = server.client.get(f"/api/executions/{id}").json()["prediction"]
    assert shown["outlook"]["critical"] == ["s0"]
    assert shown["ends_at"] == "2026-03-04T12:00:00Z"
    predictions.keep_outlooks({id: ("a", None)})
    assert server.client.get(f"/api/executions/{id}").json()["prediction"]["outlook"] is None
    told = [event.payload["failure_probability"] for event in heard if event.type == EventType.PREDICTION_UPDATED]
    assert told == [0.25, 0.05]


def test_what_is_switched_off_says_so(tmp_path: Path) -> None:
    with server_app(tmp_path / "data", ai=False) as server:
        server.make("a")
        expected = server.client.get("/api/pipelines/a").json()["prediction"]
        assert "FLEXIROASTER_AI=true" in expected["note"]
        assert server.client.get("/api/ai").json()["on"] is False
        server.make("broken", {"id": "s0", "type": "stop", "config": {"status": "failed", "message": "No."}})
        explained = server.client.get(f"/api/executions/{server.run('broken')}/explain").json()
        assert (explained["learns"], explained["causes"], explained["compared"]) == (False, [], 0)


def test_a_label_keeps_a_pipeline_out(server: ServerApp) -> None:
    server.make("a", labels={"ai": "off"})
    assert "label ai=off" in server.client.get("/api/pipelines/a").json()["prediction"]["note"]


# Insights


def test_insights_are_listed_newest_first_in_pages(server: ServerApp) -> None:
    keep(server, *(insight(hours=hours) for hours in (3, 1, 2)))
    first = server.client.get("/api/insights?limit=2")
    assert [one["since"] for one in first.json()] == ["2026-03-04T11:00:00Z", "2026-03-04T10:00:00Z"]
    second = server.client.get(f"/api/insights?limit=2&cursor={first.headers['X-Next-Cursor']}")
    assert [one["since"] for one in second.json()] == ["2026-03-04T09:00:00Z"]
    assert "X-Next-Cursor" not in second.headers


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", 3),
        ("state=open", 2),
        ("state=over", 1),
        ("kind=outage", 1),
        ("kind=outage&kind=slow_runs", 3),
        ("pipeline_id=orders", 2),
        ("pipeline_id=orders&kind=outage", 1),
        ("pipeline_id=nobody", 0),
    ],
)
def test_insights_are_filtered(server: ServerApp, query: str, expected: int) -> None:
    keep(
        server,
        insight(),
        insight("outage", hours=1, subject="connector:lake", pipelines=("orders", "sales")),
        insight(pipeline="sales", hours=2, until=NOW.timestamp()),
    )
    assert len(server.client.get(f"/api/insights?{query}").json()) == expected


def test_the_same_insight_is_kept_once_and_ends_when_it_is_not_found_again(server: ServerApp) -> None:
    heard: list[Event] = []
    server.server.engine.bus.subscribe(heard.extend)
    keep(server, insight())
    keep(server, insight(text="Stage load of orders takes 94 s."), at=NOW + timedelta(minutes=5))
    (one,) = server.client.get("/api/insights").json()
    assert one["text"] == "Stage load of orders takes 94 s."
    assert one["found_at"] == "2026-03-04T12:00:00Z"
    keep(server, at=NOW + timedelta(minutes=10))
    (one,) = server.client.get("/api/insights?state=over").json()
    assert one["until"] == "2026-03-04T12:10:00Z"
    assert [event.type for event in heard] == ["insight_found"]


def test_an_insight_is_acknowledged_once(server: ServerApp) -> None:
    keep(server, insight())
    id = insight().id
    assert server.client.post(f"/api/insights/{id}/acknowledge").json()["state"] == "acknowledged"
    again = server.client.post(f"/api/insights/{id}/acknowledge", headers={"authorization": "Bearer operator"}).json()
    assert again["acknowledged_by"] == "admin@example.com"
    assert server.client.get("/api/insights?state=open").json() == []
    keep(server, insight(), at=NOW + timedelta(minutes=5))
    assert server.client.get("/api/insights?state=open").json() == []


def test_feedback_is_kept_by_person_and_reaches_the_thresholds(server: ServerApp) -> None:
    keep(server, insight())
    for verdict in ("useful", "noise"):
        answer = server.client.post(f"/api/insights/{insight().id}/feedback", json={"verdict": verdict})
        assert answer.json()["verdict"] == verdict
    (kept,) = server.server.services.ai.insights.verdicts()
    assert (kept.rule, kept.subject, kept.verdict) == ("slow_runs", "orders/load", "noise")


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("post", "/api/insights/x/acknowledge", "viewer"),
        ("post", "/api/insights/x/feedback", "viewer"),
        ("post", "/api/suggestions/x/apply", "operator"),
        ("post", "/api/suggestions/x/undo", "operator"),
        ("post", "/api/suggestions/x/dismiss", "operator"),
    ],
)
def test_roles_decide_who_may_change_what(client: TestClient, method: str, path: str, role: str) -> None:
    answer = client.request(method, path, headers={"authorization": f"Bearer {role}"}, json={})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "path", ["/api/insights/x", "/api/suggestions/x", "/api/ai/models/x", "/api/executions/x/explain"]
)
def test_what_is_not_there_is_not_found(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


# Suggestions


def test_a_suggestion_shows_what_it_would_change(report: ServerApp) -> None:
    report.server.services.ai.suggestions.keep("report", [suggestion()])
    (listed,) = report.client.get("/api/suggestions").json()
    assert (listed["value"], listed["title"]) == ("faster", "Start rates without waiting for orders")
    assert listed["saving"] == {"seconds": 12.0, "low": 10.0, "high": 14.0, "share": 0.3, "executions": 30}
    shown = report.client.get(f"/api/suggestions/{listed['id']}").json()
    assert shown["base_version"] == 1
    assert shown["why_not"] is None
    changed = [line for line in shown["diff"].splitlines() if line[0] in "+-" and line[:3] not in ("+++", "---")]
    assert changed == ["-    needs: [orders]  # for no reason", "+    needs: []  # for no reason"]


def test_a_suggestion_is_applied_as_a_draft_published_and_undone(report: ServerApp) -> None:
    report.server.services.ai.suggestions.keep("report", [suggestion()])
    path = f"/api/suggestions/{suggestion().id}"
    open_diff = report.client.get(path).json()["diff"]
    applied = report.client.post(f"{path}/apply").json()
    assert (applied["state"], applied["version_before"], applied["version_applied"]) == ("draft", 1, 2)
    assert (applied["base_version"], applied["why_not"], applied["outcome"]) == (1, None, None)
    assert applied["diff"] == open_diff
    assert report.client.get("/api/suggestions").json() == []
    pipeline = report.client.get("/api/pipelines/report").json()
    assert (pipeline["version"], pipeline["source"], pipeline["drafts"]) == (1, SOURCE, [2])
    assert report.client.post("/api/pipelines/report/execute").status_code == 202
    assert report.client.get("/api/pipelines/report/executions").json()[0]["version"] == 1

    published = report.client.post("/api/pipelines/report/versions/2/publish").json()
    assert "# The orders of the day." in published["source"]
    assert next(stage for stage in published["stages"] if stage["id"] == "rates")["needs"] == []
    applied = report.client.get(path).json()
    assert (applied["state"], applied["version_before"], applied["version_applied"]) == ("applied", 1, 2)
    assert applied["outcome"]["note"] == "Not enough data yet (0 of 20 executions)."
    undone = report.client.post(f"{path}/undo").json()
    assert (undone["state"], undone["version_undone"]) == ("undone", 3)
    assert report.client.get("/api/pipelines/report").json()["source"] == SOURCE
    versions = report.client.get("/api/pipelines/report/versions").json()
    assert versions[0]["note"].startswith("Undo suggestion")


def test_a_suggestion_is_not_undone_over_a_later_change(report: ServerApp) -> None:
    report.server.services.ai.suggestions.keep("report", [suggestion()])
    path = f"/api/suggestions/{suggestion().id}"
    report.client.post(f"{path}/apply")
    report.client.post("/api/pipelines/report/versions/2/publish")
    source = report.client.get("/api/pipelines/report").json()["source"].replace("name: Report", "name: Other")
    report.client.put("/api/pipelines/report", content=source, headers={"content-type": "application/yaml"})
    answer = report.client.post(f"{path}/undo")
    assert (answer.status_code, answer.json()["code"]) == (409, "changed_since")


def test_a_suggestion_is_open_again_without_its_draft(report: ServerApp) -> None:
    """Whoever discards it, and wherever: nothing has ever run it."""
    heard = list[Event]()
    report.server.engine.bus.subscribe(heard.extend)
    report.server.services.ai.suggestions.keep("report", [suggestion()])
    path = f"/api/suggestions/{suggestion().id}"
    discards = (
        lambda draft: report.client.post(f"{path}/undo"),
        lambda draft: report.client.delete(f"/api/pipelines/report/versions/{draft}"),
    )
    for draft, discard in enumerate(discards, 2):
        assert report.client.post(f"{path}/apply").json()["version_applied"] == draft
        heard.clear()
        assert discard(draft).status_code == 200
        (again,) = report.client.get("/api/suggestions").json()
        assert (again["state"], again["version_before"], again["version_applied"]) == ("open", None, None)
        told = [event.payload["state"] for event in heard if event.type is EventType.SUGGESTION_CHANGED]
        assert told == ["open"]


def test_a_suggestion_goes_with_its_draft_and_its_pipeline(report: ServerApp) -> None:
    report.server.services.ai.suggestions.keep("report", [suggestion()])
    report.client.post(f"/api/suggestions/{suggestion().id}/apply")
    assert report.client.delete("/api/pipelines/report").status_code == 200
    assert report.client.get("/api/suggestions?state=open&state=draft").json() == []
    assert report.client.get("/api/pipelines/report/versions/2").json()["state"] == "discarded"


def test_a_suggestion_is_carried_once(report: ServerApp) -> None:
    report.server.services.ai.suggestions.keep("report", [suggestion()])
    path = f"/api/suggestions/{suggestion().id}"
    report.client.post(f"{path}/apply")
    for state, what in (("draft", "as draft 2"), ("applied", "as version 2")):
        assert report.client.get(path).json()["state"] == state
        for wanted in ("apply", "dismiss"):
            answer = report.client.post(f"{path}/{wanted}", json={})
            assert (answer.status_code, answer.json()["code"]) == (409, "already_applied")
            assert what in answer.json()["detail"]
        report.client.post("/api/pipelines/report/versions/2/publish")


def test_what_is_applied_meanwhile_is_not_dismissed(report: ServerApp) -> None:
    """Its draft would be published, and the suggestion be dismissed all the same."""
    ai, engine = report.server.services.ai, report.server.engine
    ai.suggestions.keep("report", [suggestion()])
    drafts = Drafts(engine.database, engine.pipelines, engine.bus)

    def clock() -> datetime:
        """Asked between the look at the suggestion and the change of it."""
        ai.suggestions.apply(suggestion().id, Author("bob@example.com", "editor"))
        return datetime.now(UTC)

    slow = Suggestions(engine.database, engine.pipelines, drafts, engine.bus, clock)
    with pytest.raises(Conflict, match="applied already, as draft 2"):
        slow.dismiss(suggestion().id, "ada@example.com")
    assert ai.suggestions.get(suggestion().id).row.state == "draft"


def test_a_suggestion_is_undone_whole_or_not_at_all(report: ServerApp, monkeypatch: pytest.MonkeyPatch) -> None:
    report.server.services.ai.suggestions.keep("report", [suggestion()])
    path = f"/api/suggestions/{suggestion().id}"
    report.client.post(f"{path}/apply")
    report.client.post("/api/pipelines/report/versions/2/publish")

    def broken(*given: object, **values: object) -> None:
        raise RuntimeError("The server is killed here.")

    with monkeypatch.context() as killed:
        killed.setattr("flexiroaster.store.suggestions.change", broken)
        assert report.client.post(f"{path}/undo").status_code == 500
    assert report.client.get("/api/pipelines/report").json()["version"] == 2
    assert report.client.post(f"{path}/undo").json()["version_undone"] == 3


def test_a_suggestions_draft_over_a_later_change_says_so(report: ServerApp) -> None:
    """Published all the same, it is undone to what ran before, not to what it was made from."""
    report.server.services.ai.suggestions.keep("report", [suggestion()])
    path = f"/api/suggestions/{suggestion().id}"
    report.client.post(f"{path}/apply")
    later = SOURCE.replace("name: Report", "name: Other")
    report.client.put("/api/pipelines/report", content=later, headers={"content-type": "application/yaml"})
    shown = report.client.get(path).json()
    assert "version 3 was published since" in shown["why_not"]
    refused = report.client.post("/api/pipelines/report/versions/2/publish")
    assert (refused.status_code, refused.json()["code"]) == (409, "draft_outdated")
    publish = report.client.post("/api/pipelines/report/versions/2/publish", headers={"if-match": '"3"'})
    assert publish.json()["version"] == 2
    applied = report.client.get(path).json()
    assert (applied["state"], applied["version_before"], applied["why_not"]) == ("applied", 3, None)
    assert report.client.post(f"{path}/undo").json()["version_undone"] == 4
    assert report.client.get("/api/pipelines/report").json()["source"] == later


def test_trials_of_a_draft_are_no_outcome(report: ServerApp) -> None:
    """What a suggestion has brought is measured from its publishing on."""
    report.server.services.ai.suggestions.keep("report", [suggestion()])
    path = f"/api/suggestions/{suggestion().id}"
    report.client.post(f"{path}/apply")
    for _ in range(3):
        report.run("report", version=2)
    report.client.post("/api/pipelines/report/versions/2/publish")
    assert report.client.get(path).json()["outcome"]["executions"] == 0
    report.run("report")
    assert report.client.get(path).json()["outcome"]["executions"] == 1


def test_what_was_dismissed_does_not_come_back(report: ServerApp) -> None:
    suggestions = report.server.services.ai.suggestions
    suggestions.keep("report", [suggestion()])
    path = f"/api/suggestions/{suggestion().id}"
    dismissed = report.client.post(f"{path}/dismiss", json={"reason": "The order matters."}).json()
    assert (dismissed["state"], dismissed["reason"]) == ("dismissed", "The order matters.")
    suggestions.keep("report", [suggestion()])
    assert report.client.get("/api/suggestions").json() == []
    assert len(report.client.get("/api/suggestions?state=dismissed").json()) == 1


def test_what_history_no_longer_speaks_for_is_gone(report: ServerApp) -> None:
    suggestions = report.server.services.ai.suggestions
    suggestions.keep("report", [suggestion()])
    suggestions.keep("report", [])
    assert report.client.get("/api/suggestions").json() == []
    assert report.client.get("/api/suggestions?state=gone").json()[0]["id"] == suggestion().id


def test_advice_and_what_is_so_already_cannot_be_applied(report: ServerApp) -> None:
    advice = Suggestion(
        "critical_path", "report", ("price",), "price decides: twice as fast, it saves 5 s.", None, (), 30
    )
    report.server.services.ai.suggestions.keep("report", [advice, suggestion(["orders"])])
    for one, code in ((advice, "only_advice"), (suggestion(["orders"]), "already_so")):
        answer = report.client.post(f"/api/suggestions/{one.id}/apply")
        assert (answer.status_code, answer.json()["code"]) == (409, code)
        assert report.client.get(f"/api/suggestions/{one.id}").json()["why_not"] == answer.json()["detail"]


def test_a_key_that_is_not_there_yet_is_written_beside_the_others(report: ServerApp) -> None:
    edits = (Edit("orders", ("timeout",), "18s"), Edit("price", ("retry", "max_attempts"), 2))
    one = Suggestion("timeout", "report", ("orders", "price"), "Give orders a timeout: it has none.", None, edits, 30)
    report.server.services.ai.suggestions.keep("report", [one])
    report.client.post(f"/api/suggestions/{one.id}/apply")
    source = report.client.get("/api/pipelines/report/versions/2").json()["source"]
    assert "  - id: orders\n    timeout: 18s\n    type: noop\n" in source
    assert "- {id: price, retry: {max_attempts: 2}, type: noop, needs: [orders, rates]}" in source


# Models, and how it stands


def test_a_model_is_shown_with_its_card(server: ServerApp) -> None:
    row = ModelRow("stages-failures-0", "stages-failures", "champion", "schema", NOW, "x.model", 10, {"runs": 600})
    newer = ModelRow("stages-failures-1", "stages-failures", "champion", "schema", NOW, "y.model", 10, {"runs": 900})
    models = server.server.services.ai.models
    assert models.trained([row], runs=600, failures=60, note=None) == ["x.model"]
    models.trained([newer], runs=900, failures=60, note=None)
    states = {one["id"]: one["status"] for one in server.client.get("/api/ai/models").json()}
    assert states == {"stages-failures-0": "retired", "stages-failures-1": "champion"}
    assert server.client.get("/api/ai/models/stages-failures-1").json()["card"] == {"runs": 900}
    assert [one["id"] for one in server.client.get("/api/ai").json()["models"]] == ["stages-failures-1"]


def test_what_is_missing_is_named(server: ServerApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flexiroaster.services.ai.models.missing_packages", lambda: ["scikit-learn"])
    standing = server.client.get("/api/ai").json()
    assert standing["missing"] == ["scikit-learn"]
    assert 'scikit-learn is not installed (pip install "flexiroaster[ai]")' in standing["note"]


# Causes


def test_a_failure_is_explained_with_its_evidence(server: ServerApp) -> None:
    past = server.history
    past.pipeline("orders", stages=1)
    for number in range(1, 31):
        id = past.execution("orders", number)
        past.stage_run(id, 0, started_at=NOW, ended_at=NOW + timedelta(seconds=10))
    failed = past.execution("orders", 31, status="failed", failed_stage="s0", error={"message": "ValueError: no"})
    late = NOW + timedelta(minutes=40)
    past.stage_run(failed, 0, status="timed_out", started_at=late, ended_at=late + timedelta(seconds=300))
    found = server.client.get(f"/api/executions/{failed}/explain").json()
    assert found["causes"][0]["kind"] == "slow"
    assert found["causes"][0]["probability"] > 0.5
    assert "300" in found["causes"][0]["text"] or "5 min" in found["causes"][0]["text"]
    assert (found["stage"], found["compared"], found["note"]) == ("s0", 30, None)
    assert found["seen_before"]["count"] == 1
    assert 0 < found["retry"]["low"] < found["retry"]["probability"] < found["retry"]["high"] < 1


def test_a_failure_with_another_execution_names_it(server: ServerApp) -> None:
    past = server.history
    past.pipeline("child", stages=1)
    past.pipeline("orders", stages=1)
    at: dict[str, Any] = {"started_at": NOW, "ended_at": NOW + timedelta(seconds=10)}
    child = past.execution("child", 7, status="failed", failed_stage="s0", error={"message": "ValueError: no"})
    past.stage_run(child, 0, status="failed", error={"message": "ValueError: no"}, **at)
    details = {"execution_id": child, "pipeline_id": "child", "status": "failed"}
    error = {"code": "child_failed", "message": "child #7 failed at s0: ValueError: no", "details": details}
    parent = past.execution("orders", 1, status="failed", failed_stage="s0", error=error)
    past.stage_run(parent, 0, status="failed", error=error, type="pipeline", **at)

    def explained(id: str) -> dict[str, Any]:
        found: dict[str, Any] = server.client.get(f"/api/executions/{id}/explain").json()
        return found

    found = explained(parent)
    assert (found["failed_with"], found["causes"]) == (child, [])
    assert found["note"] == "It failed with child #7, which s0 waited for."
    assert explained(child)["failed_with"] is None
    assert explained(child)["seen_before"]["count"] == 1
    gone = {**error, "details": {**details, "execution_id": "gone"}}
    orphan = past.execution("orders", 2, status="failed", failed_stage="s0", error=gone)
    past.stage_run(orphan, 0, status="failed", error=gone, type="pipeline", **at)
    assert explained(orphan)["failed_with"] is None
    assert explained(orphan)["note"] == "No stage of it failed by itself: see its error."


def test_a_retry_that_never_helped_is_not_worth_it(server: ServerApp) -> None:
    past = server.history
    past.pipeline("orders", stages=1)
    error = {"message": "ValueError: no", "code": "exception"}
    for number in range(1, 41):
        id = past.execution("orders", number, status="failed", failed_stage="s0", error=error)
        for attempt in (1, 2, 3):
            began = NOW + timedelta(minutes=number, seconds=10 * attempt)
            what: dict[str, Any] = {"error": error, "started_at": began, "ended_at": began + timedelta(seconds=1)}
            if attempt < 3:
                past.attempt(id, 0, attempt, **what)
            else:
                past.stage_run(id, 0, status="failed", attempt=3, **what)
    found = server.client.get(f"/api/executions/{id}/explain").json()["retry"]
    assert not found["worth_it"]
    assert "another try is not worth it" in found["words"]


def test_what_has_not_failed_is_not_explained(server: ServerApp) -> None:
    server.make("a")
    answer = server.client.get(f"/api/executions/{server.run('a')}/explain")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_failed")
