"""What a test expected and got otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flexiroaster.engine.pipeline import Expectation
from flexiroaster.testing.result import Result

MOST = 20
"""Differences that are told; more would hide the first ones."""
NOTHING = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """`where` is `status`, `at`, `stages.<id>` or a place in `outputs`."""

    where: str
    expected: Any
    got: Any
    why: str | None = None

    def __str__(self) -> str:
        why = f" ({self.why})" if self.why else ""
        return f"{self.where}: expected {_shown(self.expected)}, got {_shown(self.got)}{why}"


def differences(expected: Expectation, result: Result) -> list[Difference]:
    found = [*_of_the_end(expected, result), *_of_stages(expected, result), *_of_outputs(expected, result)]
    return found[:MOST]


def _of_the_end(expected: Expectation, result: Result) -> Iterator[Difference]:
    if expected.status is not None and expected.status != result.status:
        yield Difference("status", expected.status, result.status, result.cause or _waiting(result))
    if expected.at is not None and expected.at not in result.at:
        yield Difference("at", expected.at, ", ".join(result.at) or "no stage")


def _of_stages(expected: Expectation, result: Result) -> Iterator[Difference]:
    for id, status in expected.stages.items():
        stage = result.stages.get(id)
        got = "not run" if stage is None else stage.status
        if got != status:
            error = None if stage is None or stage.error is None else str(stage.error.get("message"))
            yield Difference(f"stages.{id}", status, got, error or (None if stage is None else stage.reason))


def _of_outputs(expected: Expectation, result: Result) -> Iterator[Difference]:
    for name, value in expected.outputs.items():
        yield from _between(f"outputs.{name}", value, result.outputs.get(name, NOTHING))


def _between(where: str, expected: Any, got: Any) -> Iterator[Difference]:
    if isinstance(expected, Mapping) and isinstance(got, Mapping):
        for key in [*expected, *(key for key in got if key not in expected)]:
            yield from _between(f"{where}.{key}", expected.get(key, NOTHING), got.get(key, NOTHING))
    elif isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        for place, (one, other) in enumerate(zip(expected, got, strict=True)):
            yield from _between(f"{where}[{place}]", one, other)
    elif not _same(expected, got):
        yield Difference(where, expected, got)


def _same(expected: Any, got: Any) -> bool:
    """As JSON has it: 1 is 1.0, but true is not 1."""
    return isinstance(expected, bool) == isinstance(got, bool) and bool(expected == got)


def _waiting(result: Result) -> str | None:
    return f"it waits at {', '.join(result.at)}" if result.status == "paused" else None


def _shown(value: Any) -> str:
    if value is NOTHING:
        return "nothing"
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 200 else f"{text[:199]}…"
