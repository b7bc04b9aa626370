"""Who is asking, and whether they may: every route declares it.

A router is made with `route_class=GuardedRoute`; a route takes `caller: Annotated[Caller, Depends(permit("…"))]`.
"""

import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi.security import OAuth2PasswordBearer
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from flexiroaster.api.bodies import accepted_media, check_body
from flexiroaster.api.late_route import LateRoute
from flexiroaster.auth.errors import Unauthenticated
from flexiroaster.auth.identity import Caller
from flexiroaster.auth.permissions import LOWEST_ROLE, is_open, require
from flexiroaster.auth.throttle import RequestRate
from flexiroaster.services.accounts import Accounts

# No `from __future__ import annotations` here: FastAPI reads the signature of `Permit.__call__`, and a string in it
# has no module to be looked up in.

bearer = OAuth2PasswordBearer("/api/auth/login", auto_error=False, description="The access token of a sign-in.")


STARTS_PER_SECOND = 1_000
STARTS_AT_ONCE = 2_000
"""Of one user: more than scripts that start one execution per request reach, so that only a client that runs wild over
many connections is held back.
"""
QUESTIONS_PER_SECOND = 0.1
QUESTIONS_AT_ONCE = 6
"""Of one user to the assistant: each takes its time, and may cost money."""


def install_accounts(app: FastAPI, accounts: Accounts) -> None:
    """What `permit` asks. Before the first request."""
    app.state.accounts = accounts
    starts = RequestRate(time.monotonic, STARTS_PER_SECOND, STARTS_AT_ONCE, "executions started")
    asked = RequestRate(time.monotonic, QUESTIONS_PER_SECOND, QUESTIONS_AT_ONCE, "questions to the assistant")
    app.state.rates = {
        "executions:run": starts,
        "executions:retry": starts,
        "assistant:explain": asked,
        "assistant:draft": asked,
    }


class Permit:
    """A dependency that answers the caller, and refuses who is not signed in or has too low a role."""

    def __init__(self, operation: str) -> None:
        if operation not in LOWEST_ROLE:
            raise ValueError(f"{operation!r} is not in the table of permissions.")
        self.operation = operation

    async def __call__(self, request: Request, _token: Annotated[str | None, Depends(bearer)]) -> Caller:
        return await self.check(request)

    async def check(self, request: Request) -> Caller:
        caller = await _caller_of(request)
        require(caller.role, self.operation)
        rate: RequestRate | None = request.app.state.rates.get(self.operation)
        if rate is not None and not getattr(request.state, "counted", False):
            request.state.counted = True  # the guard asks, and the dependency once more
            rate.take(caller.user_id)
        return caller


def permit(operation: str) -> Permit:
    return Permit(operation)


current_user = permit("account:read")
"""For routes about the caller alone: every role may."""


class GuardedRoute(LateRoute):
    """Asks for permission before anything of the request is read, so that 401 and 403 come before 404, 415 and 422;
    then checks the body. FastAPI itself parses a body before it calls the first dependency.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        permits = list(_permits(self.dependant))
        accepted = accepted_media(self.endpoint)

        async def guarded(request: Request) -> Response:
            for needed in permits:
                await needed.check(request)
            await check_body(request, accepted)
            return await handle(request)

        return guarded


def undeclared_routes(app: FastAPI) -> list[str]:
    """What is wrong with the routes of an app: empty when each is open on purpose or declares its permission."""
    return [problem for context in iter_route_contexts(app.routes) if (problem := _undeclared(context.original_route))]


def _undeclared(route: Any) -> str | None:
    name = f"{','.join(sorted(getattr(route, 'methods', None) or ['*']))} {getattr(route, 'path', route)}"
    if not isinstance(route, APIRoute):
        served = getattr(route, "endpoint", None) or getattr(route, "app", None)
        return None if served is not None and is_open(served) else f"{name} is not declared open"
    if is_open(route.endpoint):
        return None
    operations = [needed.operation for needed in _permits(route.dependant)]
    if not operations:
        return f"{name} declares no permission"
    if not isinstance(route, GuardedRoute):
        return f"{name} is not a GuardedRoute: its body would be read before the permission is asked"
    if "GET" in (route.methods or ()) and not all(operation.endswith(":read") for operation in operations):
        return f"{name} is a GET and needs {', '.join(operations)}: a GET changes nothing"
    return None


def _permits(dependant: Dependant) -> Iterator[Permit]:
    for inner in dependant.dependencies:
        if isinstance(inner.call, Permit):
            yield inner.call
        yield from _permits(inner)


async def _caller_of(request: Request) -> Caller:
    """Looked up once a request, in a thread only where the database has to be asked."""
    known = getattr(request.state, "caller", None)
    if isinstance(known, Caller):
        return known
    token = bearer_token(request)
    if token is None:
        raise Unauthenticated("Sign in first: send the access token in the header Authorization: Bearer ….")
    accounts: Accounts = request.app.state.accounts
    caller = accounts.known_caller(token)
    if caller is None:
        caller = await run_in_threadpool(accounts.user_of, token)
    request.state.caller = caller
    return caller


def bearer_token(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
