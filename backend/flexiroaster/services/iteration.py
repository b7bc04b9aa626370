"""How a version's stage runs once per item: its `foreach`, compiled."""

from __future__ import annotations

from typing import Any, NamedTuple

from flexiroaster.engine.expressions import Template
from flexiroaster.engine.pipeline import Foreach

ITEM = "item"
INDEX = "index"
"""Names that an expression of an item can use, besides the one that `as` gives."""


class Iteration(NamedTuple):
    """`when_per_item`: its condition looks at the item, so it is asked for each. `instant`: each takes microseconds."""

    items: Template
    name: str
    batch: int | None
    when_per_item: bool
    instant: bool

    @classmethod
    def of(cls, foreach: Foreach, when: Template | None, *, instant: bool) -> Iteration:
        names = {ITEM, INDEX, foreach.as_}
        mentioned = set() if when is None else {root for root, _ in when.references()}
        return cls(Template.parse(foreach.items), foreach.as_, foreach.batch, not names.isdisjoint(mentioned), instant)

    def names(self, value: Any, index: int) -> dict[str, Any]:
        """What expressions of an item see besides all others. Indexes count from 1, as everywhere."""
        return {ITEM: value, INDEX: index, self.name: value}
