"""Pools: how many stages that name one run at the same time."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path
from pydantic import BaseModel, ConfigDict, Field

from flexiroaster.api.deps import GuardedRoute, permit
from flexiroaster.api.parameters import NO_NUL, Use
from flexiroaster.api.responses import errors
from flexiroaster.api.schemas import Message
from flexiroaster.auth.identity import Caller
from flexiroaster.services.pools import MOST_SLOTS, PoolEntry

router = APIRouter(prefix="/api/pools", tags=["Pools"], route_class=GuardedRoute)

Reader = Depends(permit("pools:read"))
Writer = Annotated[Caller, Depends(permit("pools:write"))]
PoolName = Annotated[str, Path(max_length=200, pattern=NO_NUL, description="The pool.", examples=["cpu_heavy"])]


class PoolRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    slots: int = Field(strict=True, ge=0, le=MOST_SLOTS, description="0 lets nothing start")


class PoolBody(BaseModel):
    name: str
    slots: int | None = Field(description="None where nobody defined it: it has one slot then")
    used: int = Field(description="slots that running stages hold")
    waiting: int = Field(description="stages that are ready and wait for one")
    pipelines: int = Field(description="how many name it in their published version")
    workers: int = Field(description="processes that take its stages at this moment")
    reason: str | None = Field(description="why the waiting ones wait, where no process takes them")


@router.get("", operation_id="listPools", summary="List pools", dependencies=[Reader], responses=errors())
def list_pools(use: Use) -> list[PoolBody]:
    """In the order of their names; also those that stages of a pipeline name though nobody defined them."""
    return [_body(pool) for pool in use.pools.all()]


@router.get("/{name}", operation_id="getPool", summary="Get a pool", dependencies=[Reader], responses=errors(404))
def get_pool(name: PoolName, use: Use) -> PoolBody:
    """Its slots, how many are taken, and how many stages wait for one."""
    return _body(use.pools.get(name))


@router.put("/{name}", operation_id="setPool", summary="Define a pool, or change it", responses=errors())
def set_pool(
    name: PoolName, asked: Annotated[PoolRequest, Body(examples=[{"slots": 4}])], user: Writer, use: Use
) -> PoolBody:
    """With fewer slots than are used, what runs goes on and nothing starts before enough are free."""
    return _body(use.pools.set(name, asked.slots, user.email))


@router.delete("/{name}", operation_id="deletePool", summary="Delete a pool", responses=errors(404))
def delete_pool(name: PoolName, user: Writer, use: Use) -> Message:
    """Stages that name it share one slot from then on."""
    use.pools.delete(name, user.email)
    return Message(message=f"Pool {name} deleted")


def _body(pool: PoolEntry) -> PoolBody:
    row = pool.row
    return PoolBody(
        name=row.name,
        slots=row.slots,
        used=row.used,
        waiting=row.waiting,
        pipelines=pool.pipelines,
        workers=pool.workers,
        reason=pool.reason,
    )
