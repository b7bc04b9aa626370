from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from flexiroaster.engine.events import Event, EventType

AT = datetime(2026, 3, 1, 12, 0, 0, 250, tzinfo=UTC)


def test_payload_is_flat_and_carries_where_and_when() -> None:
    event = Event(EventType.STAGE_COMPLETED, "e1", "p1", 7, AT, "load", 2, {"result": {"rows": 3}})
    assert event.to_payload() == {
        "seq": 7,
        "at": "2026-03-01T12:00:00.000250Z",
        "execution_id": "e1",
        "pipeline_id": "p1",
        "stage": "load",
        "index": 2,
        "result": {"rows": 3},
    }


def test_an_event_of_the_execution_names_no_stage() -> None:
    payload = Event(EventType.EXECUTION_STARTED, "e1", "p1", 1, AT).to_payload()
    assert "stage" not in payload and "index" not in payload


def test_a_payload_cannot_forge_its_envelope() -> None:
    event = Event(EventType.LOG, "e1", "p1", 0, AT, payload={"execution_id": "other", "seq": 99})
    assert event.to_payload()["execution_id"] == "e1"
    assert event.to_payload()["seq"] == 0


def test_times_of_other_zones_are_written_in_utc() -> None:
    there = AT.astimezone(timezone(timedelta(hours=5)))
    assert Event(EventType.LOG, "e1", "p1", 0, there).to_payload()["at"] == "2026-03-01T12:00:00.000250Z"
