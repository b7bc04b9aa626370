"""What the API answers and accepts where an execution is run again."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from flexiroaster.api.parameters import LARGEST_INT, NO_NUL


class StageReason(BaseModel):
    stage: str
    reason: str = Field(examples=["it failed then"])


class RerunPlanBody(BaseModel):
    """What a re-run would do, or does."""

    rerun_of: str = Field(description="the earlier execution")
    pipeline_id: str
    version: int
    from_stage: str | None
    only_stage: str | None
    reused: list[str] = Field(description="stages whose results are taken over")
    to_run: list[str]
    not_run: list[str] = Field(description="stages that nobody asked for")
    runs_too: list[StageReason] = Field(description="stages that were not asked for and cannot be taken over, and why")
    notes: list[str] = Field(description="what else is to be known, a sentence each")
    message: str = Field(examples=["12 stages reused, 3 will run"])


class RerunRequest(BaseModel):
    """Neither `from_stage` nor `only_stage`: everything runs."""

    model_config = ConfigDict(extra="forbid")

    from_stage: str | None = Field(None, max_length=200, pattern=NO_NUL, description="it and all that needs it run")
    only_stage: str | None = Field(None, max_length=200, pattern=NO_NUL, description="nothing else runs")
    inputs: dict[str, Any] = Field({}, description="those that change; the others stay as they were")
    data: Any = Field(None, description="instead of the `execution.data` of before")
    version: int | None = Field(
        None, ge=1, le=LARGEST_INT, description="the published one when left out; may be a draft"
    )
    use_cache: bool | None = Field(
        None, description="whether stages may take cached results; left out: only where everything runs again"
    )


class RetryRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    use_cache: bool | None = Field(
        None, description="whether what runs again may take cached results; left out: as the execution was started"
    )
