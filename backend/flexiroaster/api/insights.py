"""Insights, suggestions, models, and why an execution failed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Query, Response

from flexiroaster.ai.insights.finding import Rule
from flexiroaster.ai.optimizer.suggestion import Kind
from flexiroaster.api import ai_answers as answers
from flexiroaster.api import ai_schemas as schemas
from flexiroaster.api.deps import GuardedRoute, permit
from flexiroaster.api.parameters import (
    NEXT_CURSOR,
    NO_NUL,
    Cursor,
    ExecutionId,
    Limit,
    PipelineWanted,
    Use,
    announce_next,
)
from flexiroaster.api.responses import errors
from flexiroaster.auth.identity import Caller
from flexiroaster.services.pipelines import Author
from flexiroaster.store.insights import InsightFilter, InsightState
from flexiroaster.store.suggestions import SuggestionFilter

router = APIRouter(prefix="/api", tags=["Insights"], route_class=GuardedRoute)

Reader = Depends(permit("insights:read"))
Judge = Annotated[Caller, Depends(permit("insights:judge"))]
Applier = Annotated[Caller, Depends(permit("insights:apply"))]
Id = Path(max_length=200, pattern=NO_NUL)
InsightId = Annotated[str, Id, Path(description="The insight.", examples=["9f86d081884c7d65"])]
SuggestionId = Annotated[str, Id, Path(description="The suggestion.", examples=["2c26b46b68ffc68f"])]
ModelId = Annotated[str, Id, Path(description="The model.", examples=["stages-failures-3b5d5c371295"])]
NO_REASON = schemas.DismissRequest()


@router.get(
    "/insights",
    operation_id="listInsights",
    summary="List what is abnormal",
    dependencies=[Reader],
    responses={200: {"headers": NEXT_CURSOR}, **errors()},
)
def list_insights(
    use: Use,
    response: Response,
    state: Annotated[list[InsightState], Query(description="Any of these.")] = [],  # noqa: B006
    kind: Annotated[list[Rule], Query(description="Any of these rules.")] = [],  # noqa: B006
    pipeline_id: PipelineWanted = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> list[schemas.InsightBody]:
    """The newest first. Each says what it rests on; there is one for each root, not one for each symptom."""
    page = use.ai.insights.page(InsightFilter(state, kind, pipeline_id), limit=limit, cursor=cursor)
    announce_next(response, page.next_cursor)
    return [answers.insight(row) for row in page.items]


@router.get(
    "/insights/{insight_id}",
    operation_id="getInsight",
    summary="Get an insight",
    dependencies=[Reader],
    responses=errors(404),
)
def get_insight(insight_id: InsightId, use: Use) -> schemas.InsightBody:
    """With its evidence: the executions, the numbers, and the threshold it passed."""
    return answers.insight(use.ai.insights.get(insight_id))


@router.post(
    "/insights/{insight_id}/acknowledge",
    operation_id="acknowledgeInsight",
    summary="Say that an insight was seen",
    responses=errors(404),
)
def acknowledge_insight(insight_id: InsightId, user: Judge, use: Use) -> schemas.InsightBody:
    """It leaves the list of open ones. Asking again does no harm."""
    return answers.insight(use.ai.insights.acknowledge(insight_id, user.email))


@router.post(
    "/insights/{insight_id}/feedback",
    operation_id="judgeInsight",
    summary="Say whether an insight was of use",
    responses=errors(404),
)
def judge_insight(
    insight_id: InsightId,
    said: Annotated[schemas.FeedbackRequest, Body(examples=[{"verdict": "noise"}])],
    user: Judge,
    use: Use,
) -> schemas.InsightBody:
    """Moves the threshold of its rule for its subject, and a little elsewhere. A person's newest word counts."""
    return answers.insight(use.ai.insights.judge(insight_id, user.email, said.verdict))


