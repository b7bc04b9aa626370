"""The JSON Schema that editors use agrees with the validator."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import orjson
import pytest
import yaml

from flexiroaster.engine.definition import json_schema
from flexiroaster.stages.registry import default_registry
from tests.engine.definition_samples import LOOSE_TYPES, SPECIFICATION, TYPES, check, document
from tests.engine.test_definition_validator import EXAMPLE

SCHEMA = json_schema(TYPES)
VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA)


def test_it_is_a_valid_schema() -> None:
    jsonschema_rs.meta.validate(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_it_accepts_the_specification_and_the_large_example() -> None:
    assert list(VALIDATOR.iter_errors(yaml.safe_load(SPECIFICATION))) == []
    loose = jsonschema_rs.Draft202012Validator(json_schema(LOOSE_TYPES))
    normalised = check(EXAMPLE, stage_types=LOOSE_TYPES, check_support=False).document
    assert list(loose.iter_errors(normalised)) == []


@pytest.mark.parametrize(
    ("stage", "valid"),
    [
        ({"type": "input", "config": {"limit": 1}}, True),
        ({"type": "input", "limit": 1}, True),
        ({"type": "input", "config": {"limit": "${{ inputs.n }}"}}, True),
        ({"type": "input", "config": {"limit": "many"}}, False),
        ({"type": "input", "config": {"limt": 1}}, False),
        ({"type": "input", "limit": 0}, False),
        ({"type": "input", "neds": []}, False),
        ({"type": "processing", "config": {"operations": [{"op": "dedupe"}]}}, True),
        ({"type": "processing", "config": {"operations": [{"op": "filter"}]}}, False),
        ({"type": "input", "timeout": "5 minutes"}, False),
        ({"type": "input", "retry": {"max_attempts": 0}}, False),
    ],
)
def test_stages_are_checked_by_their_type(stage: dict[str, Any], valid: bool) -> None:
    assert VALIDATOR.is_valid(document({"id": "a", **stage})) == valid


def test_defaults_are_written_as_the_format_writes_them() -> None:
    retry = SCHEMA["$defs"]["Retry"]["properties"]
    assert retry["delay"]["default"] == "10s"
    assert '"PT' not in orjson.dumps(SCHEMA).decode()
    assert '"PT' not in orjson.dumps([type.schema for type in default_registry().types().values()]).decode()
