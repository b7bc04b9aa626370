"""The pipeline definition format: one model for YAML, JSON, Python and the dashboard.

A model holds a *normalised* document: `needs` is explicit in every stage, spec-style flat keys lie in `config`.
Text becomes a model through `engine.definition.validate`, which explains what is wrong and where.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from flexiroaster.engine.field_types import (
    ClockTime,
    Duration,
    Expression,
    InputName,
    Items,
    MomentText,
    Name,
    PipelineId,
    PoolName,
    PositiveDuration,
    Share,
    StageId,
    Text,
    TriggerId,
    Word,
)
from flexiroaster.engine.state import Phase

API_VERSION = "flexiroaster/v1"
MAX_STAGES = 10_000
MAX_TRIGGERS = 1_000
WAITING_TYPES = frozenset({"approval", "pipeline", "wait"})
"""They wait instead of working: their own `timeout` says for how long, and `defaults.timeout` does not count."""
MOST_PRIORITY = 1_000


class Part(BaseModel):
    """Base of every part of the format: unknown keys and wrong types are refused, never guessed at."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)

    def to_document(self) -> dict[str, Any]:
        """JSON values; only what was given, in the order of the fields."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    @model_serializer(mode="wrap")
    def _in_field_order(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Pydantic keeps the order of the input, but equal definitions should be equal text."""
        given = serialize(self)
        names = (info.alias or name for name, info in type(self).model_fields.items())
        ordered = {name: given.pop(name) for name in names if name in given}
        return {**ordered, **given}


class Join(StrEnum):
    """When a stage with needs may start, looking at how those ended."""

    NO_FAILURE = "no_failure"
    """All finished, none failed, at least one succeeded: skipped branches do not block."""
    ALL_SUCCESS = "all_success"
    ONE_SUCCESS = "one_success"
    ONE_FAILED = "one_failed"
    ALL_FAILED = "all_failed"
    ALL_DONE = "all_done"
    ALWAYS = "always"


RetryReason = Literal["transient", "timeout", "lost", "internal", "data", "permanent"]


class Retry(Part):
    """`max_attempts` counts the first try. `delay` is the wait after the first failure; `backoff` says how it grows."""

    max_attempts: int = Field(1, ge=1, le=100)
    delay: Duration = timedelta(seconds=10)
    backoff: Literal["constant", "linear", "exponential"] = "exponential"
    max_delay: Duration | None = Field(None, description="5m by default")
    jitter: bool = True
    retry_on: list[RetryReason] = Field(
        ["transient", "timeout", "lost", "internal"],
        min_length=1,
        description="Kinds of error worth another try; `internal` is an exception nobody foresaw.",
    )


class Deadline(Part):
    """A local time of day by which it must have ended."""

    by: ClockTime
    timezone: Word = "UTC"
    notify: list[Word] = []


class Foreach(Part):
    """Run the stage once per item."""

    items: Items
    as_: StageId = Field("item", alias="as")
    max_parallel: int | None = Field(None, ge=1, le=10_000)
    on_error: Literal["fail", "continue"] = "fail"
    min_success: Share | None = None
    batch: int | None = Field(None, ge=1)


class Repeat(Part):
    """Run the stage again until the expression holds; bounded."""

    until: Expression
    max: int = Field(10, ge=1, le=1_000)
    delay: Duration = timedelta(0)


class RateLimit(Part):
    key: Word
    limit: int = Field(ge=1)
    per: PositiveDuration


class Cache(Part):
    key: Expression
    ttl: PositiveDuration


class StageOutput(Part):
    """How the stage's table is kept and shown."""

    format: Literal["parquet", "csv", "json", "jsonl"] = "parquet"
    preview_rows: int = Field(100, ge=0, le=10_000)


class Compensate(Part):
    """Undoes the stage when the execution fails later; run in reverse order."""

    type: Word
    config: dict[str, Any] = {}
    timeout: PositiveDuration | None = None
    retry: Retry | None = None

    def as_stage(self, undone: str) -> StageSpec:
        """As the execution runs it. Its id is one that no stage of a definition can have."""
        return StageSpec.model_construct(
            id=compensation_id(undone), type=self.type, config=self.config, timeout=self.timeout, retry=self.retry
        )


def compensation_id(undone: str) -> str:
    return f"{undone}:compensate"


class StageSpec(Part):
    id: StageId
    name: Name | None = None
    description: Text | None = None
    type: Word
    needs: list[StageId] = []
    when: Expression | None = None
    join: Join = Field(Join.NO_FAILURE, strict=False)
    foreach: Foreach | None = None
    repeat: Repeat | None = None
    config: dict[str, Any] = {}
    retry: Retry | None = None
    timeout: PositiveDuration | None = None
    queue_timeout: PositiveDuration | None = Field(
        None, description="How long it may be ready without starting: for want of a worker, a slot or a rate."
    )
    deadline: Deadline | None = None
    pool: PoolName | None = Field(None, description="Whose slots it takes while it runs, one at a time.")
    priority: int = Field(0, ge=-MOST_PRIORITY, le=MOST_PRIORITY)
    rate_limit: RateLimit | None = None
    cache: Cache | None = None
    output: StageOutput | None = None
    compensate: Compensate | None = None

    @model_validator(mode="after")
    def _needs_are_always_written(self) -> StageSpec:
        """A document without `needs` would mean "needs the stage above"."""
        self.__pydantic_fields_set__.add("needs")
        return self


class Defaults(Part):
    """What stages get that do not say otherwise."""

    timeout: PositiveDuration | None = None
    retry: Retry | None = None


