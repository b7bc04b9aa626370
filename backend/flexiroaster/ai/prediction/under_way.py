"""What was noted at the start of runs, until their end is told."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

from flexiroaster.ai.runs import Run

AT_MOST = 100_000
"""The oldest notes are given up beyond that: runs whose end nobody told."""

T = TypeVar("T")
Details = tuple[float, float | None, float | None]


class UnderWay(Generic[T]):
    """Notes by attempt. Several runs of one stage may be under way in an execution: tasks of one name, items.

    Where `item` does not tell them apart, start and size do; a run that fits none of the notes takes the first one.
    """

    def __init__(self) -> None:
        self._notes: OrderedDict[tuple[str, str, str, int], list[tuple[Details, T]]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, run: Run) -> bool:
        return any(details == _details(run) for details, _ in self._notes.get(_key(run), ()))

    def put(self, run: Run, note: T) -> bool:
        """False when the same run was noted before: the newer note replaces the older."""
        details = _details(run)
        notes = self._notes.setdefault(_key(run), [])
        for index, (known, _) in enumerate(notes):
            if known == details:
                notes[index] = (details, note)
                return False
        notes.append((details, note))
        self._count += 1
        if self._count > AT_MOST:
            self._count -= len(self._notes.popitem(last=False)[1])
        return True

    def take(self, run: Run) -> T | None:
        key, details = _key(run), _details(run)
        notes = self._notes.get(key)
        if not notes:
            return None
        index = next((index for index, (known, _) in enumerate(notes) if known == details), 0)
        _, note = notes.pop(index)
        self._count -= 1
        if not notes:
            del self._notes[key]
        return note


def _key(run: Run) -> tuple[str, str, str, int]:
    return run.execution, run.stage, run.item, run.attempt


def _details(run: Run) -> Details:
    return run.started_at, run.input_bytes, run.input_rows
