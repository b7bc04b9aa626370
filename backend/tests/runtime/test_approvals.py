"""A pipeline that asks a person: decided once, by who is asked, also when the server stops in between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from flexiroaster.auth.errors import NotAssigned
from flexiroaster.auth.identity import Caller
from flexiroaster.engine.errors import Conflict, NotFound
from flexiroaster.services.approvals import Answer, InvalidValues
from flexiroaster.store import accounts, groups
from flexiroaster.store.database import Database
from flexiroaster.store.tables import stage_runs
from tests.runtime.engine import Gate, TestEngine, running

YES, NO = Answer(True, "fine"), Answer(False, "not today")


def caller(name: str = "ada", role: str = "operator") -> Caller:
    return Caller(f"id-{name}", f"{name}@example.com", role, "session", datetime.max.replace(tzinfo=UTC))


def asking(**config: Any) -> dict[str, Any]:
    return {"type": "approval", "config": {"message": "Publish?", **config}}


def ask(engine: TestEngine, stage: dict[str, Any] | None = None, **more: Any) -> str:
    """Execute `review`, then `publish`; answers once it waits for a decision."""
    execution = engine.execute({"review": stage or asking(), "publish": ["review"], **more})
    engine.wait_for("approval_requested", "review")
    return execution


def test_approval_lets_the_next_stage_run_and_records_who(engine: TestEngine) -> None:
    execution = ask(engine)
    decision = engine.embedded.approvals.decide(execution, "review", 0, YES, caller())
    assert engine.wait_end(execution) == "success"
    assert engine.results(execution)[0] == decision
    assert (decision["approved"], decision["by"], decision["comment"]) == (True, "ada@example.com", "fine")
    types = [row["type"] for row in engine.events(execution) if row["stage"] == "review"]
    assert types == ["stage_started", "stage_waiting", "approval_requested", "approval_decided", "stage_completed"]
    assert "waiting for approval: Publish?" in engine.messages(execution)
    assert "approved by ada@example.com: fine" in engine.messages(execution)


def test_rejection_is_a_failure_that_nothing_gets_past(engine: TestEngine) -> None:
    execution = ask(engine)
    engine.embedded.approvals.decide(execution, "review", 0, NO, caller())
    assert engine.wait_end(execution) == "failed"
    assert engine.row(execution)["error"]["code"] == "rejected"
    assert engine.stage(execution, "review")["status"] == "failed"
    assert engine.stage(execution, "publish")["status"] == "skipped"


def test_a_waiting_approval_holds_no_worker_and_says_so(database: Database, tmp_path: Path) -> None:
    with running(database, tmp_path, concurrency=1) as engine:
        execution = ask(engine, asking(assignees=["ada@example.com"]))
        gate = Gate()
        other = engine.execute({"a": {"type": "act", "config": engine.act(gate)}})
        gate.wait_entered()
        gate.open.set()
        assert engine.wait_end(other) == "success"
        assert engine.row(execution)["status"] == "running"
        waiting = engine.stage(execution, "review")
        assert (waiting["status"], waiting["waits_for"], waiting["lease_owner"]) == ("waiting", "approval", None)
        assert waiting["reason"] == "waiting for approval of ada@example.com"


def test_the_timeout_of_the_pipelines_stages_is_no_end_of_a_wait(engine: TestEngine) -> None:
    execution = ask(engine, defaults={"timeout": "1s"})
    assert engine.stage(execution, "review")["due_at"] is None


def test_deferred_choice_between_a_decision_and_a_timeout(engine: TestEngine) -> None:
    """Pattern 16: whichever comes first."""
    late = engine.execute({"review": {**asking(), "timeout": "100ms"}, "publish": ["review"]})
    assert engine.wait_end(late) == "failed"
    assert engine.row(late)["error"]["code"] == "rejected"
    assert engine.stage(late, "review")["status"] == "failed"
    told = [row["payload"] for row in engine.events(late) if row["type"] == "approval_decided"]
    assert [(payload["approved"], payload["by"]) for payload in told] == [(False, None)]
    approving = {**asking(on_timeout="approve"), "timeout": "100ms"}
    assert engine.run({"review": approving, "publish": ["review"]}) == "success"
    timing_out = engine.execute({"review": {**asking(on_timeout="fail"), "timeout": "100ms"}, "publish": ["review"]})
    assert engine.wait_end(timing_out) == "failed"
    assert engine.stage(timing_out, "review")["status"] == "timed_out"


def test_deciding_the_same_again_answers_the_first_decision(engine: TestEngine) -> None:
    execution = ask(engine)
    first = engine.embedded.approvals.decide(execution, "review", 0, YES, caller("ada"))
    engine.wait_end(execution)
    assert engine.embedded.approvals.decide(execution, "review", 0, Answer(True), caller("bob")) == first
    with pytest.raises(Conflict, match=r"'review' was approved by ada@example.com at .*Z already"):
        engine.embedded.approvals.decide(execution, "review", 0, NO, caller("bob"))


def test_a_rejection_too_is_decided_once(engine: TestEngine) -> None:
    execution = ask(engine)
    first = engine.embedded.approvals.decide(execution, "review", 0, NO, caller("ada"))
    engine.wait_end(execution)
    assert engine.embedded.approvals.decide(execution, "review", 0, NO, caller("bob")) == first
    with pytest.raises(Conflict, match=r"was rejected by ada@example.com"):
        engine.embedded.approvals.decide(execution, "review", 0, YES, caller("bob"))


def test_nothing_is_decided_where_nothing_is_asked(engine: TestEngine) -> None:
    execution = ask(engine)
    decide = engine.embedded.approvals.decide
    with pytest.raises(Conflict, match="'publish' is pending and asks nobody"):
        decide(execution, "publish", 0, YES, caller())
    with pytest.raises(NotFound):
        decide(execution, "nobody", 0, YES, caller())
    with pytest.raises(NotFound):
        decide(execution, "review", 7, YES, caller())
    with pytest.raises(NotFound):
        decide("no-such-execution", "review", 0, YES, caller())
    engine.executions.cancel(execution)
    engine.wait_end(execution)
    with pytest.raises(Conflict, match="'review' is cancelled and asks nobody"):
        decide(execution, "review", 0, YES, caller())


def test_only_those_who_are_asked_and_administrators_decide(engine: TestEngine) -> None:
    execution = ask(engine, asking(assignees=["ada@example.com"]))
    with pytest.raises(NotAssigned, match=r"Only ada@example.com and administrators decide about 'review'"):
        engine.embedded.approvals.decide(execution, "review", 0, YES, caller("bob"))
    engine.embedded.approvals.decide(execution, "review", 0, YES, caller("root", "admin"))
    assert engine.wait_end(execution) == "success"


def test_a_group_is_asked(engine: TestEngine) -> None:
    def members(tx: Any) -> None:
        accounts.insert_user(
            tx.sa, id="id-ada", email="ada@example.com", password_hash="", role="operator", now=datetime.now(UTC)
        )
        groups.set_groups(tx.sa, "id-ada", ["sales"])

    engine.database.write(members)
    execution = ask(engine, asking(assignees=["group:sales"]))
    with pytest.raises(NotAssigned):
        engine.embedded.approvals.decide(execution, "review", 0, YES, caller("bob"))
    assert engine.embedded.approvals.pending(caller("bob"), mine=True, limit=10).items == []
    (question,) = engine.embedded.approvals.pending(caller("ada"), mine=True, limit=10).items
    assert question.row.execution_id == execution
    engine.embedded.approvals.decide(execution, "review", 0, YES, caller("ada"))
    assert engine.wait_end(execution) == "success"


def test_the_form_is_checked_and_its_values_are_the_result(engine: TestEngine) -> None:
    form = {"discount": {"type": "number", "maximum": 50}, "note": {"type": "string", "default": "none"}}
    execution = ask(engine, asking(form=form))
    decide = engine.embedded.approvals.decide
    with pytest.raises(InvalidValues, match="The field 'discount' \\(number\\) is missing"):
        decide(execution, "review", 0, YES, caller())
    with pytest.raises(InvalidValues, match="discount"):
        decide(execution, "review", 0, Answer(True, values={"discount": 60}), caller())
    with pytest.raises(InvalidValues, match="The form has no field 'discont', did you mean 'discount'"):
        decide(execution, "review", 0, Answer(True, values={"discont": 6}), caller())
    decide(execution, "review", 0, Answer(True, values={"discount": 5}), caller())
    engine.wait_end(execution)
    assert engine.results(execution)[0]["values"] == {"discount": 5, "note": "none"}


def test_who_rejects_need_not_fill_in_the_form(engine: TestEngine) -> None:
    execution = ask(engine, asking(form={"discount": {"type": "number"}}))
    engine.embedded.approvals.decide(execution, "review", 0, NO, caller())
    assert engine.wait_end(execution) == "failed"


def test_pending_questions_come_in_pages_oldest_first(engine: TestEngine) -> None:
    asked = [engine.execute({"review": asking()}) for _ in range(5)]
    engine.wait(lambda: sum(event.type.value == "approval_requested" for event in engine.seen) == 5)
    seen: list[str] = []
    cursor = None
    while True:
        page = engine.embedded.approvals.pending(caller(), mine=False, limit=2, cursor=cursor)
        seen += [question.row.execution_id for question in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert sorted(seen) == sorted(asked)
    assert len(seen) == 5


def test_a_retry_asks_again(engine: TestEngine) -> None:
    execution = ask(engine)
    engine.embedded.approvals.decide(execution, "review", 0, NO, caller())
    engine.wait_end(execution)
    engine.executions.retry(execution)
    engine.wait(lambda: sum(event.type.value == "approval_requested" for event in engine.seen) == 2)
    engine.embedded.approvals.decide(execution, "review", 0, YES, caller("bob"))
    assert engine.wait_end(execution, times=2) == "success"
    assert engine.results(execution)[0]["by"] == "bob@example.com"


def test_a_question_survives_a_restart(database: Database, tmp_path: Path) -> None:
    dead = TestEngine(database, tmp_path)
    execution = dead.execute({"review": asking(), "publish": ["review"]})
    dead.work_by_hand()
    with running(database, tmp_path) as engine:
        assert engine.stage(execution, "review")["status"] == "waiting"
        engine.embedded.approvals.decide(execution, "review", 0, YES, caller())
        assert engine.wait_end(execution) == "success"


@pytest.mark.parametrize("died_after", ["deciding", "claiming", "running"])
def test_a_decision_survives_a_server_that_dies(database: Database, tmp_path: Path, died_after: str) -> None:
    dead = TestEngine(database, tmp_path)
    execution = dead.execute({"review": asking(), "publish": ["review"]})
    dead.work_by_hand()
    decision = dead.embedded.approvals.decide(execution, "review", 0, YES, caller())
    if died_after != "deciding":
        claimed = dead.claim_by_hand()
        assert [one.key.position for one in claimed] == [0]
        if died_after == "running":
            dead.run_by_hand(claimed)
    with running(database, tmp_path) as engine:
        assert engine.wait_end(execution) == "success"
        assert engine.results(execution)[0] == decision
        assert sum(row["type"] == "approval_requested" for row in engine.events(execution)) == 1


def test_an_end_of_the_wait_that_came_while_no_server_ran_is_made_up_for(database: Database, tmp_path: Path) -> None:
    dead = TestEngine(database, tmp_path)
    execution = dead.execute({"review": {**asking(), "timeout": "1h"}, "publish": ["review"]})
    dead.work_by_hand()
    begun = datetime.now(UTC) - timedelta(hours=2)
    earlier = sa.update(stage_runs).where(stage_runs.c.stage == "review")
    database.write(lambda tx: tx.sa.execute(earlier.values(started_at=begun, due_at=begun + timedelta(hours=1))))
    with running(database, tmp_path) as engine:
        assert engine.wait_end(execution) == "failed"
        assert engine.row(execution)["error"]["code"] == "rejected"
