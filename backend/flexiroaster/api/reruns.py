"""Running again: what it would do, and doing it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query

from flexiroaster.api import answers, schemas
from flexiroaster.api.bodies import parse_json
from flexiroaster.api.deps import GuardedRoute, permit
from flexiroaster.api.parameters import LARGEST_INT, NO_NUL, ExecutionId, IdempotencyKey, Use
from flexiroaster.api.rerun_schemas import RerunPlanBody, RerunRequest, StageReason
from flexiroaster.api.responses import errors
from flexiroaster.auth.identity import Caller
from flexiroaster.engine.errors import InvalidRequest
from flexiroaster.engine.rerun import LONGEST_INPUTS
from flexiroaster.services.reruns import Asked, RerunPlan
from flexiroaster.services.starting import Started

router = APIRouter(prefix="/api/executions", tags=["Executions"], route_class=GuardedRoute)

Reader = Depends(permit("executions:read"))
StageWanted = Annotated[str | None, Query(max_length=200, pattern=NO_NUL)]
"""`description` is added where it is asked for."""
Given = Annotated[RerunRequest, Body(examples=[{"from_stage": "clean", "inputs": {"day": "2026-03-04"}}])]
EVERYTHING = RerunRequest()


@router.get(
    "/{execution_id}/retry",
    operation_id="planRetry",
    summary="Say what a retry would do",
    dependencies=[Reader],
    responses=errors(404, 409),
)
def plan_retry(execution_id: ExecutionId, use: Use) -> schemas.RetryPlan:
    """Nothing is changed."""
    return answers.retry_plan(execution_id, use.executions.retry_plan(execution_id), "will run")


@router.get(
    "/{execution_id}/rerun",
    operation_id="planRerun",
    summary="Say what a re-run would do",
    dependencies=[Reader],
    responses=errors(404, 409),
)
def plan_rerun(
    execution_id: ExecutionId,
    use: Use,
    from_stage: Annotated[StageWanted, Query(description="What is before this stage is reused.")] = None,
    only_stage: Annotated[StageWanted, Query(description="This stage alone runs.")] = None,
    version: Annotated[
        int | None, Query(ge=1, le=LARGEST_INT, description="Of the pipeline; the published one when left out.")
    ] = None,
    inputs: Annotated[
        str | None,
        Query(
            max_length=LONGEST_INPUTS,
            pattern=NO_NUL,
            description="A JSON object with the inputs to be given: they are checked, and what they mean is said.",
            examples=['{"day": "2026-03-04"}'],
        ),
    ] = None,
) -> RerunPlanBody:
    """Which stages would be taken over from this execution, which would run, and why those that need not."""
    given = None if inputs is None else _object(inputs)
    return plan_body(use.reruns.plan(execution_id, Asked(from_stage, only_stage, version), given), "will run")


def _object(inputs: str) -> dict[str, Any]:
    given = parse_json(inputs.encode(), "`inputs`")
    if not isinstance(given, dict):
        raise InvalidRequest('`inputs` must be a JSON object, such as {"day": "2026-03-04"}.')
    return given


@router.post(
    "/{execution_id}/rerun",
    operation_id="rerunExecution",
    summary="Run again, as a new execution",
    status_code=202,
    responses=errors(404, 409),
)
def rerun_execution(
    execution_id: ExecutionId,
    user: Annotated[Caller, Depends(permit("executions:run"))],
    use: Use,
    given: Given = EVERYTHING,
    idempotency_key: IdempotencyKey = None,
) -> schemas.ExecuteResponse:
    """From a stage on with the results of this execution before it, one stage alone, or everything.

    The inputs are those of this execution, but for the ones given here.
    """
    started, plan = use.reruns.start(
        execution_id,
        Asked(given.from_stage, given.only_stage, given.version),
        inputs=given.inputs,
        data=given.data,
        idempotency_key=idempotency_key,
        actor=user.email,
        use_cache=given.use_cache,
    )
    return started_body(started, plan)


def started_body(started: Started, plan: RerunPlan | None = None) -> schemas.ExecuteResponse:
    return schemas.ExecuteResponse(
        execution_id=started.execution_id,
        pipeline_id=started.pipeline_id,
        number=started.number,
        replayed=started.replayed,
        rerun=None if plan is None else plan_body(plan, "run"),
    )


def plan_body(plan: RerunPlan, verb: str) -> RerunPlanBody:
    left_out = f", {len(plan.not_run)} left out" if plan.not_run else ""
    return RerunPlanBody(
        rerun_of=plan.rerun_of,
        pipeline_id=plan.pipeline_id,
        version=plan.version,
        from_stage=plan.asked.from_stage,
        only_stage=plan.asked.only_stage,
        reused=plan.reused,
        to_run=plan.to_run,
        not_run=plan.not_run,
        runs_too=[StageReason(stage=stage, reason=why) for stage, why in plan.whys.items()],
        notes=plan.notes,
        message=f"{answers.reused_and_run(plan.reused, plan.to_run, verb)}{left_out}",
    )
