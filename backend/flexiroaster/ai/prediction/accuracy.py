"""How far the candidates for a duration were off, per stage: which one is to answer, and how wide its interval is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from flexiroaster.ai.prediction.pace import FIRST_SPREAD, NEWEST
from flexiroaster.ai.prediction.window import Window

COLD = "\0"
"""The key of first runs of a stage: they are off by far more than later ones, and counted among themselves."""
HANDICAP = 2.5
"""The line answers unless another candidate errs clearly less; how clearly, falls with the executions that show it."""
BORROWED = 20
"""Residuals of all stages stand in until a stage has this many of its own."""
LEAST_RESIDUALS = 5

Residuals = Mapping[str, Sequence[tuple[float, float]]]


@dataclass(frozen=True, slots=True)
class Residual:
    """What a prediction was off by, in logarithms, and the spread it had expected."""

    off: float
    scale: float


class Errors:
    """Absolute errors of the candidates for one key; forgets by executions, half in 23."""

    __slots__ = ("_execution", "_items", "executions", "sums", "weight")

    def __init__(self) -> None:
        self._execution = ""
        self._items = 0
        self.weight = 0.0
        self.executions = 0.0
        self.sums: dict[str, float] = {}

    def add(self, errors: Mapping[str, float], execution: str) -> None:
        """A hundred items of one execution err together: they weigh as much as ten executions of one item."""
        keep = 1.0 if execution == self._execution else 0.97
        self.executions = self.executions if execution == self._execution else keep * self.executions + 1.0
        self._items = self._items + 1 if execution == self._execution else 1
        self._execution = execution
        weight = math.sqrt(self._items) - math.sqrt(self._items - 1)
        self.weight = keep * self.weight + weight
        for name, error in errors.items():
            self.sums[name] = keep * self.sums.get(name, 0.0) + weight * min(error, 3.0)

    def best(self, names: Iterable[str], above: Errors | None) -> str:
        """The lowest mean error; the key's own count against what is true for all with the weight of 10 runs."""

        handicap = 1.0 + HANDICAP / (self.executions + 1.0)

        def mean(name: str) -> float:
            usual, weight = 1.0, 0.0
            if above is not None and above.weight:
                usual, weight = above.sums.get(name, above.weight) / above.weight, 10.0
            own = self.sums.get(name)
            error = usual if own is None else (own + weight * usual) / (self.weight + weight)
            return error if name == "line" else error * handicap

        return min(names, key=mean)


class Accuracy:
    """Of the answers so far. Tell ends in the order in which they happened."""

    def __init__(self) -> None:
        self._errors: dict[str, Errors] = {}
        self.of_all = Errors()
        self._residuals: dict[str, Window[Residual]] = {}
        self._all_residuals: Window[Residual] = Window(400)

    def best(self, key: str, offers: Mapping[str, float]) -> str:
        """The candidate that is to answer."""
        return (self._errors.get(key) or Errors()).best(offers, self.of_all)

    def add(
        self,
        key: str,
        execution: str,
        seconds: float,
        offers: Mapping[str, float],
        scale: float,
        answered: str | None = None,
    ) -> None:
        """`seconds`, the answers on `offer` and the expected spread are logarithms. `answered` is the candidate whose
        residual counts, by default the one that would have answered.
        """
        errors = {name: abs(seconds - offer) for name, offer in offers.items()}
        own = self._errors.setdefault(key, Errors())
        residual = Residual(seconds - offers[answered or own.best(offers, self.of_all)], scale)
        self._residuals.setdefault(key, Window(NEWEST)).add(residual, execution)
        own.add(errors, execution)
        if key != COLD:
            self._all_residuals.add(residual, execution)
            self.of_all.add(errors, execution)

    def quantiles(self, key: str) -> tuple[float, float]:
        """The conformal 10th and 90th percentile of the residuals over their expected spread."""
        own = self._residuals.get(key)
        ratios = [residual.off / residual.scale for residual in own.values()] if own else []
        if len(ratios) < BORROWED:
            newest = self._all_residuals.values()[-200:]
            step = max(1, len(newest) // (BORROWED - len(ratios)))
            ratios += [residual.off / residual.scale for residual in newest[::step]]
        if len(ratios) < LEAST_RESIDUALS:
            return -1.5 * FIRST_SPREAD, 1.5 * FIRST_SPREAD
        return conformal(ratios, 0.1), conformal(ratios, 0.9)

    # --- Stored with a model -----------------------------------------------------------------------------------------

    def residuals(self) -> dict[str, list[tuple[float, float]]]:
        """Per stage, the oldest first."""
        return {
            key: [(float(f"{one.off:.5g}"), float(f"{one.scale:.5g}")) for one in window.values()]
            for key, window in self._residuals.items()
        }

    def errors(self) -> dict[str, dict[str, float]]:
        """Of every candidate, per stage and (under the empty key) of all."""
        kept = self._errors | {"": self.of_all}
        return {
            key: {"weight": errors.weight, "executions": errors.executions, **errors.sums}
            for key, errors in kept.items()
        }

    def resume(self, residuals: Residuals, errors: Mapping[str, Mapping[str, float]]) -> None:
        """Go on from where a training ended."""
        for key, pairs in residuals.items():
            own = self._residuals[key] = Window(NEWEST)
            for place, pair in enumerate(pairs):
                own.add(Residual(*pair), str(place))
        for age, pair in sorted(aged(residuals), reverse=True):
            self._all_residuals.add(Residual(*pair), str(age))
        for key, sums in errors.items():
            found = Errors()
            found.weight, found.executions = sums["weight"], sums["executions"]
            found.sums = {name: value for name, value in sums.items() if name not in ("weight", "executions")}
            if key:
                self._errors[key] = found
            else:
                self.of_all = found


def aged(residuals: Residuals) -> Iterator[tuple[int, tuple[float, float]]]:
    """Each residual with the number of newer ones of its stage; first runs of stages are left out."""
    for key, pairs in residuals.items():
        if key != COLD:
            yield from enumerate(reversed(pairs))


def conformal(values: Sequence[float], share: float) -> float:
    """The quantile that a new value from the same source stays below with at least that probability
    (split conformal prediction: the ceiling of (n + 1) x share; mirrored below the middle).
    """
    ordered, count = sorted(values), len(values)
    if share < 0.5:
        return ordered[max(math.floor((count + 1) * share) - 1, 0)]
    return ordered[min(math.ceil((count + 1) * share), count) - 1]
