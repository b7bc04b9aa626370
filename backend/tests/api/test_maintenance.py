"""Times of maintenance, through the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.server_app import ServerApp

PATH = "/api/ai/maintenance"
TIME = {"begins_at": "2990-03-07T22:00:00Z", "ends_at": "2990-03-08T02:00:00Z"}


def test_a_time_is_planned_listed_and_deleted(server: ServerApp) -> None:
    server.make("orders")
    everywhere = server.client.post(PATH, json=TIME | {"reason": "The warehouse is moved."})
    assert everywhere.status_code == 201
    later = {"begins_at": "2990-04-07T23:00:00+01:00", "ends_at": "2990-04-08T02:00:00+01:00", "pipeline_id": "orders"}
    of_one = server.client.post(PATH, json=later).json()
    assert (of_one["begins_at"], of_one["pipeline_id"], of_one["reason"]) == ("2990-04-07T22:00:00Z", "orders", "")
    assert everywhere.json()["by"] == "admin@example.com"
    assert server.client.get(PATH).json() == [of_one, everywhere.json()]
    assert server.client.delete(f"{PATH}/{of_one['id']}").status_code == 200
    assert server.client.delete(f"{PATH}/{of_one['id']}").status_code == 404
    assert server.client.get(PATH).json() == [everywhere.json()]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"ends_at": TIME["begins_at"]}, 422),
        ({"ends_at": "2990-03-07T23:00:00"}, 422),
        ({"pipeline_id": "nothing"}, 404),
        ({"reason": "x" * 501}, 422),
        ({"pipelines": []}, 422),
        ({"begins_at": "0001-01-01T00:00:00+05:00"}, 422),
        ({"ends_at": "9999-12-31T23:59:59-05:00"}, 422),
    ],
    ids=["no time", "no time zone", "no such pipeline", "long", "unknown key", "before all time", "after all time"],
)
def test_what_is_no_time_of_maintenance_is_refused(server: ServerApp, changes: dict[str, Any], status: int) -> None:
    answer = server.client.post(PATH, json=TIME | changes)
    assert answer.status_code == status, answer.text
    assert server.client.get(PATH).json() == []


def test_one_that_lasts_is_ended_and_no_other(server: ServerApp) -> None:
    now = datetime.now(UTC)

    def planned(begins: int, ends: int) -> str:
        times = {"begins_at": now + timedelta(hours=begins), "ends_at": now + timedelta(hours=ends)}
        body = {name: moment.isoformat() for name, moment in times.items()}
        return str(server.client.post(PATH, json=body).json()["id"])

    lasting, coming, over = planned(-1, 5), planned(1, 2), planned(-2, -1)
    ended = server.client.post(f"{PATH}/{lasting}/end")
    assert ended.status_code == 200
    assert now <= datetime.fromisoformat(ended.json()["ends_at"]) <= datetime.now(UTC)
    assert ended.json() in server.client.get(PATH).json()
    for id, why in ((lasting, "is over already"), (over, "is over already"), (coming, "has not begun: delete it")):
        refused = server.client.post(f"{PATH}/{id}/end")
        assert (refused.status_code, refused.json()["detail"]) == (409, f"This maintenance {why}.")
    assert server.client.post(f"{PATH}/nothing/end").status_code == 404
    viewer = {"authorization": "Bearer viewer"}
    assert server.client.post(f"{PATH}/{coming}/end", headers=viewer).status_code == 403


def test_who_judges_insights_plans_maintenance(server: ServerApp) -> None:
    viewer, operator = ({"authorization": f"Bearer {role}"} for role in ("viewer", "operator"))
    assert server.client.post(PATH, json=TIME, headers=viewer).status_code == 403
    id = server.client.post(PATH, json=TIME, headers=operator).json()["id"]
    assert server.client.get(PATH, headers=viewer).status_code == 200
    assert server.client.delete(f"{PATH}/{id}", headers=viewer).status_code == 403
