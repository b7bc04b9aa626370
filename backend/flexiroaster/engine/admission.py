"""Whether a new execution may begin, by how many of its pipeline have not ended: `concurrency` and a paused pipeline.

Executions with the same concurrency key share `limit` places. A place is taken from admission to the very end,
handlers included. Who finds none waits, or what `when_full` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from flexiroaster.engine.pipeline import Concurrency

PAUSED = "the pipeline is paused"


@dataclass(frozen=True, slots=True)
class Crowd:
    """The executions of a pipeline that share places: `admitted` ones, those of them that are being cancelled
    (`leaving`), and how many wait. `paused`: the pipeline is, so that nobody is admitted.
    """

    admitted: int = 0
    leaving: int = 0
    waiting: int = 0
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Admitted:
    pass


@dataclass(frozen=True, slots=True)
class Waits:
    """For its place. `replaced` of the oldest others are cancelled for it."""

    reason: str
    replaced: int = 0


@dataclass(frozen=True, slots=True)
class Skips:
    """It is kept as cancelled before it began."""

    reason: str


@dataclass(frozen=True, slots=True)
class Fails:
    """It is kept as failed before it began."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """It is not accepted at all."""

    reason: str


Entry = Admitted | Waits | Skips | Fails | Refused


def entry(policy: Concurrency | None, crowd: Crowd, key: str = "") -> Entry:
    """What becomes of a new execution; `policy` None: it needs no place."""
    if policy is None:
        return Waits(PAUSED) if crowd.paused else Admitted()
    if not crowd.paused:
        if crowd.admitted >= policy.limit:
            return _without_place(policy, crowd, key)
        if not crowd.waiting:
            return Admitted()
    return _queued(policy, crowd, PAUSED if crowd.paused else f"waiting for a place: {crowd.waiting} came before")


def has_place(policy: Concurrency | None, crowd: Crowd) -> bool:
    """Whether the first of those that wait may begin."""
    return not crowd.paused and (policy is None or crowd.admitted < policy.limit)


def waiting_for_place(policy: Concurrency, crowd: Crowd, key: str) -> str:
    return f"waiting for a place: {_taken(policy, crowd, key)}"


def _without_place(policy: Concurrency, crowd: Crowd, key: str) -> Entry:
    taken = _taken(policy, crowd, key)
    reason = waiting_for_place(policy, crowd, key)
    match policy.when_full:
        case "skip":
            return Skips(f"not run: {taken}, and concurrency.when_full is skip")
        case "fail":
            return Fails(f"It did not run: {taken}, and concurrency.when_full is fail.")
        case "cancel_oldest":
            others = crowd.admitted - crowd.leaving + crowd.waiting
            return Waits(reason, replaced=max(0, others + 1 - policy.limit))
        case "queue":
            return _queued(policy, crowd, reason)
        case _:
            assert_never(policy.when_full)


def _queued(policy: Concurrency, crowd: Crowd, reason: str) -> Entry:
    if policy.max_queued is None or crowd.waiting < policy.max_queued:
        return Waits(reason)
    waiting = "1 execution waits" if crowd.waiting == 1 else f"{crowd.waiting} executions wait"
    return Refused(f"{waiting} already, and concurrency.max_queued is {policy.max_queued}")


def _taken(policy: Concurrency, crowd: Crowd, key: str) -> str:
    of_key = f" for {key}" if key else ""
    return f"{crowd.admitted}/{policy.limit} run{of_key}"
