"""Invented runs as rows of the tables, for tests that need much history fast."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from flexiroaster.ai.runs import Run
from flexiroaster.store.database import Database, Transaction
from flexiroaster.store.tables import attempts, executions, pipeline_versions, pipelines, stage_runs


def at(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def write(database: Database, runs: Iterable[Run]) -> None:
    """Attempts of stages; what becomes of their executions follows from them."""
    by_execution: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        by_execution[run.execution].append(run)
    stages: dict[str, dict[str, Run]] = defaultdict(dict)
    versions: dict[str, set[str]] = defaultdict(set)
    for run in sorted((run for own in by_execution.values() for run in own), key=lambda run: run.started_at):
        stages[run.pipeline].setdefault(run.stage, run)
        versions[run.pipeline].add(run.version)
    numbers: dict[str, int] = defaultdict(int)
    tables: dict[Any, list[dict[str, Any]]] = {executions: [], stage_runs: [], attempts: []}
    for id, own in sorted(by_execution.items(), key=lambda item: min(run.started_at for run in item[1])):
        numbers[own[0].pipeline] += 1
        _execution(id, own, numbers[own[0].pipeline], list(stages[own[0].pipeline]), tables)

    def operation(tx: Transaction) -> None:
        for pipeline, known in stages.items():
            _pipeline(tx, pipeline, list(known.values()), versions[pipeline], numbers[pipeline])
        for table, rows in tables.items():
            if rows:
                tx.sa.execute(table.insert(), rows)

    database.write(operation)


def _pipeline(tx: Transaction, id: str, stages: Sequence[Run], versions: set[str], last_number: int) -> None:
    began = at(min(run.started_at for run in stages))
    document = {
        "id": id,
        "name": id,
        "stages": [
            {
                "id": run.stage,
                "type": "http",
                "needs": list(run.needs),
                "config": {"url": f"https://{run.connector}/rows"} if run.connector else {},
            }
            for run in stages
        ],
    }
    newest = max(map(int, versions))
    tx.sa.execute(
        pipelines.insert().values(
            id=id, name=id, labels={}, version=newest, last_number=last_number, created_at=began, updated_at=began
        )
    )
    for version in sorted(map(int, versions)):
        tx.sa.execute(
            pipeline_versions.insert().values(
                pipeline_id=id,
                version=version,
                document=document,
                source="{}",
                source_format="json",
                digest=f"{version:064}",
                created_at=began,
                published_at=began,
            )
        )


def _execution(
    id: str, runs: Sequence[Run], number: int, stages: Sequence[str], tables: dict[Any, list[dict[str, Any]]]
) -> None:
    first = min(runs, key=lambda run: run.started_at)
    newest = {run.stage: run for run in sorted(runs, key=lambda run: run.attempt)}
    failed = next((run for run in newest.values() if run.failed), None)
    ended = None if any(run.ended_at is None for run in runs) else max(run.ended_at or 0.0 for run in runs)
    status = "running" if ended is None else failed.status if failed else "success"
    tables[executions].append(
        {
            "id": id,
            "pipeline_id": first.pipeline,
            "version": int(first.version),
            "number": number,
            "status": status,
            "trigger": first.trigger or "manual",
            "inputs": {},
            "stages_total": len(stages),
            "logical_date": at(first.started_at),
            "created_at": at(first.started_at),
            "started_at": at(first.started_at),
            "ended_at": at(ended),
            "failed_stage": failed.stage if failed else None,
            "error": _error(failed),
        }
    )
    for run in runs:
        common = {
            "execution_id": id,
            "position": stages.index(run.stage),
            "idx": 0,
            "attempt": run.attempt,
            "status": run.status or "running",
            "started_at": at(run.started_at),
            "ended_at": at(run.ended_at),
            "error": _error(run),
        }
        if run is not newest[run.stage]:
            tables[attempts].append({**common, "worker": None})
            continue
        tables[stage_runs].append(
            {
                **common,
                "stage": run.stage,
                "type": "http",
                "needs_left": 0,
                "needs_ok": 0,
                "needs_failed": 0,
                "ready_at": at(run.queued_at),
                "rows": None if run.output_rows is None else int(run.output_rows),
            }
        )


def _error(run: Run | None) -> dict[str, Any] | None:
    if run is None or not run.failed:
        return None
    return {"message": f"{run.error_class}: it did not work", "code": "http_connection", "kind": "transient"}
