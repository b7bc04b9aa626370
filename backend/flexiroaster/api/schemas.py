"""What the API answers and accepts. Inputs forbid unknown keys unless they say otherwise."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from flexiroaster.api.ai_schemas import PredictionBody, PredictionBrief
from flexiroaster.api.rerun_schemas import RerunPlanBody
from flexiroaster.store.pipelines import VersionState

ExecutionState = Literal["queued", "running", "paused", "cancelling", "success", "failed", "cancelled", "timed_out"]
StageState = Literal[
    "pending",
    "queued",
    "running",
    "retrying",
    "waiting",
    "cancelling",
    "success",
    "failed",
    "skipped",
    "cancelled",
    "timed_out",
]
Phase = Literal["main", "compensation", "on_failure", "on_success", "finally"]
Role = Literal["viewer", "operator", "editor", "admin"]


class ProblemBody(BaseModel):
    """One thing wrong in a definition or in inputs."""

    code: str
    message: str
    path: str = Field("", examples=["stages[3].when"])
    line: int | None = None
    column: int | None = None
    found: Any = None
    suggestion: str | None = None
    severity: Literal["error", "warning"] = "error"


class ErrorResponse(BaseModel):
    """Every error has this shape."""

    detail: str = Field(examples=["There is no pipeline 'ordres'."])
    code: str = Field(examples=["not_found"])
    request_id: str | None = None
    problems: list[ProblemBody] = []


class LocationBody(BaseModel):
    file: str | None = None
    line: int | None = None
    row: int | None = None
    column: str | None = None
    value: str | None = None


class StageErrorBody(BaseModel):
    """Why an attempt failed: one sentence, where, and what to do."""

    message: str
    code: str
    kind: str
    stage: str | None = None
    location: LocationBody | None = None
    suggestion: str | None = None
    traceback: str | None = None
    details: dict[str, Any] = {}


class RunBar(BaseModel):
    """One of a pipeline's latest executions, as the small bars show it."""

    id: str
    number: int
    status: ExecutionState
    created_at: datetime
    duration_seconds: float | None


class PipelineStats(BaseModel):
    """Over the last 100 ended executions; cancelled ones count for nothing."""

    executions: int
    success_rate: float = Field(description="0 to 100")
    p50_seconds: float | None
    p95_seconds: float | None


class PipelineSummary(BaseModel):
    id: str
    name: str
    description: str
    labels: dict[str, str]
    version: int
    enabled: bool = Field(description="false while it is paused: no execution begins")
    paused_at: datetime | None = Field(None, description="since when it is paused")
    paused_by: str | None = Field(None, description="who paused it")
    stages_total: int
    created_at: datetime
    updated_at: datetime
    recent: list[RunBar] = Field(description="the last 20 executions, oldest first")
    stats: PipelineStats | None = Field(description="None until one execution has ended by itself")
    prediction: PredictionBrief | None = Field(None, description="what is expected of its next execution")


class StageOutline(BaseModel):
    id: str
    name: str
    type: str
    needs: list[str]
    phase: Phase = Field("main", description="which list of the definition it stands in; `main` is `stages`")


class PipelineDetail(PipelineSummary):
    definition: dict[str, Any] = Field(description="the normalised document")
    source: str = Field(description="the text as its author wrote it")
    source_format: Literal["yaml", "json"]
    stages: list[StageOutline]
    inputs_schema: dict[str, Any] = Field(description="JSON Schema of the inputs: makes the run form")
    code_stages: list[str] = Field(default=[], description="stages that need code stages to be switched on")
    problems: list[ProblemBody] = Field(default=[], description="warnings")
    drafts: list[int] = Field(default=[], description="versions that wait to be published, the newest first")


class PipelineVersion(BaseModel):
    pipeline_id: str
    version: int
    state: VersionState = Field(
        description="a `draft` runs only where its number is asked for; a `discarded` one does not run any more"
    )
    digest: str
    note: str
    created_at: datetime
    created_by: str | None
    based_on: int | None = Field(description="of what was a draft: the published version that it was made from")
    published_at: datetime | None = Field(description="None for a draft")
    published_by: str | None
    stages_total: int


