"""Every error as one shape, decided in one place: which class becomes which HTTP status."""

from __future__ import annotations

import http
from collections.abc import Mapping
from sqlite3 import Error as SqliteError
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from flexiroaster.api.schemas import ErrorResponse, ProblemBody
from flexiroaster.auth.errors import Forbidden, NotAssigned, Throttled, Unauthenticated
from flexiroaster.engine.errors import (
    ArtifactsUnavailable,
    AssistantFailed,
    Conflict,
    FlexiRoasterError,
    InvalidDefinition,
    InvalidRequest,
    NotFound,
    Problem,
    StageFailed,
    VersionChanged,
)
from flexiroaster.engine.summary import summarise
from flexiroaster.stages.registry import UnknownStageType
from flexiroaster.store.database import StoreUnavailable

log = structlog.get_logger(__name__)

STATUS: dict[type[FlexiRoasterError], int] = {
    Unauthenticated: 401,
    Forbidden: 403,
    NotAssigned: 403,
    NotFound: 404,
    UnknownStageType: 404,
    Conflict: 409,
    VersionChanged: 412,
    InvalidRequest: 422,
    InvalidDefinition: 422,
    StageFailed: 422,
    ArtifactsUnavailable: 503,
    AssistantFailed: 502,
    Throttled: 429,
    StoreUnavailable: 503,
    FlexiRoasterError: 500,
}
"""The nearest class in an error's line of descent decides."""

RETRY_SECONDS = 5
PROBLEMS_SHOWN = 100


class BodyTooLarge(HTTPException):
    """413. An HTTPException, because FastAPI turns whatever else is raised while it reads a body into a bare 400."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(413, f"The body is larger than {limit_bytes // 1_000_000} MB: send less at once.")


class UnsupportedMediaType(FlexiRoasterError):
    code = "unsupported_media_type"

    def __init__(self, given: str, accepted: list[str]) -> None:
        shown = given[:80] or "missing"
        super().__init__(f"The Content-Type is {shown!r}: send {' or '.join(accepted)}.")


STATUS[UnsupportedMediaType] = 415


def install_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(FlexiRoasterError, _on_own)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_validation)
    for database_error in (OperationalError, InterfaceError, PoolTimeout):
        app.add_exception_handler(database_error, _on_database)


def error_response(request: Request, error: FlexiRoasterError) -> Response:
    problems = [_problem(found) for found in error.problems] if isinstance(error, InvalidDefinition) else []
    status = _status(error)
    if status == 500:
        log.error("request.failed", path=request.url.path, exc_info=error)
        return unexpected_response(request_id(request.scope))
    return _response(request_id(request.scope), status, str(error), error.code, problems, _headers(error))


def unexpected_response(id: str | None) -> Response:
    """For what nobody expected: the cause is in the log, under the same id, and nowhere else."""
    detail = f"Something went wrong in the server. Look for {id} in its log." if id else "Something went wrong."
    return _response(id, 500, detail, "internal_error")


def refusal(status: int, detail: str, code: str, id: str | None) -> Response:
    return _response(id, status, detail, code)


def request_id(scope: Mapping[str, Any]) -> str | None:
    found = scope.get("state", {}).get("request_id")
    return found if isinstance(found, str) else None


async def _on_own(request: Request, error: Exception) -> Response:
    assert isinstance(error, FlexiRoasterError)
    return error_response(request, error)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    phrase = http.HTTPStatus(error.status_code).phrase
    code = _CODES.get(error.status_code) or phrase.lower().replace(" ", "_").replace("-", "_")
    detail = str(error.detail)
    if detail == phrase:
        detail = _SENTENCES.get(error.status_code, f"{phrase}.")
    return _response(request_id(request.scope), error.status_code, detail, code, headers=error.headers)


_CODES = {413: "too_large"}

_SENTENCES = {
    404: "There is nothing at this address.",
    405: "This address does not take this method: the header Allow lists those it takes.",
}


async def _on_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = [
        # Never the value itself: it may be a password.
        ProblemBody(code=str(found["type"]), path=_path(found["loc"]), message=str(found["msg"]))
        for found in error.errors()[:PROBLEMS_SHOWN]
    ]
    first = problems[0]
    more = f" (and {len(error.errors()) - 1} more)" if len(problems) > 1 else ""
    detail = f"{first.path or 'The request'}: {first.message}{more}."
    return _response(request_id(request.scope), 422, detail, "invalid_request", problems)


async def _on_database(request: Request, error: Exception) -> Response:
    id = request_id(request.scope)
    log.error("request.database_failed", path=request.url.path, exc_info=error)
    cause = getattr(error, "orig", None)
    name = getattr(cause, "sqlite_errorname", "") if isinstance(cause, SqliteError) else "SERVER"
    if name.startswith("SQLITE_FULL"):
        return _response(id, 507, "There is no space left where the database is: free some.", "no_space_left")
    if not name.startswith(_PASSING):
        return unexpected_response(id)
    detail = f"The database does not answer at this moment: try again in {RETRY_SECONDS} seconds."
    return _response(id, 503, detail, "database_unavailable", headers={"Retry-After": str(RETRY_SECONDS)})


_PASSING = ("SERVER", "SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY")
"""SQLite reports mistakes in our own SQL with the same class of exception; those are no outage."""


def _status(error: FlexiRoasterError) -> int:
    return next(STATUS[ancestor] for ancestor in type(error).__mro__ if ancestor in STATUS)


def _headers(error: FlexiRoasterError) -> dict[str, str] | None:
    if isinstance(error, Unauthenticated):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, Throttled):
        return {"Retry-After": str(error.retry_after_seconds)}
    if isinstance(error, StoreUnavailable | ArtifactsUnavailable):
        return {"Retry-After": str(RETRY_SECONDS)}
    return None


def _problem(found: Problem) -> ProblemBody:
    return ProblemBody(
        code=found.code,
        message=found.message,
        path=found.path,
        line=found.line,
        column=found.column,
        found=_plain(found.found),
        suggestion=found.suggestion,
        severity=found.severity,
    )


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | float | str):
        return summarise(value, 500)
    return str(value)[:200]


def _path(location: tuple[int | str, ...]) -> str:
    """`body.stages[3].id`, without the part of the request where that is the body."""
    parts = location[1:] if location[:1] == ("body",) else location
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")


def _response(
    id: str | None,
    status: int,
    detail: str,
    code: str,
    problems: list[ProblemBody] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    body = ErrorResponse(detail=detail, code=code, request_id=id, problems=problems or [])
    return Response(body.model_dump_json(), status, dict(headers or {}), "application/json")
