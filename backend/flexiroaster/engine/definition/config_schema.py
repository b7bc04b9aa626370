"""Checking a value against a JSON Schema, with `${{ }}` where a value will stand, and saying what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jsonschema_rs
from jsonschema_rs import ValidationError, ValidationErrorKind

from flexiroaster.engine.definition.limits import beginning_of
from flexiroaster.engine.definition.nodes import Path
from flexiroaster.engine.duration import DURATION_PATTERN
from flexiroaster.engine.expressions import did_you_mean
from flexiroaster.engine.expressions.template import templated_texts
from flexiroaster.engine.quoting import listed, quoted, shortened, without_middle

_TEMPLATE = {"type": "string", "pattern": r"\$\{\{"}
_MAPS_OF_SCHEMAS = ("properties", "patternProperties", "dependentSchemas")
_SINGLE_SCHEMAS = ("items", "additionalProperties", "contains", "unevaluatedProperties", "unevaluatedItems")
MOST_EXPLAINED = 200
"""Values. Where one of 26 forms fits, each error takes the library 5 ms and 90 kB."""
_PRESENCE_KEYS = frozenset({"required", "not", "title", "description"})
_TYPE_NAMES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "empty",
}


@dataclass(frozen=True, slots=True)
class SchemaProblem:
    code: str
    message: str
    path: Path
    found: object = None
    suggestion: str | None = None
    at_key: bool = False


class SchemaChecker:
    """One schema, compiled when first needed: as it is, and in the form that lets expressions stand for values."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = dict(schema)

    @cached_property
    def tolerant_schema(self) -> dict[str, Any]:
        return dict(tolerant(self.schema))

    @cached_property
    def _strict(self) -> jsonschema_rs.Draft202012Validator:
        return jsonschema_rs.Draft202012Validator(self.schema, validate_formats=True)

    @cached_property
    def _tolerant(self) -> jsonschema_rs.Draft202012Validator:
        return jsonschema_rs.Draft202012Validator(self.tolerant_schema, validate_formats=True)

    def problems(self, value: Any, more_keys: Iterable[str] = ()) -> Iterator[SchemaProblem]:
        """`more_keys` are keys known one level up, offered for a misspelt key at the top."""
        templated = next(templated_texts(value), None) is not None
        validator, schema = (self._tolerant, self.tolerant_schema) if templated else (self._strict, self.schema)
        yield from _problems(value, validator, schema, tuple(more_keys))

    def strict_problems(self, value: Any) -> Iterator[SchemaProblem]:
        """Text with `${{` is text like any other."""
        yield from _problems(value, self._strict, self.schema, ())


def _problems(
    value: Any, validator: jsonschema_rs.Draft202012Validator, schema: Any, more_keys: tuple[str, ...]
) -> Iterator[SchemaProblem]:
    """Every problem of a value of ordinary size, the first ones of a large one."""
    if validator.is_valid(value):
        return
    part = beginning_of(value, lambda part: not validator.is_valid(part), MOST_EXPLAINED)
    found = False
    for error in validator.iter_errors(part):
        if not _is_of_the_cut(error, value):
            found = True
            yield from _explain(error, schema, more_keys)
    if part is not value:
        what = "there may be more problems: only its beginning was looked at" if found else "somewhere it does not fit"
        yield SchemaProblem("invalid_value", f"The config holds more than {MOST_EXPLAINED} values; {what}.", ())


def _is_of_the_cut(error: ValidationError, whole: Any) -> bool:
    """Whether a key is only missing because the mapping was cut before it."""
    if not isinstance(error.kind, ValidationErrorKind.Required):
        return False
    return error.kind.value in _at(whole, list(error.instance_path))


