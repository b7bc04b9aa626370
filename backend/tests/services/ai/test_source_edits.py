"""A change of a definition in the text of its author: all else stays as it was written."""

from __future__ import annotations

import difflib

import pytest
import yaml

from flexiroaster.ai.optimizer.suggestion import Edit, apply
from flexiroaster.services.ai.source_edits import edited

TEXT = """\
id: p
name: P   # as the team says
triggers:
  - id: nightly
    type: schedule
    cron: "0 2 * * *"  # before the shops open
stages:
  # reads
  # everything
  - id: a
    type: noop
    timeout: 5m
  # sorts
  - id: b
    type: noop
    needs: [a]   # the order counts

# the end
outputs: {x: 1}
"""


@pytest.mark.parametrize(
    ("edits", "lines"),
    [
        ([Edit("b", ("timeout",), "10s")], ["+    timeout: 10s"]),
        (
            [Edit("", ("triggers", "nightly", "cron"), "15 2 * * *")],
            ['-    cron: "0 2 * * *"  # before the shops open', '+    cron: "15 2 * * *"  # before the shops open'],
        ),
        ([Edit("", ("concurrency", "limit"), 3)], ["+concurrency: {limit: 3}"]),
        (
            [Edit("b", ("needs",), None, remove=True), Edit("", ("stages", "a"), None, remove=True)],
            [
                "-  # reads",
                "-  # everything",
                "-  - id: a",
                "-    type: noop",
                "-    timeout: 5m",
                "-    needs: [a]   # the order counts",
            ],
        ),
    ],
    ids=["a key", "an entry of a list", "of the pipeline", "taken away"],
)
def test_only_the_lines_in_question_change(edits: list[Edit], lines: list[str]) -> None:
    after = edited(TEXT, edits)
    assert after is not None
    assert yaml.safe_load(after) == apply(yaml.safe_load(TEXT), edits)
    diff = difflib.unified_diff(TEXT.splitlines(), after.splitlines(), lineterm="", n=0)
    changed = [line for line in diff if not line.startswith(("---", "+++", "@@"))]
    assert changed == lines


def test_settings_beside_the_keys_of_a_stage_stay_there() -> None:
    text = "stages:\n  - id: a\n    operations:\n      - {op: sort, by: [x]}\n"
    after = edited(text, [Edit("a", ("config", "operations"), [])])
    assert after is not None
    assert yaml.safe_load(after) == {"stages": [{"id": "a", "operations": []}]}


@pytest.mark.parametrize(
    "edit",
    [Edit("c", ("timeout",), "1s"), Edit("", ("triggers", "daily", "cron"), "x"), Edit("", ("outputs", "x", "y"), 1)],
    ids=["no such stage", "no such trigger", "no mapping"],
)
def test_what_is_not_there_cannot_be_edited(edit: Edit) -> None:
    assert edited(TEXT, [edit]) is None
