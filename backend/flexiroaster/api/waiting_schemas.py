"""What the API answers and accepts where a stage waits for somebody or something outside."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from flexiroaster.api.parameters import LARGEST_INT

LONGEST_COMMENT = 10_000


def with_example(body: dict[str, Any]) -> dict[str, Any]:
    """For a route's `openapi_extra`: what its body may look like."""
    return {"requestBody": {"content": {"application/json": {"example": body}}}}


ANSWER_BODY = with_example({"comment": "Looks right.", "values": {"discount": 5}})
SIGNAL_BODY = with_example({"name": "payment_received", "data": {"amount": 99.5}})


class ApprovalBody(BaseModel):
    """A question that waits for a person."""

    execution_id: str
    number: int
    pipeline_id: str
    pipeline_name: str
    stage: str
    index: int = Field(description="the foreach index")
    message: str
    assignees: list[str] = Field(description="e-mail addresses and `group:name`; everybody who may if empty")
    form: dict[str, Any] | None = Field(description="JSON Schema of what who approves fills in")
    on_timeout: Literal["reject", "approve", "fail"]
    asked_at: datetime
    due_at: datetime | None = Field(description="when `on_timeout` decides")
    may_decide: bool = Field(description="whether you may")


class AnswerRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    comment: str = Field("", max_length=LONGEST_COMMENT)
    values: dict[str, Any] = Field({}, description="what was filled in")
    index: int = Field(0, ge=0, le=LARGEST_INT, description="the foreach index")


class DecisionBody(BaseModel):
    execution_id: str
    stage: str
    index: int
    approved: bool
    by: str | None = Field(description="None where nobody decided in time")
    comment: str
    values: dict[str, Any]
    at: datetime


class SignalRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200, description="what the stages wait for by `event`")
    data: Any = Field(None, description="at most 64 kB of JSON; it is in the result of the stages")


class SignalledStage(BaseModel):
    stage: str
    index: int = Field(description="the foreach index")


class SignalBody(BaseModel):
    execution_id: str
    name: str
    at: datetime
    went_on: list[SignalledStage] = Field(description="those that waited for it")
