"""The one validator: the editor, the command line and the API all call it.

Levels: the text; its shape and each stage's config; the graph; the expressions. Each goes on as far as the level
before left something to look at, so that an author sees all problems at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Any, Literal

from flexiroaster.engine.definition.expectation_checks import check_tests
from flexiroaster.engine.definition.expression_checks import ExpressionChecks
from flexiroaster.engine.definition.findings import Findings
from flexiroaster.engine.definition.foreach_checks import check_foreach
from flexiroaster.engine.definition.graph_checks import Graph, check_graph
from flexiroaster.engine.definition.input_checks import check_forms, check_input_schemas
from flexiroaster.engine.definition.json_reader import read_json
from flexiroaster.engine.definition.limits import Refused, check_text, plain_document
from flexiroaster.engine.definition.model_problems import read_model
from flexiroaster.engine.definition.nodes import Node, Path, Source, plain_value
from flexiroaster.engine.definition.normalise import STAGE_LISTS, normalise
from flexiroaster.engine.definition.promise_checks import check_promises
from flexiroaster.engine.definition.queue_checks import check_queues
from flexiroaster.engine.definition.report import Report, StageTypes
from flexiroaster.engine.definition.routing_checks import check_routing
from flexiroaster.engine.definition.stage_checks import check_stages
from flexiroaster.engine.definition.stage_view import stage_views
from flexiroaster.engine.definition.support import check_support as check_supported
from flexiroaster.engine.definition.trigger_checks import check_triggers
from flexiroaster.engine.definition.yaml_reader import read_yaml
from flexiroaster.engine.pipeline import MAX_STAGES
from flexiroaster.engine.quoting import quoted, shortened

Format = Literal["yaml", "json"]


def validate(
    source: str | Mapping[str, Any],
    *,
    format: Format | None = None,
    stage_types: StageTypes,
    check_support: bool = True,
    id: str | None = None,
    pools: Set[str] | None = None,
) -> Report:
    """Never raises for what `source` holds. `format` None: told from the text.

    `id` is given to a document that has none. `pools` are those that are defined, None where that is not known.
    Without `check_support`, features of the format which this version does not run yet are accepted.
    """
    findings = Findings()
    try:
        document = _read(source, format, findings)
    except Refused as refused:
        findings.add_at(refused.code, refused.message, refused.offset, suggestion=refused.suggestion)
        return Report(findings.sorted())
    if not isinstance(document, dict):
        findings.add(
            "wrong_type", "A definition is a mapping with `id`, `name` and `stages`.", (), found=document,
            suggestion="id: my_pipeline",
        )  # fmt: skip
        return Report(findings.sorted())
    return _check(normalise(document, findings, id), findings, stage_types, check_support, pools)


def _check(
    document: dict[str, Any], findings: Findings, stage_types: StageTypes, check_support: bool, pools: Set[str] | None
) -> Report:
    long = next((path for path, part in _parts(document) if len(part) > MAX_STAGES), None)
    if long is not None:
        _too_many(long, findings)
        return Report(findings.sorted())
    pipeline = read_model(document, findings)
    graph = Graph(stage_views(document))
    if check_support:
        check_supported(document, stage_types, findings)
    check_graph(graph, findings)
    check_routing(graph, findings)
    check_foreach(graph.views, findings)
    check_stages(graph, stage_types, findings)
    check_input_schemas(document, findings)
    check_forms(graph.views, findings)
    check_promises(document, graph.views, findings, check_support=check_support)
    check_triggers(document, findings)
    check_queues(document, pools, findings)
    check_tests(document, graph.views, findings)
    ExpressionChecks(document, graph, findings, check_support=check_support).run()
    return Report(
        problems=findings.sorted(),
        pipeline=None if findings.has_errors else pipeline,
        document=document if pipeline is None else pipeline.to_document(),
    )


def _parts(document: dict[str, Any]) -> Iterator[tuple[Path, dict[str, Any] | list[Any]]]:
    """The lists and mappings of the format itself, without what users put into them."""
    yield (), document
    for key, part in document.items():
        if isinstance(part, dict | list):
            yield (key,), part
    for view in stage_views(document):
        yield view.path, view.raw
        if isinstance(view.raw.get("needs"), list):
            yield (*view.path, "needs"), view.raw["needs"]


def _too_many(path: Path, findings: Findings) -> None:
    if path[:1] and path[0] in STAGE_LISTS and len(path) == 1:
        code, sentence = "too_many_stages", f"A pipeline has at most {MAX_STAGES:,} stages: split it."
    else:
        owner = f"`{shortened(str(path[-1]))}`" if path else "The definition"
        code, sentence = "too_large", f"{owner} has more than {MAX_STAGES:,} entries, which is the most."
    findings.add(code, sentence, path, at_key=True)


def _read(source: str | Mapping[str, Any], format: Format | None, findings: Findings) -> Any:
    if not isinstance(source, str):
        return plain_document(source)
    text = source.removeprefix("\ufeff")
    findings.source = Source(text)
    check_text(text)
    duplicates: list[tuple[str, int, int]] = []
    findings.root = _parse(findings.source, format, duplicates)
    for key, first, again in duplicates:
        line = findings.source.position(first)[0]
        second = findings.source.position(again)[0]
        findings.add_at(
            "duplicate_key",
            f"The key {quoted(key)} stands twice, in line {line} and again in line {second}: keep one.",
            again,
        )
    return plain_value(findings.root)


def _parse(source: Source, format: Format | None, duplicates: list[tuple[str, int, int]]) -> Node:
    if format == "json" or (format is None and _looks_like_json(source.text)):
        return read_json(source, duplicates)
    return read_yaml(source, duplicates)


def _looks_like_json(text: str) -> bool:
    """`{id: hello}` is YAML's flow style."""
    start = text.lstrip()
    return start.startswith("[") or (start.startswith("{") and start[1:].lstrip()[:1] in {'"', "}", ""})
