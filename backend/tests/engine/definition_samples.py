"""Stage types and documents that the tests of definitions share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flexiroaster.engine.definition import Report, validate


@dataclass(frozen=True)
class SampleType:
    """A stage type without code."""

    type: str
    schema: dict[str, Any] = field(default_factory=lambda: {"type": "object"})
    takes_data: bool = False
    runs_code: bool = False


def _object(required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required or [],
        "additionalProperties": False,
    }


_OPERATIONS = {
    "type": "array",
    "items": {
        "oneOf": [
            _object(["op", "expr"], op={"const": "filter"}, expr={"type": "string"}),
            _object(["op"], op={"const": "dedupe"}, keys={"type": "array", "items": {"type": "string"}}),
        ]
    },
}
TYPES = {
    "input": SampleType("input", _object(path={"type": "string"}, limit={"type": "integer", "minimum": 1})),
    "validation": SampleType(
        "validation", _object(data={}, schema={"type": "object"}, max_invalid={"type": ["integer", "string"]}), True
    ),
    "processing": SampleType("processing", _object(data={}, operations=_OPERATIONS), True),
    "http": SampleType("http", _object(["url"], url={"type": "string"}, auth={"type": "object"})),
    "noop": SampleType("noop", _object()),
}
LOOSE_TYPES = {
    name: SampleType(name, takes_data=name in {"validation", "processing"})
    for name in ("http", "validation", "processing", "python", "approval", "sql", "pipeline", "notify")
}
"""Every type of the large example, accepting any config."""

SPECIFICATION = """\
id: hello
name: Hello
stages:
  - {id: input, type: input}
  - {id: validation, type: validation, schema: {type: array}}
  - {id: processing, type: processing, operations: [{op: dedupe}]}
"""


def check(source: Any, **options: Any) -> Report:
    return validate(source, stage_types=options.pop("stage_types", TYPES), **options)


def document(*stages: dict[str, Any], **keys: Any) -> dict[str, Any]:
    """A valid document around some stages."""
    return {"id": "sample", "name": "Sample", "stages": list(stages) or [{"id": "a", "type": "noop"}], **keys}


def codes(report: Report) -> list[str]:
    return [problem.code for problem in report.problems]
