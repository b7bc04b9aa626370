"""What a suggestion is: a change of a definition with its reasons, and how it is applied."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from flexiroaster.engine.plurals import counted

if TYPE_CHECKING:
    from flexiroaster.ai.optimizer.replay import Replay, Saving

Kind = Literal["parallel", "critical_path", "timeout", "retry", "cache", "fusion", "pool", "concurrency", "schedule"]
EXECUTIONS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Edit:
    """Set a key of a stage, or one further in; without a stage, of the pipeline itself. An entry of a list is named by
    its `id`. With `remove` it is taken away, and the value says nothing.
    """

    stage: str
    path: tuple[str, ...]
    value: Any
    remove: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A request to the API that makes a change which is none of a definition."""

    method: str
    path: str
    body: Mapping[str, Any]


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
    confidence: float = 0.0
    """How probable it is, by these counts, that it brings what it is made for: shorter executions, a further attempt
    that is worth it, a timeout that stops no good run, a result that is still true."""
    shown: tuple[str, ...] = ()
    """Executions that it rests on, newest first, at most `EXECUTIONS_SHOWN`."""
    call: Call | None = None

    @property
    def gain(self) -> float:
        """Seconds that it saves; 0 where that is not what it is about."""
        return 0.0 if self.saving is None else self.saving.median

    @property
    def id(self) -> str:
        """The same for the same change, however often it is looked for and whichever pipeline gains most by it."""
        change: Any = self.edits
        if self.call is not None:
            change = (self.call.method, self.call.path, sorted(self.call.body.items()))
        where = (self.pipeline, self.stages) if self.call is None else ()
        written = repr((self.kind, *where, change))
        return hashlib.sha256(written.encode()).hexdigest()[:16]


def of_replay(
    kind: Kind,
    replay: Replay,
    stages: tuple[str, ...],
    text: str,
    saving: Saving,
    edits: tuple[Edit, ...],
    numbers: Mapping[str, float],
) -> Suggestion:
    """One whose saving was measured on the executions of a replay."""
    shown = replay.ids[:EXECUTIONS_SHOWN]
    executions, sure = saving.executions, saving.confidence
    return Suggestion(kind, replay.graph.pipeline, stages, text, saving, edits, executions, numbers, sure, shown)


@dataclass(frozen=True, slots=True)
class NotEnough:
    """Too few executions to say anything, or anything of a `kind`, which they speak for so far."""

    pipeline: str
    executions: int
    wanted: int
    kind: Kind | None = None
    about: str = ""
    """The stage, pool or schedule that it would be of."""

    @property
    def text(self) -> str:
        if self.kind is None:
            return f"Not enough data yet ({self.executions} of {self.wanted} executions)."
        more = counted(max(self.wanted - self.executions, 1), "more execution")
        return f"{_MAY_HELP[self.kind].format(self.about)} may help: it needs {more} to be sure."


_MAY_HELP: Mapping[Kind, str] = {
    "cache": "Keeping the results of {}",
    "pool": "More slots in pool {}",
    "concurrency": "More executions of {} at once",
    "schedule": "Another time for the schedule {}",
    "fusion": "Writing {} as one stage",
    "parallel": "An earlier start of {}",
    "critical_path": "A faster {}",
    "timeout": "A timeout of {}",
    "retry": "Other retries of {}",
}


def apply(document: Mapping[str, Any], edits: Sequence[Edit]) -> dict[str, Any]:
    """A new document with the edits; the given one stays as it is. Raises KeyError for a stage that is not there."""
    changed: dict[str, Any] = copy.deepcopy(dict(document))
    for edit in edits:
        *inner, last = edit.path
        place: Any = changed if not edit.stage else _entry(changed["stages"], edit.stage)
        for key in inner:
            place = _entry(place, key) if isinstance(place, list) else place.setdefault(key, {})
        if edit.remove and isinstance(place, list):
            place.remove(_entry(place, last))
        elif edit.remove:
            place.pop(last, None)
        else:
            place[last] = copy.deepcopy(edit.value)
    return changed


def _entry(entries: Sequence[dict[str, Any]], id: str) -> dict[str, Any]:
    """Raises KeyError."""
    for entry in entries:
        if entry.get("id") == id:
            return entry
    raise KeyError(id)