def tolerant(schema: Any) -> Any:
    """The schema with every value inside it replaceable by text with `${{`. The value itself is not."""
    if not isinstance(schema, Mapping):
        return schema
    changed = dict(schema)
    for key in _MAPS_OF_SCHEMAS:
        if isinstance(changed.get(key), Mapping):
            changed[key] = {name: _or_template(below) for name, below in changed[key].items()}
    for key in _SINGLE_SCHEMAS:
        if isinstance(changed.get(key), Mapping):
            changed[key] = _or_template(changed[key])
    if isinstance(changed.get("prefixItems"), list):
        changed["prefixItems"] = [_or_template(below) for below in changed["prefixItems"]]
    for key in ("$defs", "definitions"):
        if isinstance(changed.get(key), Mapping):
            changed[key] = {name: tolerant(below) for name, below in changed[key].items()}
    for key in ("anyOf", "oneOf", "allOf"):
        if isinstance(changed.get(key), list):
            changed[key] = [tolerant(below) for below in changed[key]]
    return _any_for_one(changed)


def _any_for_one(schema: dict[str, Any]) -> dict[str, Any]:
    """A template may fit several branches of `oneOf`; branches that only ask for keys stay exclusive."""
    branches = schema.get("oneOf")
    if not isinstance(branches, list) or all(set(branch) <= _PRESENCE_KEYS for branch in branches):
        return schema
    rest = {key: value for key, value in schema.items() if key != "oneOf"}
    if "anyOf" in rest:
        return {**rest, "allOf": [*rest.get("allOf", []), {"anyOf": branches}]}
    return {**rest, "anyOf": branches}


def _or_template(schema: Any) -> Any:
    return {"if": _TEMPLATE, "else": tolerant(schema)} if isinstance(schema, Mapping) else schema


def _explain(error: ValidationError, schema: Any, more_keys: tuple[str, ...]) -> Iterator[SchemaProblem]:
    kinds = ValidationErrorKind
    path: Path = tuple(error.instance_path)
    kind = error.kind
    match kind:
        case kinds.AnyOf() | kinds.OneOfNotValid():
            yield from _best_branch(error, kind.context, schema, more_keys)
        case kinds.AdditionalProperties() | kinds.UnevaluatedProperties():
            known = [*_known_keys(schema, error.schema_path), *(more_keys if not path else ())]
            for key in kind.unexpected:
                yield _unknown(key, path, known)
        case kinds.FalseSchema() if path:
            yield _unknown(str(path[-1]), path[:-1], list(more_keys) if len(path) == 1 else [])
        case kinds.Required():
            sentence = f"{_owner(path)} has no `{kind.value}`."
            yield SchemaProblem("missing_key", sentence, path, suggestion=f"{kind.value}: …")
        case kinds.Type():
            expected = _either(_TYPE_NAMES.get(name, name) for name in kind.types)
            yield _wrong(path, f"must be {expected}, not {_said(error.instance)}", error.instance, "wrong_type")
        case kinds.Enum() | kinds.Constant():
            yield _not_allowed(error, path)
        case kinds.OneOfMultipleValid():
            yield _wrong(path, _too_many_forms(_at(schema, error.schema_path)), error.instance)
        case _:
            yield _wrong(path, _limit(error), error.instance)


def _best_branch(
    error: ValidationError, branches: list[list[ValidationError]], schema: Any, more_keys: tuple[str, ...]
) -> Iterator[SchemaProblem]:
    """Of several forms a value may have, the one it comes closest to."""
    path: Path = tuple(error.instance_path)
    if all(isinstance(first.kind, ValidationErrorKind.Required) for branch in branches for first in branch):
        names = sorted({first.kind.value for branch in branches for first in branch})
        yield SchemaProblem(
            "missing_key",
            f"{_owner(path)} needs {_either(f'`{name}`' for name in names)}.",
            path,
            suggestion=f"{names[0]}: …",
        )
        return
    fitting = [branch for branch in branches if not _is_other_kind(branch, path)]
    if not fitting:
        kinds = [first.kind for branch in branches for first in branch if tuple(first.instance_path) == path]
        types = [name for kind in kinds if isinstance(kind, ValidationErrorKind.Type) for name in kind.types]
        expected = _either(dict.fromkeys(_TYPE_NAMES.get(name, name) for name in types))
        yield _wrong(
            path, f"must be {expected or 'something else'}, not {_said(error.instance)}", error.instance, "wrong_type"
        )
        return
    for inner in min(fitting, key=_distance):
        yield from _explain(inner, schema, more_keys)


