"""The value types of the pipeline format: what each accepts, its JSON Schema, and a sentence for what it refuses."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any
from unicodedata import category

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticCustomError

from flexiroaster.engine.duration import DURATION_PATTERN, InvalidDuration, format_duration, parse_duration
from flexiroaster.engine.moments import MOMENT_PATTERN, InvalidMoment, parse_moment
from flexiroaster.engine.quoting import quoted

STAGE_ID_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]{0,62}$"
"""No dashes: `results.flip-coin` would be a subtraction."""
PIPELINE_ID_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}$"
POOL_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}$"
POOL_RULE = "use letters, digits, _, - and ., beginning with a letter, digit or _, at most 80"
NAME_MAX_LENGTH = 200
TEXT_MAX_LENGTH = 10_000


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except InvalidDuration as refused:
            raise PydanticCustomError("invalid_duration", "{reason}", {"reason": str(refused)}) from refused
    raise PydanticCustomError(
        "invalid_duration", "A duration is text with a unit: write for example 90s, 5m, 1h30m or 7d."
    )


def _positive_duration(value: object) -> timedelta:
    duration = _duration(value)
    if duration <= timedelta(0):
        raise PydanticCustomError("invalid_duration", "This duration must be longer than 0s.")
    return duration


_DURATION_SCHEMA = {"type": "string", "pattern": DURATION_PATTERN, "examples": ["90s", "5m", "1h30m", "7d"]}
_as_text = PlainSerializer(format_duration, return_type=str)

Duration = Annotated[timedelta, BeforeValidator(_duration), _as_text, WithJsonSchema(_DURATION_SCHEMA)]
PositiveDuration = Annotated[timedelta, BeforeValidator(_positive_duration), _as_text, WithJsonSchema(_DURATION_SCHEMA)]


def _moment_text(value: object) -> object:
    if isinstance(value, str):
        try:
            parse_moment(value, "UTC")
        except InvalidMoment as refused:
            raise PydanticCustomError("invalid_moment", "{reason}", {"reason": str(refused)}) from refused
    return value


MomentText = Annotated[
    str,
    BeforeValidator(_moment_text),
    WithJsonSchema({"type": "string", "pattern": MOMENT_PATTERN, "examples": ["2026-03-05", "2026-03-05T06:00"]}),
]
"""Without an offset it depends on a time zone, which another key names."""


class FormatJsonSchema(GenerateJsonSchema):
    """JSON Schemas whose defaults are written as the format writes them: `30s`, not `PT30S`."""

    def encode_default(self, dft: Any) -> Any:
        return format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def _identifier(pattern: str, kind: str, rule: str) -> BeforeValidator:
    compiled = re.compile(pattern)

    def check(value: object) -> object:
        if isinstance(value, str) and not compiled.fullmatch(value):
            raise PydanticCustomError(
                "invalid_id", "{shown} is not a {kind}: {rule}.", {"shown": quoted(value), "kind": kind, "rule": rule}
            )
        return value

    return BeforeValidator(check)


_STAGE_RULE = "use letters, digits and _, not beginning with a digit, at most 63"
_PIPELINE_RULE = "use letters, digits, _, - and ., beginning with a letter, digit or _, at most 80"

StageId = Annotated[str, _identifier(STAGE_ID_PATTERN, "stage id", _STAGE_RULE), Field(pattern=STAGE_ID_PATTERN)]
TriggerId = Annotated[str, _identifier(STAGE_ID_PATTERN, "trigger id", _STAGE_RULE), Field(pattern=STAGE_ID_PATTERN)]
InputName = Annotated[str, _identifier(STAGE_ID_PATTERN, "name", _STAGE_RULE), Field(pattern=STAGE_ID_PATTERN)]
PoolName = Annotated[str, _identifier(POOL_PATTERN, "name of a pool", POOL_RULE), Field(pattern=POOL_PATTERN)]
PipelineId = Annotated[
    str, _identifier(PIPELINE_ID_PATTERN, "pipeline id", _PIPELINE_RULE), Field(pattern=PIPELINE_ID_PATTERN)
]


def _shown_name(value: object) -> object:
    if isinstance(value, str) and value:
        if any(category(character) in _UNSHOWN for character in value):
            raise PydanticCustomError("invalid_value", "a name is one line of text, without control characters.")
        if not any(category(character)[0] in _VISIBLE for character in value):
            raise PydanticCustomError("invalid_value", "a name needs at least one character that can be seen.")
    return value


_UNSHOWN = frozenset({"Cc", "Zl", "Zp"})
_VISIBLE = frozenset("LNPS")
"""Letters, numbers, punctuation and symbols; not marks, spaces and characters of no width."""

Name = Annotated[
    str,
    BeforeValidator(_shown_name),
    Field(min_length=1, max_length=NAME_MAX_LENGTH, json_schema_extra={"pattern": r"\S"}),
]
Text = Annotated[str, Field(max_length=TEXT_MAX_LENGTH)]
Word = Annotated[str, Field(min_length=1, max_length=NAME_MAX_LENGTH)]
Expression = Annotated[str, Field(min_length=1, description="An expression: ${{ … }}")]


def _share(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and re.fullmatch(r"(100|[0-9]{1,2})(\.[0-9]{1,3})?%", value) and float(value[:-1]) <= 100:
        return value
    raise PydanticCustomError("invalid_value", "Write a count such as 10, or a share from 0% to 100%.")


Share = Annotated[
    Any,
    BeforeValidator(_share),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^[0-9]{1,3}(\.[0-9]{1,3})?%$"}]}
    ),
]
"""A count (`10`) or a share of all (`50%`)."""


def _clock_time(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", value):
        return value
    raise PydanticCustomError("invalid_value", 'Write a time of day in quotes, for example "06:00".')


ClockTime = Annotated[str, BeforeValidator(_clock_time), Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


def _items(value: object) -> object:
    if isinstance(value, list) or (isinstance(value, str) and "${{" in value):
        return value
    raise PydanticCustomError("wrong_type", "Give a list, or an expression such as ${{ results.fetch.items }}.")


Items = Annotated[Any, BeforeValidator(_items), WithJsonSchema({"type": ["array", "string"]})]
