"""What may come in a request's body: its media type is declared, its JSON is checked before anybody uses it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from flexiroaster.api.errors import UnsupportedMediaType
from flexiroaster.engine.errors import InvalidRequest

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
YAML = ("application/yaml", "application/x-yaml", "text/yaml")

DEEPEST = 64
LARGE_BYTES = 64_000
"""From here on the check takes longer than a hop to a thread."""

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

_MEDIA_MARK = "__accepted_media__"


def accepts(*media_types: str) -> Callable[[Endpoint], Endpoint]:
    """Declare which bodies an endpoint takes; without it JSON alone. Goes under the route's decorator."""

    def declare(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _MEDIA_MARK, media_types)
        return endpoint

    return declare


def accepted_media(endpoint: Callable[..., Any]) -> tuple[str, ...]:
    found: tuple[str, ...] = getattr(endpoint, _MEDIA_MARK, (JSON,))
    return found


async def check_body(request: Request, accepted: tuple[str, ...]) -> None:
    """Refuse a body of another media type and JSON that could not be stored and read back.

    The parsed JSON is left where `request.json()` finds it: it is not parsed twice.
    """
    if not _has_body(request):
        return
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in accepted:
        raise UnsupportedMediaType(media_type, list(accepted))
    if media_type not in (JSON, FORM):
        return
    # A form too is read here: parsing it from the stream would answer 400 where the limit answers 413.
    body = await request.body()
    if body and media_type == JSON:
        large = len(body) > LARGE_BYTES
        request._json = await run_in_threadpool(parse_json, body) if large else parse_json(body)


def parse_json(body: bytes, what: str = "The body") -> Any:
    """Raises `InvalidRequest`. orjson itself refuses NaN, Infinity, 1e400, lone surrogates and control characters."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(
            f"{what} is no valid JSON: {error}. NaN and Infinity are not JSON.", "invalid_json"
        ) from error
    # Counting is a hundred times quicker than walking, and nearly every body needs no more.
    may_be_deep = body.count(b"[") + body.count(b"{") > DEEPEST
    may_hold_nul = b"\\u0000" in body
    if may_be_deep or may_hold_nul:
        _walk(value, what)
    return value


def _walk(value: Any, what: str) -> None:
    level = [value]
    depth = 0
    while level:
        if depth > DEEPEST:
            raise InvalidRequest(f"{what} is nested deeper than {DEEPEST} levels: make it flatter.", "too_deep")
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
                below.extend(item)
            elif isinstance(item, list):
                below.extend(item)
            elif isinstance(item, str) and "\x00" in item:
                raise InvalidRequest(f"{what} holds the character NUL (\\u0000): leave it out.", "invalid_text")
        level = below
        depth += 1


def _has_body(request: Request) -> bool:
    length = request.headers.get("content-length")
    return "transfer-encoding" in request.headers if length is None else length != "0"
