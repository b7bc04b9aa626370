"""A history to query: pipelines, executions and stage runs written straight into the tables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flexiroaster.store.database import Database, Transaction
from flexiroaster.store.tables import (
    artifacts,
    attempts,
    events,
    executions,
    foreach_items,
    logs,
    pipeline_versions,
    pipelines,
    results,
    stage_runs,
)

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


@dataclass
class History:
    database: Database

    def pipeline(self, id: str, *, stages: int = 2, foreach: str | None = None, **changes: Any) -> str:
        """`foreach` names the stage that runs once per item."""
        listed: list[dict[str, Any]] = [{"id": f"s{n}", "type": "noop", "needs": []} for n in range(stages)]
        for stage in listed:
            if stage["id"] == foreach:
                stage["foreach"] = {"items": [1]}
        document = {"id": id, "stages": listed}
        row = {
            "name": id.title(),
            "description": "",
            "labels": {},
            "version": 1,
            "created_at": NOON,
            "updated_at": NOON,
        }

        def operation(tx: Transaction) -> None:
            tx.sa.execute(pipelines.insert().values(id=id, **row | changes))
            tx.sa.execute(
                pipeline_versions.insert().values(
                    pipeline_id=id,
                    version=1,
                    document=document,
                    source="{}",
                    source_format="json",
                    digest="0" * 64,
                    created_at=NOON,
                    published_at=NOON,
                    created_by="ada@example.com",
                )
            )

        self.database.write(operation)
        return id

    def execution(
        self,
        pipeline_id: str,
        number: int,
        *,
        status: str = "success",
        created_at: datetime | None = None,
        seconds: float | None = 10.0,
        **changes: Any,
    ) -> str:
        """Started at once when it was created, ended after `seconds` (None: it still runs)."""
        created = created_at or NOON + minutes(number)
        id = f"{pipeline_id}-{number}"
        row = {
            "id": id,
            "pipeline_id": pipeline_id,
            "version": 1,
            "number": number,
            "status": status,
            "trigger": "manual",
            "inputs": {},
            "stages_total": 2,
            "logical_date": created,
            "created_at": created,
            "started_at": None if status == "queued" else created,
            "ended_at": None if seconds is None else created + timedelta(seconds=seconds),
        }

        def operation(tx: Transaction) -> None:
            tx.sa.execute(executions.insert().values(row | changes))
            tx.sa.execute(
                pipelines.update()
                .where(pipelines.c.id == pipeline_id, pipelines.c.last_number < number)
                .values(last_number=number)
            )

        self.database.write(operation)
        return id

    def stage_run(
        self, execution_id: str, position: int, *, status: str = "success", seconds: float = 1.0, **changes: Any
    ) -> None:
        row = {
            "execution_id": execution_id,
            "position": position,
            "idx": 0,
            "stage": f"s{position}",
            "type": "noop",
            "status": status,
            "attempt": 1,
            "needs_left": 0,
            "needs_ok": 0,
            "needs_failed": 0,
            "started_at": NOON,
            "ended_at": NOON + timedelta(seconds=seconds),
        }
        self.database.write(lambda tx: tx.sa.execute(stage_runs.insert().values(row | changes)))

    def item(self, execution_id: str, position: int, index: int, value: Any, **changes: Any) -> None:
        """An item of a foreach stage."""
        self.stage_run(execution_id, position, idx=index, **changes)
        row = {"execution_id": execution_id, "position": position, "idx": index, "value": value}
        self.database.write(lambda tx: tx.sa.execute(foreach_items.insert().values(row)))

    def log(self, message: str, *, level: str = "info", **changes: Any) -> None:
        row = {"at": NOON, "level": level, "message": message}
        self.database.write(lambda tx: tx.sa.execute(logs.insert().values(row | changes)))

    def event(self, execution_id: str, seq: int, **changes: Any) -> None:
        row = {"execution_id": execution_id, "seq": seq, "at": NOON, "type": "stage_started"}
        self.database.write(lambda tx: tx.sa.execute(events.insert().values(row | changes)))

    def attempt(self, execution_id: str, position: int, attempt: int, **changes: Any) -> None:
        row = {"execution_id": execution_id, "position": position, "idx": 0, "attempt": attempt, "status": "failed"}
        self.database.write(lambda tx: tx.sa.execute(attempts.insert().values(row | changes)))

    def result(self, execution_id: str, position: int, value: Any, artifact_id: str | None = None) -> None:
        row = {"execution_id": execution_id, "position": position, "idx": 0, "artifact_id": artifact_id}
        self.database.write(lambda tx: tx.sa.execute(results.insert().values(row | {"value": value})))

    def artifact(self, id: str, execution_id: str, **changes: Any) -> str:
        row = {
            "id": id,
            "execution_id": execution_id,
            "stage": "s0",
            "idx": 0,
            "attempt": 1,
            "name": "data.parquet",
            "kind": "table",
            "media_type": "application/vnd.apache.parquet",
            "key": f"{execution_id}/s0/0/1/data.parquet",
            "bytes": 10,
            "created_at": NOON,
        }
        self.database.write(lambda tx: tx.sa.execute(artifacts.insert().values(row | changes)))
        return id
