"""What does not fit the models of the format, in sentences."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from flexiroaster.engine.definition.findings import Findings
from flexiroaster.engine.definition.nodes import Path
from flexiroaster.engine.duration import suggest_duration
from flexiroaster.engine.expressions import did_you_mean
from flexiroaster.engine.pipeline import MAX_STAGES, Pipeline
from flexiroaster.engine.quoting import listed, quoted, shortened

TRIGGER_TYPES = ("schedule", "webhook", "pipeline", "file", "event")

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


def read_model(document: dict[str, Any], findings: Findings) -> Pipeline | None:
    """The model of a normalised document, or None and findings."""
    try:
        return Pipeline.from_document(document)
    except ValidationError as refused:
        for error in refused.errors(include_url=False, include_context=True)[:1_000]:
            _add(error, findings)
        return None


def _add(error: ErrorDetails, findings: Findings) -> None:
    path = _path(error["loc"])
    kind, found, context = error["type"], error["input"], error.get("ctx", {})
    name = shortened(str(path[-1])) if path else "the definition"
    match kind:
        case "extra_forbidden":
            _unknown_key(path, findings)
        case "missing":
            findings.add("missing_key", _missing_sentence(path), path, suggestion=_missing_cure(path))
        case "invalid_id":
            findings.add(kind, error["msg"], path, found=found, at_key=error["loc"][-1] == "[key]")
        case "invalid_duration":
            meant = suggest_duration(found)
            findings.add(
                kind, f"`{name}`: {error['msg']}", path, found=found, suggestion=None if meant == found else meant
            )
        case "literal_error" | "enum" | "union_tag_invalid":
            _not_one_of(path, found, context, kind, findings)
        case "union_tag_not_found":
            findings.add("missing_key", "A trigger needs a `type`.", path, suggestion="type: schedule")
        case "too_long" if path == ("stages",):
            findings.add(
                "too_many_stages", f"A pipeline has at most {MAX_STAGES:,} stages; split it.", path, at_key=True
            )
        case _ if kind in _EXPECTED:
            _wrong_type(path, found, _EXPECTED[kind], findings)
        case _:
            findings.add(
                "invalid_value", f"`{name}`: {_limit_sentence(kind, context, error['msg'])}", path, found=found
            )


def _path(location: tuple[int | str, ...]) -> Path:
    """Pydantic's location without the marks it adds: the tag of a trigger, `[key]`."""
    path = [step for step in location if step != "[key]"]
    if len(path) > 2 and path[0] == "triggers" and path[2] in TRIGGER_TYPES:
        del path[2]
    return tuple(path)


def _unknown_key(path: Path, findings: Findings) -> None:
    key = str(path[-1])
    known = known_keys(path[:-1])
    meant = did_you_mean(key, known)
    hint = f", did you mean `{meant}`?" if meant else f". Known are {', '.join(sorted(known))}."
    sentence = f"There is no key `{shortened(key)}` here{hint}"
    findings.add("unknown_key", sentence, path, found=key, suggestion=meant, at_key=True)


def known_keys(path: Path) -> list[str]:
    """The keys of the format at a path of the document."""
    annotation: Any = Pipeline
    for step in path:
        annotation = _below(annotation, step)
    keys: dict[str, None] = {}
    for model in _models(annotation):
        keys.update({info.alias or name: None for name, info in model.model_fields.items()})
    return list(keys)


def _below(annotation: Any, step: str | int) -> Any:
    for model in _models(annotation):
        for name, info in model.model_fields.items():
            if (info.alias or name) == step:
                return info.annotation
    arguments = get_args(_bare(annotation))
    return arguments[-1] if arguments and get_origin(_bare(annotation)) in (list, dict) else None


def _models(annotation: Any) -> list[type[BaseModel]]:
    bare = _bare(annotation)
    if isinstance(bare, type) and issubclass(bare, BaseModel):
        return [bare]
    if get_origin(bare) in (Union, UnionType):
        return [model for member in get_args(bare) for model in _models(member)]
    return []


def _bare(annotation: Any) -> Any:
    """Without `Annotated` and `| None`."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        return _bare(members[0]) if len(members) == 1 else typing.Union[tuple(members)]  # noqa: UP007
    return annotation


def _missing_sentence(path: Path) -> str:
    owner = "The definition" if len(path) == 1 else f"`{path[-2]}`" if isinstance(path[-2], str) else _item(path)
    return f"{owner} has no `{path[-1]}`."


def _item(path: Path) -> str:
    kind = {"stages": "stage", "triggers": "trigger", "tests": "test"}.get(str(path[0]), "stage")
    number = next((step + 1 for step in reversed(path) if isinstance(step, int)), 0)
    return f"The {kind} number {number}"


def _missing_cure(path: Path) -> str:
    cures = {"id": "id: my_stage", "type": "type: input", "stages": "stages: [{id: read, type: input}]"}
    if path == ("id",):
        return "id: my_pipeline"
    return cures.get(str(path[-1]), f"{path[-1]}: …")


def _not_one_of(path: Path, found: Any, context: Mapping[str, Any], kind: str, findings: Findings) -> None:
    if kind == "union_tag_invalid":
        path, found, allowed = (*path, "type"), context.get("tag"), list(TRIGGER_TYPES)
    else:
        expected = str(context.get("expected", ""))
        allowed = [part.strip("'") for part in expected.replace(" or ", ", ").split(", ")]
    meant = did_you_mean(found, allowed) if isinstance(found, str) else None
    sentence = f"`{path[-1]}` cannot be {_said(found)}: it is one of {listed(allowed, ' or ')}."
    findings.add("invalid_value", sentence, path, found=found, suggestion=meant)


def _wrong_type(path: Path, found: Any, expected: str, findings: Findings) -> None:
    name = path[-1] if path else "the definition"
    if isinstance(name, str):
        owner = f"`{shortened(name)}`"
    else:
        owner = f"Item {name + 1} of `{shortened(str(path[-2]))}`" if len(path) > 1 else "It"
    findings.add(
        "wrong_type",
        f"{owner} must be {expected}, not {_said(found)}.",
        path,
        found=found,
        suggestion=_as_expected(name, found, expected),
    )


def _as_expected(name: object, found: Any, expected: str) -> str | None:
    if expected == "a list" and isinstance(found, str):
        return f"{name}: [{found}]"
    if expected == "a list" and found is None:
        return f"{name}: []"
    if expected == "text" and isinstance(found, bool | int | float):
        return f'{name}: "{str(found).lower() if isinstance(found, bool) else found}"'
    return None


def _limit_sentence(kind: str, context: Mapping[str, Any], message: str) -> str:
    sentences = {
        "greater_than_equal": "must be at least {ge}",
        "greater_than": "must be more than {gt}",
        "less_than_equal": "must be at most {le}",
        "less_than": "must be less than {lt}",
        "too_short": "needs at least {min_length}",
        "too_long": "may hold at most {max_length}",
        "string_too_short": "must not be empty",
        "string_too_long": "may be at most {max_length} characters long",
    }
    return sentences[kind].format(**context) + "." if kind in sentences else message


def _said(value: Any) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return "true" if value else "false"
        case str():
            return quoted(value)
        case int() | float():
            return f"the number {shortened(str(value))}"
        case list():
            return "a list"
        case _:
            return "a mapping"
