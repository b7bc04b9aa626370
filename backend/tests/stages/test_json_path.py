from __future__ import annotations

import re
from typing import Any

import pytest

from flexiroaster.stages.json_path import PATTERN, Missing, find

DOCUMENT = {"a": {"b-c": [10, {"odd name": None}]}, "@next": "x", "": 1}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$", DOCUMENT),
        ("$.a.b-c[0]", 10),
        ("$.a.b-c[-1]['odd name']", None),
        ('$["a"]', DOCUMENT["a"]),
        ("$.@next", "x"),
        ("$['']", 1),
    ],
)
def test_path_finds_its_value(path: str, value: Any) -> None:
    assert re.match(PATTERN, path)
    assert find(DOCUMENT, path) == value


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("$.b", r"\$ has no 'b' \(it has a, @next, \)"),
        ("$.a[0]", r"\$\.a is an object, not a list"),
        ("$.a.b-c[2]", r"\$\.a\.b-c has only 2 items"),
        ("$.a.b-c.d", r"\$\.a\.b-c is a list, not an object"),
        ("$.a.b-c[1]['odd name'].x", "is null, not an object"),
    ],
)
def test_path_that_leads_nowhere_says_where_it_ends(path: str, sentence: str) -> None:
    with pytest.raises(Missing, match=sentence):
        find(DOCUMENT, path)


@pytest.mark.parametrize("path", ["", "a.b", "$.", "$[x]", "$..a", "$.a[*]", "$.a b"])
def test_other_notations_are_no_path(path: str) -> None:
    assert not re.match(PATTERN, path)