def _is_other_kind(branch: list[ValidationError], path: Path) -> bool:
    return any(isinstance(e.kind, ValidationErrorKind.Type) and tuple(e.instance_path) == path for e in branch)


def _distance(branch: list[ValidationError]) -> tuple[int, int]:
    """A wrong `op` or `type` says that another form was meant; then the fewer errors the closer."""
    tags = sum(isinstance(error.kind, ValidationErrorKind.Constant | ValidationErrorKind.Enum) for error in branch)
    return tags, len(branch)


def _known_keys(schema: Any, schema_path: list[str | int]) -> list[str]:
    owner = _at(schema, schema_path[:-1])
    return list(owner.get("properties", {})) if isinstance(owner, Mapping) else []


def _at(schema: Any, schema_path: list[str | int]) -> Any:
    for step in schema_path:
        schema = schema[step]
    return schema


def _too_many_forms(branches: Any) -> str:
    """Of `oneOf`: mostly keys that exclude each other."""
    names = [name for branch in branches if set(branch) <= _PRESENCE_KEYS for name in branch.get("required", [])]
    if names:
        return f"may have only one of {_either(f'`{name}`' for name in names)}"
    return "fits more than one of the forms it may have"


def _unknown(key: str, path: Path, known: list[str]) -> SchemaProblem:
    meant = did_you_mean(key, known)
    hint = f", did you mean `{meant}`?" if meant else f". Known are {', '.join(sorted(known))}." if known else "."
    sentence = f"There is no key `{shortened(key)}` here{hint}"
    return SchemaProblem("unknown_key", sentence, (*path, key), key, meant, at_key=True)


def _not_allowed(error: ValidationError, path: Path) -> SchemaProblem:
    kind = error.kind
    allowed = kind.options if isinstance(kind, ValidationErrorKind.Enum) else [kind.value]
    texts = [option for option in allowed if isinstance(option, str)]
    meant = did_you_mean(error.instance, texts) if isinstance(error.instance, str) else None
    sentence = f"cannot be {_said(error.instance)}: it is {_either(_said(option) for option in allowed)}"
    return _wrong(path, sentence, error.instance, suggestion=meant)


def _wrong(
    path: Path, sentence: str, found: object, code: str = "invalid_value", suggestion: str | None = None
) -> SchemaProblem:
    return SchemaProblem(code, f"{_owner(path)} {sentence}.", path, found, suggestion)


def _limit(error: ValidationError) -> str:
    kinds = ValidationErrorKind
    match error.kind:
        case kinds.Minimum() | kinds.ExclusiveMinimum() | kinds.Maximum() | kinds.ExclusiveMaximum():
            words = {
                "minimum": "must be at least",
                "exclusiveMinimum": "must be more than",
                "maximum": "must be at most",
                "exclusiveMaximum": "must be less than",
            }
            return f"{words[error.kind.name]} {error.kind.value}, not {_said(error.instance)}"
        case kinds.Pattern() if error.kind.value == DURATION_PATTERN:
            return f"cannot be {_said(error.instance)}: write a duration such as 90s, 5m, 1h30m or 7d"
        case kinds.Pattern():
            return f"cannot be {_said(error.instance)}: it must match {shortened(error.kind.value)}"
        case kinds.Format():
            return f"cannot be {_said(error.instance)}: it must be a {error.kind.value}"
        case _:
            return f"does not fit: {without_middle(error.message)}"


def _owner(path: Path) -> str:
    if not path:
        return "The config"
    last = path[-1]
    return f"Item {last + 1}" if isinstance(last, int) else f"`{shortened(last)}`"


def _said(value: Any) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return "true" if value else "false"
        case str():
            return quoted(value)
        case int() | float():
            return shortened(str(value))
        case list():
            return "a list"
        case _:
            return "a mapping"


def _either(names: Iterable[str]) -> str:
    return listed(names, " or ")
