"""Every `${{ }}` of a definition: it can be read, and what it mentions is there and has ended before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from flexiroaster.engine.definition.findings import Findings
from flexiroaster.engine.definition.foreach_checks import item_names
from flexiroaster.engine.definition.graph_checks import Graph
from flexiroaster.engine.definition.nodes import Path
from flexiroaster.engine.definition.stage_view import StageView
from flexiroaster.engine.definition.support import NOT_YET, refuse
from flexiroaster.engine.definition.type_checks import TypeChecks
from flexiroaster.engine.expressions import Expression, ExpressionError, whole_expression
from flexiroaster.engine.expressions.analysis import Reference
from flexiroaster.engine.expressions.template import pieces, templated_texts
from flexiroaster.engine.quoting import QUOTE_LIMIT, listed, quoted, shortened

_STARTING = frozenset({"vars", "execution", "trigger"})
"""What there is before the inputs are known."""
_STAGE_KEYS = ("config", "foreach", "cache", "rate_limit", "output")
_LATER_STAGE_KEYS = ("repeat", "compensate")
"""Evaluated once the stage has a result of its own."""
_BOOLEAN_KEYS: tuple[Path, ...] = (("when",), ("repeat", "until"))
_LITERAL_KEYS = ("name", "description")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where expressions stand: the names there are, and the stage they belong to."""

    names: frozenset[str]
    stage: StageView | None = None
    results: bool = False
    own_result: bool = False
    members: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What there is of a name, where that is not everything."""


class ExpressionChecks:
    def __init__(self, document: dict[str, Any], graph: Graph, findings: Findings, *, check_support: bool) -> None:
        self.document = document
        self.graph = graph
        self.findings = findings
        self.check_support = check_support
        inputs = document.get("inputs")
        self.inputs: Mapping[str, Any] = inputs if isinstance(inputs, dict) else {}
        self.types = TypeChecks(self.inputs, findings)

    def run(self) -> None:
        for path, value, place in self._places():
            for below, text in templated_texts(value):
                if self.findings.enough():
                    return
                self._check_text(text, (*path, *below), place)
        for view in self.graph.views:
            for keys in _BOOLEAN_KEYS:
                self._check_conditions(view, view.raw, view.path, keys)
            self._check_cases(view)
            self._check_items(view)
        for path, trigger in self._triggers():
            self._check_conditions(None, trigger, path, ("when",))
            self._check_given(trigger, path)
        self._check_literals()

    def _places(self) -> Iterator[tuple[Path, Any, _Place]]:
        for view in self.graph.views:
            names = _STARTING | {"inputs", "results", "secrets"}
            whole = _Place(names, view, results=True)
            place = _Place(names | item_names(view), view, results=True)
            for key in ("when", *_STAGE_KEYS):
                yield (*view.path, key), view.raw.get(key), place if key != "foreach" else whole
            ended = replace(whole, own_result=True)
            for key in _LATER_STAGE_KEYS:
                yield (*view.path, key), view.raw.get(key), ended
        finished = _Place(_STARTING | {"inputs", "results"}, results=True)
        yield ("outputs",), self.document.get("outputs"), finished
        accepted = _Place(_STARTING | {"inputs"}, members={"execution": ["data", "logical_date"]})
        yield ("concurrency",), self.document.get("concurrency"), accepted
        scheduled = _Place(_STARTING, members={"execution": ["logical_date"], "trigger": ["id", "type"]})
        for path, trigger in self._triggers():
            yield path, trigger, scheduled if trigger.get("type") == "schedule" else _Place(_STARTING)
        for name, schema in self.inputs.items():
            if isinstance(schema, dict):
                yield ("inputs", name, "default"), schema.get("default"), _Place(_STARTING)

    def _triggers(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        triggers = self.document.get("triggers")
        for index, trigger in enumerate(triggers if isinstance(triggers, list) else []):
            if isinstance(trigger, dict):
                yield ("triggers", index), trigger

    def _check_text(self, text: str, path: Path, place: _Place) -> None:
        try:
            for piece in pieces(text):
                self._check_expression(piece.source.strip(), path, place)
        except ExpressionError as error:
            self._report(error, path, text)

    def _check_expression(self, source: str, path: Path, place: _Place) -> None:
        try:
            expression = Expression.compile(source)
        except ExpressionError as error:
            self._report(error, path, source)
            return
        for reference in expression.analysis.references:
            self._check_reference(reference, source, path, place)
        self.types.check(source, path, place.stage)

    def _check_reference(self, reference: Reference, source: str, path: Path, place: _Place) -> None:
        if reference.root == "secrets" and self.check_support and "namespace.secrets" in NOT_YET:
            refuse("namespace.secrets", path, self.findings, within=source, offset=reference.start)
        elif reference.root not in place.names:
            self._unknown_name(reference, source, path, place)
        elif reference.root in place.members and reference.path:
            self._check_member(place.members[reference.root], reference, source, path)
        elif reference.root == "inputs" and reference.path:
            self._check_input(reference, source, path)
        elif reference.root == "results" and reference.path:
            self._check_result(reference, source, path, place)

    def _unknown_name(self, reference: Reference, source: str, path: Path, place: _Place) -> None:
        known = sorted(place.names)
        meant = self.findings.closest(reference.root, known)
        if meant is None and ("stages", reference.root) in self.graph.positions and "results" in place.names:
            meant = f"results.{reference.root}"
        elif meant is None and reference.root in self.inputs and "inputs" in place.names:
            meant = f"inputs.{reference.root}"
        hint = f", did you mean `{meant}`?" if meant else f". Here are {', '.join(known)}."
        sentence = f"There is nothing called `{shortened(reference.root)}` here{hint}"
        self._add("unknown_name", sentence, reference, source, path, meant)

    def _check_member(self, known: Sequence[str], reference: Reference, source: str, path: Path) -> None:
        name = str(reference.path[0])
        if name not in known:
            meant = self.findings.closest(name, known)
            sentence = f"Before an execution begins, `{reference.root}` has only {listed(known, ' and ')}."
            self._add("unknown_name", sentence, reference, source, path, meant and f"{reference.root}.{meant}")

    def _check_input(self, reference: Reference, source: str, path: Path) -> None:
        name = str(reference.path[0])
        if name in self.inputs:
            return
        meant = self.findings.closest(name, self.inputs)
        hint = f", did you mean `inputs.{meant}`?" if meant else ": declare it under `inputs`."
        self._add("unknown_input", f"The pipeline has no input {quoted(name)}{hint}", reference, source, path, meant)

    def _check_result(self, reference: Reference, source: str, path: Path, place: _Place) -> None:
        name, view = str(reference.path[0]), place.stage
        groups = {"stages", view.group} if view is not None else {"stages"}
        if not any((group, name) in self.graph.positions for group in groups):
            meant = self.findings.closest(name, [id for group in groups for id in self.graph.names.get(group, [])])
            hint = f", did you mean `results.{meant}`?" if meant else "."
            self._add("unknown_stage", f"There is no stage {quoted(name)}{hint}", reference, source, path, meant)
        elif view is None or self.graph.is_upstream(view, name) or (place.own_result and name == view.id):
            return
        elif self._waits_beside(view, name, path):
            self._check_guarded(name, reference, source, path)
        else:
            self._not_upstream(view, name, reference, source, path)

    def _waits_beside(self, view: StageView, name: str, path: Path) -> bool:
        """A stage that waits until something holds may look at stages that run at the same time."""
        is_condition = view.type == "wait" and path == (*view.path, "config", "until")
        return is_condition and name != view.id and not self._comes_after(view, name)

    def _check_guarded(self, name: str, reference: Reference, source: str, path: Path) -> None:
        guard = f"has(results.{name})"
        if guard in source.replace(" ", ""):
            return
        self.findings.add(
            "may_not_be_there",
            f"`results.{shortened(name)}` is there only once {quoted(name)} has succeeded; until then the expression "
            "fails, and the stage with it.",
            path,
            suggestion=f"{guard} && …",
            within=source,
            offset=reference.start,
            severity="warning",
        )

    def _not_upstream(self, view: StageView, name: str, reference: Reference, source: str, path: Path) -> None:
        if any(need == name for _, need in view.needs) and name != view.id:
            return  # a cycle, which has a problem of its own
        result = f"`results.{shortened(name)}`"
        if name == view.id:
            sentence, cure = f"{result} is the result of this stage itself.", None
        elif self._comes_after(view, name):
            sentence, cure = f"{result} is not there yet: {quoted(name)} runs after {quoted(view.id)}.", None
        elif self._is_upstream_once_mended(view, name):
            return  # the misspelt need has a problem of its own
        else:
            cure = f"needs: [{', '.join([*self.graph.meant_needs(view), name])}]"
            add = cure if len(cure) <= QUOTE_LIMIT else f"{quoted(name)} to `needs`"
            sentence = f"{result} refers to a stage that is not upstream: add {add}."
        self._add("not_upstream", sentence, reference, source, path, cure)

    def _is_upstream_once_mended(self, view: StageView, name: str) -> bool:
        """Whether only a misspelt need keeps the other stage from being upstream."""
        mended = set(self.graph.meant_needs(view)) - {need for _, need in view.needs}
        theirs = [self.graph.views[self.graph.positions[view.group, need]] for need in mended]
        return name in mended or any(self.graph.is_upstream(other, name) for other in theirs)

    def _comes_after(self, view: StageView, name: str) -> bool:
        other = self.graph.positions.get((view.group, name))
        return other is not None and self.graph.is_upstream(self.graph.views[other], view.id)

    def _check_conditions(self, view: StageView | None, value: Any, path: Path, keys: Path) -> None:
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, str):
            self._check_condition(value, (*path, *keys), view)

    def _check_condition(self, text: str, path: Path, view: StageView | None) -> None:
        if not self._is_expression(text):
            self.findings.add(
                "not_an_expression",
                f"`{path[-1]}` is one expression, written ${{{{ … }}}}.",
                path,
                found=text,
                suggestion=None if "${{" in text else f"{path[-1]}: ${{{{ {text.strip()} }}}}",
            )
        elif (source := _readable(text)) is not None:
            self.types.check_condition(source, path, view)

    def _is_expression(self, text: str) -> bool:
        """Also one that cannot be read, of which another problem tells."""
        try:
            return whole_expression(text) is not None
        except ExpressionError:
            return True

    def _check_cases(self, view: StageView) -> None:
        cases = view.config.get("cases") if view.type == "switch" else None
        for index, case in enumerate(cases if isinstance(cases, list) else []):
            when = case.get("when") if isinstance(case, dict) else None
            if isinstance(when, str) and (source := _readable(when)) is not None:
                self.types.check_condition(source, (*view.path, "config", "cases", index, "when"), view)

    def _check_items(self, view: StageView) -> None:
        foreach = view.raw.get("foreach")
        items = foreach.get("items") if isinstance(foreach, dict) else None
        if isinstance(items, str) and (source := _readable(items)) is not None:
            self.types.check_items(source, (*view.path, "foreach", "items"))

    def _check_given(self, trigger: Mapping[str, Any], path: Path) -> None:
        given = trigger.get("inputs")
        for name, value in (given if isinstance(given, dict) else {}).items():
            if isinstance(value, str) and "${{" in value:
                self.types.check_given(name, value, (*path, "inputs", name))

    def _check_literals(self) -> None:
        """Texts that are shown as they are: an expression there would never be evaluated."""
        holders: list[tuple[Path, Mapping[str, Any]]] = [((), self.document)]
        holders += [(view.path, view.raw) for view in self.graph.views]
        for path, holder in holders:
            for key in _LITERAL_KEYS:
                if isinstance(holder.get(key), str) and "${{" in holder[key]:
                    self.findings.add(
                        "expression_not_here",
                        f"`{key}` is plain text: expressions are not evaluated here.",
                        (*path, key),
                    )

    def _add(
        self, code: str, message: str, reference: Reference, source: str, path: Path, suggestion: str | None
    ) -> None:
        self.findings.add(
            code,
            message,
            path,
            found=source[reference.start : reference.end].strip(),
            suggestion=suggestion,
            within=source,
            offset=reference.start,
        )

    def _report(self, error: ExpressionError, path: Path, within: str) -> None:
        self.findings.add(
            error.code,
            str(error),
            path,
            found=error.source,
            suggestion=error.suggestion,
            within=within or None,
            offset=error.offset,
        )


def _readable(text: str) -> str | None:
    """The expression that a text is, as a whole."""
    try:
        source = whole_expression(text)
        return Expression.compile(source.strip()).source if source is not None else None
    except ExpressionError:
        return None
