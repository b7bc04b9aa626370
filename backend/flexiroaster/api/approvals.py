"""Questions that wait for a person: which there are, and deciding them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from flexiroaster.api.deps import GuardedRoute, permit
from flexiroaster.api.parameters import NEXT_CURSOR, NO_NUL, Cursor, ExecutionId, Limit, StageName, Use, announce_next
from flexiroaster.api.responses import errors
from flexiroaster.api.waiting_schemas import ANSWER_BODY, AnswerRequest, ApprovalBody, DecisionBody
from flexiroaster.auth.identity import Caller
from flexiroaster.services.approvals import DECIDE, Answer, Question

router = APIRouter(prefix="/api", tags=["Approvals"], route_class=GuardedRoute)

Decider = Annotated[Caller, Depends(permit(DECIDE))]
NOTHING_GIVEN = AnswerRequest()


@router.get(
    "/approvals",
    operation_id="listApprovals",
    summary="List what waits for a decision",
    responses={200: {"headers": NEXT_CURSOR}, **errors()},
)
def list_approvals(
    user: Annotated[Caller, Depends(permit("approvals:read"))],
    use: Use,
    response: Response,
    mine: Annotated[bool, Query(description="Only what you may decide.")] = False,
    execution_id: Annotated[str | None, Query(max_length=200, pattern=NO_NUL, description="Only of this one.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> list[ApprovalBody]:
    """The longest waiting first."""
    page = use.approvals.pending(user, mine=mine, execution_id=execution_id, limit=limit, cursor=cursor)
    announce_next(response, page.next_cursor)
    return [_question(question) for question in page.items]


@router.post(
    "/executions/{execution_id}/stages/{stage}/approve",
    operation_id="approveStage",
    summary="Approve what a stage asks",
    openapi_extra=ANSWER_BODY,
    responses=errors(404, 409),
)
def approve(
    execution_id: ExecutionId, stage: StageName, user: Decider, use: Use, given: AnswerRequest = NOTHING_GIVEN
) -> DecisionBody:
    """Deciding the same again answers the first decision; deciding otherwise is refused."""
    return _decide(execution_id, stage, user, use, given, approved=True)


@router.post(
    "/executions/{execution_id}/stages/{stage}/reject",
    operation_id="rejectStage",
    summary="Reject what a stage asks",
    openapi_extra=ANSWER_BODY,
    responses=errors(404, 409),
)
def reject(
    execution_id: ExecutionId, stage: StageName, user: Decider, use: Use, given: AnswerRequest = NOTHING_GIVEN
) -> DecisionBody:
    """The stage has then failed, and what needs it does not run. The form need not be filled in."""
    return _decide(execution_id, stage, user, use, given, approved=False)


def _decide(
    execution_id: str, stage: str, user: Caller, use: Use, given: AnswerRequest, *, approved: bool
) -> DecisionBody:
    answer = Answer(approved, given.comment, given.values)
    decision = use.approvals.decide(execution_id, stage, given.index, answer, user)
    return DecisionBody(execution_id=execution_id, stage=stage, index=given.index, **decision)


def _question(question: Question) -> ApprovalBody:
    row, state = question.row, question.row.state
    return ApprovalBody(
        execution_id=row.execution_id,
        number=row.number,
        pipeline_id=row.pipeline_id,
        pipeline_name=row.pipeline_name,
        stage=row.stage,
        index=row.index,
        message=state["message"],
        assignees=state["assignees"],
        form=question.form,
        on_timeout=state["on_timeout"],
        asked_at=row.started_at,
        due_at=row.due_at,
        may_decide=question.may_decide,
    )
