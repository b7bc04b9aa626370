"""What waits for a person: who may decide, and the decision, which is made once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import sqlalchemy as sa

from flexiroaster.auth.errors import NotAssigned
from flexiroaster.auth.identity import Caller
from flexiroaster.auth.permissions import Role, may
from flexiroaster.engine import definition, planner
from flexiroaster.engine.draft import Draft
from flexiroaster.engine.errors import Conflict, InvalidInputs, NotFound
from flexiroaster.engine.events import iso_z
from flexiroaster.engine.outcome import WaitsFor
from flexiroaster.engine.runs import Key, StageRun
from flexiroaster.engine.state import STAGE_FINAL, StageStatus
from flexiroaster.services.changes import Changes, Tally
from flexiroaster.services.paging import Page, cut, decode, decode_moment
from flexiroaster.store import approvals as store
from flexiroaster.store import executions as execution_store
from flexiroaster.store import groups as group_store
from flexiroaster.store.approvals import QuestionRow
from flexiroaster.store.database import Transaction

DECIDE = "approvals:decide"
PAGE_READ = 500


class InvalidValues(InvalidInputs):
    """What was filled in does not fit the form."""

    code = "invalid_values"


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody says to a question."""

    approved: bool
    comment: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


class Question(NamedTuple):
    row: QuestionRow
    may_decide: bool

    @property
    def form(self) -> dict[str, Any] | None:
        """JSON Schema of what is to be filled in."""
        return _form(self.row.state).schema if self.row.state.get("form") else None


class Approvals:
    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    def pending(
        self, caller: Caller, *, mine: bool, limit: int, execution_id: str | None = None, cursor: str | None = None
    ) -> Page[Question]:
        """Oldest first; `mine` are those that the caller may decide."""
        after = _position(cursor) if cursor else None
        found: list[Question] = []
        with self._changes.database.read() as connection:
            groups = group_store.groups_of(connection, caller.user_id)
            for row in _every_question(connection, execution_id, after):
                may_decide = _may_decide(row.state.get("assignees", []), caller, groups)
                if may_decide or not mine:
                    found.append(Question(row, may_decide))
                if len(found) > limit:
                    break
        return cut(found, limit, lambda question: _cursor(question.row))

    def decide(self, execution_id: str, stage: str, index: int, answer: Answer, caller: Caller) -> dict[str, Any]:
        """The decision `{approved, by, comment, values, at}`: this one, or the same as it was made before.

        Once this returns it survives anything. Raises NotFound, NotAssigned for who is not asked, InvalidValues, and
        Conflict where nothing is asked or it was decided otherwise.
        """
        tally = Tally()

        def operation(tx: Transaction) -> dict[str, Any]:
            live = self._changes.touch(tx, tally, execution_id)
            draft = self._changes.draft(live)
            position = draft.plan.positions.get(stage)
            run = None if position is None else draft.find(Key(position, index))
            if run is None or run.status in STAGE_FINAL:
                return self._earlier(tx, execution_id, stage, index, answer)
            decision = self._decide(tx, draft, run, answer, caller)
            self._changes.save(tx, tally, live, draft)
            return decision

        return self._changes.write(operation, tally, durable=True)

    def _decide(self, tx: Transaction, draft: Draft, run: StageRun, answer: Answer, caller: Caller) -> dict[str, Any]:
        stage = draft.plan.stages[run.key.position].id
        if run.waits_for is not WaitsFor.APPROVAL or run.state is None:
            raise _not_asked(stage, run.status)
        assignees = run.state.get("assignees", [])
        if not _may_decide(assignees, caller, group_store.groups_of(tx.sa, caller.user_id)):
            raise NotAssigned(f"Only {', '.join(assignees)} and administrators decide about {stage!r}.")
        if "decision" in run.state:
            return _same(stage, run.state["decision"], answer)
        decision = {
            "approved": answer.approved,
            "by": caller.email,
            "comment": answer.comment,
            "values": _checked(run.state, answer),
            "at": iso_z(draft.now),
        }
        if not planner.signal(draft, run.key, {"decision": decision}, WaitsFor.APPROVAL):
            raise _not_asked(stage, run.status)
        return decision

    def _earlier(self, tx: Transaction, execution_id: str, stage: str, index: int, answer: Answer) -> dict[str, Any]:
        """What was decided before, where that is the same."""
        run = execution_store.stage_run(tx.sa, execution_id, stage, index)
        if run is None:
            raise NotFound("stage run", f"{stage}[{index}]" if index else stage)
        decision: dict[str, Any] | None = None
        if run.type == "approval" and run.status == StageStatus.SUCCESS:
            kept = execution_store.result(tx.sa, execution_id, run.position, index)
            decision = None if kept is None else kept.value
        elif run.type == "approval" and run.error is not None:
            decision = run.error.get("details", {}).get("decision")
        if decision is None:
            raise _not_asked(stage, StageStatus(run.status))
        return _same(stage, decision, answer)


def _may_decide(assignees: Collection[str], caller: Caller, groups: Collection[str]) -> bool:
    if not may(caller.role, DECIDE):
        return False
    if not assignees or caller.role == Role.ADMIN:
        return True
    return caller.email in assignees or any(f"group:{group}" in assignees for group in groups)


def _checked(state: Mapping[str, Any], answer: Answer) -> dict[str, Any]:
    """Who rejects need not fill in the form."""
    values, problems = _form(state).check(answer.values)
    if not answer.approved:
        problems = [problem for problem in problems if problem.code != "missing_field"]
        values = {name: value for name, value in values.items() if name in answer.values}
    if problems:
        raise InvalidValues(problems)
    return values


def _form(state: Mapping[str, Any]) -> definition.Fields:
    return definition.Fields(state.get("form") or {}, owner="The form", one="field", all="values")


def _same(stage: str, decision: dict[str, Any], answer: Answer) -> dict[str, Any]:
    given = dict(answer.values)
    if decision["approved"] is answer.approved and given.items() <= decision["values"].items():
        return decision
    verb = "approved" if decision["approved"] else "rejected"
    by = f" by {decision['by']}" if decision["by"] else ""
    sentence = f"{stage!r} was {verb}{by} at {decision['at']} already, and a decision is made once."
    raise Conflict(sentence, "already_decided")


def _not_asked(stage: str, status: StageStatus) -> Conflict:
    return Conflict(f"{stage!r} is {status.value} and asks nobody: there is nothing to decide.", "nothing_to_decide")


def _every_question(
    connection: sa.Connection, execution_id: str | None, after: store.Position | None
) -> Iterator[QuestionRow]:
    while rows := store.questions(connection, execution_id=execution_id, after=after, limit=PAGE_READ):
        yield from rows
        last = rows[-1]
        after = (last.started_at, last.execution_id, last.position, last.index)


def _cursor(row: QuestionRow) -> list[str | int]:
    return [row.started_at.isoformat(), row.execution_id, row.position, row.index]


def _position(cursor: str) -> store.Position:
    moment, execution_id, position, index = decode(cursor, [str, str, int, int])
    return decode_moment(moment, cursor), str(execution_id), int(position), int(index)
