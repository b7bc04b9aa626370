"""The stage that waits for a time to pass, for a condition or for an event, without holding a worker."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from flexiroaster.engine.errors import StageFailed
from flexiroaster.engine.field_types import Duration
from flexiroaster.engine.outcome import Succeeded, Waiting, WaitsFor
from flexiroaster.stages.base import Stage, StageConfig, StageContext, StageExample

LONGEST = timedelta(days=366)
SHORTEST_LOOK = timedelta(seconds=1)
_KINDS = ("seconds", "duration", "until", "event")


def _aware(value: datetime | bool | None) -> datetime | bool | None:
    if not isinstance(value, datetime):
        return value
    if value.tzinfo is None:
        raise ValueError(f"{value.isoformat()} has no time zone: write it with Z or an offset such as +02:00.")
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{value.isoformat()} lies outside of the years 1 to 9999 in UTC: choose another.") from error


def _bounded(value: timedelta) -> timedelta:
    if value > LONGEST:
        raise ValueError(f"The longest wait is {LONGEST.days} days: use a schedule for more.")
    return value


def _not_too_often(value: timedelta) -> timedelta:
    if value < SHORTEST_LOOK:
        raise ValueError("It looks at most once a second: write 1s or more.")
    return _bounded(value)


class WaitConfig(StageConfig):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"oneOf": [{"required": [kind]} for kind in _KINDS]})

    seconds: Annotated[
        float | None,
        Field(ge=0, le=LONGEST.total_seconds(), allow_inf_nan=False, description="How long to wait, in seconds."),
    ] = None
    duration: Annotated[Duration, AfterValidator(_bounded)] | None = Field(None, description="How long to wait.")
    until: Annotated[
        datetime | bool | None,
        AfterValidator(_aware),
        Field(
            description="The moment to wait for, with a time zone; one in the past is no wait. Or an expression that "
            "is true or false, which is looked at again and again."
        ),
    ] = None
    event: str | None = Field(
        None, min_length=1, max_length=200, description="The name of a signal that somebody sends to the execution."
    )
    every: Annotated[Duration, AfterValidator(_not_too_often)] = Field(
        timedelta(seconds=10), description="How often a condition is looked at."
    )
    on_timeout: Literal["fail", "continue"] = Field(
        "fail", description="What follows when the stage's `timeout` passes first."
    )

    @model_validator(mode="after")
    def _one_kind(self) -> WaitConfig:
        if len(self.model_fields_set & set(_KINDS)) != 1:
            raise ValueError("Give exactly one of seconds, duration, until and event.")
        return self

    def end(self, start: datetime) -> datetime:
        """Of a wait for a time."""
        return self.until if isinstance(self.until, datetime) else start + self._length

    @property
    def _length(self) -> timedelta:
        return self.duration or timedelta(seconds=self.seconds or 0)


class WaitStage(Stage):
    type = "wait"
    summary = "Waits for a duration, a moment, a condition or an event."
    description = (
        "The stage run shows as `waiting` and holds no worker meanwhile; a restart of the server does not lengthen "
        "the wait.\n\n"
        "**A time**: `duration`, `seconds`, or `until` with a moment. The result is `{waited_seconds, until}`.\n\n"
        "**A condition**: `until` with an expression that is true or false, evaluated `every` 10 seconds by default. "
        "It may ask for stages that run at the same time: `${{ has(results.load) }}` holds once `load` has succeeded. "
        "The result is `{waited_seconds, timed_out}`.\n\n"
        "**An event**: `event` names a signal; `POST /api/executions/{id}/signal` or `flexiroaster signal` sends it. "
        "A signal that was sent before the stage began to wait counts, and every stage that waits for its name goes "
        "on. The result is `{waited_seconds, timed_out, event, data, by, at}`.\n\n"
        "The stage's `timeout` bounds the wait (`defaults.timeout` does not count). When it passes first the stage has "
        "timed out, or with `on_timeout: continue` succeeded with `timed_out: true`."
    )
    Config = WaitConfig
    examples = (
        StageExample("Five minutes", {"duration": "5m"}),
        StageExample("Some seconds", {"seconds": 90}),
        StageExample("A moment", {"until": "2026-01-05T06:00:00+01:00"}, "An expression may give it."),
        StageExample("A condition", {"until": "${{ has(results.load) }}", "every": "5s"}),
        StageExample("An event", {"event": "payment_received", "on_timeout": "continue"}, "With `timeout: 2d`."),
    )

    def run(self, config: WaitConfig, context: StageContext) -> Succeeded | Waiting:
        if config.event is not None:
            return self._for_event(config.event, config, context)
        if isinstance(config.until, bool):
            return self._for_condition(config.until, config, context)
        return self._for_time(config, context)

    def _for_time(self, config: WaitConfig, context: StageContext) -> Succeeded | Waiting:
        began = _began(context)
        until = moment(context.state.get("until"), config.end(began))
        if context.now >= until:
            return Succeeded({"waited_seconds": _waited(context), "until": shown(until)})
        if _is_late(context):
            return _timed_out(config, context, {"until": shown(until)})
        state = {"since": began.isoformat(), "until": until.isoformat()}
        return Waiting(_soonest(until, context.deadline), f"waiting until {shown(until)}", state, quiet=_again(context))

    def _for_condition(self, holds: bool, config: WaitConfig, context: StageContext) -> Succeeded | Waiting:
        if holds:
            return Succeeded({"waited_seconds": _waited(context), "timed_out": False})
        if _is_late(context):
            return _timed_out(config, context, {})
        state = {"since": _began(context).isoformat()}
        look = _soonest(context.now + config.every, context.deadline)
        return Waiting(look, "waiting until its condition holds", state, quiet=_again(context))

    def _for_event(self, event: str, config: WaitConfig, context: StageContext) -> Succeeded | Waiting:
        signal = context.state.get("signal")
        event = context.state.get("event", event)
        if signal is not None:
            return Succeeded({"waited_seconds": _waited(context), "timed_out": False, "event": event, **signal})
        if _is_late(context):
            return _timed_out(config, context, {"event": event, "data": None, "by": None, "at": None})
        state = {"since": _began(context).isoformat(), "event": event}
        return Waiting(
            context.deadline,
            f"waiting for the event {event}",
            state,
            waits_for=WaitsFor.EVENT,
            quiet=_again(context),
        )


def _timed_out(config: WaitConfig, context: StageContext, details: dict[str, Any]) -> Succeeded:
    if config.on_timeout == "continue":
        return Succeeded({"waited_seconds": _waited(context), "timed_out": True, **details})
    raise StageFailed("What it waits for did not happen in time.", code="wait_timeout", kind="timeout")


def _is_late(context: StageContext) -> bool:
    return context.deadline is not None and context.now >= context.deadline


def _again(context: StageContext) -> bool:
    return bool(context.state)


def _began(context: StageContext) -> datetime:
    return moment(context.state.get("since"), context.now)


def _waited(context: StageContext) -> float:
    return (context.now - _began(context)).total_seconds()


def _soonest(until: datetime, deadline: datetime | None) -> datetime:
    return until if deadline is None else min(until, deadline)


def moment(kept: Any, otherwise: datetime) -> datetime:
    """A time kept in the state of the wait, or the value of the first call."""
    return datetime.fromisoformat(kept) if kept else otherwise


def shown(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
