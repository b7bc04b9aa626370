"""The largest definitions there may be, and what is written to be slow: refused within seconds of processor time.

Measured on a busy machine with two processors: the slowest takes 2.5 s.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from flexiroaster.engine.definition.limits import MAX_BYTES, MAX_VALUES
from flexiroaster.stages.registry import default_registry
from tests.effort import bounded
from tests.engine.definition_samples import check, codes, document

STAGES = '{"id":"p","name":"P","stages":'
ONE_STAGE = STAGES + '[{"id":"a","type":"noop"}],'


def filled(start: str, unit: str, end: str, size: int = 1_900_000) -> str:
    """`unit`s between commas, up to so many characters."""
    return start + ",".join([unit] * ((size - len(start) - len(end)) // (len(unit) + 1))) + end


def numbered(start: str, unit: str, end: str, size: int = 1_900_000) -> str:
    count = (size - len(start) - len(end)) // (len(unit) + 6)
    return start + ",".join(unit.replace("#", str(number)) for number in range(count)) + end


JUNK = {
    "numbers": (filled("[", "1", "]"), "too_large"),
    "empty objects": (filled("[", "{}", "]"), "too_large"),
    "keys": (numbered("{", '"k#":0', "}"), "too_large"),
    "one key": (filled("{", '"a":0', "}"), "too_large"),
    "stages": (filled(STAGES + "[", "{}", "]}"), "too_large"),
    "needs": (filled(STAGES + '[{"id":"a","type":"noop","needs":[', "1", "]}]}"), "too_large"),
    "labels": (numbered(ONE_STAGE + '"labels":{', '"k#":0', "}}"), "too_large"),
    "fewer labels": (numbered(ONE_STAGE + '"labels":{', '"k#":0', "}}", 150_000), "too_large"),
    "triggers": (filled(ONE_STAGE + '"triggers":[', "{}", "]}", 500_000), "too_large"),
    "expressions": (numbered(ONE_STAGE + '"outputs":{', '"k#":"${{ x }}"', "}}"), "too_large"),
    "config": (numbered(STAGES + '[{"id":"a","type":"noop","config":{', '"k#":0', "}}]}"), "unknown_key"),
    "operations": (
        filled(STAGES + '[{"id":"a","type":"processing","config":{"operations":[', "{}", "]}}]}", 500_000),
        "invalid_value",
    ),
    "broken brackets": ("[" * 1_900_000, "too_deep"),
    "blanks": (" " * 1_900_000, "json_syntax"),
}


@pytest.mark.parametrize("kind", JUNK)
def test_two_megabytes_of_junk_are_refused_soon(kind: str) -> None:
    text, code = JUNK[kind]
    with bounded():
        report = check(text, format="json", stage_types=default_registry().types())
    assert code in codes(report)
    assert len(report.problems) <= 201


def stages(count: int, **keys: Any) -> dict[str, Any]:
    return document(*({"id": f"s{n}", "needs": [], **keys} for n in range(count)))


SLOW: dict[str, dict[str, Any]] = {
    "wrong everywhere": stages(9_000, type=1, config=1, when=1, join=1, retry=1, timeout=1, x=1),
    "a wrong operation each": stages(10_000, type="processing", config={"data": [], "operations": [{}]}),
    "wrong in the end": stages(
        1, type="processing", config={"data": [], "operations": [{"op": "limit", "rows": 1}] * 30_000 + [{}] * 100}
    ),
    "lists in lists": stages(1, type="processing", config={"operations": [[[{}] * 50] * 50] * 60}),
    "wrong columns": stages(1, type="input", config={"path": "a", "columns": {f"k{n}": [] for n in range(100_000)}}),
    "wrong references": stages(10_000, type="noop", config={"a": "${{ results.nobody.x }}"}),
    "wrong inputs": document(inputs={f"k{n}": {"type": "strin"} for n in range(10_000)}),
    "a wrong default": document(
        inputs={"k": {"type": "array", "items": {"anyOf": [{"type": "integer"}] * 50}, "default": ["x"] * 100_000}}
    ),
}


@pytest.mark.parametrize("kind", SLOW)
def test_thousands_of_mistakes_are_explained_as_far_as_anybody_reads(kind: str) -> None:
    text = json.dumps(SLOW[kind])
    assert len(text) < MAX_BYTES
    with bounded():
        report = check(text, stage_types=default_registry().types())
    assert not report.ok
    assert len(report.problems) <= 201


@pytest.mark.parametrize("format", ["json", "yaml"])
def test_values_are_counted_alike_in_every_format(format: Any) -> None:
    def text(values: int) -> str:
        # The mapping, `id`, the name, the list of stages, the stage, its two texts, its config and the list in it.
        return json.dumps(document({"id": "a", "type": "noop", "config": {"rows": [0] * (values - 9)}}))

    assert "too_large" not in codes(check(text(MAX_VALUES), format=format))
    assert codes(check(text(MAX_VALUES + 1), format=format)) == ["too_large"]
    assert codes(check(json.loads(text(MAX_VALUES + 1)))) == ["too_large"]


def test_a_large_config_that_fits_is_taken() -> None:
    rows = [{"id": number, "amount": 1.5} for number in range(50_000)]
    config = {"data": rows, "operations": [{"op": "dedupe"}]}
    assert check(document({"id": "a", "type": "processing", "config": config})).ok


def test_the_first_mistake_of_a_large_config_is_found_where_it_is() -> None:
    operations: list[dict[str, Any]] = [{"op": "dedupe"}] * 700 + [{"op": "filtr"}] + [{"op": "dedupe"}] * 700
    report = check(document({"id": "a", "type": "processing", "config": {"data": [], "operations": operations}}))
    assert "stages[0].config.operations[700].op" in [problem.path for problem in report.problems]
    assert "there may be more problems" in report.problems[-1].message


def test_a_key_behind_the_beginning_of_a_large_config_is_not_missing() -> None:
    config = {f"k{number}": 0 for number in range(1_000)} | {"url": "http://example.com"}
    report = check(document({"id": "a", "type": "http", "config": config}))
    assert set(codes(report)) == {"unknown_key", "invalid_value"}
