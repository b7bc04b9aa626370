"""The text assistant: what would be sent, why an execution failed, a definition from a sentence. It saves nothing."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Body, Depends
from pydantic import BaseModel, ConfigDict, Field

from flexiroaster.api import answers
from flexiroaster.api.deps import GuardedRoute, permit
from flexiroaster.api.parameters import NO_NUL, ExecutionId, PipelineWanted, Use
from flexiroaster.api.responses import errors
from flexiroaster.api.schemas import ProblemBody
from flexiroaster.auth.identity import Caller
from flexiroaster.services.ai.assistance import Sent, Wish

router = APIRouter(prefix="/api", tags=["Insights"], route_class=GuardedRoute)

Reader = Depends(permit("insights:read"))
Previewer = Depends(permit("assistant:preview"))
Asker = Annotated[Caller, Depends(permit("assistant:explain"))]
Drafter = Annotated[Caller, Depends(permit("assistant:draft"))]
HOST = Field(description="whom it is asked from", examples=["llm.example.com"])
MODEL = Field(examples=["small-instruct"])
WISH = {"wish": "Load the orders every night at two.", "pipeline_id": "daily_orders"}


class AssistantBody(BaseModel):
    """Whether the assistant may be asked."""

    on: bool
    note: str | None = Field(
        description="why it may not", examples=["The assistant is switched off for project 'sales'."]
    )
    host: str | None = HOST
    model: str | None = MODEL


class SentMessage(BaseModel):
    role: Literal["system", "user", "assistant"]
    text: str


class SentBody(BaseModel):
    """What would be sent, to the letter."""

    host: str = HOST
    model: str = MODEL
    messages: list[SentMessage]
    hidden: int = Field(description="secrets and personal values that were taken out, as REDACTED_1", examples=[2])


class AssistantAnswer(BaseModel):
    """A model's words: text, never markup, and not always right."""

    text: str
    host: str = HOST
    model: str = MODEL
    seconds: float = Field(description="that it took", examples=[3.2])


class DraftRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    wish: str = Field(min_length=1, max_length=4_000, pattern=NO_NUL, examples=["Load the orders every night at two."])
    definition: str = Field(
        "", max_length=200_000, pattern=NO_NUL, description="the text to be changed, if there is one"
    )
    pipeline_id: str | None = Field(
        None,
        max_length=200,
        pattern=NO_NUL,
        description="the pipeline to be changed; its published version without a text",
    )


class DraftBody(BaseModel):
    """A proposed definition. Nothing of it is stored."""

    definition: str = Field(description="as YAML")
    diff: str = Field(description="unified, against the text to be changed; empty where nothing would change")
    accepted: bool = Field(description="whether the validator takes it")
    problems: list[ProblemBody] = Field(description="its warnings, and why it is not accepted")
    host: str = HOST
    model: str = MODEL
    seconds: float = Field(description="that it took, with all tries", examples=[8.5])


@router.get(
    "/assistant",
    operation_id="getAssistant",
    summary="Get whether the assistant may be asked",
    dependencies=[Reader],
    responses=errors(404),
)
def get_assistant(use: Use, pipeline_id: PipelineWanted = None) -> AssistantBody:
    """For a pipeline, or for a new one without labels."""
    found = use.assistance.standing(pipeline_id)
    return AssistantBody(on=found.note is None, note=found.note, host=found.host, model=found.model)


@router.get(
    "/executions/{execution_id}/assistant",
    operation_id="previewExplanation",
    summary="Get what would be sent to explain a failure",
    dependencies=[Reader],
    responses=errors(404, 409),
)
def preview_explanation(execution_id: ExecutionId, use: Use) -> SentBody:
    """Nothing is sent by it. 409 for one that has not failed, and where the assistant is switched off."""
    return _sent(use.assistance.sent_to_explain(execution_id))


@router.post(
    "/executions/{execution_id}/assistant",
    operation_id="askExplanation",
    summary="Ask the assistant why an execution failed",
    responses=errors(404, 409, 502),
)
def ask_explanation(execution_id: ExecutionId, user: Asker, use: Use) -> AssistantAnswer:
    """Sends what the preview says, and waits for the answer. 502 where there is none, with the cause and the cure."""
    found = use.assistance.explain(execution_id, user.email)
    return AssistantAnswer(text=found.text, host=found.host, model=found.model, seconds=found.seconds)


@router.post(
    "/assistant/draft/preview",
    operation_id="previewDraft",
    summary="Get what would be sent to draft a definition",
    dependencies=[Previewer],
    responses=errors(404, 409),
)
def preview_draft(asked: Annotated[DraftRequest, Body(examples=[WISH])], use: Use) -> SentBody:
    """Nothing is sent by it. Where the validator refuses the answer, its problems are sent after it, twice at most."""
    return _sent(use.assistance.sent_to_draft(_wish(asked)))


@router.post(
    "/assistant/draft",
    operation_id="askDraft",
    summary="Ask the assistant for a definition",
    responses=errors(404, 409, 502),
)
def ask_draft(asked: Annotated[DraftRequest, Body(examples=[WISH])], user: Drafter, use: Use) -> DraftBody:
    """From a sentence, or a change of what is there. It is a proposal: checked, not stored."""
    found = use.assistance.draft(_wish(asked), user.email)
    return DraftBody(
        definition=found.text,
        diff=found.diff,
        accepted=found.accepted,
        problems=[answers.problem_body(problem) for problem in found.problems],
        host=found.host,
        model=found.model,
        seconds=found.seconds,
    )


def _wish(asked: DraftRequest) -> Wish:
    return Wish(asked.wish, asked.definition, asked.pipeline_id)


def _sent(found: Sent) -> SentBody:
    messages = [SentMessage(role=one.role, text=one.text) for one in found.messages]
    return SentBody(host=found.host, model=found.model, messages=messages, hidden=found.hidden)