class PipelineVersionDetail(PipelineVersion):
    definition: dict[str, Any]
    source: str
    source_format: Literal["yaml", "json"]
    stages: list[StageOutline]
    inputs_schema: dict[str, Any] = Field(description="JSON Schema of the inputs: makes the run form")


class StageChangeBody(BaseModel):
    stage: str
    keys: list[str] = Field(description="dotted", examples=[["config.path", "retry.max_attempts"]])


class PipelineDiff(BaseModel):
    """What changed from version `old` to version `new`."""

    pipeline_id: str
    old: int
    new: int
    identical: bool = Field(description="true when nothing but the wording of the text differs")
    added: list[str] = Field(description="stages")
    removed: list[str] = Field(description="stages")
    changed: list[StageChangeBody]
    settings: list[str] = Field(
        description="dotted keys outside of stages that changed", examples=[["inputs.day.default"]]
    )
    text: str = Field(
        description="unified diff of the texts; of their normalised YAML unless both were written as YAML"
    )


class ValidationReport(BaseModel):
    valid: bool
    problems: list[ProblemBody]
    definition: dict[str, Any] | None = Field(description="the normalised document, None when it cannot be read")
    stages: list[StageOutline] = []


class ExecuteRequest(BaseModel):
    """Keys other than these are kept, and are `execution.data` together."""

    model_config = ConfigDict(extra="allow")

    inputs: dict[str, Any] = {}
    version: int | None = Field(None, ge=1, description="the published one when left out; may be a draft")
    priority: int = Field(0, ge=-1000, le=1000, description="higher ones go first; a stage's own is added to it")
    rerun_of: str | None = Field(
        None,
        description="an execution to run again, or `latest`; without `inputs` and `data` those of before are taken",
    )
    from_stage: str | None = Field(None, description="with `rerun_of`: it and all that needs it run")
    only_stage: str | None = Field(None, description="with `rerun_of`: nothing else runs")
    use_cache: bool | None = Field(
        None, description="false: no stage takes a cached result. True when left out, unless a stage is to run again"
    )
    data: Any = Field(None, description="what `execution.data` is, when no other key is given")


class ExecutionEnd(BaseModel):
    """How an execution ended."""

    status: ExecutionState
    ended_at: datetime
    duration_seconds: float | None
    failed_stage: str | None
    error: StageErrorBody | None
    outputs: dict[str, Any] | None


class ExecuteResponse(BaseModel):
    execution_id: str
    pipeline_id: str
    status: Literal["started"] = "started"
    message: str = "Pipeline execution started"
    number: int
    replayed: bool = Field(False, description="true when this Idempotency-Key had started it before")
    rerun: RerunPlanBody | None = Field(None, description="what it takes over from the execution it runs again")
    end: ExecutionEnd | None = Field(None, description="with `wait`: how it ended, where it did in that time")


class ExecutionSummary(BaseModel):
    id: str
    number: int
    pipeline_id: str
    pipeline_name: str
    version: int
    status: ExecutionState
    trigger: str
    actor: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    queued_seconds: float | None
    duration_seconds: float | None = Field(
        description="start to end, to now while it runs; without the time between an end and a retry"
    )
    idle_seconds: float = Field(description="between its ends and the retries that followed, in all")
    stages_total: int
    counts: dict[str, int] = Field(
        description="stage runs by state", examples=[{"success": 6, "failed": 1, "skipped": 3}]
    )
    failed_stage: str | None
    error: StageErrorBody | None
    reason: str | None = Field(
        description="why it is queued, paused or cancelled; in lists also what the first waiting stage waits for",
        examples=["review: waiting for approval (2 more stages wait)"],
    )
    phase: Phase = Field("main", description="what it is about now; once it has ended, what it was about last")
    ends_as: ExecutionState | None = Field(
        None, description="the final state it will have, once that is known: while it is cancelling or handlers run"
    )
    paused_at: datetime | None = None
    rerun_of: str | None = Field(description="the execution that it runs again")
    from_stage: str | None = Field(description="of a re-run: where it began")
    alone: bool = Field(description="of a re-run: whether nothing but that stage ran")
    trial: bool = Field(False, description="whether it ran a draft: statistics and learning leave it out")
    priority: int = Field(0, description="higher ones go first; a stage's own is added to it")
    retries: int
    parent_id: str | None = Field(None, description="the execution whose stage started it")
    deadline_at: datetime | None = Field(None, description="by when it was to have ended")
    late: bool = Field(False, description="whether it had not ended by then")
    prediction: PredictionBrief | None = Field(
        None, description="what was expected of it at its start; None where nothing was predicted"
    )


