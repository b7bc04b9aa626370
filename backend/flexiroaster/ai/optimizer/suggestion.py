"""What a suggestion is: a change of a definition with its reasons, and how it is applied."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from flexiroaster.ai.optimizer.replay import Saving

Kind = Literal["parallel", "critical_path", "timeout", "retry", "cache", "fusion"]


@dataclass(frozen=True, slots=True)
class Edit:
    """Set a key of a stage, or one further in."""

    stage: str
    path: tuple[str, ...]
    value: Any


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Never applied without consent. Without `edits` it is advice that no definition can follow by itself."""

    kind: Kind
    pipeline: str
    stages: tuple[str, ...]
    text: str
    """A sentence or two with the numbers in it."""
    saving: Saving | None
    """Of an execution's duration; None where time is not what it is about."""
    edits: tuple[Edit, ...]
    executions: int
    """How many it rests on."""
    numbers: Mapping[str, float] = field(default_factory=dict)
    """What the text is made from."""

    @property
    def gain(self) -> float:
        """Seconds that it saves; 0 where that is not what it is about."""
        return 0.0 if self.saving is None else self.saving.median

    @property
    def id(self) -> str:
        """The same for the same change, however often it is looked for."""
        written = repr((self.kind, self.pipeline, self.stages, self.edits))
        return hashlib.sha256(written.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class NotEnough:
    """Too few executions to say anything."""

    pipeline: str
    executions: int
    wanted: int

    @property
    def text(self) -> str:
        return f"Not enough data yet ({self.executions} of {self.wanted} executions)."


def apply(document: Mapping[str, Any], edits: Sequence[Edit]) -> dict[str, Any]:
    """A new document with the edits; the given one stays as it is. Raises KeyError for a stage that is not there."""
    changed: dict[str, Any] = copy.deepcopy(dict(document))
    stages = {stage["id"]: stage for stage in changed["stages"]}
    for edit in edits:
        *inner, last = edit.path
        place = stages[edit.stage]
        for key in inner:
            place = place.setdefault(key, {})
        place[last] = copy.deepcopy(edit.value)
    return changed
