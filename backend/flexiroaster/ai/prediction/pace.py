"""What is remembered of durations: per stage, per stage type and of all, and how they follow the size of the input.

All durations here are logarithms of (seconds + 0.3), all sizes logarithms of bytes (or rows, where bytes are unknown).
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from flexiroaster.ai.prediction.alike import Alike
from flexiroaster.ai.prediction.history import REMEMBERED_EXECUTIONS
from flexiroaster.ai.prediction.window import Window
from flexiroaster.ai.runs import Run

SOFT = 0.3
"""Seconds added before the logarithm: nobody cares whether a stage takes a tenth of a second or three."""
FIRST_GUESS = math.log(10.0)
FIRST_SPREAD = 1.5
NEWEST = 60
WINDOW = 100
"""Durations that a median is taken of."""
LEAST_FOR_SLOPE = 10.0
USUAL_SLOPE = 0.2
BEYOND_SEEN = math.log(2.0)
"""A line is believed as far beyond the sizes that were seen as these are apart, and at least so far."""
STAGE_STRENGTH, NAME_STRENGTH, KIND_STRENGTH = 0.1, 1.0, 0.5
"""As many runs as the level above counts for: a variance within over one between. Durations of one stage differ far
less among themselves than from those of other stages, so that a single run already says most.
"""
NAMESAKES = 20
"""Pipelines whose stages of the same name are looked at, the newest ones."""


@dataclass(slots=True)
class Line:
    """Durations over sizes: a weighted least-squares line that forgets, half of it in 50 executions."""

    weight: float = 0.0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    xy: float = 0.0

    def add(self, x: float, y: float, keep: float) -> None:
        self.weight = keep * self.weight + 1.0
        self.x = keep * self.x + x
        self.y = keep * self.y + y
        self.xx = keep * self.xx + x * x
        self.xy = keep * self.xy + x * y

    def slope(self, usual: float) -> float:
        """Drawn towards `usual`; sizes that hardly vary say nothing about it."""
        if self.weight < 2.0:
            return usual
        varies = self.xx - self.x * self.x / self.weight
        together = self.xy - self.x * self.y / self.weight
        return min(max((together + usual) / (varies + 1.0), -0.5), 2.0)


@dataclass(slots=True)
class Pace:
    """The durations of one key."""

    count: int = 0
    last: float = math.nan
    ewma: float = 0.0
    line: Line = field(default_factory=Line)
    window: Window[tuple[float, float]] = field(default_factory=lambda: Window(WINDOW))
    """Duration and size; the size is not a number where it is unknown."""
    ordered: list[float] = field(default_factory=list)
    """The durations of the window, rising."""
    executions: int = 0
    _execution: str | None = None
    _items: int = 0
    _mean: float = 0.0
    """Of the execution that ended a run last."""
    _before: float = 0.0
    """What `ewma` was before that execution."""
    _level: float | None = None
    """The median of what a line leaves over."""
    _sizes: tuple[float, float] = (0.0, 0.0)
    """The smallest and the largest that the line goes to."""

    def add(self, seconds: float, size: float | None, execution: str) -> None:
        self.count += 1
        self.last = seconds
        insort(self.ordered, seconds)
        for gone, _ in self.window.add((seconds, math.nan if size is None else size), execution):
            del self.ordered[bisect_left(self.ordered, gone)]
        self._add_recent(seconds, execution)
        if size is not None:
            self.line.add(size, seconds, 1.0 if execution == self._execution else 0.986)
        self._execution = execution
        # The middle of many moves little with one more, and finding it again is most of what a run costs here.
        if self.count < 40 or self.count % 5 == 0:
            self._level = None

    def _add_recent(self, seconds: float, execution: str) -> None:
        """The runs of one execution count as one: items end in the order of their durations, the slowest last."""
        if execution != self._execution:
            self.executions += 1
            self._items, self._before = 0, self.ewma
        self._items += 1
        self._mean += (seconds - self._mean) / self._items
        self.ewma = self._before + max(1.0 / self.executions, 0.15) * (self._mean - self._before)

    def median(self) -> float:
        middle = len(self.ordered) // 2
        if len(self.ordered) % 2:
            return self.ordered[middle]
        return (self.ordered[middle - 1] + self.ordered[middle]) / 2.0

    def at(self, size: float, slope: float) -> float:
        """The usual duration at that size: a line of that slope through the middle of the newest durations."""
        center = self.line.x / self.line.weight
        if self._level is None:
            seen = [(seconds, x) for seconds, x in self.window.values() if not math.isnan(x)]
            seen = seen or [(self.line.y / self.line.weight, center)]
            self._level = median(seconds - slope * (x - center) for seconds, x in seen)
            low, high = min(x for _, x in seen), max(x for _, x in seen)
            margin = max(BEYOND_SEEN, high - low)
            self._sizes = low - margin, high + margin
        smallest, largest = self._sizes
        return self._level + slope * (min(max(size, smallest), largest) - center)

    def spread(self) -> float:
        """Half the distance between the 16th and the 84th percentile: a standard deviation that ignores outliers."""
        ordered = self.ordered
        if len(ordered) < 3:
            return FIRST_SPREAD
        last = len(ordered) - 1
        return max((ordered[round(0.84 * last)] - ordered[round(0.16 * last)]) / 2.0, 0.01)


@dataclass(slots=True)
class Late:
    """How far the stages of one execution were from what was expected of them."""

    count: int = 0
    total: float = 0.0
    stages: dict[str, tuple[int, float]] = field(default_factory=dict)


LABELS = {
    "seconds_runs": "earlier durations of the stage",
    "seconds_median": "median duration of the stage",
    "seconds_recent": "duration of the stage's latest runs",
    "seconds_line": "duration that fits the size of the input",
    "seconds_last": "duration of the stage's last run",
    "seconds_deviation": "spread of the stage's durations",
    "seconds_kind": "median duration of stages of this type",
    "seconds_kind_line": "duration of this type that fits the size of the input",
    "seconds_slope": "how durations of the stage grow with the input",
    "seconds_size": "size of the input",
    "seconds_size_apart": "size of the input, against usual",
    "seconds_execution_late": "how late this execution is",
    "seconds_siblings_late": "how late other runs of the stage in this execution were",
    "seconds_pipeline_late": "how late the pipeline was lately",
    "seconds_alike": "how much longer runs with the same item or input took",
}
NAMES = tuple(LABELS)
LINE = NAMES.index("seconds_line")
RUNS = NAMES.index("seconds_runs")
MEDIAN = NAMES.index("seconds_median")
RECENT = NAMES.index("seconds_recent")
DEVIATION = NAMES.index("seconds_deviation")
ALIKE = NAMES.index("seconds_alike")


class Paces:
    """Features of a duration at the start of a run, from runs that had ended. The caller keeps the order of time."""

    def __init__(self) -> None:
        self.all = Pace()
        self._kinds: dict[str, Pace] = {}
        self._stages: dict[tuple[str, str], Pace] = {}
        self._names: dict[str, list[Pace]] = {}
        """The stages of one name in all pipelines."""
        self._late: OrderedDict[str, Late] = OrderedDict()
        self._pipelines: dict[str, float] = {}
        self._alike = Alike()

    def features(self, run: Run) -> list[float]:
        """In the order of `NAMES`; the line falls back to the median where the size is unknown."""
        size = size_of(run)
        stage = self._stages.get((run.pipeline, run.stage)) or Pace()
        kind = self._kinds.get(run.kind) or self.all
        usual = self._usual(kind)
        middle = _towards(stage.median() if stage.count else usual, stage.count, usual, STAGE_STRENGTH)
        recent = _towards(stage.ewma, stage.count, usual, STAGE_STRENGTH)
        kind_slope = kind.line.slope(USUAL_SLOPE)
        slope = stage.line.slope(kind_slope) if stage.line.weight >= LEAST_FOR_SLOPE else math.nan
        line = middle if math.isnan(slope) or size is None else stage.at(size, slope)
        kind_line = usual if size is None or kind.line.weight < LEAST_FOR_SLOPE else kind.at(size, kind_slope)
        if not stage.count:
            middle, line = self._of_namesakes(run, size, kind_slope, middle, kind_line)
        late = self._late.get(run.execution) or Late()
        siblings = late.stages.get(run.stage)
        alike = self._alike.effect(run)
        line += alike
        return [
            math.log1p(stage.count),
            middle,
            recent,
            line,
            stage.last,
            stage.spread(),
            usual,
            kind_line,
            slope,
            math.nan if size is None else size,
            math.nan if size is None or stage.line.weight < 2.0 else size - stage.line.x / stage.line.weight,
            late.total / (late.count + 1.0) if late.count else math.nan,
            siblings[1] / (siblings[0] + 0.5) if siblings else math.nan,
            self._pipelines.get(run.pipeline, math.nan),
            alike,
        ]

    def know(self, run: Run) -> bool:
        """Whether anything like it has run."""
        own = (run.pipeline, run.stage) in self._stages
        return own or name_of(run.stage) in self._names or run.kind in self._kinds

    def add(self, run: Run, values: Sequence[float] | None) -> None:
        """A run that succeeded, with the features at its start."""
        seconds = logarithm(run)
        if values is not None:
            off = seconds - values[LINE]
            self._add_late(run, off)
            self._alike.add(run, off + values[ALIKE], first=values[RUNS] == 0.0)
        size = size_of(run)
        stage = self._stages.get((run.pipeline, run.stage))
        if stage is None:
            stage = self._stages[run.pipeline, run.stage] = Pace()
            self._names.setdefault(name_of(run.stage), []).append(stage)
        for pace in (self.all, self._kinds.setdefault(run.kind, Pace()), stage):
            pace.add(seconds, size, run.execution)

    def _add_late(self, run: Run, late: float) -> None:
        state = self._late.get(run.execution)
        if state is None:
            state = self._late[run.execution] = Late()
            if len(self._late) > REMEMBERED_EXECUTIONS:
                self._late.popitem(last=False)
        state.count += 1
        state.total += late
        count, total = state.stages.get(run.stage, (0, 0.0))
        state.stages[run.stage] = (count + 1, total + late)
        before = self._pipelines.get(run.pipeline, 0.0)
        self._pipelines[run.pipeline] = before + 0.1 * (late - before)

    def _of_namesakes(
        self, run: Run, size: float | None, slope: float, usual: float, usual_line: float
    ) -> tuple[float, float]:
        """The usual duration of a stage that never ran, and the one that fits its size, as other pipelines have it.

        Each of them counts as one run: how often it ran there says nothing about here.
        """
        others = self._names.get(name_of(run.stage), [])[-NAMESAKES:]
        if not others:
            return usual, usual_line
        middle = median(other.median() for other in others)
        fitting = median(
            other.median() if size is None or other.line.weight < 1.0 else other.at(size, other.line.slope(slope))
            for other in others
        )
        count = len(others)
        return _towards(middle, count, usual, NAME_STRENGTH), _towards(fitting, count, usual_line, NAME_STRENGTH)

    def _usual(self, kind: Pace) -> float:
        everything = _towards(
            self.all.median() if self.all.count else FIRST_GUESS, self.all.count, FIRST_GUESS, KIND_STRENGTH
        )
        return _towards(kind.median() if kind.count else everything, kind.count, everything, KIND_STRENGTH)


def name_of(stage: str) -> str:
    """What the stage itself is called, without the names of the parts of the pipeline that it is in."""
    return re.split(r"[.:/]", stage)[-1]


def size_of(run: Run) -> float | None:
    size = run.input_bytes if run.input_bytes is not None else run.input_rows
    return None if size is None else math.log1p(max(size, 0.0))


def logarithm(run: Run) -> float:
    return math.log((run.seconds or 0.0) + SOFT)


def seconds_from(logarithm: float) -> float:
    return max(math.exp(min(logarithm, 30.0)) - SOFT, 0.001)


def _towards(value: float, count: float, above: float, strength: float) -> float:
    return (count * value + strength * above) / (count + strength)
