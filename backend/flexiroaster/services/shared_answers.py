"""Answers that several servers are asked for again and again: one of them computes, all have it for a moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")

SECONDS = 1.0
"""So old may an answer be."""


class Kept(Protocol):
    """Texts that all servers see, for a while; they may be gone at any time."""

    def keep(self, name: str, text: str, seconds: float) -> None: ...

    def kept(self, name: str) -> str | None: ...


class SharedAnswers:
    """Without `kept` each is computed every time."""

    def __init__(self, kept: Kept | None) -> None:
        self._kept = kept

    def of(self, name: str, type: type[T], compute: Callable[[], T]) -> T:
        """`type` is a dataclass, which is kept as JSON."""
        if self._kept is None:
            return compute()
        adapter = TypeAdapter(type)
        found = self._kept.kept(name)
        if found is not None:
            try:
                return adapter.validate_json(found)
            except ValidationError:
                pass  # a server of another release keeps other fields
        answer = compute()
        self._kept.keep(name, adapter.dump_json(answer).decode(), SECONDS)
        return answer


NOT_SHARED = SharedAnswers(None)
