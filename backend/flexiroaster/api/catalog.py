"""What a pipeline can be made of, and what this server is."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends

from flexiroaster.api import answers, schemas
from flexiroaster.api.deps import GuardedRoute, permit
from flexiroaster.api.parameters import StageTypeName, Use
from flexiroaster.api.responses import errors
from flexiroaster.engine import definition
from flexiroaster.engine.errors import NotFound
from flexiroaster.stages.base import StageType

router = APIRouter(prefix="/api", tags=["Catalog"], route_class=GuardedRoute)

Reader = Depends(permit("stage_types:read"))


@router.get(
    "/stage-types",
    operation_id="listStageTypes",
    summary="List stage types",
    dependencies=[Reader],
    responses=errors(),
)
def list_stage_types(use: Use) -> list[schemas.StageTypeBody]:
    """Built-in ones first, then those of installed packages."""
    return [answers.stage_type(type, code_stages=use.facts.code_stages) for type in use.stage_types().values()]


@router.get(
    "/stage-types/{type}",
    operation_id="getStageType",
    summary="Get a stage type",
    dependencies=[Reader],
    responses=errors(404),
)
def get_stage_type(type: StageTypeName, use: Use) -> schemas.StageTypeBody:
    """What it does, the JSON Schema of its config, and examples."""
    return answers.stage_type(found(use, type), code_stages=use.facts.code_stages)


@router.get(
    "/schemas/pipeline",
    operation_id="getPipelineSchema",
    summary="Get the JSON Schema of definitions",
    dependencies=[Reader],
    responses=errors(),
)
def get_pipeline_schema(use: Use) -> dict[str, Any]:
    """Of the whole format, with the configs of this server's stage types: for editors."""
    return definition.json_schema(use.stage_types())


@router.get(
    "/schemas/stages/{type}",
    operation_id="getStageSchema",
    summary="Get the JSON Schema of a stage type's config",
    dependencies=[Reader],
    responses=errors(404),
)
def get_stage_schema(type: StageTypeName, use: Use) -> dict[str, Any]:
    """For forms and editors."""
    return found(use, type).schema


@router.get(
    "/about",
    operation_id="getAbout",
    summary="Get what this server is",
    dependencies=[Depends(permit("server:read"))],
    responses=errors(),
)
def get_about(use: Use) -> schemas.About:
    """Its version, its kind of database, whether code stages run, and where file stages may read and write."""
    return schemas.About(
        version=use.facts.version,
        database=use.database.dialect,
        code_stages=use.facts.code_stages,
        data_dirs=[str(folder) for folder in use.facts.data_dirs],
    )


def found(use: Use, type: str) -> StageType:
    types = use.stage_types()
    if type not in types:
        raise NotFound("stage type", type)
    return types[type]
