"""What an engine takes from outside: time, chance, and, for a trial, what stands in for its stages."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from flexiroaster.stages.base import StageContext

StandIn = Callable[[StageContext], Any]
"""Answers instead of a stage's `run`: a result, an `Outcome`, or by raising StageFailed."""


class Clockwork(Protocol):
    """Calls that are due later."""

    def at(self, moment: datetime, callback: Callable[[], None]) -> object: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Conditions:
    """`timers` None: real ones. `stand_ins` are by stage id."""

    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    timers: Clockwork | None = None
    chance: Callable[[], float] = random.random
    stand_ins: Mapping[str, StandIn] = field(default_factory=dict)


REALITY = Conditions()
