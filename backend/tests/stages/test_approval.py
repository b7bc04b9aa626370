from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from flexiroaster.engine.errors import StageFailed
from flexiroaster.engine.outcome import Succeeded, Waiting, WaitsFor
from flexiroaster.stages.approval import ApprovalConfig, ApprovalStage
from tests.stages.context import NOW, FakeContext

DECISION = {"approved": True, "by": "ada@example.com", "comment": "fine", "values": {"n": 1}, "at": "2026-01-05T02:15Z"}


def run(config: dict[str, Any], context: FakeContext) -> Succeeded | Waiting:
    return ApprovalStage().run(ApprovalConfig.model_validate({"message": "Publish?", **config}), context)


def test_it_asks_and_waits_without_an_end(tmp_path: Path) -> None:
    outcome = run({"assignees": ["Ada@example.com", "group:sales"]}, FakeContext(tmp_path))
    assert isinstance(outcome, Waiting)
    assert (outcome.until, outcome.waits_for, outcome.quiet) == (None, WaitsFor.APPROVAL, False)
    assert outcome.reason == "waiting for approval of ada@example.com, group:sales"
    assert outcome.state["message"] == "Publish?"
    assert outcome.state["assignees"] == ["ada@example.com", "group:sales"]


def test_the_timeout_of_the_stage_is_how_long_it_waits(tmp_path: Path) -> None:
    outcome = run({}, FakeContext(tmp_path, deadline=NOW + timedelta(hours=4)))
    assert isinstance(outcome, Waiting)
    assert outcome.until == NOW + timedelta(hours=4)
    assert outcome.reason == "waiting for approval"


def test_woken_early_it_waits_on_with_the_same_question(tmp_path: Path) -> None:
    first = run({}, FakeContext(tmp_path))
    assert isinstance(first, Waiting)
    again = run({"message": "Another?"}, FakeContext(tmp_path, state=first.state))
    assert isinstance(again, Waiting)
    assert again.quiet
    assert again.state == first.state


def test_approved_gives_who_and_what_as_the_result(tmp_path: Path) -> None:
    assert run({}, FakeContext(tmp_path, state={"message": "?", "decision": DECISION})) == Succeeded(DECISION)


def test_rejected_fails_with_who_and_why(tmp_path: Path) -> None:
    decision = {**DECISION, "approved": False, "comment": "not today"}
    with pytest.raises(StageFailed, match=r"ada@example.com rejected it: not today") as failed:
        run({}, FakeContext(tmp_path, state={"decision": decision}))
    assert (failed.value.code, failed.value.kind) == ("rejected", "permanent")
    assert failed.value.details == {"decision": decision}


def late(tmp_path: Path) -> FakeContext:
    return replace(FakeContext(tmp_path), deadline=NOW, state={"message": "?"})


def test_nobody_in_time_rejects(tmp_path: Path) -> None:
    with pytest.raises(StageFailed, match="Nobody decided in time, so it was rejected") as failed:
        run({}, late(tmp_path))
    assert failed.value.code == "rejected"


def test_nobody_in_time_approves_where_that_is_said(tmp_path: Path) -> None:
    outcome = run({"on_timeout": "approve"}, late(tmp_path))
    assert isinstance(outcome, Succeeded)
    assert (outcome.result["approved"], outcome.result["by"]) == (True, None)


def test_nobody_in_time_is_a_timeout_where_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(StageFailed) as failed:
        run({"on_timeout": "fail"}, late(tmp_path))
    assert (failed.value.code, failed.value.kind) == ("approval_timeout", "timeout")


def test_a_decision_that_meets_the_end_of_the_wait_counts(tmp_path: Path) -> None:
    assert run({}, replace(late(tmp_path), state={"decision": DECISION})) == Succeeded(DECISION)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"message": ""}, "at least 1 character"),
        ({"assignees": ["ada"]}, "'ada' names nobody"),
        ({"assignees": ["group:"]}, "'group:' names nobody"),
        ({"form": {"n": {"type": "numbr"}}}, "The field 'n' is not a JSON Schema"),
        ({"form": {"n": {"$ref": "https://example.com"}}}, "`\\$ref` is not allowed in a field"),
        ({"on_timeout": "retry"}, "'reject', 'approve' or 'fail'"),
    ],
)
def test_wrong_config_is_refused(config: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        ApprovalConfig.model_validate({"message": "Publish?", **config})
