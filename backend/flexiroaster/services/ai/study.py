"""Looks through the history for what is abnormal and what could be better, and trains. Reads; answers what it found.

It takes seconds to minutes and belongs into a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from flexiroaster.ai.insights.budget import Verdict
from flexiroaster.ai.insights.find import find
from flexiroaster.ai.insights.finding import Insight
from flexiroaster.ai.insights.maintenance import Window
from flexiroaster.ai.optimizer.advise import look
from flexiroaster.ai.optimizer.caching import LEAST_SHARE, keys
from flexiroaster.ai.optimizer.graph import Graph
from flexiroaster.ai.optimizer.replay import makespan
from flexiroaster.ai.optimizer.suggestion import NotEnough, Suggestion, apply
from flexiroaster.ai.prediction.predictor import Predictor
from flexiroaster.ai.prediction.training import LEAST_FAILURES, LEAST_RUNS
from flexiroaster.ai.registry import Entry, save
from flexiroaster.ai.runs import MissingExtra, Run
from flexiroaster.engine.errors import FlexiRoasterError
from flexiroaster.services.ai.history import RunHistory, Story, all_runs
from flexiroaster.services.ai.made import made_of
from flexiroaster.services.ai.shared import shared_by_all
from flexiroaster.services.ai.switch import Switch
from flexiroaster.store import insights as insight_store
from flexiroaster.store import maintenance as maintenance_store
from flexiroaster.store import pipelines as pipeline_store
from flexiroaster.store.database import Database

EXECUTIONS_LOOKED_AT = 10_000
EXECUTIONS_LEARNED_FROM = 20_000
VERSIONS_COMPARED = 100
"""Executions of a pipeline that suggestions rest on."""


@dataclass(slots=True)
class Findings:
    """`looked_from`: no execution before it was looked at. `suggestions` are by pipeline, all there are."""

    looked_from: datetime
    insights: list[Insight] = field(default_factory=list)
    suggestions: dict[str, list[Suggestion]] = field(default_factory=dict)
    replays: dict[str, dict[str, Any]] = field(default_factory=dict)
    missing: list[NotEnough] = field(default_factory=list)
    """What more executions may show."""


class Training(NamedTuple):
    """`note` says why nothing was learned, if so."""

    entries: list[Entry]
    runs: int
    failures: int
    note: str | None = None


class Study:
    def __init__(
        self,
        database: Database,
        switch: Switch,
        takes_data: Callable[[str], bool],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._takes_data = takes_data
        self._clock = clock
        self._history = RunHistory(database, switch)

    def look(self) -> Findings:
        """Insights and suggestions from the newest executions."""
        now = self._clock()
        stories = self._history.newest(EXECUTIONS_LOOKED_AT, afterwards=True)
        findings = Findings(stories[0].seen.created_at if stories else now)
        errors = [error for story in stories for error in story.errors]
        findings.insights = find(
            all_runs(stories),
            now=now.timestamp(),
            errors=errors,
            verdicts=self._verdicts(),
            maintenance=self._maintenance(),
        )
        by_pipeline: dict[str, list[Story]] = {}
        for story in stories:
            by_pipeline.setdefault(story.seen.pipeline_id, []).append(story)
        documents = {id: document for id in by_pipeline if (document := self._document(id)) is not None}
        # What befell only pipelines that are gone is over; that of others they still bear witness to.
        findings.insights = [one for one in findings.insights if any(id in documents for id in one.pipelines)]
        for id, document in documents.items():
            self._advise(document, by_pipeline[id][-VERSIONS_COMPARED:], findings)
        together = shared_by_all(self._database, stories, documents)
        findings.missing += together.missing
        for one in together.suggestions:
            findings.suggestions.setdefault(one.pipeline, []).append(one)
        return findings

    def train(self, folder: Path, key: bytes) -> Training:
        """Fits every candidate, keeps those that answer from now on as signed files in the folder."""
        runs = list(all_runs(self._history.newest(EXECUTIONS_LEARNED_FROM)))
        ended = [run for run in runs if run.stage and run.status in ("success", "failed", "timed_out")]
        failures = sum(run.failed for run in ended)
        try:
            predictor = Predictor(refit_every=None).fit(runs)
        except MissingExtra as error:
            return Training([], len(ended), failures, str(error))
        records = predictor.records(trained_at=self._clock().timestamp())
        entries = [save(record, folder, key) for record in records]
        return Training(entries, len(ended), failures, _still_missing(len(ended), failures))

    # --- Details ----------------------------------------------------------------------------------------------------

    def _verdicts(self) -> list[Verdict]:
        with self._database.read() as connection:
            rows = insight_store.verdicts(connection)
        return [Verdict(rule=row.rule, subject=row.subject, verdict=row.verdict) for row in rows]

    def _maintenance(self) -> list[Window]:
        with self._database.read() as connection:
            rows = maintenance_store.all_windows(connection)
        return [Window(row.begins_at.timestamp(), row.ends_at.timestamp(), row.pipeline_id or "") for row in rows]

    def _document(self, id: str) -> Mapping[str, Any] | None:
        """Of the published version; None for a pipeline that is gone."""
        with self._database.read() as connection:
            row = pipeline_store.find(connection, id)
            version = pipeline_store.version(connection, id, row.version) if row and not row.deleted_at else None
        return None if version is None else version.document

    def _advise(self, document: Mapping[str, Any], stories: Sequence[Story], findings: Findings) -> None:
        """Nothing for a definition that this release cannot read."""
        id = str(document["id"])
        runs = [run for story in stories for run in (*story.attempts, *story.elsewhere)]
        usual = _usual_seconds(runs)
        try:
            made = made_of(self._database, stories, document, self._worth_keeping(document, usual))
            advice = look(document, runs, takes_data=self._takes_data, made=made)
        except (FlexiRoasterError, ValueError, KeyError):
            return
        findings.missing += advice.missing
        if any(one.kind is None for one in advice.missing):
            return
        findings.suggestions[id] = advice.suggestions
        for one in advice.suggestions:
            if one.kind == "parallel":
                findings.replays[one.id] = replayed(document, one, usual, self._takes_data)

    def _worth_keeping(self, document: Mapping[str, Any], usual: Mapping[str, float]) -> dict[str, str]:
        """What the results of the stages are made of that take a part of the time: to compare all would cost more."""
        least = LEAST_SHARE * makespan(Graph.of(document, self._takes_data), usual)
        return {
            stage: key for stage, key in keys(document, self._takes_data).items() if usual.get(stage, 0.0) >= least > 0
        }


def replayed(
    document: Mapping[str, Any], one: Suggestion, usual: Mapping[str, float], takes_data: Callable[[str], bool]
) -> dict[str, Any]:
    """A usual execution as it goes now and as it would go, stage by stage, with a free worker for each."""
    now = _played(Graph.of(document, takes_data), usual)
    after = _played(Graph.of(apply(document, one.edits), takes_data), usual)
    return {
        "now_seconds": max((stage["end"] for stage in now), default=0.0),
        "after_seconds": max((stage["end"] for stage in after), default=0.0),
        "now": now,
        "after": after,
    }


def _played(graph: Graph, usual: Mapping[str, float]) -> list[dict[str, Any]]:
    ends: dict[str, float] = {}
    found = {}
    for id in graph.order:
        start = max((ends[need] for need in graph.nodes[id].needs), default=0.0)
        ends[id] = start + usual.get(id, 0.0)
        found[id] = {"stage": id, "start": start, "end": ends[id]}
    return [found[id] for id in graph.nodes]


def _usual_seconds(runs: Sequence[Run]) -> dict[str, float]:
    """Medians of the successes."""
    seconds: dict[str, list[float]] = {}
    for run in runs:
        if run.status == "success" and run.seconds is not None:
            seconds.setdefault(run.stage, []).append(run.seconds)
    return {stage: median(values) for stage, values in seconds.items()}


def _still_missing(runs: int, failures: int) -> str | None:
    if runs >= LEAST_RUNS and failures >= LEAST_FAILURES:
        return None
    return (
        f"Shares of earlier failures answer until there is more to learn from: {min(runs, LEAST_RUNS)} of {LEAST_RUNS} "
        f"stage runs and {min(failures, LEAST_FAILURES)} of {LEAST_FAILURES} failures so far."
    )
