"""What problems say: short whatever was written, and not twice for one mistake."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest

from flexiroaster.engine.definition import check_inputs
from tests.engine.definition_samples import check, codes, document

LONG = "x" * 5_000
LONG_VALUES: list[Any] = [
    LONG,
    10**2_000,
    "é " * 2_500,
    [LONG],
    {LONG: 1},
    f"${{{{ {'(' * 3_000} }}}}",
    f"${{{{ {'(' * 3_000}",
    f"${{{{ {LONG} }}}}",
    f"${{{{ inputs.{LONG} }}}}",
    f"${{{{ results.{LONG}.rows }}}}",
    f"${{{{ results.a.{LONG} > 1 }}}}",
    f"${{{{ {LONG}(1) }}}}",
    f"${{{{ 1 + '{LONG}' }}}}",
    f"${{{{ date('{LONG}') }}}}",
]
DOCUMENT = {
    **document(
        {"id": "a", "type": "input", "config": {"path": "a.csv", "limit": 1}, "needs": []},
        {
            "id": "b",
            "type": "processing",
            "needs": ["a"],
            "when": "${{ true }}",
            "join": "all_done",
            "retry": {"max_attempts": 1, "delay": "1s", "retry_on": ["transient"]},
            "timeout": "5m",
            "config": {"data": "${{ results.a.data }}", "operations": [{"op": "filter", "expr": "a > 1"}]},
        },
    ),
    "labels": {"team": "sales"},
    "inputs": {"n": {"type": "integer", "default": 1, "enum": [1, 2]}},
    "triggers": [{"id": "t", "type": "schedule", "cron": "* * * * *", "timezone": "UTC"}],
    "outputs": {"rows": "${{ results.a.rows }}"},
    "defaults": {"timeout": "1m"},
}


def paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in entries:
        yield from paths(item, (*path, key))


def changed(path: tuple[str | int, ...], value: Any, *, key: bool) -> dict[str, Any]:
    """The document with a value, or its key, replaced."""
    whole = copy.deepcopy(DOCUMENT)
    holder: Any = whole
    for step in path[:-1]:
        holder = holder[step]
    if key:
        holder[value] = holder.pop(path[-1])
    else:
        holder[path[-1]] = value
    return whole


def test_the_document_is_sound_without_a_change() -> None:
    assert codes(check(DOCUMENT, check_support=False)) == []


@pytest.mark.parametrize("path", list(paths(DOCUMENT)), ids=str)
def test_no_problem_quotes_more_than_eighty_characters(path: tuple[str | int, ...]) -> None:
    documents = [changed(path, value, key=False) for value in LONG_VALUES]
    if isinstance(path[-1], str):
        documents += [changed(path, value, key=True) for value in LONG_VALUES if isinstance(value, str)]
    too_long = re.compile(r"x{81}|\({81}|(é ){41}|0{81}")
    for wrong in documents:
        for problem in check(wrong, check_support=False).problems:
            for text in (problem.message, problem.path, problem.suggestion, str(problem.found)):
                assert too_long.search(text or "") is None, (problem.code, text)


def test_inputs_are_quoted_as_shortly() -> None:
    pipeline = check(document(inputs={"n": {"type": "integer"}})).pipeline
    assert pipeline is not None
    for given in ({LONG: 1}, {"n": LONG}, {"n": 10**18 + 0.5}, {"n": {LONG: [LONG]}}):
        for problem in check_inputs(pipeline, given)[1]:
            assert len(problem.message) < 300


@pytest.mark.parametrize(
    "name", ["", "\n", " ", "\t \r", "\x07", "\u200b", "\u00a0\u2003", "\u0301", "two\nlines", "a\x1b"]
)
def test_a_name_that_cannot_be_seen_is_refused(name: str) -> None:
    for wrong in (document(name=name), document({"id": "a", "type": "noop", "name": name})):
        (problem,) = check(wrong).problems
        assert (problem.code, problem.path.rpartition(".")[2]) == ("invalid_value", "name")
        assert problem.message.startswith("`name`: ")


@pytest.mark.parametrize("name", ["a", " a ", "日本", "☕️", "👩‍💻 team", "–", "1"])
def test_any_name_that_can_be_seen_is_taken(name: str) -> None:
    assert check(document(name=name)).ok


READ = {"id": "load", "type": "input", "path": "a.csv"}
MIDDLE = {"id": "middle", "type": "noop", "needs": ["load"]}


@pytest.mark.parametrize(
    ("needs", "result", "expected"),
    [
        (["lod"], "load", [("unknown_stage", "load")]),
        (["midle"], "load", [("unknown_stage", "middle")]),
        (["lod"], "middle", [("unknown_stage", "load"), ("not_upstream", "needs: [load, middle]")]),
        (["nobody"], "load", [("unknown_stage", None), ("not_upstream", "needs: [load]")]),
        (["lod", "midle"], "load", [("unknown_stage", "load"), ("unknown_stage", "middle")]),
        (["lod", "load"], "middle", [("unknown_stage", "load"), ("not_upstream", "needs: [load, middle]")]),
    ],
)
def test_a_misspelt_need_is_not_repeated_in_the_cure_of_another_problem(
    needs: list[str], result: str, expected: list[tuple[str, str | None]]
) -> None:
    last = {"id": "last", "type": "input", "needs": needs, "path": f"${{{{ results.{result}.path }}}}"}
    problems = check(document(READ, MIDDLE, last)).problems
    assert sorted((problem.code, problem.suggestion or "") for problem in problems) == sorted(
        (code, cure or "") for code, cure in expected
    )


def test_data_is_offered_of_the_stage_that_was_meant() -> None:
    last = {"id": "last", "type": "processing", "needs": ["midle", "lod"], "operations": []}
    problems = {problem.code: problem for problem in check(document(READ, MIDDLE, last)).problems}
    assert problems["no_data"].suggestion == "data: ${{ results.middle.data }}"
    assert "(middle, load)" in problems["no_data"].message


def test_many_needs_are_a_cure_but_no_sentence() -> None:
    sources = [{"id": f"source_{n}", "type": "noop", "needs": []} for n in range(30)]
    needs = [stage["id"] for stage in sources[1:]]
    last = {"id": "last", "type": "input", "needs": needs, "path": "${{ results.source_0.path }}"}
    (problem,) = check(document(*sources, last)).problems
    assert problem.message == "`results.source_0` refers to a stage that is not upstream: add 'source_0' to `needs`."
    assert problem.suggestion == f"needs: [{', '.join([*needs, 'source_0'])}]"


def test_what_is_wrong_with_a_trigger_is_said_of_a_trigger() -> None:
    schedule = {"id": "a/b", "type": "schedule", "cron": "0 0 * * *" + " " * 200}
    report = check({**DOCUMENT, "triggers": [schedule]})
    assert [problem.message for problem in report.problems] == [
        "'a/b' is not a trigger id: use letters, digits and _, not beginning with a digit, at most 63.",
        "`cron`: may be at most 200 characters long.",
    ]


def test_a_pipeline_has_so_many_triggers() -> None:
    """All of them are planned in the transaction that publishes."""
    many = [{"id": f"t{number}", "type": "schedule", "every": "1h"} for number in range(1_001)]
    assert check({**DOCUMENT, "triggers": many[:-1]}).ok
    report = check({**DOCUMENT, "triggers": many})
    assert [problem.message for problem in report.problems] == ["`triggers`: may hold at most 1000."]
