"""From what the services of the AI layer answer to what the API says."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from flexiroaster.api import ai_schemas as schemas
from flexiroaster.services.ai.explanations import Explanation
from flexiroaster.services.ai.models import Standing
from flexiroaster.services.ai.predictions import Expected
from flexiroaster.services.ai.suggestions import Outcome, SuggestionEntry, SuggestionPicture
from flexiroaster.services.ai.switch import ENOUGH
from flexiroaster.store.insights import InsightRow
from flexiroaster.store.models import ModelRow


def brief(expected: Expected | None) -> schemas.PredictionBrief | None:
    return None if expected is None else schemas.PredictionBrief(**_brief(expected))


def prediction(expected: Expected | None) -> schemas.PredictionBody | None:
    if expected is None:
        return None
    body = expected.body
    model = body.get("model")
    return schemas.PredictionBody(
        **_brief(expected),
        basis=None if model is None else "counts" if model == "prior" else "model",
        model=model,
        model_id=expected.model_id,
        as_of=expected.as_of,
        words=body.get("words"),
        reasons=[schemas.ReasonBody(**reason) for reason in body.get("reasons", ())],
        stages=[schemas.StageForecast(**stage) for stage in body.get("stages", ())],
        outlook=_outlook(expected.outlook),
    )


def insight(row: InsightRow) -> schemas.InsightBody:
    return schemas.InsightBody(
        id=row.id,
        rule=cast("Any", row.rule),
        state=row.state,
        subject=row.subject,
        text=row.text,
        pipelines=row.pipelines,
        stage=row.stage,
        since=row.since,
        until=row.until,
        score=row.score,
        threshold=row.threshold,
        confidence=row.confidence,
        executions=row.executions,
        numbers=row.numbers,
        found_at=row.found_at,
        acknowledged_at=row.acknowledged_at,
        acknowledged_by=row.acknowledged_by,
        verdict=cast("Any", row.verdict),
    )


def suggestion(entry: SuggestionEntry) -> schemas.SuggestionBody:
    return schemas.SuggestionBody(**_suggestion(entry))


def suggestion_detail(picture: SuggestionPicture) -> schemas.SuggestionDetail:
    replay = picture.row.replay
    return schemas.SuggestionDetail(
        **_suggestion(picture),
        diff=picture.diff,
        base_version=picture.version,
        why_not=picture.why_not,
        replay=None if replay is None else schemas.ReplayBody(**replay),
        outcome=None if picture.outcome is None else _outcome(picture.outcome),
    )


def model(row: ModelRow) -> schemas.ModelBody:
    return schemas.ModelBody(
        id=row.id,
        kind=cast("Any", row.kind),
        status=row.status,
        trained_at=row.trained_at,
        size=row.size,
        card=row.card,
    )


def standing(found: Standing, models: list[ModelRow]) -> schemas.AiBody:
    return schemas.AiBody(
        on=found.on,
        missing=found.missing,
        note=found.note,
        looked_at=found.looked_at,
        trained_at=found.trained_at,
        models=[model(row) for row in models if row.status == "champion"],
        more_needed=[schemas.MoreNeededBody(**one) for one in found.more_needed],
    )


def explanation(found: Explanation, suggestions: list[SuggestionEntry], *, assistant: bool) -> schemas.ExplanationBody:
    before = found.seen_before
    return schemas.ExplanationBody(
        execution_id=found.execution_id,
        stage=found.stage,
        causes=[
            schemas.CauseBody(
                kind=cause.kind,
                probability=cause.probability,
                text=cause.text,
                executions=list(cause.executions),
                numbers=dict(cause.numbers),
            )
            for cause in found.causes
        ],
        compared=found.compared,
        note=found.note,
        learns=found.learns,
        failed_with=found.failed_with,
        seen_before=None
        if before is None
        else schemas.SeenBeforeBody(
            count=before.count, first_at=before.first_at, last_at=before.last_at, executions=before.executions
        ),
        retry=None
        if found.retry is None
        else schemas.RetryAdviceBody(
            probability=found.retry.probability,
            low=found.retry.low,
            high=found.retry.high,
            worth_it=found.retry.worth_it,
            words=found.retry.words,
        ),
        suggestions=[suggestion(entry) for entry in suggestions],
        assistant=assistant,
    )


def _brief(expected: Expected) -> dict[str, Any]:
    body, outlook = expected.body, expected.outlook
    return {
        "enough": expected.enough,
        "executions": expected.executions,
        "wanted": ENOUGH,
        "note": expected.note,
        "made_at": expected.made_at,
        "failure_probability": body.get("failure_probability"),
        "failure_low": body.get("failure_low"),
        "failure_high": body.get("failure_high"),
        "p10_seconds": body.get("p10_seconds"),
        "p50_seconds": body.get("p50_seconds"),
        "p90_seconds": body.get("p90_seconds"),
        "ends_at": _moment(outlook, "ends_at"),
        "ends_latest": _moment(outlook, "ends_latest"),
    }


def _outlook(outlook: Mapping[str, Any] | None) -> schemas.OutlookBody | None:
    if outlook is None:
        return None
    return schemas.OutlookBody(
        as_of=outlook["as_of"],
        failure_probability=outlook["probability"],
        ends_earliest=outlook["ends_earliest"],
        ends_at=outlook["ends_at"],
        ends_latest=outlook["ends_latest"],
        critical=outlook["critical"],
    )


def _moment(outlook: Mapping[str, Any] | None, key: str) -> datetime | None:
    return None if outlook is None else datetime.fromisoformat(outlook[key])


def _suggestion(entry: SuggestionEntry) -> dict[str, Any]:
    row, saving = entry.row, entry.row.saving
    return {
        "id": row.id,
        "kind": row.kind,
        "value": entry.value,
        "state": row.state,
        "pipeline_id": row.pipeline_id,
        "pipeline_name": entry.pipeline_name,
        "title": entry.title,
        "text": row.text,
        "stages": row.stages,
        "executions": row.executions,
        "shown": row.shown,
        "confidence": row.confidence,
        "saving": None
        if saving is None
        else schemas.SavingBody(
            seconds=saving["median"],
            low=saving["low"],
            high=saving["high"],
            share=saving["share"],
            executions=saving["executions"],
        ),
        "numbers": row.numbers,
        "applicable": bool(row.edits),
        "call": None if row.call is None else schemas.CallBody(**row.call),
        "found_at": row.found_at,
        "changed_at": row.changed_at,
        "changed_by": row.by,
        "reason": row.reason,
        "version_before": row.version_before,
        "version_applied": row.version_applied,
        "version_undone": row.version_undone,
    }


def _outcome(outcome: Outcome) -> schemas.OutcomeBody:
    return schemas.OutcomeBody(
        executions=outcome.after,
        note=outcome.note,
        text=outcome.text,
        saved_share=outcome.saved_share,
        low=outcome.low,
        high=outcome.high,
    )
