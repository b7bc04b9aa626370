"""What an evaluation may cost, told before it begins: nothing can interrupt CEL, and meanwhile all else waits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from flexiroaster.engine.expressions.analysis import Analysis, Reference
from flexiroaster.engine.expressions.values import Measure, weight

MAX_STEPS = 10_000_000
"""Half a second to two. `map` and `filter` of the CEL package copy what they have for each element, so n elements of
w values cost n²·w steps (measured: 1,000 numbers 36 ms, 1,000 objects of 20 members 4 s)."""
MAX_CHARACTERS = 50_000_000


def excess(found: Analysis, measure: Measure, reached: Callable[[Reference], Any]) -> str | None:
    """What would be too much, as the predicate of a sentence; None when nothing is. `reached` gives a name's value."""
    growth = (1 + found.pluses) ** (1 + found.macros)
    if measure.characters * growth > MAX_CHARACTERS:
        return f"works on too much text ({measure.characters:,} characters)"
    if not found.macros:
        return None
    elements = max(measure.longest, found.commas + 1) * (1 + found.pluses) ** found.macros
    kept = _kept(found, measure, elements, reached) if found.copies else 1
    if _steps(found, measure, elements, kept) <= MAX_STEPS:
        return None
    each = f" and its elements up to {kept:,} values" if kept > 1 else ""
    return f"goes through too many elements (the longest list has {measure.longest:,}{each})"


def _steps(found: Analysis, measure: Measure, elements: int, kept: int) -> int:
    """The values that macros visit or copy: in going through lists, in taking a list for a macro that stands inside
    another, and in making lists.
    """
    visited = found.macros * elements**found.macro_depth
    taken = found.macros * elements ** (found.macro_depth - 1) * measure.values
    made = sum(elements**power for power in found.copies) * kept
    return int(max(visited, taken, made))


def _kept(found: Analysis, measure: Measure, elements: int, reached: Callable[[Reference], Any]) -> int:
    """The values in the largest thing that may become an element of a list made here."""
    of_lists = measure.element if found.keeps_elements else measure.member
    largest = max((weight(reached(reference)) for reference in found.references if reference.kept), default=1)
    literal = max(0, found.commas - found.macros)  # the commas that do not belong to macros
    # What one macro makes is what the next goes through: it may grow from one to the next.
    longer = elements if found.chained and found.lengthens else 1
    grown = math.ceil((1 + literal / len(found.copies)) ** len(found.copies))
    return int(max(of_lists, largest) * largest**found.chained * longer * grown)
