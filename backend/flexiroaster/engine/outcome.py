"""How an attempt of a stage ends: a closed union. User code never leaks an exception past it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from flexiroaster.engine.errors import StageError
from flexiroaster.engine.named import Named


class WaitsFor(Named):
    """What ends the wait of a stage run."""

    TIME = "time"
    APPROVAL = "approval"
    EXECUTION = "execution"
    EVENT = "event"


@dataclass(frozen=True, slots=True)
class Succeeded:
    """`result` is a JSON value; `rows` and `bytes` count what the stage handed on, None where it has no table.

    `cached_from` is the execution whose result was taken instead of making one, and `reason` says so. `not_chosen` are
    the stages that a switch has decided against. `again`: the stage is one that repeats, and its `until` does not hold
    yet.
    """

    result: Any = None
    rows: int | None = None
    bytes: int | None = None
    not_chosen: frozenset[str] = frozenset()
    again: bool = False
    cached_from: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    error: StageError


@dataclass(frozen=True, slots=True)
class Skipped:
    reason: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """The stage is not done and holds no worker: it is run again with the same attempt number and this `state`.

    That happens at `until`, or when what it waits for sends a signal, whose values are then in the state; None waits
    for the signal alone. `quiet`: it waits on as before, which is not announced again.
    """

    until: datetime | None
    reason: str
    state: dict[str, Any] = field(default_factory=dict)
    waits_for: WaitsFor = WaitsFor.TIME
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Cancelled:
    """`killed`: it did not end when it was told to, and was made to."""

    reason: str = "cancelled"
    killed: bool = False


@dataclass(frozen=True, slots=True)
class Stopped:
    """The whole execution ends now, like this. An empty message is made up for."""

    status: Literal["success", "failed", "cancelled"]
    message: str = ""


@dataclass(frozen=True, slots=True)
class Expanded:
    """A foreach stage has its items: `total` of them, of which some succeeded or were skipped in an earlier round.

    It is the engine's own answer, no stage type's.
    """

    total: int
    success: int = 0
    skipped: int = 0


Outcome = Expanded | Succeeded | Failed | Skipped | Waiting | Cancelled | Stopped
