"""The stage that waits for a time to pass, without holding a worker."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from flexiroaster.engine.field_types import Duration
from flexiroaster.engine.outcome import Succeeded, Waiting
from flexiroaster.stages.base import Stage, StageConfig, StageContext, StageExample

LONGEST = timedelta(days=366)


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError(f"{value.isoformat()} has no time zone: write it with Z or an offset such as +02:00.")
    return value.astimezone(UTC)


def _bounded(value: timedelta) -> timedelta:
    if value > LONGEST:
        raise ValueError(f"The longest wait is {LONGEST.days} days: use a schedule for more.")
    return value


class WaitConfig(StageConfig):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"oneOf": [{"required": ["seconds"]}, {"required": ["duration"]}, {"required": ["until"]}]},
    )

    seconds: Annotated[
        float | None,
        Field(ge=0, le=LONGEST.total_seconds(), allow_inf_nan=False, description="How long to wait, in seconds."),
    ] = None
    duration: Annotated[Duration, AfterValidator(_bounded)] | None = Field(None, description="How long to wait.")
    until: Annotated[
        datetime | None,
        AfterValidator(lambda value: value and _aware(value)),
        Field(description="The moment to wait for, with a time zone; one in the past is no wait."),
    ] = None

    @model_validator(mode="after")
    def _one_of_three(self) -> WaitConfig:
        if len(self.model_fields_set) != 1:
            raise ValueError("Give exactly one of seconds, duration and until.")
        return self

    def end(self, start: datetime) -> datetime:
        return self.until or start + (self.duration or timedelta(seconds=self.seconds or 0))


class WaitStage(Stage):
    type = "wait"
    summary = "Waits for a duration or until a moment."
    description = (
        "The stage run shows as `waiting` and holds no worker meanwhile; a restart of the server does not lengthen "
        "the wait. The result is `{waited_seconds, until}`."
    )
    Config = WaitConfig
    examples = (
        StageExample("Five minutes", {"duration": "5m"}),
        StageExample("Some seconds", {"seconds": 90}),
        StageExample("A moment", {"until": "2026-01-05T06:00:00+01:00"}, "An expression may give it."),
    )

    def run(self, config: WaitConfig, context: StageContext) -> Succeeded | Waiting:
        began = moment(context.state.get("since"), context.now)
        until = moment(context.state.get("until"), config.end(began))
        if context.now < until:
            state = {"since": began.isoformat(), "until": until.isoformat()}
            return Waiting(until, f"waiting until {shown(until)}", state)
        waited = (context.now - began).total_seconds()
        return Succeeded({"waited_seconds": waited, "until": shown(until)})


def moment(kept: Any, otherwise: datetime) -> datetime:
    """A time kept in the state of the wait, or the value of the first call."""
    return datetime.fromisoformat(kept) if kept else otherwise


def shown(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