class Concurrency(Part):
    """How many executions of this pipeline (and `key`) may run at once."""

    limit: int = Field(1, ge=1, le=10_000)
    key: str | None = None
    when_full: Literal["queue", "skip", "cancel_oldest", "fail"] = "queue"
    max_queued: int | None = Field(None, ge=0)


class WebhookAuth(Part):
    """`secret` names a stored secret; it never holds one."""

    type: Literal["hmac_sha256", "token", "basic", "none"]
    secret: Word | None = None
    header: Word | None = None


class TriggerBase(Part):
    id: TriggerId
    when: Expression | None = None
    inputs: dict[str, Any] = {}


class ScheduleTrigger(TriggerBase):
    type: Literal["schedule"]
    cron: Word | None = None
    every: PositiveDuration | None = None
    timezone: Word = "UTC"
    catchup: Literal["none", "latest", "all"] = "latest"
    start: MomentText | None = Field(None, description="No instant comes before it.")
    end: MomentText | None = Field(None, description="No instant comes after it; a day alone is included.")


class WebhookTrigger(TriggerBase):
    type: Literal["webhook"]
    auth: WebhookAuth | None = None
    idempotency_key: str | None = None


class PipelineTrigger(TriggerBase):
    type: Literal["pipeline"]
    pipeline: PipelineId
    status: list[Literal["success", "failed", "cancelled", "timed_out"]] = Field(["success"], min_length=1)


class FileTrigger(TriggerBase):
    type: Literal["file"]
    path: Word
    settle: Duration = Field(timedelta(seconds=2), description="How long the file must have stopped growing.")


class EventTrigger(TriggerBase):
    type: Literal["event"]
    connection: Word | None = None
    topic: Word


Trigger = Annotated[
    ScheduleTrigger | WebhookTrigger | PipelineTrigger | FileTrigger | EventTrigger, Field(discriminator="type")
]


class Mock(Part):
    """What a stage answers in a test: one of the three. Nothing given is a result of null."""

    data: Any = None
    file: Word | None = None
    error: Text | None = None


class Expectation(Part):
    status: Literal["success", "failed", "cancelled", "timed_out", "paused"] | None = None
    at: StageId | None = None
    stages: dict[str, Literal["success", "failed", "skipped", "cancelled", "timed_out"]] = {}
    outputs: dict[str, Any] = {}


class PipelineTest(Part):
    name: Name
    inputs: dict[str, Any] = {}
    mock: dict[str, Mock] = {}
    expect: Expectation


class Pipeline(Part):
    """A whole definition."""

    api_version: Literal["flexiroaster/v1"] = Field("flexiroaster/v1", alias="apiVersion")
    id: PipelineId
    name: Name
    description: Text = ""
    labels: dict[str, Text] = {}
    inputs: dict[InputName, dict[str, Any]] = Field({}, description="Each input is a JSON Schema.")
    triggers: list[Trigger] = Field([], max_length=MAX_TRIGGERS)
    concurrency: Concurrency | None = None
    timeout: PositiveDuration | None = None
    queue_timeout: PositiveDuration | None = Field(None, description="How long an execution may wait for its place.")
    deadline: Deadline | None = None
    defaults: Defaults = Defaults()
    stages: list[StageSpec] = Field(min_length=1, max_length=MAX_STAGES)
    on_failure: list[StageSpec] = []
    on_success: list[StageSpec] = []
    finally_: list[StageSpec] = Field([], alias="finally")
    outputs: dict[InputName, Any] = {}
    tests: list[PipelineTest] = []

    @model_validator(mode="after")
    def _version_is_always_written(self) -> Pipeline:
        self.__pydantic_fields_set__.add("api_version")
        return self

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Pipeline:
        """From a normalised document. Raises pydantic's `ValidationError`; people's text goes through `validate`."""
        return cls.model_validate(dict(document), by_alias=True, by_name=False)

    def stage(self, id: str) -> StageSpec:
        """Raises `KeyError`. Searches the handlers too."""
        for stage in self.every_stage():
            if stage.id == id:
                return stage
        raise KeyError(id)

    def every_stage(self) -> Iterator[StageSpec]:
        """The stages, then those of `on_failure`, `on_success` and `finally`."""
        for stages in (self.stages, self.on_failure, self.on_success, self.finally_):
            yield from stages

    def in_phases(self) -> Iterator[tuple[Phase, StageSpec]]:
        """All that an execution may run, in the order of its positions: stages, handlers, then what undoes stages."""
        for phase, stages in (
            (Phase.MAIN, self.stages),
            (Phase.ON_FAILURE, self.on_failure),
            (Phase.ON_SUCCESS, self.on_success),
            (Phase.FINALLY, self.finally_),
        ):
            for stage in stages:
                yield phase, stage
        for stage in self.stages:
            if stage.compensate is not None:
                yield Phase.COMPENSATION, stage.compensate.as_stage(stage.id)

    def retry_for(self, stage: StageSpec) -> Retry:
        """The stage's own keys over the pipeline's `defaults.retry`, over one attempt only."""
        return _layered(self.defaults.retry, stage.retry)

    def timeout_for(self, stage: StageSpec, otherwise: timedelta | None = None) -> timedelta | None:
        """`otherwise` is for a stage that works and names none; one that waits may wait for ever."""
        if stage.timeout is not None or stage.type in WAITING_TYPES:
            return stage.timeout
        return self.defaults.timeout or otherwise


def _layered(*layers: Retry | None) -> Retry:
    given = {name: getattr(layer, name) for layer in layers if layer for name in layer.model_fields_set}
    return Retry().model_copy(update=given)
