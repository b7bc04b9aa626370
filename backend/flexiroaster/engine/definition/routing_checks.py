"""`switch`, `stop` and `repeat`: what they name exists and waits for them, and what they cannot be combined with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flexiroaster.engine.definition.findings import Findings
from flexiroaster.engine.definition.graph_checks import Graph
from flexiroaster.engine.definition.nodes import Path
from flexiroaster.engine.definition.stage_view import StageView, compensation_views
from flexiroaster.engine.quoting import quoted

_DECIDING_TYPES = ("switch", "stop")
_NOT_WHILE_DECIDING = ("foreach", "repeat", "cache", "compensate")


def check_routing(graph: Graph, findings: Findings) -> None:
    for view in graph.views:
        if view.type in _DECIDING_TYPES:
            _check_alone(view, findings)
        if view.type == "switch":
            _check_switch(view, graph, findings)
        if view.type == "stop" and view.group != "stages":
            findings.add(
                "stop_in_handler",
                "A `stop` ends the stages of the pipeline: in handlers, which run after them, there is nothing to end.",
                (*view.path, "type"),
            )
        if view.raw.get("repeat") is not None and view.raw.get("foreach") is not None:
            findings.add(
                "repeat_and_foreach",
                "A stage cannot have both `foreach` and `repeat`: put the repeated stage into a pipeline of its own.",
                (*view.path, "repeat"),
                at_key=True,
            )
    for view in compensation_views(graph.views):
        if view.type in _DECIDING_TYPES:
            findings.add("invalid_value", f"A `{view.type}` undoes nothing.", (*view.path, "type"), found=view.type)


def _check_alone(view: StageView, findings: Findings) -> None:
    for key in _NOT_WHILE_DECIDING:
        if view.raw.get(key) is not None:
            findings.add(
                "invalid_value",
                f"A `{view.type}` only decides what runs: `{key}` has no meaning for it.",
                (*view.path, key),
                at_key=True,
            )


def _check_switch(view: StageView, graph: Graph, findings: Findings) -> None:
    cases, path = view.config.get("cases"), (*view.path, "config")
    if isinstance(cases, dict) and "value" not in view.config:
        findings.add(
            "missing_key",
            "Cases by name are compared with a `value`, and there is none.",
            path,
            suggestion="value: ${{ inputs.… }}",
        )
    if isinstance(cases, list) and "value" in view.config:
        findings.add(
            "invalid_value",
            "Cases that have a `when` are compared with nothing: remove `value`.",
            (*path, "value"),
            at_key=True,
        )
    for index, case in enumerate(cases if isinstance(cases, list) else []):
        when = case.get("when") if isinstance(case, dict) else None
        if isinstance(when, str) and "${{" not in when:
            findings.add(
                "not_an_expression",
                "`when` is one expression, written ${{ … }}.",
                (*path, "cases", index, "when"),
                found=when,
                suggestion=f"when: ${{{{ {when.strip()} }}}}",
            )
    for below, target in _targets(view.config):
        _check_target(view, target, (*path, *below), graph, findings)


def _targets(config: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """As far as they are well formed; the rest has been found by its shape."""
    cases = config.get("cases")
    if isinstance(cases, dict):
        for name, targets in cases.items():
            yield from _each(targets, ("cases", name))
    elif isinstance(cases, list):
        for index, case in enumerate(cases):
            if isinstance(case, dict):
                yield from _each(case.get("then"), ("cases", index, "then"))
    yield from _each(config.get("default"), ("default",))


def _each(targets: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(targets, str):
        yield path, targets
    elif isinstance(targets, list):
        for index, target in enumerate(targets):
            if isinstance(target, str):
                yield (*path, index), target


def _check_target(view: StageView, target: str, path: Path, graph: Graph, findings: Findings) -> None:
    if "${{" in target:
        findings.add(
            "expression_not_here",
            "Which stages a switch may choose stands in the definition: write their ids, and let `value` or a `when` "
            "decide.",
            path,
            found=target,
        )
        return
    position = graph.positions.get((view.group, target))
    if position is None:
        meant = findings.closest(target, graph.names[view.group])
        hint = f", did you mean {meant!r}?" if meant else "."
        findings.add("unknown_stage", f"There is no stage {quoted(target)}{hint}", path, found=target, suggestion=meant)
    elif all(need != view.id for _, need in graph.views[position].needs):
        needs = ", ".join([*(need for _, need in graph.views[position].needs), view.id])
        findings.add(
            "not_a_follower",
            f"{target!r} does not wait for the switch {view.id!r}: give it `needs: [{needs}]`.",
            path,
            found=target,
            suggestion=f"needs: [{needs}]",
        )
