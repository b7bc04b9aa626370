from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from flexiroaster.engine.events import Event, EventType
from tests.api.server_app import PATIENCE_SECONDS, ServerApp

NIGHTLY = {"id": "nightly", "type": "schedule", "cron": "15 2 * * mon-fri", "timezone": "Europe/Paris"}
OFTEN = {"id": "often", "type": "schedule", "every": "15m", "catchup": "none", "inputs": {"n": 1}}


def make(app: ServerApp, id: str, *triggers: dict[str, Any]) -> None:
    app.make(id, triggers=list(triggers), inputs={"n": {"type": "integer", "default": 0}})


def test_triggers_say_when_they_come(still: ServerApp) -> None:
    make(still, "a", NIGHTLY, OFTEN)
    often, nightly = sorted(
        still.client.get("/api/pipelines/a/triggers").json(), key=lambda one: one["id"] == "nightly"
    )
    assert (nightly["cron"], nightly["every"], nightly["timezone"]) == ("15 2 * * mon-fri", None, "Europe/Paris")
    assert (nightly["catchup"], nightly["inputs"], nightly["when"]) == ("latest", {}, None)
    assert nightly["next_at"] == nightly["upcoming"][0]
    assert len(nightly["upcoming"]) == 5
    assert (often["every"], often["cron"], often["catchup"], often["inputs"]) == ("15m", None, "none", {"n": 1})
    assert (often["last"], often["paused_at"], often["reason"], often["pipeline_enabled"]) == (None, None, None, True)


def test_a_trigger_says_when_it_begins_and_has_ended(still: ServerApp) -> None:
    make(still, "a", {**NIGHTLY, "start": "2026-03-01", "end": "2026-03-31"}, {**OFTEN, "start": "2026-03-01T06:00"})
    nightly, often = still.client.get("/api/pipelines/a/triggers").json()
    assert (nightly["start"], nightly["end"]) == ("2026-02-28T23:00:00Z", "2026-03-31T21:59:59.999999Z")
    assert (nightly["next_at"], nightly["upcoming"], nightly["reason"]) == (None, [], "ended at 2026-03-31")
    assert (often["start"], often["end"], often["reason"]) == ("2026-03-01T06:00:00Z", None, None)


def test_all_triggers_are_listed_in_pages(still: ServerApp) -> None:
    make(still, "a", NIGHTLY)
    make(still, "b", OFTEN, {**OFTEN, "id": "rarely", "every": "3650d"})
    first = still.client.get("/api/triggers", params={"limit": 2})
    rest = still.client.get("/api/triggers", params={"limit": 2, "cursor": first.headers["x-next-cursor"]})
    found = [*first.json(), *rest.json()]
    assert [(one["pipeline_id"], one["id"]) for one in found] == [("b", "often"), ("a", "nightly"), ("b", "rarely")]
    assert "x-next-cursor" not in rest.headers


def test_one_that_comes_when_the_calendar_ends_holds_up_no_list(still: ServerApp) -> None:
    last = {**OFTEN, "every": "3650d", "start": "9985-01-01"}
    make(still, "a", last, {**last, "id": "never", "start": "9998-12-31"})
    found = still.client.get("/api/triggers").raise_for_status().json()
    assert [(one["next_at"], one["reason"]) for one in found] == [
        ("9994-09-02T00:00:00Z", None),
        (None, "never comes again"),
    ]


def test_a_trigger_is_paused_and_resumed(still: ServerApp) -> None:
    make(still, "a", OFTEN)
    paused = still.client.post("/api/pipelines/a/triggers/often/pause").raise_for_status().json()
    assert (paused["next_at"], paused["upcoming"]) == (None, [])
    assert paused["reason"].startswith("paused by ")
    assert still.client.get("/api/pipelines/a/triggers").json() == [paused]
    resumed = still.client.post("/api/pipelines/a/triggers/often/resume").raise_for_status().json()
    assert resumed["reason"] is None
    assert resumed["next_at"] is not None


def test_the_triggers_of_a_draft_count_once_it_is_published(still: ServerApp) -> None:
    make(still, "a", OFTEN)
    changed = {"id": "a", "name": "A", "triggers": [NIGHTLY], "stages": [{"id": "s0", "type": "noop"}]}
    draft = still.client.post("/api/pipelines/a/versions", json=changed).raise_for_status().json()

    def ids() -> list[str]:
        return [trigger["id"] for trigger in still.client.get("/api/pipelines/a/triggers").json()]

    assert ids() == ["often"]
    still.client.post(f"/api/pipelines/a/versions/{draft['version']}/publish").raise_for_status()
    assert ids() == ["nightly"]


