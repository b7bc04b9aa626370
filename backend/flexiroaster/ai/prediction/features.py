"""What is known of a run at its start, as numbers. The order here is the order in every model.

A run's features see only runs that had ended when it started; `history.History` keeps that order.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Feature:
    name: str
    label: str
    """For people, with the value after it."""
    unit: str = ""
    """`share`, `log seconds`, `log ratio`, `log count`, `count`, or nothing."""


def _shares(scope: str, of: str, spans: tuple[str, ...]) -> list[Feature]:
    return [Feature(f"{scope}_failed_{span}", f"share of failures {of} in the last {span}", "share") for span in spans]


FEATURES: tuple[Feature, ...] = (
    Feature("attempt", "attempt", "count"),
    Feature("prior", "share of failures of the stage, weighted by recency", "share"),
    Feature("prior_above", "share of failures of the pipeline's latest runs", "share"),
    # This stage
    Feature("stage_runs", "earlier runs of the stage", "log count"),
    Feature("stage_last", "share of failures among the newest runs of the stage", "share"),
    Feature("stage_streak", "successes (or failures, negative) of the stage in a row", "count"),
    Feature("stage_since_success", "time since the stage last succeeded", "log seconds"),
    Feature("stage_since_failure", "time since the stage last failed", "log seconds"),
    *_shares("stage", "of the stage", ("6 hours", "day", "7 days", "30 days")),
    Feature("stage_ever", "share of first attempts of the stage that failed", "share"),
    Feature("stage_hour", "share of failures of the stage around this hour of the day", "share"),
    Feature("stage_trouble", "probability that the stage is in trouble now", "share"),
    Feature("stage_spread", "how often the stage's last error struck its next run", "share"),
    # This pipeline
    Feature("pipeline_last", "share of failures among the newest runs of the pipeline's stages", "share"),
    Feature("pipeline_streak", "successes (or failures, negative) of the pipeline's stages in a row", "count"),
    Feature("pipeline_since_failure", "time since a stage of the pipeline last failed", "log seconds"),
    *_shares("pipeline", "of the pipeline", ("hour", "day", "7 days")),
    Feature("pipeline_trouble", "probability that the pipeline is in trouble now", "share"),
    Feature("pipeline_gap", "time since the pipeline's stages last ended, against usual", "log ratio"),
    # This version
    Feature("version_age", "time since the version first ran", "log seconds"),
    Feature("version_runs", "runs of the stage in this version", "log count"),
    Feature("version_failed", "share of failures of the stage in this version", "share"),
    Feature("version_pipeline_failed", "share of failures of the pipeline in this version", "share"),
    Feature("version_trouble", "probability that this version of the stage is broken", "share"),
    # What all pipelines share
    Feature("connector_last", "share of failures among the newest runs that used the connector", "share"),
    Feature("connector_streak", "successes (or failures, negative) of the connector in a row", "count"),
    Feature("connector_since_success", "time since a run that used the connector succeeded", "log seconds"),
    Feature("connector_since_failure", "time since a run that used the connector failed", "log seconds"),
    *_shares("connector", "of the connector", ("15 minutes", "hour", "day", "30 days")),
    Feature("connector_trouble", "probability that the connector is out of order now", "share"),
    Feature("connector_spread", "how often the connector's last error struck the next pipeline", "share"),
    Feature("connector_surprise", "failures of the connector beyond the usual in the last hour", "count"),
    Feature("class_recent", "failures of the usual error class over all pipelines in the last hour", "log count"),
    *_shares("kind", "of stages of this type", ("day", "30 days")),
    *_shares("all", "of all pipelines", ("hour", "day")),
    Feature("trigger_failed", "share of failures of executions with this trigger", "share"),
    # This execution so far
    Feature("execution_failures", "failed attempts in this execution", "count"),
    Feature("execution_ended", "stages of this execution that ended", "log count"),
    Feature("execution_late", "how much slower than usual its stages were", "log ratio"),
    Feature("previous_late", "how much slower than usual the stage before was", "log ratio"),
    Feature("retry_class", "share of failed retries after such an error", "share"),
    Feature("retry_stage", "share of failed retries of the stage", "share"),
    Feature("retry_stage_class", "share of failed retries of the stage after such an error", "share"),
    Feature("retry_wait", "time since the attempt before ended", "log seconds"),
    Feature("retry_seconds", "duration of the attempt before, against usual", "log ratio"),
    # When and how much
    Feature("hour_sine", "hour of the day"),
    Feature("hour_cosine", "hour of the day"),
    Feature("weekday", "day of the week"),
    Feature("wait", "time in the queue", "log seconds"),
    Feature("running", "runs under way", "log count"),
    Feature("connector_running", "runs under way that use the connector", "log count"),
    Feature("rows", "rows read", "log count"),
    Feature("rows_apart", "rows read, against usual", "log ratio"),
    Feature("bytes", "bytes read", "log count"),
    Feature("bytes_apart", "bytes read, against usual", "log ratio"),
    Feature("usual_seconds", "usual duration", "log seconds"),
    Feature("seconds_spread", "spread of the durations", "log ratio"),
    Feature("last_seconds_apart", "duration of the last run, against usual", "log ratio"),
    Feature("fan_in", "stages it waited for", "count"),
)
NAMES: tuple[str, ...] = tuple(feature.name for feature in FEATURES)
BY_NAME: dict[str, Feature] = {feature.name: feature for feature in FEATURES}


def schema_hash(names: tuple[str, ...]) -> str:
    """A model answers only for the features it was trained on, in their order."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