class ArtifactBody(BaseModel):
    id: str
    execution_id: str
    stage: str
    index: int
    attempt: int
    name: str
    kind: Literal["table", "quarantine", "file", "result", "report"]
    media_type: str
    rows: int | None
    bytes: int
    columns: list[dict[str, str]] | None
    created_at: datetime


class ItemCounts(BaseModel):
    """The items of a foreach stage."""

    count: int
    states: dict[str, int] = Field(description="how many are in which state", examples=[{"success": 97, "failed": 3}])


class StageRunBody(BaseModel):
    """One stage of an execution, or one item of a foreach stage."""

    stage: str
    index: int
    name: str
    type: str
    needs: list[str]
    phase: Phase = "main"
    status: StageState
    attempt: int
    max_attempts: int
    iterations: int = Field(0, description="how often a stage with `repeat` has run to its end")
    reason: str | None = Field(description="why it waits, was skipped or is retried")
    error: StageErrorBody | None
    due_at: datetime | None
    ready_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    duration_seconds: float | None
    wait_seconds: float | None = Field(description="from ready to started")
    usual_seconds: float | None = Field(
        None, description="median of the last 20 successes of this stage before this execution"
    )
    rows: int | None
    bytes: int | None
    reused_from: str | None = Field(None, description="the execution that ran it, where a re-run took its result over")
    waits_for: Literal["time", "approval", "execution", "event"] | None = Field(
        None, description="what a stage run that waits is waiting for"
    )
    cached_from: str | None = Field(None, description="the execution whose result it took from the cache")
    deadline_at: datetime | None = Field(None, description="by when the stage was to have ended")
    late: bool = Field(False, description="whether it had not ended by then")
    artifacts: list[ArtifactBody] = []
    items: ItemCounts | None = Field(None, description="of a stage that runs once per item; None for all others")


class ItemBody(BaseModel):
    """One item of a foreach stage. Its config, result and attempts are read as those of a stage, by its index."""

    index: int = Field(description="from 1")
    item: Any = Field(description="what it is for, cut to 1 KB")
    status: StageState
    attempt: int
    reason: str | None
    error: StageErrorBody | None
    due_at: datetime | None
    ready_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    duration_seconds: float | None
    rows: int | None
    bytes: int | None


class AttemptBody(BaseModel):
    attempt: int
    status: StageState
    worker: str | None
    started_at: datetime | None
    ended_at: datetime | None
    duration_seconds: float | None
    error: StageErrorBody | None


class StageRunDetail(StageRunBody):
    config: dict[str, Any]
    result: Any = Field(None, description="the result, cut to 64 KB")
    result_truncated: bool = False
    item: Any = Field(None, description="of an item of a foreach stage: what it is for")
    attempts: list[AttemptBody]


class RetryPlan(BaseModel):
    """What a retry from the failed stages would do, or has done."""

    execution_id: str
    reused: list[str]
    to_run: list[str]
    message: str = Field(examples=["12 stages reused, 3 will run"])


class ExecutionLink(BaseModel):
    """The other end of a stage of type `pipeline`: the execution, and the stage run of the parent between the two."""

    execution_id: str
    pipeline_id: str
    number: int
    status: ExecutionState
    stage: str
    index: int


