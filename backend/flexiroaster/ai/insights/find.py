"""All insights from the runs, one for each root: what an outage or a version explains is not told again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flexiroaster.ai.insights.budget import Sensitivity, Verdict
from flexiroaster.ai.insights.finding import EXECUTIONS_SHOWN, Insight, Rule, named
from flexiroaster.ai.insights.maintenance import Maintenance, Window
from flexiroaster.ai.insights.outages import as_insight, failures_in, incidents
from flexiroaster.ai.insights.past import Past
from flexiroaster.ai.insights.signatures import ErrorSeen, Signature, signatures
from flexiroaster.ai.insights.stages import bad_versions, flaky_stages
from flexiroaster.ai.insights.trends import changed_levels, rising_failures
from flexiroaster.ai.runs import Run
from flexiroaster.ai.wording import count

NEW_ERROR_LEAST = 3
"""Errors of a kind that make it worth telling."""
NEW_ERROR_DIGITS = 1.0


def find(
    runs: Iterable[Run | Mapping[str, Any]],
    *,
    now: float,
    errors: Iterable[ErrorSeen] = (),
    verdicts: Iterable[Verdict] = (),
    maintenance: Iterable[Window] = (),
) -> list[Insight]:
    """What is abnormal in these runs as of `now` (seconds since 1970), the newest first.

    Runs that had not ended by then are not looked at, nor those of times of `maintenance`. `errors` adds the texts of
    failures, `verdicts` what people said of earlier insights. The same arguments give the same insights, with the same
    ids.
    """
    quiet = Maintenance(maintenance)
    past = Past(quiet.left(map(Run.of, runs)), now=now)
    errors = [error for error in errors if not quiet.covers(error.pipeline, error.at, error.at)]
    sensitivity = Sensitivity(verdicts)

    def factor(rule: Rule, subject: str) -> float:
        return sensitivity.factor(rule, subject)

    outages = incidents(past, lambda subject: factor("outage", subject))
    by_outage = failures_in(outages)
    versions = bad_versions(past, by_outage, lambda subject: factor("bad_version", subject))
    by_version = {(execution, one.stage) for one in versions for execution in _failed_since(past, one)}
    flaky = flaky_stages(past, by_outage | by_version, lambda subject: factor("flaky_stage", subject))
    explained = {execution for execution, _ in by_outage | by_version}
    explained |= {execution for one in flaky for execution in one.executions}
    found = [
        *map(as_insight, outages),
        *versions,
        *flaky,
        *changed_levels(past, factor),
        *rising_failures(past, explained, factor),
        *_new_errors(signatures(errors, now=now), explained, factor),
    ]
    return sorted(found, key=lambda one: (-one.since, one.rule, one.subject))


def _failed_since(past: Past, version: Insight) -> list[str]:
    """All executions that this version made fail, not only those that are shown."""
    until = version.until if version.until is not None else past.now
    outcomes = past.by_stage[version.pipelines[0], version.stage]
    return [
        one.execution for one in outcomes if one.ever_failed and version.since <= one.attempts[0].started_at <= until
    ]


def _new_errors(found: list[Signature], explained: set[str], factor: Any) -> list[Insight]:
    insights = []
    for one in found:
        subject = f"error:{one.fingerprint}"
        # Two errors of a kind were seen, say: a third is no surprise. Many at once in a new kind are.
        score = one.count / NEW_ERROR_LEAST
        threshold = factor("new_error", subject)
        if one.trend != "new" or score < threshold or set(one.executions) <= explained:
            continue
        stage = one.stages[0] if len(one.stages) == 1 else ""
        where = named(one.pipelines[0], stage) if len(one.pipelines) == 1 else f"{len(one.pipelines)} pipelines"
        insights.append(
            Insight(
                rule="new_error",
                subject=subject,
                text=(
                    f"A new error came {count(one.count)} times within a day, in {len(one.executions)} executions of "
                    f"{where}: {one.example[:200]}"
                ),
                since=one.first_seen,
                until=None,
                score=score,
                threshold=threshold,
                confidence=1 - 10 ** (-NEW_ERROR_DIGITS * one.count / 2),
                pipelines=one.pipelines,
                stage=stage,
                executions=one.executions[:EXECUTIONS_SHOWN],
                numbers={
                    "errors": one.count,
                    "executions": len(one.executions),
                    "seen_for": one.last_seen - one.first_seen,
                },
            )
        )
    return insights
