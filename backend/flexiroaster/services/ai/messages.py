"""What the learner's processes and the server say to each other: JSON, a line for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from flexiroaster.store.models import ModelRow
from flexiroaster.store.predictions import ForecastRow, NewPrediction

if TYPE_CHECKING:
    from flexiroaster.services.ai.following import Said
    from flexiroaster.services.ai.room import AiServices
    from flexiroaster.services.ai.study import Findings, Training

Message = dict[str, Any]


def line(message: Mapping[str, Any]) -> bytes:
    return orjson.dumps(message, option=orjson.OPT_NON_STR_KEYS) + b"\n"


def parsed(text: bytes) -> Message:
    """Raises ValueError for what is no message."""
    found = orjson.loads(text)
    if not isinstance(found, dict):
        raise ValueError("no message")
    return found


# What following says


def of_said(said: Said) -> Message:
    return {
        "predictions": [asdict(one) for one in said.predictions],
        "outlooks": [[id, pipeline, outlook] for id, (pipeline, outlook) in said.outlooks.items()],
        "forecasts": [asdict(one) for one in said.forecasts],
    }


def keep_said(message: Message, ai: AiServices) -> None:
    """Write down what following said."""
    new = [NewPrediction(**_moments(one, "made_at", "as_of")) for one in message["predictions"]]
    if new:
        ai.predictions.keep(new)
    if message["outlooks"]:
        ai.predictions.keep_outlooks({id: (pipeline, outlook) for id, pipeline, outlook in message["outlooks"]})
    forecasts = [ForecastRow(**_moments(one, "made_at")) for one in message["forecasts"]]
    if forecasts:
        ai.predictions.keep_forecasts(forecasts)


# What a study finds


def of_findings(findings: Findings) -> Message:
    return {
        "looked_from": findings.looked_from,
        "insights": [asdict(one) for one in findings.insights],
        "suggestions": {id: [asdict(one) for one in found] for id, found in findings.suggestions.items()},
        "replays": findings.replays,
        "missing": [{"pipeline_id": one.pipeline, "kind": one.kind, "text": one.text} for one in findings.missing],
    }


def keep_findings(message: Message, ai: AiServices, now: datetime) -> Message:
    """Write down what a look found. Answers how much of it is new."""
    from flexiroaster.ai.insights.finding import Insight
    from flexiroaster.ai.optimizer.replay import Saving
    from flexiroaster.ai.optimizer.suggestion import Call, Edit, Suggestion

    insights = [
        Insight(**one | {"pipelines": tuple(one["pipelines"]), "executions": tuple(one["executions"])})
        for one in message["insights"]
    ]
    found = ai.insights.keep(insights, looked_from=datetime.fromisoformat(message["looked_from"]), now=now)
    suggested = 0
    for id, given in message["suggestions"].items():
        suggestions = [
            Suggestion(
                **one
                | {
                    "stages": tuple(one["stages"]),
                    "saving": None if one["saving"] is None else Saving(**one["saving"]),
                    "edits": tuple(Edit(**edit | {"path": tuple(edit["path"])}) for edit in one["edits"]),
                    "call": None if one["call"] is None else Call(**one["call"]),
                    "shown": tuple(one["shown"]),
                }
            )
            for one in given
        ]
        suggested += len(ai.suggestions.keep(id, suggestions, message["replays"]))
    counts = {"insights": len(insights), "new_insights": len(found.new), "over": found.over, "suggestions": suggested}
    ai.models.looked(**counts, missing=message["missing"])
    return counts


def of_training(training: Training) -> Message:
    return {
        "models": [asdict(entry) for entry in training.entries],
        "runs": training.runs,
        "failures": training.failures,
        "note": training.note,
    }


def keep_training(message: Message, ai: AiServices) -> list[str]:
    """Let the new models answer. Answers the files that are still needed."""
    rows = [
        ModelRow(
            id=entry["id"],
            kind=entry["kind"],
            status="champion",
            schema=entry["schema"],
            trained_at=datetime.fromtimestamp(entry["trained_at"], UTC),
            file=entry["file"],
            size=entry["size"],
            card=entry["card"],
        )
        for entry in message["models"]
    ]
    return ai.models.trained(rows, runs=message["runs"], failures=message["failures"], note=message["note"])


def _moments(one: Message, *names: str) -> Message:
    return one | {name: datetime.fromisoformat(one[name]) for name in names}
