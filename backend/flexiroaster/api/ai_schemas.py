"""What the API says of predictions, insights, suggestions, models and causes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from flexiroaster.ai.insights.finding import CauseKind
from flexiroaster.ai.insights.finding import Rule as InsightRule
from flexiroaster.ai.optimizer.suggestion import Kind
from flexiroaster.store.insights import InsightState

SuggestionState = Literal["open", "draft", "applied", "undone", "dismissed", "gone"]
Value = Literal["faster", "fewer_failures", "fewer_retries", "cheaper"]
Verdict = Literal["useful", "noise"]


class PredictionBrief(BaseModel):
    """What is expected of an execution. Numbers are None where `note` says why there are none.

    With `enough` false they are there, but stand on few executions: show the note instead of a risk.
    """

    enough: bool = Field(description="whether enough executions of the pipeline had ended to rely on it")
    executions: int = Field(description="ended executions of the pipeline that it stands on", examples=[7])
    wanted: int = Field(20, description="executions from which on it can be relied on")
    note: str | None = Field(examples=["Not enough data yet (7 of 20 executions)."])
    made_at: datetime | None
    failure_probability: float | None = Field(description="0 to 1: that it fails", examples=[0.71])
    failure_low: float | None = Field(
        description="with `failure_high`: holds the middle 80 % of what the probability may be", examples=[0.55]
    )
    failure_high: float | None = Field(examples=[0.83])
    p10_seconds: float | None = Field(description="one of ten executions is over by then", examples=[9.8])
    p50_seconds: float | None
    p90_seconds: float | None = Field(description="nine of ten executions are over by then", examples=[16.0])
    ends_at: datetime | None = Field(description="while it runs: when it will have ended, as likely as not")
    ends_latest: datetime | None = Field(description="while it runs: nine times in ten it has ended by then")


class ReasonBody(BaseModel):
    """A fact that moved the probability: with its usual value in its place it would be `without`."""

    feature: str = Field(examples=["connector_trouble"])
    label: str = Field(examples=["probability that the connector is out of order now"])
    words: str
    value: float | None
    usual: float | None
    without: float = Field(description="the probability with the usual value in its place", examples=[0.12])


class StageForecast(BaseModel):
    stage: str
    failure_probability: float = Field(examples=[0.04])
    p50_seconds: float
    p90_seconds: float = Field(examples=[3.1])


class OutlookBody(BaseModel):
    """What was left of a running execution when a stage of it last began or ended."""

    as_of: datetime
    failure_probability: float = Field(description="that a stage still fails for good", examples=[0.05])
    ends_earliest: datetime = Field(description="one time in ten it has ended by then")
    ends_at: datetime
    ends_latest: datetime = Field(description="nine times in ten it has ended by then")
    critical: list[str] = Field(
        description="the stages that its end waits for, in their order", examples=[["load", "check"]]
    )


class PredictionBody(PredictionBrief):
    basis: Literal["counts", "model"] | None = Field(
        description="`counts`: shares of earlier failures; `model`: something learned from them"
    )
    model: Literal["prior", "logistic", "trees"] | None = Field(description="what answered")
    model_id: str | None = Field(description="the learned model, see `/api/ai/models`", examples=[None])
    as_of: datetime | None = Field(description="only what had ended by then was known")
    words: str | None = Field(description="the counts behind it", examples=["1 of the last 16 runs failed."])
    reasons: list[ReasonBody] = Field(description="what moved it most; empty for `counts`, whose words say it")
    stages: list[StageForecast] = Field(description="of each stage, as foreseen at the start")
    outlook: OutlookBody | None = Field(description="while it runs")


class InsightBody(BaseModel):
    """One thing that is abnormal, with all that made it one."""

    id: str = Field(description="the same for the same event, however often it is found")
    rule: InsightRule
    state: InsightState
    subject: str = Field(
        description="`pipeline`, `pipeline/stage`, `connector:name`, `error:fingerprint` or `metric:name`",
        examples=["daily_orders/check"],
    )
    text: str = Field(description="a sentence or two with the numbers in it")
    pipelines: list[str]
    stage: str | None
    since: datetime
    until: datetime | None = Field(description="None while it lasts")
    score: float = Field(description="had to reach `threshold`", examples=[1.8])
    threshold: float = Field(description="what people said of earlier ones is in it", examples=[1.0])
    confidence: float = Field(
        description="1 minus the probability that ordinary executions show as much by chance", examples=[0.9993]
    )
    executions: list[str] = Field(description="the evidence, newest first, at most 50")
    numbers: dict[str, float] = Field(
        description="what the text is made from. `usual`, `now` and `before` are seconds (`slow_runs`, `slow_drift`, "
        "`queue_wait`), rows (`rows_changed`) or bytes (`bytes_changed`). Of other rules `usual` is a share, 0 to 1; "
        "of an `outage` whose subject is an error it is how often that comes in half an hour. `spread` and `outside` "
        "are shares, `seconds` and `seen_for` seconds, `deviations` and `shift` standard deviations, `value` and "
        "`expected` those of the metric. All others are counts",
        examples=[{"usual": 61.0, "now": 92.0}],
    )
    found_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    verdict: Verdict | None = Field(description="what somebody last said of it")


class FeedbackRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    verdict: Verdict = Field(
        description="`noise` raises the threshold of this rule for this subject, `useful` lowers it"
    )


class SavingBody(BaseModel):
    """Of an execution, replayed on those there were; `low` and `high` hold it nine times in ten."""

    seconds: float = Field(examples=[19.0])
    low: float = Field(description="seconds", examples=[15.0])
    high: float = Field(description="seconds", examples=[23.0])
    share: float = Field(description="of the usual duration", examples=[0.31])
    executions: int = Field(description="that were replayed", examples=[40])


class PlayedStage(BaseModel):
    """A stage of a usual execution, in seconds from its start."""

    stage: str
    start: float = Field(examples=[0.0])
    end: float = Field(examples=[12.0])


class ReplayBody(BaseModel):
    """How an execution with the usual durations goes now, and would go after the change."""

    now_seconds: float = Field(examples=[61.0])
    after_seconds: float = Field(examples=[42.0])
    now: list[PlayedStage]
    after: list[PlayedStage]


class OutcomeBody(BaseModel):
    """What an applied suggestion has brought. Numbers are None while `note` says how many executions are missing."""

    executions: int = Field(description="successful ones since it was applied", examples=[7])
    wanted: int = 20
    note: str | None = Field(examples=["Not enough data yet (7 of 20 executions)."])
    text: str | None
    saved_share: float | None = Field(description="negative where it costs time", examples=[0.31])
    low: float | None = Field(examples=[0.24])
    high: float | None = Field(examples=[0.36])


class CallBody(BaseModel):
    """A request that makes a change which is none of a definition. Nobody sends it by itself."""

    method: str = Field(examples=["PUT"])
    path: str = Field(examples=["/api/pools/cpu_heavy"])
    body: dict[str, Any] = Field(examples=[{"slots": 4}])


class SuggestionBody(BaseModel):
    """A change of a definition that history speaks for. Nothing is ever applied by itself."""

    id: str
    kind: Kind
    value: Value = Field(description="what it is good for")
    state: SuggestionState = Field(
        description="`draft`: a draft carries it; `applied`: that is published; `gone`: history speaks for it no longer"
    )
    pipeline_id: str
    pipeline_name: str
    title: str = Field(examples=["Start rates without waiting for orders"])
    text: str
    stages: list[str]
    executions: int = Field(description="that it rests on", examples=[40])
    shown: list[str] = Field(description="the newest of them, at most 50")
    confidence: float = Field(
        description="how probable it is, by these counts, that it brings what it is made for", examples=[0.998]
    )
    saving: SavingBody | None = Field(description="None where time is not what it is about")
    numbers: dict[str, float] = Field(examples=[{"p99": 12.0, "timeout": 18.0}])
    applicable: bool = Field(description="false for advice that no definition can follow by itself")
    call: CallBody | None = Field(description="of advice to an operator: the request that follows it", examples=[None])
    found_at: datetime
    changed_at: datetime = Field(description="when its state changed", examples=["2026-03-04T06:00:12.345678Z"])
    changed_by: str | None = Field(examples=["ada@example.com"])
    reason: str | None = Field(description="why it was dismissed")
    version_before: int | None = Field(description="the version that it was applied to")
    version_applied: int | None = Field(description="the version that carries it, first as a draft")
    version_undone: int | None


class SuggestionDetail(SuggestionBody):
    diff: str = Field(
        description="unified diff of the definition, from the published version; of the versions once applied"
    )
    base_version: int | None = Field(description="the version that the diff begins at")
    why_not: str | None = Field(description="why it cannot be applied, or its draft published; None where it can")
    replay: ReplayBody | None
    outcome: OutcomeBody | None = Field(description="once its version was published")


class DismissRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: str = Field("", max_length=500, description="why: kept with it")


class ModelBody(BaseModel):
    """A trained model. `card` is all that is known of it."""

    id: str = Field(examples=["stages-failures-3b5d5c371295"])
    kind: Literal["executions-failures", "executions-durations", "stages-failures", "stages-durations"]
    status: Literal["champion", "retired"]
    trained_at: datetime = Field(examples=["2026-03-04T06:00:12.345678Z"])
    size: int = Field(description="bytes of its file", examples=[401_233])
    card: dict[str, Any] = Field(
        description="data window, counts, figures beside every baseline, calibration, slices",
        examples=[{"runs": 18_549, "failures": 871, "champion": "trees", "metrics": {"auc": 0.83, "brier": 0.031}}],
    )


class MoreNeededBody(BaseModel):
    """What more executions may show, so that nothing is guessed from few."""

    pipeline_id: str
    kind: Kind | None = Field(description="of the suggestion that may follow; None where there is too little for any")
    text: str = Field(examples=["Not enough data yet (7 of 20 executions)."])


class AiBody(BaseModel):
    """How it stands with learning on this server."""

    on: bool = Field(description="the setting FLEXIROASTER_AI")
    missing: list[str] = Field(description="packages that training needs and that are not installed", examples=[[]])
    note: str | None = Field(description="a sentence where something is missing", examples=[None])
    looked_at: datetime | None = Field(description="when the history was last looked through for insights")
    trained_at: datetime | None
    models: list[ModelBody] = Field(description="those that answer now")
    more_needed: list[MoreNeededBody] = Field(description="suggestions that there is not enough data for yet")


class CauseBody(BaseModel):
    """A possible cause with the evidence for it."""

    kind: CauseKind
    probability: float = Field(description="the causes and `unknown` share out 1", examples=[0.86])
    text: str = Field(description="the evidence in a sentence")
    executions: list[str] = Field(description="others that are part of the evidence")
    numbers: dict[str, float] = Field(examples=[{"failed": 3, "executions": 9}])


class SeenBeforeBody(BaseModel):
    count: int = Field(description="executions of the pipeline with the same error, this one included", examples=[3])
    first_at: datetime
    last_at: datetime
    executions: list[str]


class RetryAdviceBody(BaseModel):
    """Whether another try of the stage that failed is likely to succeed, from what became of retries before."""

    probability: float = Field(description="that it succeeds", examples=[0.62])
    low: float = Field(examples=[0.41])
    high: float = Field(examples=[0.8])
    worth_it: bool = Field(description="false only where even `high` is not worth a try")
    words: str = Field(examples=["9 of 14 attempts number 2 after http_connection succeeded."])


class ExplanationBody(BaseModel):
    """Why an execution failed, the most probable cause first."""

    execution_id: str
    stage: str | None = Field(description="the one that failed")
    causes: list[CauseBody]
    compared: int = Field(
        description="executions of the pipeline that passed, which it was compared with", examples=[97]
    )
    note: str | None = Field(examples=["Not enough data yet (3 of 8 executions that passed)."])
    learns: bool = Field(description="false where learning is switched off, as the note says: nobody looked for causes")
    failed_with: str | None = Field(
        None, description="the execution that it waited for and failed with: explain that one"
    )
    seen_before: SeenBeforeBody | None
    retry: RetryAdviceBody | None = Field(None, description="None where no stage of it failed by itself")
    suggestions: list[SuggestionBody] = Field(description="open ones by which the stage would fail less often")
    assistant: bool = Field(description="whether the text assistant may be asked about it")
