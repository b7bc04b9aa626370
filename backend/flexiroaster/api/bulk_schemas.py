"""What the API answers and accepts where many executions are treated at once."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from flexiroaster.api.parameters import LARGEST_INT, NO_NUL, Moment
from flexiroaster.api.schemas import ExecutionState
from flexiroaster.engine.pipeline import MOST_PRIORITY
from flexiroaster.services.bulk import MOST_AT_ONCE

Name = Annotated[str, StringConstraints(max_length=200, pattern=NO_NUL)]


class BulkItem(BaseModel):
    """One execution to be started."""

    model_config = ConfigDict(extra="forbid")

    inputs: dict[str, Any] = {}
    data: Any = Field(None, description="what `execution.data` is")
    idempotency_key: str | None = Field(None, min_length=1, max_length=200, pattern=r"^[ -~]+$")
    priority: int = Field(0, ge=-MOST_PRIORITY, le=MOST_PRIORITY)


class BulkExecuteRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    executions: list[BulkItem] = Field(min_length=1, max_length=MOST_AT_ONCE)
    version: int | None = Field(
        None, ge=1, le=LARGEST_INT, description="the published one when left out; may be a draft"
    )


class StartedBody(BaseModel):
    execution_id: str
    number: int
    replayed: bool = Field(description="true when its idempotency key had started it before")


class BulkExecuteResponse(BaseModel):
    pipeline_id: str
    started: int
    replayed: int
    executions: list[StartedBody] = Field(description="in the order they were given")


class BulkRequest(BaseModel):
    """Which executions: every key given narrows it. Nothing given needs `all`, so that nobody means it by accident."""

    model_config = ConfigDict(extra="forbid")

    pipeline_id: Name | None = None
    status: list[ExecutionState] = Field([], description="any of these; all that it makes sense for when left out")
    trigger: list[Name] = Field([], description="any of these")
    since: Moment | None = Field(None, description="created at or after it")
    until: Moment | None = Field(None, description="created before it")
    q: Name | None = Field(None, description="in the error or the id of the failed stage")
    ids: list[Name] = Field([], max_length=MOST_AT_ONCE)
    all: bool = Field(False, description="every execution, when nothing else is given")
    dry_run: bool = Field(False, description="only count")
    limit: int = Field(MOST_AT_ONCE, ge=1, le=MOST_AT_ONCE, description="treat at most this many")
    cursor: Annotated[str, StringConstraints(max_length=1000, pattern=NO_NUL)] | None = Field(
        None, description="`next_cursor` of the call before, unchanged, with the same filter"
    )


class BulkRetryRequest(BulkRequest):
    """`use_cache` as for the retry of one."""

    use_cache: bool | None = Field(None, description="whether what runs again may take cached results")


class TreatedBody(BaseModel):
    execution_id: str
    pipeline_id: str
    number: int
    done: bool
    message: str = Field(examples=["12 reused, 3 run again"])
    code: str | None = Field(description="of the error, where it was not done")


class BulkResponse(BaseModel):
    matched: int = Field(description="executions that fit, from the cursor on")
    done: int
    refused: int
    left: int = Field(description="executions that fit and are not treated yet")
    next_cursor: str | None = Field(description="to go on with what is left")
    items: list[TreatedBody]