@router.get(
    "/suggestions",
    operation_id="listSuggestions",
    summary="List suggested changes",
    dependencies=[Reader],
    responses={200: {"headers": NEXT_CURSOR}, **errors()},
)
def list_suggestions(
    use: Use,
    response: Response,
    state: Annotated[list[schemas.SuggestionState], Query(description="Any of these.")] = ["open"],  # noqa: B006
    kind: Annotated[list[Kind], Query(description="Any of these.")] = [],  # noqa: B006
    pipeline_id: PipelineWanted = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> list[schemas.SuggestionBody]:
    """Those that save most first; open ones unless other states are asked for."""
    page = use.ai.suggestions.page(SuggestionFilter(state, kind, pipeline_id), limit=limit, cursor=cursor)
    announce_next(response, page.next_cursor)
    return [answers.suggestion(entry) for entry in page.items]


@router.get(
    "/suggestions/{suggestion_id}",
    operation_id="getSuggestion",
    summary="Get a suggestion with its diff",
    dependencies=[Reader],
    responses=errors(404),
)
def get_suggestion(suggestion_id: SuggestionId, use: Use) -> schemas.SuggestionDetail:
    """What would change in the definition, how it was measured, and, once applied, what it has brought."""
    return answers.suggestion_detail(use.ai.suggestions.get(suggestion_id))


@router.post(
    "/suggestions/{suggestion_id}/apply",
    operation_id="applySuggestion",
    summary="Apply a suggestion as a draft",
    responses=errors(404, 409),
)
def apply_suggestion(suggestion_id: SuggestionId, user: Applier, use: Use) -> schemas.SuggestionDetail:
    """Nothing runs it before the draft is published, see `/api/pipelines/{pipeline_id}/versions/{version}/publish`.

    Once 20 executions have succeeded since then they are compared with those before.
    """
    return answers.suggestion_detail(use.ai.suggestions.apply(suggestion_id, Author(user.email, user.role)))


@router.post(
    "/suggestions/{suggestion_id}/dismiss",
    operation_id="dismissSuggestion",
    summary="Dismiss a suggestion",
    responses=errors(404, 409),
)
def dismiss_suggestion(
    suggestion_id: SuggestionId,
    user: Applier,
    use: Use,
    said: Annotated[schemas.DismissRequest, Body(examples=[{"reason": "The order matters to the warehouse."}])] = (
        NO_REASON
    ),
) -> schemas.SuggestionDetail:
    """It does not come back by itself; it can still be applied."""
    return answers.suggestion_detail(use.ai.suggestions.dismiss(suggestion_id, user.email, said.reason))


@router.post(
    "/suggestions/{suggestion_id}/undo",
    operation_id="undoSuggestion",
    summary="Undo an applied suggestion",
    responses=errors(404, 409, 412),
)
def undo_suggestion(suggestion_id: SuggestionId, user: Applier, use: Use) -> schemas.SuggestionDetail:
    """Its draft is discarded. Once that is published, the text of before comes back as a new version; refused where the
    pipeline was changed since.
    """
    return answers.suggestion_detail(use.ai.suggestions.undo(suggestion_id, Author(user.email, user.role)))


@router.get(
    "/ai",
    operation_id="getAi",
    summary="Get how it stands with learning",
    dependencies=[Reader],
    responses=errors(),
)
def get_ai(use: Use) -> schemas.AiBody:
    """Whether it is on, what is missing, what was done last, and the models that answer now."""
    return answers.standing(use.ai.models.standing(), use.ai.models.all())


@router.get(
    "/ai/models",
    operation_id="listModels",
    summary="List the trained models",
    dependencies=[Reader],
    responses=errors(),
)
def list_models(use: Use) -> list[schemas.ModelBody]:
    """The newest first, retired ones too. Empty until there is enough to learn from: see `/api/ai`."""
    return [answers.model(row) for row in use.ai.models.all()]


@router.get(
    "/ai/models/{model_id}",
    operation_id="getModel",
    summary="Get a model's card",
    dependencies=[Reader],
    responses=errors(404),
)
def get_model(model_id: ModelId, use: Use) -> schemas.ModelBody:
    """What it learned from, how well it predicts beside simpler methods, its calibration."""
    return answers.model(use.ai.models.get(model_id))


@router.get(
    "/executions/{execution_id}/explain",
    operation_id="explainExecution",
    summary="Explain why an execution failed",
    dependencies=[Reader],
    responses=errors(404, 409),
)
def explain_execution(execution_id: ExecutionId, use: Use) -> schemas.ExplanationBody:
    """Likely causes with the evidence for each, from the executions around it. 409 for one that has not failed."""
    found = use.ai.explanations.explain(execution_id)
    helpful = use.ai.suggestions.against_failures(found.pipeline_id, found.stage)
    return answers.explanation(found, helpful, assistant=use.assistance.may_explain(found.pipeline_id))
