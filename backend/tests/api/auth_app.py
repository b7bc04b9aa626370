"""A small app with the real sign-in, guard and security, for tests of these alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import httpx
from fastapi import APIRouter, Body, Depends, FastAPI, Request
from pydantic import BaseModel, Field

from flexiroaster.api.auth import create_router
from flexiroaster.api.bodies import JSON, YAML, accepts
from flexiroaster.api.deps import GuardedRoute, install_accounts, permit
from flexiroaster.api.security import install_security
from flexiroaster.auth.identity import Caller
from flexiroaster.auth.keys import signing_keys
from flexiroaster.auth.passwords import Passwords
from flexiroaster.auth.permissions import open_to_all
from flexiroaster.auth.throttle import LoginThrottle
from flexiroaster.auth.tokens import Tokens
from flexiroaster.engine.errors import Conflict, InvalidDefinition, NotFound, Problem
from flexiroaster.services.accounts import Accounts
from flexiroaster.store.database import Database

ORIGIN = "http://localhost:8000"
PASSWORD = "a quiet green river"
KEYS = signing_keys(["s" * 48])


class Seconds:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Thing(BaseModel):
    name: str = Field(max_length=10)
    options: dict[str, Any] = {}


def make_accounts(database: Database, seconds: Seconds | None = None) -> Accounts:
    passwords = Passwords(time_cost=1, memory_kib=64, parallelism=1)
    return Accounts(database, Tokens(KEYS), passwords, LoginThrottle(seconds or Seconds()))


def things_router() -> APIRouter:
    router = APIRouter(prefix="/api/things", route_class=GuardedRoute)

    @router.get("/{id}")
    def read(id: str, caller: Annotated[Caller, Depends(permit("pipelines:read"))]) -> dict[str, str]:
        match id:
            case "missing":
                raise NotFound("pipeline", id)
            case "clash":
                raise Conflict("It is in use.")
            case "broken":
                raise InvalidDefinition([Problem("bad", "It is bad.", "stages[0]", 3, 5, found=object())])
            case "crash":
                raise RuntimeError("secret in /etc/passwd: SELECT * FROM users")
        return {"id": id, "caller": caller.email}

    @router.post("", dependencies=[Depends(permit("pipelines:write"))])
    def create(thing: Thing) -> Thing:
        return thing

    @router.put("/{id}", dependencies=[Depends(permit("pipelines:write"))])
    @accepts(JSON, *YAML)
    async def put(id: int, request: Request) -> dict[str, int]:
        return {"bytes": len(await request.body()), "id": id}

    @router.post("/{id}/run", dependencies=[Depends(permit("executions:run"))])
    def run(id: str, body: Annotated[Thing | None, Body()] = None) -> dict[str, str | None]:
        return {"id": id, "name": body.name if body else None}

    return router


def make_app(
    accounts: Accounts,
    *,
    public_url: str = ORIGIN,
    cors_origins: Sequence[str] = (),
    trusted_proxies: Sequence[str] = (),
) -> FastAPI:
    app = FastAPI(openapi_url=None)

    @app.get("/health")
    @open_to_all
    async def health(request: Request) -> dict[str, str]:
        return {
            "status": "healthy",
            "client": request.client.host if request.client else "",
            "scheme": request.url.scheme,
        }

    app.include_router(create_router(accounts, public_url=public_url))
    app.include_router(things_router())
    install_accounts(app, accounts)
    install_security(app, public_url, cors_origins=cors_origins, trusted_proxies=trusted_proxies)
    return app


def client_of(app: FastAPI, address: str = "192.0.2.1", base_url: str = ORIGIN) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=(address, 4000))
    return httpx.AsyncClient(transport=transport, base_url=base_url)
