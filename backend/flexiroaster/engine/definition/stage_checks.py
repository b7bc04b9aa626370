"""Stage types, their config, and where a stage's data comes from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from flexiroaster.engine.definition.config_schema import SchemaChecker
from flexiroaster.engine.definition.findings import Findings
from flexiroaster.engine.definition.graph_checks import Graph
from flexiroaster.engine.definition.nodes import Path
from flexiroaster.engine.definition.normalise import STAGE_KEYS
from flexiroaster.engine.definition.report import StageTypes, StageTypeView
from flexiroaster.engine.definition.stage_view import StageView, compensation_views
from flexiroaster.engine.definition.support import STAGE_TYPES_OF_THE_FORMAT
from flexiroaster.engine.quoting import quoted, shortened

_SECRET_KEY = re.compile(r"(?:^|_)(?:password|passwd|secret|token|api_?key|access_?key|private_?key)$", re.IGNORECASE)
_SECRET_TEXT = re.compile(
    r"AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|xox[abprs]-[A-Za-z0-9-]{10,}|-----BEGIN [A-Z ]*PRIVATE"
)
_SEVERAL_SHOWN = 3


def check_stages(graph: Graph, stage_types: StageTypes, findings: Findings) -> None:
    checkers: dict[str, SchemaChecker] = {}
    for view in (*graph.views, *compensation_views(graph.views)):
        if view.type is None:
            continue
        stage_type = stage_types.get(view.type)
        if stage_type is None:
            _unknown_type(view, stage_types, findings)
            continue
        checker = checkers.setdefault(view.type, SchemaChecker(stage_type.schema))
        if findings.enough():
            return
        _check_config(view, checker, findings)
        _check_literals(view, stage_type, findings)
        _check_data(view, graph, stage_type, findings)
        _warn_of_secrets(view, findings)


def _unknown_type(view: StageView, stage_types: StageTypes, findings: Findings) -> None:
    assert view.type is not None
    if view.type in STAGE_TYPES_OF_THE_FORMAT:
        return
    meant = findings.closest(view.type, stage_types)
    hint = f", did you mean {meant!r}?" if meant else f". Known are {', '.join(sorted(stage_types))}."
    findings.add(
        "unknown_stage_type",
        f"There is no stage type {quoted(view.type)}{hint}",
        (*view.path, "type"),
        found=view.type,
        suggestion=meant,
    )


def _check_config(view: StageView, checker: SchemaChecker, findings: Findings) -> None:
    for problem in checker.problems(view.config, STAGE_KEYS):
        findings.add(
            problem.code,
            problem.message,
            (*view.path, "config", *problem.path),
            found=problem.found,
            suggestion=problem.suggestion,
            at_key=problem.at_key,
        )


def _check_literals(view: StageView, stage_type: StageTypeView, findings: Findings) -> None:
    """Text that is run as code takes no values: who gives the value would write the code."""
    for key, schema in stage_type.schema.get("properties", {}).items():
        value = view.config.get(key)
        if isinstance(schema, Mapping) and "x-literal" in schema and isinstance(value, str) and "${{" in value:
            findings.add(
                "expression_not_here",
                f"`{key}` takes no expression: {schema['x-literal']}.",
                (*view.path, "config", key),
            )


def _check_data(view: StageView, graph: Graph, stage_type: StageTypeView, findings: Findings) -> None:
    """`data` left out means the data of the one needed stage; with none or several, nobody can know which."""
    if not stage_type.takes_data or "data" in view.config or len(view.needs) == 1:
        return
    if view.needs:
        names = graph.meant_needs(view) or [need for _, need in view.needs]
        shown = ", ".join(map(shortened, names[:_SEVERAL_SHOWN])) + (", …" if len(names) > _SEVERAL_SHOWN else "")
        cause, first = f"needs several stages ({shown})", names[0]
    else:
        cause, first = "needs no stage", "read"
    cure = f"data: ${{{{ results.{first}.data }}}}"
    findings.add(
        "no_data",
        f"The stage {quoted(view.id)} {cause}, so say which table it works on: {cure}",
        (*view.path, "config", "data"),
        suggestion=cure,
    )


def _warn_of_secrets(view: StageView, findings: Findings) -> None:
    for path, text in _texts(view.config, (*view.path, "config")):
        key = path[-1]
        named = isinstance(key, str) and _SECRET_KEY.search(key) is not None
        if "${{" not in text and text and (named or _SECRET_TEXT.search(text)):
            findings.add(
                "secret_literal",
                "This looks like a secret: everybody who may read the pipeline can read it.",
                path,
                severity="warning",
            )


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))
