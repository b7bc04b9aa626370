"""What runs with the same item, or with the same text among the inputs, took beyond what was expected of them.

The same region, table or file comes again in the next execution, and is about as slow as it was. Per stage, the fact
that told most so far is asked, and drawn towards nothing where it was seen seldom.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from flexiroaster.ai.runs import Run

KNOWN_VALUES = 20_000
"""Dates and ids never come again: the values that were not seen for longest are given up."""
NEWEST_EXECUTIONS = 16
OPEN_EXECUTIONS = 8
"""Of a stage, at the same time."""
STRENGTH = 2.0
"""As many executions as "no difference" counts for."""
FARTHEST = 3.0
"""Logarithm: one run that took a thousand times as long says no more than one that took twenty times as long."""
SETTLE_AT = 500
"""Answers that wait for their execution to be over; of a longer one, they count as it stands."""
KEEP = 0.998
"""What a run before counts for after each further one."""
ITEM = ""
"""The name of the fact that is the item."""

Fact = tuple[str, str]
"""Name and value."""


@dataclass(slots=True)
class Level:
    """How far all runs of a stage in one execution were from what was expected."""

    execution: str
    count: int = 0
    total: float = 0.0

    def mean(self) -> float:
        return self.total / self.count

    def without(self, off: float) -> float:
        """Of the others, drawn towards nothing as if one more had been as expected."""
        return (self.total - off) / self.count


@dataclass(frozen=True, slots=True)
class Seen:
    """A value in one execution."""

    level: Level
    off: float

    def beyond(self, name: str) -> float:
        """An execution that is late as a whole says nothing about its items, but all about its inputs."""
        return self.off - self.level.without(self.off) if name == ITEM else self.level.mean()


@dataclass(slots=True)
class Told:
    """What the facts of a stage told so far."""

    levels: OrderedDict[str, Level] = field(default_factory=OrderedDict)
    """Of the newest executions."""
    gains: dict[str, float] = field(default_factory=dict)
    """By name of the fact: by how much it was nearer than nothing, in sum; forgets by runs."""
    pending: list[tuple[str, float, Seen]] = field(default_factory=list)
    """Name, what was told, what became of it: to be counted when the execution as a whole is known."""

    def level(self, execution: str) -> Level:
        found = self.levels.get(execution)
        if found is None:
            found = self.levels[execution] = Level(execution)
            if len(self.levels) > OPEN_EXECUTIONS:
                self.levels.popitem(last=False)
        return found

    def settle(self) -> None:
        for name, effect, seen in self.pending:
            beyond = seen.beyond(name)
            gain = abs(beyond) - abs(beyond - effect)
            self.gains[name] = KEEP * self.gains.get(name, 0.0) + gain
        self.pending.clear()


class Alike:
    """Per stage. The caller keeps the order of time."""

    def __init__(self) -> None:
        self._stages: dict[tuple[str, str], Told] = {}
        self._values: OrderedDict[tuple[str, str, str, str], tuple[Seen, ...]] = OrderedDict()

    def effect(self, run: Run) -> float:
        """Logarithm, beyond what is expected of the stage and its size; nothing where no fact has told anything."""
        told = self._stages.get((run.pipeline, run.stage))
        if told is None:
            return 0.0
        if told.pending and run.execution not in told.levels:
            told.settle()
        best, answer = 0.0, 0.0
        for fact in facts(run):
            gain = told.gains.get(fact[0], 0.0)
            if gain > best and (effect := self._of(run, fact)) is not None:
                best, answer = gain, effect
        return answer

    def add(self, run: Run, off: float, *, first: bool = False) -> None:
        """How far a run that ended was from what was expected, as a logarithm; `first` while nothing was known of its
        stage: then it tells no more than how the items of one execution differ.
        """
        told = self._stages.setdefault((run.pipeline, run.stage), Told())
        if told.pending and (run.execution not in told.levels or len(told.pending) >= SETTLE_AT):
            told.settle()
        off = max(min(off, FARTHEST), -FARTHEST)
        level = told.level(run.execution)
        level.count += 1
        level.total += off
        seen = Seen(level, off)
        for fact in facts(run):
            if first and fact[0] != ITEM:
                continue
            effect = self._of(run, fact)
            if effect is not None:
                told.pending.append((fact[0], effect, seen))
            self._keep(run, fact, seen)

    def _keep(self, run: Run, fact: Fact, seen: Seen) -> None:
        key = (run.pipeline, run.stage, *fact)
        known = self._values.pop(key, ())
        if all(one.level is not seen.level for one in known):
            known = (*known, seen)[-NEWEST_EXECUTIONS:]
        self._values[key] = known
        if len(self._values) > KNOWN_VALUES:
            self._values.popitem(last=False)

    def _of(self, run: Run, fact: Fact) -> float | None:
        """From other executions than the run's own."""
        known = self._values.get((run.pipeline, run.stage, *fact), ())
        others = [one.beyond(fact[0]) for one in known if one.level.execution != run.execution]
        return sum(others) / (len(others) + STRENGTH) if others else None


def facts(run: Run) -> Iterator[Fact]:
    if run.item:
        yield ITEM, run.item
    yield from run.categories.items()
