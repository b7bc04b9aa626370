"""Pages that go on where the last one ended, however much was added meanwhile."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

import orjson

from flexiroaster.engine.errors import InvalidRequest

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """`next_cursor` is None on the last page."""

    items: list[T]
    next_cursor: str | None


def cut(rows: Sequence[T], limit: int, position: Callable[[T], Sequence[str | int]]) -> Page[T]:
    """A page of `limit` out of the up to `limit + 1` rows that were asked for."""
    if len(rows) <= limit:
        return Page(list(rows), None)
    return Page(list(rows[:limit]), encode(position(rows[limit - 1])))


def encode(position: Sequence[str | int]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(list(position))).decode().rstrip("=")


def decode(cursor: str, kinds: Sequence[type]) -> list[str | int]:
    """The position a cursor stands for. Raises InvalidRequest for what is no cursor of this list."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        position = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise not_a_cursor(cursor) from error
    fits = isinstance(position, list) and [type(part) for part in position] == list(kinds)
    if not fits or any("\0" in str(part) or abs(part if isinstance(part, int) else 0) > 2**31 - 1 for part in position):
        raise not_a_cursor(cursor)
    return list(position)


def decode_moment(text: str | int, cursor: str) -> datetime:
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise not_a_cursor(cursor) from error


def not_a_cursor(cursor: str) -> InvalidRequest:
    return InvalidRequest(
        f"{cursor[:40]!r} is no cursor of this list: take it unchanged from the header X-Next-Cursor, "
        "or leave it out to start at the beginning.",
        "invalid_cursor",
    )
