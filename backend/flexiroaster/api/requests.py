"""What the bodies of requests say. Their media type, size and JSON were checked before (see `api.bodies`)."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request

from flexiroaster.api.bodies import JSON, YAML, parse_json
from flexiroaster.api.parameters import LARGEST_INT
from flexiroaster.api.schemas import ExecuteRequest
from flexiroaster.engine.errors import InvalidRequest
from flexiroaster.engine.pipeline import MOST_PRIORITY
from flexiroaster.services.pipelines import Source

DEFINITION_TYPES = (JSON, *YAML)
LONGEST_NAME = 200

DEFINITION_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A definition: the document as JSON, or its text as YAML. "
        "`GET /api/schemas/pipeline` is its JSON Schema.",
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "example": {
                    "id": "hello",
                    "name": "Hello",
                    "stages": [{"id": "first", "type": "noop"}, {"id": "second", "type": "noop"}],
                },
            },
            "application/yaml": {
                "schema": {"type": "string"},
                "example": "id: hello\nname: Hello\nstages:\n  - {id: first, type: noop}\n",
            },
        },
    }
}
EXECUTE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": False,
        "content": {
            "application/json": {
                "schema": ExecuteRequest.model_json_schema(),
                "example": {"inputs": {"day": "2026-03-04"}},
            }
        },
    }
}


@dataclass(frozen=True, slots=True)
class Again:
    """An execution to run again. `new_inputs`: inputs are given, and are to be all there are."""

    of: str
    from_stage: str | None
    only_stage: str | None
    new_inputs: bool


@dataclass(frozen=True, slots=True)
class Run:
    """What to execute with. `data` is the body's key of that name where it stands alone, else all keys not ours."""

    inputs: dict[str, Any]
    version: int | None
    priority: int
    data: Any
    again: Again | None = None
    use_cache: bool | None = None


async def definition(request: Request) -> Source:
    text = as_text(await request.body())
    if not text.strip():
        raise InvalidRequest("The body is empty: send a definition as JSON or YAML.", "empty_body")
    is_json = request.headers.get("content-type", "").partition(";")[0].strip().lower() == JSON
    return Source(text, "json" if is_json else "yaml")


async def run(request: Request) -> Run:
    body = await request.body()
    if not body.strip():
        return Run({}, None, 0, None)
    given = parse_json(body)
    if not isinstance(given, dict):
        raise InvalidRequest(f'The body is {named(given)}: it must be a JSON object, such as {{"inputs": {{}}}}.')
    return _run(given)


def _run(given: dict[str, Any]) -> Run:
    again = _again(given)
    use_cache = given.pop("use_cache", None)
    inputs, version, priority = given.pop("inputs", {}), given.pop("version", None), given.pop("priority", 0)
    if not isinstance(inputs, dict):
        raise InvalidRequest(f'`inputs` is {named(inputs)}: it must be an object, such as {{"day": "2026-03-04"}}.')
    if version is not None and (type(version) is not int or not 1 <= version <= LARGEST_INT):
        raise InvalidRequest("`version` must be a whole number from 1, or left out for the published version.")
    if type(priority) is not int or abs(priority) > MOST_PRIORITY:
        raise InvalidRequest(f"`priority` must be a whole number from -{MOST_PRIORITY} to {MOST_PRIORITY}.")
    if use_cache is not None and type(use_cache) is not bool:
        raise InvalidRequest("`use_cache` must be true or false, or left out.")
    data = given["data"] if given.keys() == {"data"} else given or None
    return Run(inputs, version, priority, data, again, use_cache)


def _again(given: dict[str, Any]) -> Again | None:
    of, from_stage, only_stage = (_name(given, key) for key in ("rerun_of", "from_stage", "only_stage"))
    if of is not None:
        return Again(of, from_stage, only_stage, new_inputs="inputs" in given)
    if from_stage is not None or only_stage is not None:
        raise InvalidRequest(
            "`rerun_of` is missing: name the execution whose results are taken over, or 'latest' for the newest."
        )
    return None


def _name(given: dict[str, Any], key: str) -> str | None:
    value = given.pop(key, None)
    if value is not None and (not isinstance(value, str) or not 0 < len(value) <= LONGEST_NAME):
        raise InvalidRequest(f"`{key}` must be a text of at most {LONGEST_NAME} characters, or left out.")
    return value


DefinitionSource = Annotated[Source, Depends(definition)]
RunRequest = Annotated[Run, Depends(run)]


def as_text(body: bytes) -> str:
    try:
        return body.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"The body is not UTF-8: byte {error.start} is 0x{body[error.start]:02x}. Encode the text as UTF-8.",
            "not_utf8",
        ) from error


def named(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "a text"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case _:
            return "an object"
