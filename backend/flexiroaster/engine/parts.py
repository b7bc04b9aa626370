"""Much is done in parts: what one statement names, or one transaction holds, is bounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """In their order, each of so many, the last one of what is left."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
