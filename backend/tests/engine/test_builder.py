from __future__ import annotations

from datetime import timedelta

import pytest

from flexiroaster.engine.builder import PipelineBuilder
from flexiroaster.engine.errors import InvalidRequest
from tests.engine.definition_samples import SPECIFICATION, check


def test_python_and_yaml_give_the_same_document() -> None:
    p = PipelineBuilder("orders", name="Orders", timeout=timedelta(hours=6), labels={"team": "sales"})
    day = p.declare("day", type="string", format="date")
    read = p.input("read", path=f"orders-{day}.csv", limit=100)
    check_stage = p.validation(
        "check", schema={"type": "array"}, retry={"max_attempts": 3, "delay": timedelta(seconds=9)}
    )
    work = p.processing("work", needs=[read, check_stage], data=check_stage.data, operations=[{"op": "dedupe"}])
    p.http("tell", needs=work, url="https://example.org", when=(work["rows"] > 0) & ~(day == "2026-01-01"))
    p.stage("end", type="noop", needs=[], join="all_done")
    p.outputs(rows=work.rows)
    by_yaml = check(
        """
id: orders
name: Orders
labels: {team: sales}
timeout: 6h
inputs: {day: {type: string, format: date}}
stages:
  - {id: read, type: input, path: "orders-${{ inputs.day }}.csv", limit: 100}
  - {id: check, type: validation, schema: {type: array}, retry: {max_attempts: 3, delay: 9s}}
  - id: work
    type: processing
    needs: [read, check]
    config:
      data: ${{ results.check.data }}
      operations: [{op: dedupe}]
  - id: tell
    type: http
    needs: [work]
    when: ${{ (results.work.rows > 0) && (!(inputs.day == "2026-01-01")) }}
    url: https://example.org
  - {id: end, type: noop, needs: [], join: all_done}
outputs: {rows: "${{ results.work.rows }}"}
"""
    )
    assert by_yaml.problems == []
    assert p.to_document() == by_yaml.document
    assert check(p.to_yaml()).document == by_yaml.document
    assert check(p.to_document()).problems == []


def test_the_specification_in_python() -> None:
    p = PipelineBuilder("hello", name="Hello")
    p.input("input")
    p.validation("validation", schema={"type": "array"})
    p.processing("processing", operations=[{"op": "dedupe"}])
    assert p.to_document() == check(SPECIFICATION).document


def test_handlers_and_reserved_words_are_written_with_an_underscore() -> None:
    p = PipelineBuilder("x", finally_=[{"id": "z", "type": "noop"}])
    p.noop("a")
    assert p.to_document()["finally"] == [{"id": "z", "type": "noop", "needs": []}]


def test_terms_write_the_expression_language() -> None:
    p = PipelineBuilder("x")
    region = p.declare("region", type="string")
    a = p.noop("a")
    assert str(region.is_in(["all", "eu"]) | (a.rows != None)) == (  # noqa: E711
        '${{ (inputs.region in ["all", "eu"]) || (results.a.rows != null) }}'
    )
    assert str(a["odd key"][0][region]) == '${{ results.a["odd key"][0][inputs.region] }}'
    assert str(a.rows + 1 - a.bad) == "${{ (results.a.rows + 1) - results.a.bad }}"


def test_a_term_has_no_truth_value() -> None:
    term = PipelineBuilder("x").declare("a", type="boolean")
    with pytest.raises(TypeError, match=r"combine conditions with & and \|"):
        bool(term)


def test_a_key_given_twice_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="'path' is given both directly and in config"):
        PipelineBuilder("x").stage("a", "input", path="x", config={"path": "y"})
