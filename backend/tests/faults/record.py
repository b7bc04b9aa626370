"""What must hold of every record, whatever has happened; and what a record says, to be compared with another's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa

from flexiroaster.engine.events import Event, EventType
from flexiroaster.engine.replay import Replayed, replay
from flexiroaster.engine.state import EXECUTION_FINAL, STAGE_FINAL
from flexiroaster.services.narration import is_told
from flexiroaster.store.database import Database
from flexiroaster.store.tables import artifacts, attempts, events, executions, foreach_items, logs, results, stage_runs

EXECUTION_FIELDS = ("status", "number", "retries", "reason", "failed_stage", "started_at", "ended_at")
STAGE_FIELDS = ("attempt", "reason", "rows", "bytes", "started_at", "ended_at", "reused_from")
ENDS = {"execution_completed", "execution_failed", "execution_cancelled", "execution_timed_out"}


@dataclass(frozen=True)
class Record:
    """Everything that the database has about one execution."""

    row: sa.RowMapping
    runs: list[sa.RowMapping]
    events: list[sa.RowMapping]
    attempts: list[sa.RowMapping]
    results: list[sa.RowMapping]
    artifacts: list[sa.RowMapping]
    logs: list[sa.RowMapping]
    items: list[sa.RowMapping]

    @classmethod
    def of(cls, database: Database, execution_id: str) -> Record:
        def rows(table: sa.Table, *order: str) -> list[sa.RowMapping]:
            query = sa.select(table).where(table.c.execution_id == execution_id)
            return list(connection.execute(query.order_by(*(table.c[name] for name in order))).mappings())

        with database.read() as connection:
            query = sa.select(executions).where(executions.c.id == execution_id)
            return cls(
                connection.execute(query).mappings().one(),
                rows(stage_runs, "position", "idx"),
                rows(events, "seq"),
                rows(attempts, "position", "idx", "attempt"),
                rows(results, "position", "idx"),
                rows(artifacts, "stage", "idx", "name"),
                rows(logs, "id"),
                rows(foreach_items, "position", "idx"),
            )

    def as_events(self) -> list[Event]:
        id, pipeline_id = self.row["id"], self.row["pipeline_id"]
        return [
            Event(EventType(row["type"]), id, pipeline_id, row["seq"], row["at"], row["stage"], row["idx"], payload)
            for row in self.events
            for payload in (row["payload"] or {},)
        ]

    def replayed(self) -> Replayed:
        return replay(self.as_events())

    def restarts(self) -> Counter[tuple[str | None, int]]:
        """How often each stage run was taken from who had it, and run again."""
        return Counter(
            (row["stage"], row["idx"] or 0)
            for row in self.events
            if row["type"] == "stage_retrying" and row["payload"]["reason"].startswith("restarted")
        )

    def times(self, type: str) -> Counter[tuple[str | None, int]]:
        """How often events of this type tell of each stage run."""
        return Counter((row["stage"], row["idx"] or 0) for row in self.events if row["type"] == type)


def check_numbers(record: Record) -> None:
    """Events are numbered without a gap, and no attempt starts twice."""
    assert [row["seq"] for row in record.events] == list(range(1, len(record.events) + 1))
    for run in record.runs:
        place = run["position"], run["idx"]
        assert all(
            one["attempt"] <= run["attempt"] for one in record.attempts if (one["position"], one["idx"]) == place
        )
    started = Counter(
        (row["stage"], row["idx"], row["payload"]["attempt"]) for row in record.events if row["type"] == "stage_started"
    )
    assert set(started.values()) <= {1}, started


def check_ended(record: Record) -> None:
    """Nothing is left over of an execution that has ended, and it ended once in each of its rounds."""
    assert record.row["status"] in EXECUTION_FINAL
    assert record.row["ended_at"] is not None
    assert (record.row["paused_at"], record.row["waiting_since"]) == (None, None)
    for run in record.runs:
        assert run["status"] in STAGE_FINAL, run["stage"]
        left = [run[name] for name in ("lease_owner", "lease_until", "due_at", "waits_for")]
        assert left == [None] * 4, (run["stage"], left)
        assert run["ended_at"] is not None
    assert sum(row["type"] in ENDS for row in record.events) == 1 + record.row["retries"]


def check_rebuilt(record: Record) -> None:
    """The events of an ended execution say what its rows say."""
    told, row = record.replayed(), record.row
    for name in EXECUTION_FIELDS:
        assert getattr(told, name) == row[name], name
    assert (told.error.to_json() if told.error else None) == row["error"]
    if row["started_at"] is not None:
        took = (row["ended_at"] - row["started_at"]).total_seconds() - row["idle_seconds"]
        assert told.duration_seconds == pytest.approx(took)
    kept = {(run["stage"], run["idx"]): run for run in record.runs}
    for key in kept.keys() - told.stages.keys():  # an item of a stage that was cancelled while it put its items
        run = kept.pop(key)
        assert run["idx"] and (run["attempt"], run["status"]) == (0, "cancelled"), key
    assert told.stages.keys() == kept.keys()
    for key, stage in told.stages.items():
        found = {name: getattr(stage, name) for name in STAGE_FIELDS}
        assert found == {name: kept[key][name] for name in STAGE_FIELDS}, key
        error = stage.error.to_json() if stage.error else None
        assert (stage.status, error) == (kept[key]["status"], kept[key]["error"]), key


def gist(records: Iterable[Record], names: Mapping[str, str]) -> Any:
    """What a person sees of executions once they have ended, apart from times, ids, and how often it was tried.

    `names` are of pipelines, by id.
    """
    found = [
        {
            "pipeline": names[record.row["pipeline_id"]],
            "status": record.row["status"],
            "outputs": record.row["outputs"],
            "failed_stage": record.row["failed_stage"],
            "retries": record.row["retries"],
            "stages": _by_place(record.runs, "stage", "status", "rows", "iterations"),
            "results": {key: value for key, value in _results(record) if value is not None},
            "artifacts": _by_place(record.artifacts, "stage", "name", "kind", "bytes"),
            "items": _by_place(record.items, "position", "value"),
            "completed": record.times("stage_completed"),
            "skipped": record.times("stage_skipped"),
        }
        for record in records
    ]  # fmt: skip
    return sorted(found, key=lambda one: (str(one["pipeline"]), str(one["outputs"])))


def differences(found: Any, wanted: Any, where: str = "") -> Iterator[str]:
    """Between two gists, one line for each place."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for name in {**wanted, **found}:
            yield from differences(found.get(name, "nothing"), wanted.get(name, "nothing"), f"{where}.{name}")
    elif isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        for number, pair in enumerate(zip(found, wanted, strict=True)):
            yield from differences(*pair, f"{where}[{number}]")
    elif found != wanted:
        yield f"{where}: {found!r} instead of {wanted!r}"


def check_told(record: Record, *, at_least: bool = False) -> None:
    """Every event that is told in the log is told once, or at least once."""
    told = Counter(row["seq"] for row in record.logs if row["seq"] is not None)
    wanted = [event.seq for event in record.as_events() if is_told(event)]
    assert (told.keys() == set(wanted)) if at_least else (told == Counter(wanted)), (told, wanted)


def _by_place(rows: Iterable[sa.RowMapping], name: str, *values: str) -> dict[Any, Any]:
    return {(row[name], row["idx"]): [row[value] for value in values] for row in rows}


def _results(record: Record) -> Iterator[tuple[Any, Any]]:
    for row in record.results:
        shown = _without_ids(row["value"]) if row["artifact_id"] is None else "spilled"
        yield (row["position"], row["idx"]), shown


_OWN = ("execution_id", "at", "until", "waited_seconds")


def _without_ids(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_ids(one) for one in value]
    if isinstance(value, dict):
        return {name: _without_ids(one) for name, one in value.items() if name not in _OWN}
    return value