def test_what_became_of_instants_is_listed(server: ServerApp) -> None:
    fired = threading.Event()

    def listen(events: Sequence[Event]) -> None:
        if any(event.type is EventType.TRIGGER_FIRED for event in events):
            fired.set()

    server.server.engine.bus.subscribe(listen)
    make(server, "a", {**OFTEN, "every": "1s", "catchup": "all"})
    assert fired.wait(PATIENCE_SECONDS)
    server.ended(server.client.get("/api/pipelines/a/triggers/often/firings").json()[-1]["execution_id"])
    found = server.client.get("/api/pipelines/a/triggers/often/firings").json()[::-1]
    execution = server.client.get(f"/api/executions/{found[0]['execution_id']}").raise_for_status().json()
    assert (execution["trigger"], execution["actor"]) == ("schedule", "often")
    assert (found[0]["execution_number"], found[0]["execution_status"]) == (execution["number"], "success")
    assert (found[0]["state"], found[0]["count"], found[0]["reason"]) == ("started", 1, None)
    assert server.client.get("/api/pipelines/a/triggers").json()[0]["last"]["state"] == "started"


def test_a_span_is_backfilled(still: ServerApp) -> None:
    make(still, "a", NIGHTLY)
    path, week = "/api/pipelines/a/triggers/nightly/backfill", {"from": "2026-03-02", "to": "2026-03-08"}
    plan = still.client.post(path, json={**week, "dry_run": True}).raise_for_status().json()
    assert (plan["instants"], plan["known"], plan["started"], plan["left"]) == (5, 0, 0, 5)
    assert (plan["first"], plan["last"]) == ("2026-03-02T01:15:00Z", "2026-03-06T01:15:00Z")
    assert plan["note"].startswith("The pipeline limits nothing")
    done = still.client.post(path, json={**week, "order": "latest_first"}).raise_for_status().json()
    assert done == {**plan, "started": 5, "left": 0}
    found = still.client.get("/api/pipelines/a/triggers/nightly/firings").json()
    assert [(one["execution_number"], one["execution_status"]) for one in found] == [
        (number, "queued") for number in range(1, 6)
    ]
    again = still.client.post(path, json=week).raise_for_status().json()
    assert (again["known"], again["started"]) == (5, 0)


@pytest.mark.parametrize(
    ("wanted", "status", "said"),
    [
        ({"from": "2026-03-02", "to": "yesterday"}, 422, "`to`: 'yesterday' is not a moment"),
        ({"from": "2020-03-02", "to": "2026-03-02"}, 422, "More than 1,000 instants lie between"),
        ({"to": "2026-03-02"}, 422, "from"),
    ],
)
def test_spans_that_are_refused(still: ServerApp, wanted: dict[str, str], status: int, said: str) -> None:
    make(still, "a", NIGHTLY)
    answer = still.client.post("/api/pipelines/a/triggers/nightly/backfill", json=wanted)
    assert answer.status_code == status
    assert said in answer.text


def test_who_may_run_a_pipeline_may_backfill_it(still: ServerApp) -> None:
    make(still, "a", NIGHTLY)
    asked = {"from": "2026-03-02", "to": "2026-03-02"}
    codes = [
        still.client.post(
            "/api/pipelines/a/triggers/nightly/backfill", json=asked, headers={"authorization": f"Bearer {role}"}
        ).status_code
        for role in ("viewer", "operator")
    ]
    assert codes == [403, 200]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/api/pipelines/none/triggers"),
        ("get", "/api/pipelines/a/triggers/none/firings"),
        ("post", "/api/pipelines/a/triggers/none/pause"),
        ("post", "/api/pipelines/none/triggers/often/resume"),
        ("post", "/api/pipelines/a/triggers/none/backfill"),
    ],
)
def test_what_is_not_there(still: ServerApp, method: str, path: str) -> None:
    make(still, "a", OFTEN)
    span = {"json": {"from": "2026-03-02", "to": "2026-03-02"}} if path.endswith("backfill") else {}
    answer = getattr(still.client, method)(path, **span)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_who_may_only_look(still: ServerApp) -> None:
    make(still, "a", OFTEN)
    viewer = {"authorization": "Bearer viewer"}
    assert still.client.get("/api/triggers", headers=viewer).status_code == 200
    assert still.client.post("/api/pipelines/a/triggers/often/pause", headers=viewer).status_code == 403
