"""From what the services answer to what the API says."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from flexiroaster.api import ai_answers, schemas
from flexiroaster.engine import definition
from flexiroaster.engine.errors import Problem
from flexiroaster.engine.pipeline import Pipeline
from flexiroaster.engine.plurals import counted
from flexiroaster.engine.state import Phase
from flexiroaster.services.ai.predictions import Expected
from flexiroaster.services.history import (
    ExecutionEntry,
    ExecutionPicture,
    ItemEntry,
    RetryPlan,
    StageRunEntry,
    StageRunPicture,
)
from flexiroaster.services.metrics import Current, RangeHistory
from flexiroaster.services.pipelines import PipelineEntry, PipelinePicture, name_of, needs_of, phased_stages
from flexiroaster.services.version_diff import VersionDiff
from flexiroaster.stages.base import StageType
from flexiroaster.store.artifacts import ArtifactRow
from flexiroaster.store.children import LinkRow
from flexiroaster.store.executions import AttemptRow, EndRow, EventRow, ExecutionRow
from flexiroaster.store.logs import LogRow
from flexiroaster.store.pipelines import BARS, MEASURED, RunRow, VersionRow, VersionText

if TYPE_CHECKING:
    from flexiroaster.data.preview import Preview
    from flexiroaster.data.profile import Profile

JUDGED = ("success", "failed", "timed_out")


# Pipelines


def pipeline_summary(entry: PipelineEntry, now: datetime, expected: Expected | None = None) -> schemas.PipelineSummary:
    return schemas.PipelineSummary(**_pipeline(entry, now, expected))


def pipeline_detail(
    picture: PipelinePicture, now: datetime, expected: Expected | None = None
) -> schemas.PipelineDetail:
    pipeline, version = picture.pipeline, picture.version
    return schemas.PipelineDetail(
        **_pipeline(picture, now, expected),
        definition=version.document,
        source=version.source,
        source_format=cast("Any", version.source_format),
        stages=outlines(version.document),
        inputs_schema=definition.inputs_schema(pipeline) if pipeline else {"type": "object"},
        code_stages=picture.code_stages,
        problems=[problem_body(problem) for problem in picture.problems],
        drafts=picture.drafts,
    )


def ended(entry: PipelineEntry) -> int:
    """How many of the latest executions have ended by themselves."""
    return sum(run.status in JUDGED for run in entry.runs)


def pipeline_version(row: VersionRow) -> schemas.PipelineVersion:
    return schemas.PipelineVersion(**_version(row))


def pipeline_version_detail(version: VersionText) -> schemas.PipelineVersionDetail:
    return schemas.PipelineVersionDetail(
        **_version(version),
        definition=version.document,
        source=version.source,
        source_format=cast("Any", version.source_format),
        stages=outlines(version.document),
        inputs_schema=_inputs_schema(version.document),
    )


def pipeline_diff(diff: VersionDiff) -> schemas.PipelineDiff:
    return schemas.PipelineDiff(
        pipeline_id=diff.pipeline_id,
        old=diff.old,
        new=diff.new,
        identical=diff.identical,
        added=diff.added,
        removed=diff.removed,
        changed=[schemas.StageChangeBody(stage=change.stage, keys=change.keys) for change in diff.changed],
        settings=diff.settings,
        text=diff.text,
    )


def validation_report(report: definition.Report) -> schemas.ValidationReport:
    return schemas.ValidationReport(
        valid=report.ok,
        problems=[problem_body(problem) for problem in report.problems],
        definition=report.document,
        stages=outlines(report.document) if report.document else [],
    )


def problem_body(problem: Problem) -> schemas.ProblemBody:
    return schemas.ProblemBody(
        code=problem.code,
        message=problem.message,
        path=problem.path,
        line=problem.line,
        column=problem.column,
        found=plain(problem.found),
        suggestion=problem.suggestion,
        severity=problem.severity,
    )


def outlines(document: Mapping[str, Any]) -> list[schemas.StageOutline]:
    return [
        schemas.StageOutline(
            id=stage["id"],
            name=name_of(stage),
            type=str(stage.get("type", "")),
            needs=needs_of(stage),
            phase=cast("Any", phase.value),
        )
        for phase, stage in phased_stages(document)
        if phase is not Phase.COMPENSATION
    ]


def stage_type(type: StageType, *, code_stages: bool) -> schemas.StageTypeBody:
    return schemas.StageTypeBody(
        type=type.type,
        summary=type.summary,
        description=type.description,
        config_schema=type.schema,
        takes_data=type.takes_data,
        runs_code=type.runs_code,
        enabled=code_stages or not type.runs_code,
        examples=[{"title": item.title, "config": item.config, "note": item.note} for item in type.examples],
    )


def _pipeline(entry: PipelineEntry, now: datetime, expected: Expected | None) -> dict[str, Any]:
    row = entry.row
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "labels": {str(key): str(value) for key, value in (row.labels or {}).items()},
        "version": row.version,
        "enabled": row.enabled,
        "paused_at": row.paused_at,
        "paused_by": row.paused_by,
        "stages_total": row.stages_total,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "recent": [_bar(run, now) for run in entry.runs[-BARS:]],
        "stats": stats([run for run in entry.runs if run.ended_at is not None][-MEASURED:]),
        "prediction": ai_answers.brief(expected),
    }


def _version(row: VersionRow) -> dict[str, Any]:
    return {
        "pipeline_id": row.pipeline_id,
        "version": row.version,
        "state": row.state,
        "digest": row.digest,
        "note": row.note,
        "created_at": row.created_at,
        "created_by": row.created_by,
        "based_on": row.based_on,
        "published_at": row.published_at,
        "published_by": row.published_by,
        "stages_total": row.stages_total,
    }


def _inputs_schema(document: dict[str, Any]) -> dict[str, Any]:
    """Of a stored document, which this release may be unable to read."""
    try:
        return definition.inputs_schema(Pipeline.from_document(document))
    except ValidationError:
        return {"type": "object"}


def _bar(run: RunRow, now: datetime) -> schemas.RunBar:
    return schemas.RunBar(
        id=run.id,
        number=run.number,
        status=cast("Any", run.status),
        created_at=run.created_at,
        duration_seconds=execution_seconds(run, now),
    )


def stats(ended: Sequence[RunRow]) -> schemas.PipelineStats | None:
    judged = [run for run in ended if run.status in JUDGED]
    if not judged:
        return None
    durations = sorted(
        took for run in judged if run.ended_at and (took := execution_seconds(run, run.ended_at)) is not None
    )
    return schemas.PipelineStats(
        executions=len(judged),
        success_rate=round(100 * sum(run.status == "success" for run in judged) / len(judged), 2),
        p50_seconds=percentile(durations, 50),
        p95_seconds=percentile(durations, 95),
    )


def percentile(ordered: Sequence[float], percent: int) -> float | None:
    """The smallest of the values that `percent` of them do not exceed."""
    return ordered[math.ceil(len(ordered) * percent / 100) - 1] if ordered else None


# Executions


def execution_summary(
    entry: ExecutionEntry, now: datetime, expected: Expected | None = None
) -> schemas.ExecutionSummary:
    return schemas.ExecutionSummary(**_execution(entry.row, entry.counts, now), prediction=ai_answers.brief(expected))


def execution_detail(
    picture: ExecutionPicture, now: datetime, expected: Expected | None = None
) -> schemas.ExecutionDetail:
    row = picture.row
    return schemas.ExecutionDetail(
        **_execution(row, picture.counts, now),
        prediction=ai_answers.prediction(expected),
        inputs=row.inputs,
        data=row.data,
        outputs=row.outputs,
        stages=[stage_run(entry, now) for entry in picture.stages],
        usual_seconds=picture.usual_seconds,
        last_seq=row.last_seq,
        retry=retry_plan(row.id, picture.retry, "will run") if picture.retry else None,
        timeout_at=row.timeout_at,
        use_cache=row.use_cache,
        logical_date=row.logical_date,
        parent=_link(picture.parent) if picture.parent else None,
        children=[_link(child) for child in picture.children],
    )


def execution_end(row: EndRow) -> schemas.ExecutionEnd:
    return schemas.ExecutionEnd(
        status=cast("Any", row.status),
        ended_at=row.ended_at,
        duration_seconds=execution_seconds(row, row.ended_at),
        failed_stage=row.failed_stage,
        error=stage_error(row.error, row.failed_stage),
        outputs=row.outputs,
    )


def _link(row: LinkRow) -> schemas.ExecutionLink:
    return schemas.ExecutionLink(
        execution_id=row.execution_id,
        pipeline_id=row.pipeline_id,
        number=row.number,
        status=cast("Any", row.status),
        stage=row.stage,
        index=row.index,
    )


def retry_plan(execution_id: str, plan: RetryPlan, verb: str) -> schemas.RetryPlan:
    return schemas.RetryPlan(
        execution_id=execution_id,
        reused=plan.reused,
        to_run=plan.to_run,
        message=reused_and_run(plan.reused, plan.to_run, verb),
    )


def reused_and_run(reused: Sequence[str], to_run: Sequence[str], verb: str) -> str:
    return f"{counted(len(reused), 'stage')} reused, {len(to_run)} {verb}"


def stage_run(entry: StageRunEntry, now: datetime) -> schemas.StageRunBody:
    return schemas.StageRunBody(**_stage_run(entry, now))


def stage_run_detail(picture: StageRunPicture, now: datetime) -> schemas.StageRunDetail:
    entry = picture.entry
    return schemas.StageRunDetail(
        **_stage_run(entry, now),
        config=entry.outline.config,
        result=picture.result,
        result_truncated=picture.result_truncated,
        item=picture.item,
        attempts=[*(_attempt(row, entry.row.stage, now) for row in picture.attempts), *_current_attempt(entry, now)],
    )


def item(entry: ItemEntry, stage: str, now: datetime) -> schemas.ItemBody:
    row = entry.row
    return schemas.ItemBody(
        index=row.index,
        item=entry.value,
        status=cast("Any", row.status),
        attempt=row.attempt,
        reason=row.reason,
        error=stage_error(row.error, stage),
        due_at=row.due_at,
        ready_at=row.ready_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        duration_seconds=seconds(row.started_at, row.ended_at or now),
        rows=row.rows,
        bytes=row.bytes,
    )


def stage_error(error: object, stage: str | None) -> schemas.StageErrorBody | None:
    """As it was recorded; what was recorded otherwise still shows as text."""
    if error is None:
        return None
    if not isinstance(error, Mapping):
        return schemas.StageErrorBody(message=str(error), code="stage_failed", kind="internal", stage=stage)
    location, details = error.get("location"), error.get("details")
    return schemas.StageErrorBody(
        message=str(error.get("message", "")),
        code=str(error.get("code", "stage_failed")),
        kind=str(error.get("kind", "permanent")),
        stage=stage,
        location=_location(location) if isinstance(location, Mapping) else None,
        suggestion=_text(error.get("suggestion")),
        traceback=_text(error.get("traceback")),
        details=dict(details) if isinstance(details, Mapping) else {},
    )


def event(row: EventRow) -> schemas.EventBody:
    return schemas.EventBody(
        seq=row.seq,
        at=row.at,
        type=row.type,
        execution_id=row.execution_id,
        pipeline_id=row.pipeline_id,
        stage=row.stage,
        index=row.index,
        payload=row.payload,
    )


def _execution(row: ExecutionRow, counts: Mapping[str, int], now: datetime) -> dict[str, Any]:
    return {
        "id": row.id,
        "number": row.number,
        "pipeline_id": row.pipeline_id,
        "pipeline_name": row.pipeline_name,
        "version": row.version,
        "status": row.status,
        "trigger": row.trigger,
        "actor": row.actor,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
        "queued_seconds": seconds(row.created_at, row.started_at or row.ended_at or now),
        "duration_seconds": execution_seconds(row, row.paused_at or now),
        "idle_seconds": row.idle_seconds,
        "stages_total": row.stages_total,
        "counts": dict(counts),
        "failed_stage": row.failed_stage,
        "error": stage_error(row.error, row.failed_stage),
        "reason": row.reason,
        "phase": row.phase,
        "ends_as": row.stopping_as if row.ended_at is None else None,
        "paused_at": row.paused_at,
        "trial": row.trial,
        "rerun_of": row.rerun_of,
        "from_stage": row.from_stage,
        "alone": row.alone,
        "priority": row.priority,
        "retries": row.retries,
        "parent_id": row.parent_id,
        "deadline_at": row.deadline_at,
        "late": row.missed_at is not None,
    }


def _stage_run(entry: StageRunEntry, now: datetime) -> dict[str, Any]:
    row, outline = entry.row, entry.outline
    return {
        "stage": row.stage,
        "index": row.index,
        "name": outline.name,
        "type": row.type,
        "needs": outline.needs,
        "phase": outline.phase.value,
        "iterations": row.iterations,
        "status": row.status,
        "attempt": row.attempt,
        "max_attempts": outline.max_attempts,
        "reason": row.reason,
        "error": stage_error(row.error, row.stage),
        "due_at": row.due_at,
        "ready_at": row.ready_at,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
        "duration_seconds": seconds(row.started_at, row.ended_at or now),
        "wait_seconds": seconds(row.ready_at, row.started_at or row.ended_at or now),
        "usual_seconds": entry.usual_seconds,
        "rows": row.rows,
        "bytes": row.bytes,
        "reused_from": row.reused_from,
        "waits_for": row.waits_for,
        "cached_from": row.cached_from,
        "deadline_at": row.deadline_at,
        "late": row.missed_at is not None,
        "artifacts": [artifact(kept) for kept in entry.artifacts],
        "items": None
        if entry.items is None
        else schemas.ItemCounts(count=sum(entry.items.values()), states=dict(entry.items)),
    }


def _attempt(row: AttemptRow, stage: str, now: datetime) -> schemas.AttemptBody:
    return schemas.AttemptBody(
        attempt=row.attempt,
        status=cast("Any", row.status),
        worker=row.worker,
        started_at=row.started_at,
        ended_at=row.ended_at,
        duration_seconds=seconds(row.started_at, row.ended_at or now),
        error=stage_error(row.error, stage),
    )


def _current_attempt(entry: StageRunEntry, now: datetime) -> Iterable[schemas.AttemptBody]:
    """The stage run itself, once it has been tried."""
    row = entry.row
    if row.started_at is not None:
        yield _attempt(
            AttemptRow(row.attempt, row.status, row.worker, row.started_at, row.ended_at, row.error), row.stage, now
        )


def _location(found: Mapping[str, Any]) -> schemas.LocationBody:
    line, row = found.get("line"), found.get("row")
    return schemas.LocationBody(
        file=_text(found.get("file")),
        line=line if isinstance(line, int) else None,
        row=row if isinstance(row, int) else None,
        column=_text(found.get("column")),
        value=_text(found.get("value")),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def execution_seconds(row: ExecutionRow | RunRow | EndRow, now: datetime) -> float | None:
    """The sum of its rounds: what lies between an end and a retry does not count."""
    took = seconds(row.started_at, row.ended_at or now)
    return None if took is None else max(0.0, round(took - row.idle_seconds, 6))


def seconds(start: datetime | None, end: datetime) -> float | None:
    """Never negative: the clock may have been set back between the two."""
    return None if start is None else max(0.0, round((end - start).total_seconds(), 6))


# Artifacts, logs, metrics


def artifact(row: ArtifactRow) -> schemas.ArtifactBody:
    return schemas.ArtifactBody(
        id=row.id,
        execution_id=row.execution_id,
        stage=row.stage,
        index=row.index,
        attempt=row.attempt,
        name=row.name,
        kind=cast("Any", row.kind),
        media_type=row.media_type,
        rows=row.rows,
        bytes=row.bytes,
        columns=[{str(key): str(value) for key, value in column.items()} for column in row.columns or []]
        if row.columns is not None
        else None,
        created_at=row.created_at,
    )


def log_line(row: LogRow) -> schemas.LogLine:
    return schemas.LogLine(
        id=row.id,
        at=row.at,
        level=cast("Any", row.level),
        message=row.message,
        pipeline_id=row.pipeline_id,
        execution_id=row.execution_id,
        stage=row.stage,
        index=row.index,
        attempt=row.attempt,
        fields=row.fields,
    )


def metrics(current: Current) -> schemas.MetricsBody:
    return schemas.MetricsBody(
        total_pipelines=current.total_pipelines,
        enabled_pipelines=current.enabled_pipelines,
        active_executions=current.active_executions,
        queued_executions=current.queued_executions,
        executions_24h=current.last.executions,
        failed_24h=current.last.failed,
        success_rate=current.last.success_rate,
        avg_duration=current.last.avg_duration,
        p95_duration=current.p95_duration,
        previous_success_rate=current.previous.success_rate,
        previous_avg_duration=current.previous.avg_duration,
    )


def metrics_history(history: RangeHistory) -> schemas.MetricsHistory:
    return schemas.MetricsHistory(
        range=history.range,
        bucket_seconds=history.bucket_seconds,
        buckets=[
            schemas.MetricsBucket(
                at=bucket.at,
                started=bucket.started,
                success=bucket.success,
                failed=bucket.failed,
                cancelled=bucket.cancelled,
                timed_out=bucket.timed_out,
                avg_duration=bucket.avg_duration,
            )
            for bucket in history.buckets
        ],
    )


def plain(value: object) -> Any:
    """What may be shown of a wrong value: JSON as it is, anything else as text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value)


def table_preview(found: Preview) -> schemas.TablePreview:
    return schemas.TablePreview(
        columns=[{"name": column.name, "type": column.type} for column in found.columns],
        rows=found.rows,
        offset=found.offset,
        total_rows=found.total_rows,
    )


def table_profile(found: Profile) -> schemas.TableProfile:
    return schemas.TableProfile(
        rows=found.rows,
        bytes=found.bytes,
        columns=[
            schemas.ColumnProfile(
                name=column.name,
                type=column.type,
                nulls=column.nulls,
                distinct=column.distinct,
                min=column.min,
                max=column.max,
                mean=column.mean,
                histogram=column.histogram,
            )
            for column in found.columns
        ],
    )
