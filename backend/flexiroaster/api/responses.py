"""How errors are described in the OpenAPI document: the same shape everywhere, an example for each status."""

from __future__ import annotations

from functools import cache
from typing import Any

from flexiroaster.api.schemas import ErrorResponse

_EXAMPLES: dict[int, tuple[str, str, str]] = {
    400: (
        "The address cannot be used",
        "invalid_text",
        "The address holds the character NUL: leave it out.",
    ),
    401: ("Not signed in", "unauthenticated", "Sign in first."),
    403: (
        "The role does not allow it",
        "forbidden",
        "Your role viewer does not allow executions:run: it needs operator. Ask an administrator for that role.",
    ),
    404: ("There is no such thing", "not_found", "There is no pipeline 'ordres'."),
    409: (
        "Does not fit the present state",
        "already_exists",
        "There is a pipeline 'orders' already: choose another id, or change that one with PUT /api/pipelines/orders.",
    ),
    412: (
        "Changed by somebody else meanwhile",
        "version_changed",
        "Pipeline 'orders' is at version 4 now, changed by ada@example.com at 2026-03-04 12:00:00 UTC: "
        "read it again and repeat the change there.",
    ),
    413: ("Too large", "too_large", "The body is larger than 2 MB: send less at once."),
    415: (
        "Wrong content type",
        "unsupported_media_type",
        "The Content-Type is 'text/plain': send application/json or application/yaml.",
    ),
    422: (
        "Something in the request is wrong",
        "invalid_request",
        "query.limit: Input should be greater than or equal to 1.",
    ),
    429: ("Too many requests", "too_many_requests", "Too many requests: try again in 12 seconds."),
    502: (
        "The assistant gave no usable answer",
        "assistant_failed",
        "The assistant at llm.example.com does not answer: Connection refused. Start it, or correct "
        "FLEXIROASTER_ASSISTANT_URL.",
    ),
    503: (
        "The database does not answer",
        "database_unavailable",
        "The database does not answer at this moment: try again in 5 seconds.",
    ),
}
SCHEMAS = "#/components/schemas/"
EVERYWHERE = (400, 401, 403, 422, 429)


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: the given statuses and those that every route behind the sign-in may answer with."""
    return {status: described(status) for status in sorted({*statuses, *EVERYWHERE})}


@cache
def described(status: int) -> dict[str, Any]:
    description, code, detail = _EXAMPLES[status]
    example = {"detail": detail, "code": code, "request_id": "5f0c2a9e", "problems": []}
    # By its name: of a `model` FastAPI would build a serializer for each status of each route, and use none.
    return {
        "description": description,
        "content": {"application/json": {"example": example, "schema": {"$ref": f"{SCHEMAS}{ErrorResponse.__name__}"}}},
    }
