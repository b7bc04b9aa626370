"""Values by name with a JSON Schema for each: the inputs of a pipeline, the form of an approval."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

from flexiroaster.engine.definition.config_schema import SchemaChecker
from flexiroaster.engine.definition.findings import path_text, shown_value
from flexiroaster.engine.definition.limits import Refused, plain_document
from flexiroaster.engine.definition.nodes import Path
from flexiroaster.engine.errors import Problem
from flexiroaster.engine.expressions import did_you_mean
from flexiroaster.engine.quoting import listed, quoted, without_middle

_REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef", "$id", "$anchor", "$dynamicAnchor", "$schema"})
_TYPES = ("string", "integer", "number", "boolean", "array", "object", "null")


@dataclass(frozen=True, slots=True)
class Fields:
    """What may be given. The words are those of its sentences, codes and paths."""

    schemas: Mapping[str, dict[str, Any]]
    owner: str = "The pipeline"
    one: str = "input"
    all: str = "inputs"

    @property
    def schema(self) -> dict[str, Any]:
        """One JSON Schema of all: makes the form. What has no default is required unless it may be null."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": copy.deepcopy(dict(self.schemas)),
            "required": [name for name, schema in self.schemas.items() if _is_required(schema)],
            "additionalProperties": False,
        }

    def check(self, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
        """The values with defaults filled in, in the order of the definition, and what is wrong with them."""
        try:
            values = plain_document(dict(given))
        except Refused as refused:
            message = refused.message.replace("The definition", f"The {self.all}")
            return {}, [Problem(refused.code, message, self.all)]
        filled: dict[str, Any] = {}
        problems = [self._unknown(name) for name in values if name not in self.schemas]
        for name, schema in self.schemas.items():
            if name in values:
                filled[name] = values[name]
                problems += self._problems(name, schema, values[name])
            elif "default" in schema:
                filled[name] = copy.deepcopy(schema["default"])
            elif _is_required(schema):
                problems.append(self._missing(name, schema))
            else:
                filled[name] = None
        return filled, problems

    def _problems(self, name: str, schema: Mapping[str, Any], value: Any) -> list[Problem]:
        return [
            Problem(
                f"invalid_{self.one}",
                problem.message.replace("The config", f"The {self.one} `{name}`", 1),
                path_text((self.all, name, *problem.path)),
                found=shown_value(problem.found),
                suggestion=problem.suggestion,
            )
            for problem in SchemaChecker(schema).strict_problems(value)
        ]

    def _unknown(self, name: str) -> Problem:
        meant = did_you_mean(name, self.schemas)
        known = f" Known are {listed(self.schemas)}." if self.schemas else " It takes none."
        hint = f", did you mean {meant!r}?" if meant else "." + known
        return Problem(
            f"unknown_{self.one}",
            f"{self.owner} has no {self.one} {quoted(name)}{hint}",
            path_text((self.all, name)),
            found=shown_value(name),
            suggestion=meant,
        )

    def _missing(self, name: str, schema: Mapping[str, Any]) -> Problem:
        kind = schema.get("type")
        expects = f" ({kind})" if isinstance(kind, str) else ""
        return Problem(
            f"missing_{self.one}", f"The {self.one} {quoted(name)}{expects} is missing.", path_text((self.all, name))
        )


@dataclass(frozen=True, slots=True)
class SchemaFault:
    """What is wrong with the schema of a field, and where below it."""

    message: str
    path: Path = ()
    at_key: bool = False
    found: object = None
    suggestion: str | None = None


def schema_fault(name: str, schema: dict[str, Any], one: str = "input") -> SchemaFault | None:
    """Why this cannot be the schema of a field; None when it can."""
    reference = next(_references(schema, ()), None)
    if reference is not None:
        article = "an" if one[0] in "aeiou" else "a"
        sentence = f"`{reference[-1]}` is not allowed in {article} {one}: write the schema out."
        return SchemaFault(sentence, reference, at_key=True)
    try:
        jsonschema_rs.meta.validate(schema)
        jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    except (jsonschema_rs.ValidationError, ValueError) as refused:
        at = tuple(getattr(refused, "instance_path", ()))
        message = without_middle(str(getattr(refused, "message", refused)))
        of_type = at == ("type",)
        meant = did_you_mean(_type_of(schema), _TYPES) if of_type else None
        hint = f", did you mean `{meant}`?" if meant else "."
        sentence = f"The {one} {quoted(name)} is not a JSON Schema: {message}{hint}"
        return SchemaFault(sentence, at, found=schema.get("type") if of_type else None, suggestion=meant)
    return None


def _references(value: Any, path: Path) -> Iterator[Path]:
    """A validator would fetch what a `$ref` points at, from anywhere."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key in _REFERENCES:
                yield (*path, key)
            yield from _references(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _references(item, (*path, index))


def _type_of(schema: dict[str, Any]) -> str:
    return schema["type"] if isinstance(schema.get("type"), str) else ""


def _is_required(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    return "default" not in schema and kind != "null" and not (isinstance(kind, list) and "null" in kind)
