"""The types of expressions: what surely fails, or surely is no condition, is found before anything runs.

Known are the inputs (by their JSON Schemas), the execution and what started it. All else may be anything: what is
refused here fails whatever the values are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flexiroaster.engine.definition.findings import Findings
from flexiroaster.engine.definition.nodes import Path
from flexiroaster.engine.definition.stage_view import StageView
from flexiroaster.engine.expressions import ExpressionError, whole_expression
from flexiroaster.engine.expressions import kinds as k
from flexiroaster.engine.expressions.template import templated_texts
from flexiroaster.engine.expressions.types import (
    ANYTHING,
    Fault,
    Inferred,
    Type,
    comparison,
    infer,
    of_schema,
    of_value,
    union,
)
from flexiroaster.engine.quoting import on_one_line, quoted

_TEXT = Type(k.STRING)
_NUMBER = Type(k.INT)
_ERROR = Type(k.MAP, dict.fromkeys(("summary", "message", "code", "kind", "suggestion"), _TEXT))
_EXECUTION = {
    **dict.fromkeys(("id", "pipeline_id", "trigger", "status", "failed_stage"), _TEXT),
    **dict.fromkeys(("number", "version"), _NUMBER),
    "logical_date": Type(k.TIMESTAMP),
    "error": _ERROR,
}
_STARTING: Mapping[str, Type] = {
    "execution": Type(k.MAP, _EXECUTION),
    "trigger": Type(k.MAP, dict.fromkeys(("id", "type"), _TEXT)),
    **dict.fromkeys(("vars", "results", "secrets"), Type(k.MAP)),
}
_AS_JSON: Mapping[k.Kind, k.Kinds] = {
    **dict.fromkeys(k.TIMESTAMP | k.DURATION | k.TYPE, k.STRING),
    **dict.fromkeys(k.NUMBERS, k.JSON_NUMBERS),
}


class TypeChecks:
    def __init__(self, inputs: Mapping[str, Any], findings: Findings) -> None:
        self.findings = findings
        self.inputs = {name: _of_input(schema) for name, schema in inputs.items()}
        self.names: Mapping[str, Type] = {**_STARTING, "inputs": Type(k.MAP, self.inputs)}
        self._of_stages: dict[Path, Mapping[str, Type]] = {}

    def names_of(self, view: StageView | None) -> Mapping[str, Type]:
        """What expressions see in a stage, or outside of all."""
        if view is None:
            return self.names
        if view.path not in self._of_stages:  # many expressions of a stage may ask what its many items are
            self._of_stages[view.path] = self._with_item(view)
        return self._of_stages[view.path]

    def _with_item(self, view: StageView) -> Mapping[str, Type]:
        foreach = view.raw.get("foreach")
        if not isinstance(foreach, Mapping):
            return self.names
        item = _of_items(foreach)
        return {**self.names, "item": item, "index": _NUMBER, str(foreach.get("as", "item")): item}

    def check(self, source: str, path: Path, view: StageView | None) -> None:
        inferred = infer(source, self.names_of(view))
        for fault in inferred.faults:
            self._add(fault, inferred, source, path)

    def check_condition(self, source: str, path: Path, view: StageView | None) -> None:
        found = infer(source, self.names_of(view)).type
        if not found.kinds or found.kinds >= k.BOOL:
            return
        kind = k.named(found.kinds) or "something else"
        cure = comparison(found, f"({source})" if "?" in source else source)
        self.findings.add(
            "not_a_condition",
            f"`{path[-1]}` must be true or false, but `{on_one_line(source)}` is {kind}: compare it.",
            path,
            found=source,
            suggestion=cure and f"${{{{ {cure} }}}}",
        )

    def check_items(self, source: str, path: Path) -> None:
        """What `foreach` goes through."""
        found = infer(source, self.names).type
        if found.kinds and not found.kinds & k.WITH_MEMBERS:
            self.findings.add(
                "items_not_a_list",
                f"`{path[-1]}` must be a list, or a mapping whose keys are the items, but `{on_one_line(source)}` is "
                f"{k.named(found.kinds)}.",
                path,
                found=source,
                suggestion=f"${{{{ split({source}, ',') }}}}" if found.kinds == k.STRING else None,
            )

    def check_given(self, name: str, text: str, path: Path) -> None:
        """An input that a trigger gives."""
        wanted, given = self.inputs.get(name, ANYTHING), _of_text(text)
        if given.kinds and not given.kinds & wanted.kinds:
            self.findings.add(
                "invalid_input",
                f"The input {quoted(name)} must be {k.named(wanted.kinds)}, but `{on_one_line(text)}` gives "
                f"{k.named(given.kinds)}.",
                path,
                found=text,
            )

    def _add(self, fault: Fault, inferred: Inferred, source: str, path: Path) -> None:
        cure = fault.cure
        self.findings.add(
            "never_equal" if fault.is_doubtful else "type_mismatch",
            f"In `{on_one_line(source)}`, {fault.sentence}{f': write `{on_one_line(cure)}`' if cure else ''}.",
            path,
            found=source,
            suggestion=cure,
            within=source,
            offset=fault.start,
            severity="error" if inferred.fails and not fault.is_doubtful else "warning",
        )


def _of_input(schema: object) -> Type:
    """A default that holds expressions is not checked against the schema: it is what these give."""
    found = of_schema(schema)
    default = schema.get("default") if isinstance(schema, Mapping) else None
    if next(templated_texts(default), None) is None:
        return found
    return found | (_of_text(default) if isinstance(default, str) else of_value(default))


def _of_text(text: str) -> Type:
    """What a text with expressions gives before the inputs are known, as JSON."""
    try:
        source = whole_expression(text)
    except ExpressionError:
        return ANYTHING
    given = infer(source.strip(), _STARTING).type.kinds if source is not None else k.STRING
    return Type(frozenset().union(*(_AS_JSON.get(kind, {kind}) for kind in given)))


def _of_items(foreach: Mapping[str, Any]) -> Type:
    items = foreach.get("items")
    if not isinstance(items, list) or next(templated_texts(items), None) is not None:
        return ANYTHING
    return Type(k.LIST) if foreach.get("batch") is not None else union(map(of_value, items))
