"""The real application, route by route: who is let in, and who is not."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from flexiroaster.api.deps import Permit, undeclared_routes
from flexiroaster.auth.permissions import Role, is_open, may
from flexiroaster.config import Settings
from flexiroaster.main import Server, make_app, make_server
from tests.api.auth_app import ORIGIN, PASSWORD, client_of

pytestmark = pytest.mark.anyio

OPEN = {
    "GET /",
    "GET /health",
    "GET /docs",
    "GET /docs/{name}",
    "GET /openapi.json",
    "GET /redoc",
    "GET /{path}",
    "POST /api/auth/login",
    "POST /api/auth/refresh",
    "POST /api/auth/logout",
    "GET /api/auth/setup",
    "POST /api/auth/setup",
}
"""All that answers without a credential: the sign-in, the static page with its document, and the probe."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("data")
    made = make_server(
        Settings.load(data_folder=folder, examples=False, admin_email="ada@example.com", admin_password=PASSWORD)
    )
    yield made
    made.stop()


@pytest.fixture(scope="module")
def app(server: Server) -> FastAPI:
    return make_app(server, ORIGIN)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app) as opened:
        yield opened


def routes(app: FastAPI) -> Iterator[tuple[str, str, APIRoute]]:
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute):
            for method in sorted(context.methods or ()):
                yield method, context.path or "", route


def operations(route: APIRoute) -> list[str]:
    return [needed.call.operation for needed in route.dependant.dependencies if isinstance(needed.call, Permit)]


def address(path: str) -> str:
    return re.sub(r"\{[^}]+\}", "x", path)


def test_every_route_declares_who_may_use_it(app: FastAPI) -> None:
    assert undeclared_routes(app) == []


def test_what_is_open_is_this_list_and_nothing_else(app: FastAPI) -> None:
    found = {f"{method} {path.replace(':path', '')}" for method, path, route in routes(app) if is_open(route.endpoint)}
    assert {name.replace("HEAD ", "GET ") for name in found} <= OPEN
    assert {"GET /health", "POST /api/auth/login"} <= found


async def test_without_a_credential_every_closed_route_answers_401(app: FastAPI, client: httpx.AsyncClient) -> None:
    closed = [(method, path) for method, path, route in routes(app) if not is_open(route.endpoint)]
    assert len(closed) > 10
    for method, path in closed:
        for content in (None, b"{broken"):
            answer = await client.request(method, address(path), content=content)
            assert answer.status_code == 401, f"{method} {path} {answer.text}"
            assert answer.json()["code"] == "unauthenticated"


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.EDITOR])
async def test_a_role_that_is_too_low_gets_403_before_anything_else(
    app: FastAPI, client: httpx.AsyncClient, server: Server, role: Role
) -> None:
    accounts = server.services.accounts
    accounts.create_user(f"{role}@example.com", PASSWORD, role)
    token = accounts.sign_in(f"{role}@example.com", PASSWORD, "192.0.2.1").access.text
    for method, path, route in routes(app):
        needed = operations(route)
        if is_open(route.endpoint) or all(may(role, operation) for operation in needed):
            continue
        answer = await client.request(
            method, address(path), content=b"{broken", headers={"Authorization": f"Bearer {token}"}
        )
        assert answer.status_code == 403, f"{method} {path} {answer.text}"


async def test_the_document_declares_the_scheme_of_every_closed_route(app: FastAPI) -> None:
    document = app.openapi()
    assert document["components"]["securitySchemes"]
    for method, path, route in routes(app):
        if route.include_in_schema and not is_open(route.endpoint):
            described = document["paths"][re.sub(r":\w+\}", "}", path)][method.lower()]
            assert described.get("security") or document.get("security"), f"{method} {path}"