class ExecutionDetail(ExecutionSummary):
    prediction: PredictionBody | None = Field(
        None, description="what was expected of it at its start; None where nothing was predicted"
    )
    inputs: dict[str, Any]
    data: Any
    outputs: dict[str, Any] | None
    stages: list[StageRunBody] = Field(description="the first 2,000; the rest in pages from `/stages`")
    usual_seconds: float | None = Field(description="median of the last 20 successes before this execution")
    last_seq: int
    retry: RetryPlan | None = Field(description="what a retry would do; None while it cannot be retried")
    timeout_at: datetime | None
    use_cache: bool = Field(True, description="false where stages were told to run instead of taking cached results")
    logical_date: datetime = Field(
        description="the moment it is about: the instant of a schedule, otherwise when it was accepted"
    )
    parent: ExecutionLink | None = Field(None, description="the execution whose stage started it")
    children: list[ExecutionLink] = Field(
        default=[], description="the first 500 that its stages started; all of them: `/api/executions?parent_id=`"
    )


class EventBody(BaseModel):
    seq: int
    at: datetime
    type: str
    execution_id: str
    pipeline_id: str
    stage: str | None = None
    index: int | None = None
    payload: dict[str, Any] = {}


class LogLine(BaseModel):
    id: int
    at: datetime
    level: Literal["debug", "info", "warning", "error"]
    message: str
    pipeline_id: str | None
    execution_id: str | None
    stage: str | None
    index: int | None
    attempt: int | None
    fields: dict[str, Any] = {}


class TablePreview(BaseModel):
    columns: list[dict[str, str]]
    rows: list[list[Any]]
    offset: int
    total_rows: int


class ColumnProfile(BaseModel):
    name: str
    type: str
    nulls: int
    distinct: int | None = Field(description="approximate")
    min: Any = None
    max: Any = None
    mean: float | None = None
    histogram: list[dict[str, Any]] = Field(
        default=[], description="buckets {from, to, count} or values {value, count}"
    )


class TableProfile(BaseModel):
    rows: int
    bytes: int
    columns: list[ColumnProfile]


class StageTypeBody(BaseModel):
    type: str
    summary: str
    description: str
    config_schema: dict[str, Any]
    takes_data: bool
    runs_code: bool
    enabled: bool = Field(description="false for code stages on a server where they are switched off")
    examples: list[dict[str, Any]]


class MetricsBody(BaseModel):
    """Of the executions created in the last 24 hours and ended by now, cancelled ones left out; None without any.

    `success_rate` is 0 to 100, durations are seconds.
    """

    total_pipelines: int
    enabled_pipelines: int
    active_executions: int
    queued_executions: int
    executions_24h: int
    failed_24h: int
    success_rate: float | None
    avg_duration: float | None
    p95_duration: float | None
    previous_success_rate: float | None = Field(description="over the 24 hours before those")
    previous_avg_duration: float | None


class QueueBody(BaseModel):
    pool: str = Field(examples=["default"])
    slots: int | None = Field(
        description="how many may run at the same time; None: no limit, or nobody defined the pool"
    )
    waiting: int = Field(description="stages that are ready and that nobody runs yet")
    running: int
    oldest_wait_seconds: float | None = Field(description="how long the first of these is ready; None without any")
    workers: int = Field(description="processes that take these stages at this moment")
    reason: str | None = Field(description="why the waiting ones wait, where no process takes them")


class MetricsBucket(BaseModel):
    """Executions created from `at` for the width of a bucket, and how those ended."""

    at: datetime
    started: int
    success: int
    failed: int
    cancelled: int
    timed_out: int
    avg_duration: float | None


class MetricsHistory(BaseModel):
    range: str
    bucket_seconds: int
    buckets: list[MetricsBucket]


class UserBody(BaseModel):
    id: str
    email: str
    role: Role


class TokenResponse(BaseModel):
    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105
    expires_in: int = Field(description="seconds")
    user: UserBody


class SetupState(BaseModel):
    needed: bool = Field(description="true until the first account exists")


class SetupRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    token: str = Field(max_length=200, description="from the one-time link printed at the first start")
    email: str = Field(max_length=320)
    password: str = Field(min_length=10, max_length=1024)


class About(BaseModel):
    version: str
    database: Literal["sqlite", "postgresql"]
    code_stages: bool
    data_dirs: list[str]


class Message(BaseModel):
    message: str


class Health(BaseModel):
    status: Literal["healthy", "draining", "degraded"]
    version: str
    instance: str = Field(description="chosen anew by every server process")
    detail: str | None = Field(None, description="what is wrong while degraded, what still runs while draining")
