"""Signing in and out, and the first account."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, TypeVar

import anyio
from anyio import CapacityLimiter
from fastapi import APIRouter, Depends
from fastapi.security import OAuth2PasswordRequestForm
from starlette.requests import Request
from starlette.responses import Response

from flexiroaster.api.bodies import FORM, accepts
from flexiroaster.api.deps import GuardedRoute, bearer_token, current_user
from flexiroaster.api.description import operation_id
from flexiroaster.api.errors import error_response
from flexiroaster.api.responses import errors
from flexiroaster.api.schemas import Message, SetupRequest, SetupState, TokenResponse, UserBody
from flexiroaster.auth.errors import Throttled, Unauthenticated
from flexiroaster.auth.identity import Caller, SignedIn
from flexiroaster.auth.permissions import Role, open_to_all
from flexiroaster.services.accounts import Accounts

COOKIE = "flexiroaster_refresh"
COOKIE_PATH = "/api/auth"
SIGN_INS_AT_ONCE = 4
SIGN_INS_WAITING = 64
"""More are sent away at once: each takes a tenth of a second of a core, and they must not fill the server's threads."""

T = TypeVar("T")


def create_router(accounts: Accounts, *, public_url: str) -> APIRouter:
    """Routes under /api/auth. Cookies are Secure exactly when `public_url` is https."""
    router = APIRouter(
        prefix="/api/auth", tags=["Sign-in"], route_class=GuardedRoute, generate_unique_id_function=operation_id
    )
    secure = public_url.lower().startswith("https://")
    limiter = CapacityLimiter(SIGN_INS_AT_ONCE)

    async def slowly(work: Callable[[], T]) -> T:
        """In one of a few threads: what hashes passwords must not take those that other requests need."""
        if limiter.statistics().tasks_waiting >= SIGN_INS_WAITING:
            raise Throttled(5, "sign-ins at this moment")
        return await anyio.to_thread.run_sync(work, limiter=limiter)

    def welcome(response: Response, signed_in: SignedIn) -> TokenResponse:
        left = signed_in.refresh_expires_at - datetime.now(UTC)
        response.set_cookie(
            COOKIE,
            signed_in.refresh_token,
            max_age=max(0, int(left.total_seconds())),
            path=COOKIE_PATH,
            secure=secure,
            httponly=True,
            samesite="strict",
        )
        return _token_response(signed_in)

    def forget(response: Response) -> None:
        response.delete_cookie(COOKIE, path=COOKIE_PATH, secure=secure, httponly=True, samesite="strict")

    @router.post("/login", summary="Sign in with e-mail address and password", responses=errors(401, 413, 415))
    @open_to_all
    @accepts(FORM)
    async def login(
        request: Request, response: Response, form: Annotated[OAuth2PasswordRequestForm, Depends()]
    ) -> TokenResponse:
        """A form, as OAuth 2 has it. Send the access token as `Authorization: Bearer …`; it lasts a quarter of an hour,
        and the cookie that comes with it gets the next one.
        """
        address = request.client.host if request.client else "unknown"
        return welcome(response, await slowly(partial(accounts.sign_in, form.username, form.password, address)))

    @router.post(
        "/refresh",
        summary="Trade the refresh cookie for a new access token",
        description="Each refresh cookie works once. One that comes a second time was copied: the session ends.",
        response_model=TokenResponse,
        responses=errors(401),
    )
    @open_to_all
    async def refresh(request: Request, response: Response) -> TokenResponse | Response:
        token = request.cookies.get(COOKIE)
        if token is None:
            return error_response(request, Unauthenticated("There is no session to go on with: sign in."))
        try:
            signed_in = await anyio.to_thread.run_sync(accounts.refresh, token)
        except Unauthenticated as error:
            refused = error_response(request, error)
            forget(refused)
            return refused
        return welcome(response, signed_in)

    @router.post("/logout", summary="End this session everywhere", responses=errors())
    @open_to_all
    async def logout(request: Request, response: Response) -> Message:
        """By the cookie or by the access token. Its tokens open nothing any more, and its sockets end."""
        await anyio.to_thread.run_sync(_sign_out, accounts, request.cookies.get(COOKIE), bearer_token(request))
        forget(response)
        return Message(message="Signed out")

    @router.get("/me", summary="Who is signed in", responses=errors(401))
    async def me(caller: Annotated[Caller, Depends(current_user)]) -> UserBody:
        """The account of the access token."""
        return UserBody(id=caller.user_id, email=caller.email, role=Role(caller.role).value)

    @router.get("/setup", summary="Whether the first account is still to be made")
    @open_to_all
    def setup_state() -> SetupState:
        """Without a credential."""
        return SetupState(needed=accounts.setup_needed())

    @router.post(
        "/setup",
        summary="Make the first account with the one-time link",
        status_code=201,
        responses=errors(401, 409, 413, 415),
    )
    @open_to_all
    async def setup(body: SetupRequest, response: Response) -> TokenResponse:
        """The token of the link that the server prints at its first start: good once, for a quarter of an hour. The
        account is an administrator, signed in with the answer.
        """
        return welcome(response, await slowly(partial(accounts.setup, body.token, body.email, body.password)))

    return router


def _sign_out(accounts: Accounts, refresh_token: str | None, access_token: str | None) -> None:
    if refresh_token is not None:
        accounts.sign_out(refresh_token)
    if access_token is not None:
        try:
            caller = accounts.user_of(access_token)
        except Unauthenticated:
            return
        accounts.end_session(caller.user_id, caller.session)


def _token_response(signed_in: SignedIn) -> TokenResponse:
    user = signed_in.user
    return TokenResponse(
        access_token=signed_in.access.text,
        expires_in=signed_in.access.expires_in,
        user=UserBody(id=user.id, email=user.email, role=Role(user.role).value),
    )
