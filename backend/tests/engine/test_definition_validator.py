"""Levels 2 to 4: shape, stage types, graph, expressions, and what this version does not run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexiroaster.engine.definition.findings import Findings
from flexiroaster.engine.definition.normalise import normalise
from flexiroaster.engine.definition.support import NOT_YET, STAGE_TYPES_OF_THE_FORMAT
from flexiroaster.engine.pipeline import MAX_STAGES, Pipeline
from tests.effort import bounded
from tests.engine.definition_samples import LOOSE_TYPES, SPECIFICATION, TYPES, SampleType, check, codes, document

EXAMPLE = (Path(__file__).parent / "samples" / "daily_orders.yaml").read_text()

HEAD = "id: x\nname: X\nstages:\n"
READ = "  - {id: read, type: input}\n"


@pytest.mark.parametrize(
    ("text", "code", "path", "line", "column", "suggestion"),
    [
        # shape
        ("nam: X\n" + HEAD + READ, "unknown_key", "nam", 1, 1, "name"),
        (HEAD + "  - {type: input}\n", "missing_key", "stages[0].id", 4, 5, "id: my_stage"),
        (HEAD + "  - {id: a}\n", "missing_key", "stages[0].type", 4, 5, "type: input"),
        ("id: x\n", "missing_key", "stages", 1, 1, "stages: [{id: read, type: input}]"),
        ("id: x\nstages: []\n", "invalid_value", "stages", 2, 9, None),
        ("id: 3\nstages:\n" + READ, "wrong_type", "id", 1, 5, 'id: "3"'),
        (HEAD + "  - read\n", "wrong_type", "stages[0]", 4, 5, None),
        (HEAD + "  - {id: flip-coin, type: input}\n", "invalid_id", "stages[0].id", 4, 10, None),
        (HEAD + "  - {id: 'in', type: input}\n", "invalid_id", "stages[0].id", 4, 10, "in_stage"),
        ("id: -x\nstages:\n" + READ, "invalid_id", "id", 1, 5, None),
        (
            HEAD + READ + "  - {id: b, type: noop, needs: read}\n",
            "wrong_type", "stages[1].needs", 5, 32, "needs: [read]",
        ),
        (HEAD + READ + "  - {id: b, type: noop, needs: }\n", "wrong_type", "stages[1].needs", 5, 32, "needs: []"),
        (HEAD + "  - {id: a, type: input, timeout: 90}\n", "invalid_duration", "stages[0].timeout", 4, 35, "1m30s"),
        (HEAD + "  - {id: a, type: input, timeout: 1.5h}\n", "invalid_duration", "stages[0].timeout", 4, 35, "1h30m"),
        (HEAD + "  - {id: a, type: input, timeout: 0s}\n", "invalid_duration", "stages[0].timeout", 4, 35, None),
        (
            HEAD + "  - {id: a, type: input, join: all_sucess}\n",
            "invalid_value", "stages[0].join", 4, 32, "all_success",
        ),
        (
            HEAD + "  - {id: a, type: input, retry: {max_attempt: 3}}\n",
            "unknown_key", "stages[0].retry.max_attempt", 4, 34, "max_attempts",
        ),
        (
            HEAD + "  - {id: a, type: input, retry: {max_attempts: 0}}\n",
            "invalid_value", "stages[0].retry.max_attempts", 4, 48, None,
        ),
        (
            "defaults: {retry: {retry_on: [transien]}}\n" + HEAD + READ,
            "invalid_value", "defaults.retry.retry_on[0]", 1, 31, "transient",
        ),
        # stage types and their config
        (HEAD + "  - {id: a, type: inptu}\n", "unknown_stage_type", "stages[0].type", 4, 19, "input"),
        (HEAD + "  - {id: a, type: input, pth: x}\n", "unknown_key", "stages[0].config.pth", 4, 26, "path"),
        (HEAD + "  - {id: a, type: input, neds: []}\n", "unknown_key", "stages[0].config.neds", 4, 26, "needs"),
        (
            HEAD + "  - id: a\n    type: input\n    config:\n      limit: many\n",
            "wrong_type", "stages[0].config.limit", 7, 14, None,
        ),
        (HEAD + "  - {id: a, type: input, limit: 0}\n", "invalid_value", "stages[0].config.limit", 4, 33, None),
        (HEAD + "  - {id: a, type: http}\n", "missing_key", "stages[0].config", 4, 5, "url: …"),
        (
            HEAD + READ + "  - {id: b, type: processing, operations: [{op: filter, exp: x}]}\n",
            "unknown_key", "stages[1].config.operations[0].exp", 5, 57, "expr",
        ),
        (
            HEAD + READ + "  - {id: b, type: processing, operations: [{op: dedup}]}\n",
            "invalid_value", "stages[1].config.operations[0].op", 5, 49, "dedupe",
        ),
        (
            HEAD + "  - {id: a, type: input, path: x, config: {path: y}}\n",
            "given_twice", "stages[0].config.path", 4, 44, None,
        ),
        (
            HEAD + "  - {id: a, type: processing}\n",
            "no_data", "stages[0].config.data", 4, 5, "data: ${{ results.read.data }}",
        ),
        (
            HEAD + READ + "  - {id: b, type: input}\n  - {id: c, type: validation, needs: [read, b]}\n",
            "no_data", "stages[2].config.data", 6, 5, "data: ${{ results.read.data }}",
        ),
        # graph
        (
            HEAD + READ + "  - {id: b, type: noop, needs: [raed]}\n",
            "unknown_stage", "stages[1].needs[0]", 5, 33, "read",
        ),
        (HEAD + "  - {id: b, type: noop, needs: [b]}\n", "self_need", "stages[0].needs[0]", 4, 33, None),
        (
            HEAD + READ + "  - {id: b, type: noop, needs: [read, read]}\n",
            "duplicate_need", "stages[1].needs[1]", 5, 39, None,
        ),
        (HEAD + READ + READ, "duplicate_id", "stages[1].id", 5, 10, "read_2"),
        # expressions
        (
            HEAD + READ + "  - {id: b, type: noop, needs: [], when: '${{ results.read.rows > 1 }}'}\n",
            "not_upstream", "stages[1].when", 5, 47, "needs: [read]",
        ),
        (HEAD + "  - {id: a, type: noop, when: '${{ results.a }}'}\n", "not_upstream", "stages[0].when", 4, 36, None),
        (
            HEAD + "  - {id: a, type: noop, when: '${{ results.read.ok }}'}\n" + READ,
            "not_upstream", "stages[0].when", 4, 36, None,
        ),
        (
            HEAD + READ + "  - {id: b, type: input, path: '${{ results.raed.x }}'}\n",
            "unknown_stage", "stages[1].config.path", 5, 37, "read",
        ),
        (
            "inputs: {day: {type: string}}\n" + HEAD + "  - {id: a, type: input, path: 'x/${{ inputs.dya }}'}\n",
            "unknown_input", "stages[0].config.path", 5, 39, "day",
        ),
        (
            HEAD + "  - id: a\n    type: input\n    path: ${{ inputs.day + }}\n",
            "expression_syntax", "stages[0].config.path", 6, 27, None,
        ),
        (
            HEAD + "  - id: a\n    type: input\n    path: ${{ x\n",
            "expression_unclosed", "stages[0].config.path", 6, 11, None,
        ),
        (
            HEAD + "  - {id: a, type: input, path: '${{ item }}'}\n",
            "unknown_name", "stages[0].config.path", 4, 37, None,
        ),
        (
            HEAD + READ + "  - {id: b, type: noop, when: '${{ read.x }}'}\n",
            "unknown_name", "stages[1].when", 5, 36, "results.read",
        ),
        (
            HEAD + "  - {id: a, type: noop, when: results.x}\n",
            "not_an_expression", "stages[0].when", 4, 31, "when: ${{ results.x }}",
        ),
        (
            HEAD + "  - {id: a, type: noop, when: \"${{ 'a' }}\"}\n",
            "not_a_condition", "stages[0].when", 4, 31, "${{ 'a' != '' }}",
        ),
        (
            "inputs: {day: {type: string}}\n" + HEAD + "  - {id: a, type: noop, when: '${{ inputs.day }}'}\n",
            "not_a_condition", "stages[0].when", 5, 31, "${{ inputs.day != '' }}",
        ),
        (HEAD + READ + "outputs: {n: '${{ results.raed.n }}'}\n", "unknown_stage", "outputs.n", 5, 19, "read"),
        ("id: x\nname: '${{ inputs.a }}'\nstages:\n" + READ, "expression_not_here", "name", 2, 7, None),
        # inputs
        ("inputs: {day: {type: strin}}\n" + HEAD + READ, "invalid_input_schema", "inputs.day.type", 1, 22, "string"),
        (
            "inputs: {day: {type: string, pattern: '(['}}\n" + HEAD + READ,
            "invalid_input_schema", "inputs.day.pattern", 1, 39, None,
        ),
        (
            "inputs: {day: {$ref: 'http://127.0.0.1/x'}}\n" + HEAD + READ,
            "invalid_input_schema", "inputs.day['$ref']", 1, 16, None,
        ),
        (
            "inputs: {n: {type: integer, default: x}}\n" + HEAD + READ,
            "invalid_default", "inputs.n.default", 1, 38, None,
        ),
        (
            "inputs: {day: {type: string, format: date, default: 2026-13-01}}\n" + HEAD + READ,
            "invalid_default", "inputs.day.default", 1, 53, None,
        ),
        ("inputs: {a-b: {type: string}}\n" + HEAD + READ, "invalid_id", "inputs.a-b", 1, 10, None),
        (
            "inputs: {a: {default: '${{ inputs.b }}'}, b: {}}\n" + HEAD + READ,
            "unknown_name", "inputs.a.default", 1, 28, None,
        ),
        # triggers
        (
            "triggers: [{id: t, type: schedule, cron: 61 * * * *}]\n" + HEAD + READ,
            "invalid_cron", "triggers[0].cron", 1, 42, None,
        ),
        (
            "triggers: [{id: t, type: schedule, cron: '*/61 * * * *'}]\n" + HEAD + READ,
            "invalid_cron", "triggers[0].cron", 1, 42, None,
        ),
        (
            "triggers: [{id: t, type: schedule, cron: 0 0 * * * *}]\n" + HEAD + READ,
            "invalid_cron", "triggers[0].cron", 1, 42, None,
        ),
        (
            "triggers: [{id: t, type: schedule, cron: '@dayly'}]\n" + HEAD + READ,
            "invalid_cron", "triggers[0].cron", 1, 42, "@daily",
        ),
        (
            "triggers: [{id: t, type: schedule, cron: '@daily', timezone: Europe/Pari}]\n" + HEAD + READ,
            "invalid_timezone", "triggers[0].timezone", 1, 62, "Europe/Paris",
        ),
        (
            "triggers: [{id: t, type: schedule, cron: '@daily', start: soon}]\n" + HEAD + READ,
            "invalid_value", "triggers[0].start", 1, 59, None,
        ),
        (
            "triggers: [{id: t, type: schedule, cron: '@daily', end: 9999-12-31}]\n" + HEAD + READ,
            "invalid_value", "triggers[0].end", 1, 57, None,
        ),
        (
            "triggers: [{id: t, type: schedule, cron: '@weekly', start: 2026-03-02, end: 2026-03-07}]\n" + HEAD + READ,
            "invalid_value", "triggers[0].end", 1, 77, None,
        ),
        (
            "triggers: [{id: t, type: schedule, cron: '@daily', timezone: right/UTC}]\n" + HEAD + READ,
            "invalid_timezone", "triggers[0].timezone", 1, 62, "Etc/UTC",
        ),
        (
            "triggers: [{id: t, type: schedule, cron: '@daily', timezone: localtime}]\n" + HEAD + READ,
            "invalid_timezone", "triggers[0].timezone", 1, 62, None,
        ),
        (
            "triggers: [{id: t, type: schedule, every: 1h, when: trigger.id != trigger.type}]\n" + HEAD + READ,
            "not_an_expression", "triggers[0].when", 1, 53, "when: ${{ trigger.id != trigger.type }}",
        ),
        (
            "triggers: [{id: t, type: schedule, every: 1h, when: '${{ 1 }}'}]\n" + HEAD + READ,
            "not_a_condition", "triggers[0].when", 1, 53, "${{ 1 > 0 }}",
        ),
        (
            "triggers: [{id: t, type: schedule, every: 1h, when: '${{ execution.id == trigger.id }}'}]\n" + HEAD + READ,
            "unknown_name", "triggers[0].when", 1, 58, None,
        ),
        ("triggers: [{id: t, type: schedul}]\n" + HEAD + READ, "invalid_value", "triggers[0].type", 1, 26, "schedule"),
        (
            "triggers: [{id: t, type: pipeline, pipline: x}]\n" + HEAD + READ,
            "unknown_key", "triggers[0].pipline", 1, 36, "pipeline",
        ),
        (
            "triggers: [{id: t, type: schedule}]\n" + HEAD + READ,
            "missing_key", "triggers[0]", 1, 12, 'cron: "15 2 * * *"',
        ),
        (
            "triggers: [{id: t, type: schedule, every: 500ms}]\n" + HEAD + READ,
            "invalid_value", "triggers[0].every", 1, 43, "1s",
        ),
        (
            "triggers: [{id: t, type: schedule, every: 1h}]\ninputs: {day: {type: string}}\n" + HEAD + READ,
            "missing_input", "triggers[0]", 1, 12, None,
        ),
        (
            "triggers: [{id: t, type: schedule, every: 1h, inputs: {n: x}}]\n"
            "inputs: {n: {type: integer}}\n" + HEAD + READ,
            "invalid_input", "triggers[0].inputs.n", 1, 59, None,
        ),
        (
            "triggers: [{id: t, type: schedule, every: 1h, inputs: {dya: x}}]\n"
            "inputs: {day: {default: x}}\n" + HEAD + READ,
            "unknown_input", "triggers[0].inputs.dya", 1, 61, "day",
        ),
    ],
)  # fmt: skip
def test_problems_say_what_where_and_the_cure(
    text: str, code: str, path: str, line: int, column: int, suggestion: str | None
) -> None:
    report = check(text)
    assert not report.ok
    found = {(problem.code, problem.path): problem for problem in report.problems}
    assert (code, path) in found, report.problems
    problem = found[code, path]
    assert (problem.line, problem.column) == (line, column)
    assert problem.suggestion == suggestion


def test_all_problems_are_told_at_once_in_the_order_of_their_lines() -> None:
    report = check(
        "id: x\nnam: y\nstages:\n"
        "  - {id: a, type: inptu}\n"
        "  - {id: b, type: noop, needs: [chek], when: '${{ inputs.x }}'}\n"
        "  - {id: check, type: noop, timeout: 5}\n"
    )
    assert [problem.line for problem in report.problems] == [2, 4, 5, 5, 6]
    assert report.problems[2].message == "There is no stage 'chek', did you mean 'check'?"


def test_a_cycle_is_named_with_its_path() -> None:
    report = check(document(*({"id": a, "type": "noop", "needs": [b]} for a, b in ("ab", "bc", "ca", "da"))))
    assert codes(report) == ["cycle"]
    assert report.problems[0].message.startswith("The stages wait for each other: a needs b needs c needs a.")


def test_a_duplicate_id_names_the_first_line() -> None:
    report = check(HEAD + READ + READ)
    assert report.problems[0].message == "The stage id 'read' is already taken in line 4."


def test_the_specification_runs_top_to_bottom() -> None:
    report = check(SPECIFICATION)
    assert report.problems == []
    assert report.document is not None
    assert [(stage["id"], stage["needs"], stage.get("config")) for stage in report.document["stages"]] == [
        ("input", [], None),
        ("validation", ["input"], {"schema": {"type": "array"}}),
        ("processing", ["validation"], {"operations": [{"op": "dedupe"}]}),
    ]


def test_the_large_example_is_valid() -> None:
    report = check(EXAMPLE, stage_types=LOOSE_TYPES, check_support=False)
    assert report.problems == []
    assert report.pipeline is not None
    assert len(report.pipeline.stages) == 7
    assert report.pipeline.timeout_for(report.pipeline.stage("fetch")) == report.pipeline.defaults.timeout


def test_missing_names_and_ids_are_filled_in() -> None:
    named = check({"name": "Daily Orders!", "stages": [{"id": "a", "type": "noop"}]})
    assert named.pipeline is not None
    assert named.pipeline.id == "daily_orders"
    given_id = check({"stages": [{"id": "a", "type": "noop"}]}, id="orders")
    assert given_id.pipeline is not None
    assert (given_id.pipeline.id, given_id.pipeline.name) == ("orders", "orders")


def test_conditions_may_be_plain_truth_values() -> None:
    report = check(document({"id": "a", "type": "noop", "when": False}))
    assert report.pipeline is not None
    assert report.pipeline.stages[0].when == "${{ false }}"


def test_expressions_may_stand_for_any_value_of_a_config() -> None:
    stages = (
        {"id": "read", "type": "input", "limit": "${{ inputs.n }}", "path": "${{ inputs.n }}.csv"},
        {"id": "work", "type": "processing", "operations": ["${{ inputs.op }}", {"op": "${{ inputs.op }}"}]},
        {"id": "all", "type": "processing", "operations": "${{ inputs.operations }}"},
    )
    inputs: dict[str, Any] = {"n": {}, "op": {}, "operations": {}}
    assert check(document(*stages, inputs=inputs)).problems == []


def test_beside_expressions_the_rest_of_a_config_is_checked() -> None:
    report = check(document({"id": "a", "type": "input", "path": "${{ vars.p }}", "limit": "x", "pth": 1}))
    assert sorted((p.code, p.path) for p in report.problems) == [
        ("unknown_key", "stages[0].config.pth"),
        ("wrong_type", "stages[0].config.limit"),
    ]


def test_a_literal_secret_is_a_warning() -> None:
    report = check(document({"id": "a", "type": "http", "url": "u", "auth": {"token": "abc"}}))
    assert report.ok
    assert [(p.code, p.severity, p.path) for p in report.problems] == [
        ("secret_literal", "warning", "stages[0].config.auth.token")
    ]


def test_handlers_may_read_every_stage() -> None:
    source = document(
        {"id": "a", "type": "noop"}, **{"finally": [{"id": "z", "type": "input", "path": "${{ results.a.x }}"}]}
    )
    assert check(source, check_support=False).problems == []


def test_a_compensation_may_read_what_it_undoes() -> None:
    undo = {"type": "input", "config": {"path": "${{ results.a.path }}"}}
    assert check(document({"id": "a", "type": "noop", "compensate": undo})).problems == []


def test_a_compensation_is_checked_like_a_stage() -> None:
    undo = {"type": "input", "config": {"pth": 1, "path": "${{ results.later.path }}"}}
    report = check(document({"id": "a", "type": "noop", "compensate": undo}, {"id": "later", "type": "noop"}))
    assert sorted((p.code, p.path) for p in report.problems) == [
        ("not_upstream", "stages[0].compensate.config.path"),
        ("unknown_key", "stages[0].compensate.config.pth"),
    ]
    unknown = check(document({"id": "a", "type": "noop", "compensate": {"type": "nop"}}))
    assert [(p.code, p.path) for p in unknown.problems] == [("unknown_stage_type", "stages[0].compensate.type")]


UNSUPPORTED: list[tuple[str, dict[str, Any]]] = [
    ("trigger.webhook", {"triggers": [{"id": "t", "type": "webhook"}]}),
    ("trigger.pipeline", {"triggers": [{"id": "t", "type": "pipeline", "pipeline": "other"}]}),
    ("trigger.file", {"triggers": [{"id": "t", "type": "file", "path": "in/*.csv"}]}),
    ("trigger.event", {"triggers": [{"id": "t", "type": "event", "topic": "orders"}]}),
]
UNSUPPORTED_IN_STAGES: list[tuple[str, dict[str, Any]]] = [
    ("stage.output", {"output": {"preview_rows": 5}}),
    ("config.connection", {"type": "any", "config": {"connection": "shop"}}),
    ("namespace.secrets", {"type": "any", "config": {"x": "${{ secrets.token }}"}}),
    *((f"type.{name}", {"type": name}) for name in sorted(STAGE_TYPES_OF_THE_FORMAT)),
]


@pytest.mark.parametrize(
    ("feature", "source"),
    [
        *((feature, document(**keys)) for feature, keys in UNSUPPORTED),
        *((name, document({"id": "a", "type": "noop", **keys})) for name, keys in UNSUPPORTED_IN_STAGES),
    ],
)
def test_what_does_not_run_yet_is_refused_and_never_ignored(feature: str, source: dict[str, Any]) -> None:
    types = {**TYPES, "any": SampleType("any")}
    report = check(source, stage_types=types)
    assert codes(report) == ["not_supported_yet"]
    assert report.problems[0].message == f"{NOT_YET[feature]} not available in this version: remove it."
    assert check(source, stage_types=types, check_support=False).ok


def test_every_line_of_the_support_table_is_tested() -> None:
    tested = {feature for feature, _ in (*UNSUPPORTED, *UNSUPPORTED_IN_STAGES)}
    assert set(NOT_YET) <= tested


def test_what_runs_is_accepted() -> None:
    report = check(
        document(
            {"id": "a", "type": "input", "retry": {"max_attempts": 3, "delay": "1s"}, "timeout": "5m"},
            {"id": "b", "type": "noop", "needs": ["a"], "when": "${{ results.a.rows > 0 }}", "join": "all_done"},
            inputs={"day": {"type": "string"}},
            outputs={"rows": "${{ results.a.rows }}"},
            labels={"team": "x"},
            timeout="1h",
            defaults={"timeout": "1m", "retry": {"max_attempts": 2}},
        )
    )
    assert report.problems == []
    assert report.pipeline is not None
    retry = report.pipeline.retry_for(report.pipeline.stage("a"))
    assert (retry.max_attempts, retry.delay.total_seconds()) == (3, 1)
    assert report.pipeline.retry_for(report.pipeline.stage("b")).max_attempts == 2


def test_too_many_stages_are_refused_with_a_sentence() -> None:
    report = check(document(*({"id": f"s{i}", "type": "noop"} for i in range(MAX_STAGES + 1))))
    assert codes(report) == ["too_many_stages"]


SHAPES: dict[str, Callable[[int], list[str]]] = {
    "chain": lambda i: [f"s{i - 1}"] if i else [],
    "fan": lambda i: ["s0"] if i else [],
    "ring": lambda i: [f"s{i - 1}"] if i else ["s9999"],
    "unknown": lambda i: [f"nobody{i}"],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_ten_thousand_stages_are_checked_without_recursion(shape: str) -> None:
    stages = [{"id": f"s{i}", "type": "noop", "needs": SHAPES[shape](i)} for i in range(10_000)]
    with bounded():
        report = check(document(*stages))
    assert report.ok == (shape in {"chain", "fan"})


def test_thousands_of_problems_are_summed_up() -> None:
    report = check(document(*({"id": f"s{i}", "type": "nop"} for i in range(1_000))))
    assert len(report.problems) == 201
    assert report.problems[-1].message == "… and 800 more problems."


STAGES = st.lists(
    st.fixed_dictionaries(
        {"id": st.sampled_from("abcd"), "type": st.just("noop")},
        optional={
            "needs": st.lists(st.sampled_from("abcd"), max_size=3) | st.none(),
            "when": st.booleans() | st.just("${{ true }}"),
            "config": st.dictionaries(st.sampled_from("xyz"), st.integers()) | st.none(),
            "x": st.integers(),
            "timeout": st.sampled_from(["90s", "1m30s", "2h"]),
        },
    ),
    min_size=1,
    max_size=5,
)


@given(STAGES)
def test_normalising_twice_changes_nothing_more(stages: list[dict[str, Any]]) -> None:
    once = normalise(document(*stages), Findings())
    assert normalise(once, Findings()) == once
    assert once["stages"] == json.loads(json.dumps(once["stages"]))


@given(STAGES)
def test_the_document_of_a_model_is_its_own_normal_form(stages: list[dict[str, Any]]) -> None:
    types = {"noop": SampleType("noop")}
    report = check(document(*stages), stage_types=types)
    if report.document is None or report.pipeline is None:
        return
    again = check(report.document, stage_types=types)
    assert again.document == report.document
    assert Pipeline.from_document(report.document).to_document() == report.document


def test_what_a_schedule_gives_may_be_known_only_when_it_comes() -> None:
    given = {"day": "${{ string(execution.logical_date) }}", "n": "${{ 1 + 1 }}"}
    trigger = {"id": "t", "type": "schedule", "every": "1h", "inputs": given}
    inputs = {"day": {"type": "string"}, "n": {"type": "integer"}}
    assert codes(check(document(inputs=inputs, triggers=[trigger]))) == []
