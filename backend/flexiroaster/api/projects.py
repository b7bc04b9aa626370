"""Projects: for whose pipelines the server learns, and who may ask the assistant."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Body, Depends
from pydantic import BaseModel, ConfigDict, Field

from flexiroaster.api.deps import GuardedRoute, permit
from flexiroaster.api.parameters import Use
from flexiroaster.api.responses import errors
from flexiroaster.auth.identity import Caller
from flexiroaster.services.ai.projects import Project

router = APIRouter(prefix="/api/ai/projects", tags=["Insights"], route_class=GuardedRoute)

Reader = Depends(permit("insights:read"))
Writer = Annotated[Caller, Depends(permit("settings:write"))]


class ProjectRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        max_length=200,
        pattern=r"^[^\x00]*[^\s\x00][^\x00]*$",
        description="the label of its pipelines",
        examples=["sales"],
    )
    learning: bool | None = Field(None, description="left out: as it is")
    assistant: bool | None = Field(None, description="left out: as it is")


class ProjectBody(BaseModel):
    """Pipelines with the same label `project`; those without it are the project `default`."""

    name: str = Field(examples=["sales"])
    pipelines: int = Field(description="that belong to it now", examples=[12])
    learning: bool = Field(description="whether predictions, insights and suggestions are made; on by default")
    assistant: bool = Field(description="whether something of it may be sent to the assistant; off by default")
    changed_at: datetime | None = Field(description="None where nobody switched anything")
    changed_by: str | None = Field(examples=["ada@example.com"])


@router.get(
    "", operation_id="listProjects", summary="List projects and their switches", dependencies=[Reader],
    responses=errors(),
)  # fmt: skip
def list_projects(use: Use) -> list[ProjectBody]:
    """Those that pipelines belong to and those that were switched: `default` first, the others by name."""
    return [_body(project) for project in use.ai.projects.all()]


@router.put(
    "", operation_id="setProject", summary="Switch learning or the assistant for a project",
    responses=errors(),
)  # fmt: skip
def set_project(
    asked: Annotated[ProjectRequest, Body(examples=[{"name": "sales", "assistant": True}])], user: Writer, use: Use
) -> ProjectBody:
    """Learning that is switched off takes in nothing new; predictions that were made stay with their executions.

    With the assistant on, whoever may can send failures and definitions of its pipelines to the endpoint that the
    server is set up with.
    """
    return _body(use.ai.projects.set(asked.name, user.email, learning=asked.learning, assistant=asked.assistant))


def _body(project: Project) -> ProjectBody:
    return ProjectBody(
        name=project.name,
        pipelines=project.pipelines,
        learning=project.learning,
        assistant=project.assistant,
        changed_at=project.changed_at,
        changed_by=project.changed_by,
    )
