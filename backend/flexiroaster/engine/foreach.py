"""What a foreach stage asks of its items, how they stand, and what is said of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from flexiroaster.engine.pipeline import Foreach
from flexiroaster.engine.quoting import on_one_line

MOST_ITEMS = 1_000_000
ITEM_BYTES = 64 * 1024
"""Of one item (or batch) as JSON. What is larger belongs into a file or a table that the item names."""
AT_ONCE = 1_000
"""Items handed out at a time where `max_parallel` does not say: how many run at once is the workers' business."""
_LONGEST_LABEL = 60
_NAMES = ("name", "id", "key", "path", "url")


@dataclass(frozen=True, slots=True)
class ItemRules:
    """`at_once` items are handed out at most; more are when no more than `refill_at` of them are left.

    `least` is a count of items that must succeed, `share` of those not skipped in thousandths of a percent.
    """

    at_once: int = AT_ONCE
    refill_at: int = AT_ONCE // 2
    stops: bool = True
    least: int | None = None
    share: int = 100_000

    @classmethod
    def of(cls, foreach: Foreach) -> ItemRules:
        rules = cls(stops=foreach.on_error == "fail")
        if foreach.max_parallel is not None:
            rules = replace(rules, at_once=foreach.max_parallel, refill_at=foreach.max_parallel - 1)
        match foreach.min_success:
            case int(count):
                return replace(rules, least=count)
            case str(share):
                return replace(rules, share=round(float(share.rstrip("%")) * 1000))
        return rules

    def needed(self, counted: int) -> int:
        """How many of `counted` items, skipped ones left out, must succeed."""
        if self.least is not None:
            return self.least
        return -(-counted * self.share // 100_000)

    @property
    def wish(self) -> str:
        """`min_success` as it was written; empty where every item must succeed."""
        if self.least is not None:
            return str(self.least)
        return "" if self.share == 100_000 else f"{self.share / 1000:g}%"


@dataclass(slots=True)
class ItemGroup:
    """The items of one foreach stage: counted here, kept as rows, in memory only while handed out.

    `out` are handed out and have not ended; `after` is the index of the last one handed out.
    """

    total: int
    success: int = 0
    failed: int = 0
    skipped: int = 0
    cancelled: int = 0
    out: int = 0
    after: int = 0

    @property
    def left(self) -> int:
        return self.total - self.success - self.failed - self.skipped - self.cancelled

    @property
    def in_store(self) -> int:
        """Those that wait to be handed out."""
        return self.left - self.out

    def can_suffice(self, rules: ItemRules) -> bool:
        """Whether enough may still succeed. Once it is False it stays so: further skips do not help."""
        return self.success + self.left >= rules.needed(self.total - self.skipped)

    def copy(self) -> ItemGroup:
        return replace(self)

    def counts(self) -> dict[str, int]:
        """As events tell it."""
        found = {
            "count": self.total,
            "left": self.left,
            "succeeded": self.success,
            "failed": self.failed,
            "skipped": self.skipped,
            "cancelled": self.cancelled,
        }
        return {name: count for name, count in found.items() if count or name in ("count", "left")}


@dataclass(frozen=True, slots=True)
class FirstFailure:
    """The failed item with the lowest index."""

    index: int
    label: str
    message: str


def shortfall(rules: ItemRules, group: ItemGroup, first: FirstFailure | None) -> str | None:
    """Why the items that have ended are not enough, as a sentence; None when they are."""
    counted = group.total - group.skipped
    needed = rules.needed(counted)
    if group.success >= needed:
        return None
    wish = f"min_success is {rules.wish}" if rules.wish else ""
    if first is None:
        return f"{group.success:,} of {items(counted)} succeeded, but {wish or 'all must'}."
    sentence = f"{group.failed:,} of {items(group.total)} failed"
    if group.cancelled:
        sentence += f" and {group.cancelled:,} did not run"
    if wish:
        sentence += f", {group.success:,} succeeded ({wish})"
    return f"{sentence}; first: {item(first.index, first.label)}: {first.message}"


def items(count: int) -> str:
    return "1 item" if count == 1 else f"{count:,} items"


def item(index: int, label: str) -> str:
    return f"item {index:,} ({label})" if label else f"item {index:,}"


def label(value: Any) -> str:
    """An item in a few characters: itself, or what names it."""
    if isinstance(value, dict):
        value = next((value[name] for name in _NAMES if isinstance(value.get(name), str | int)), value)
    if isinstance(value, list) and value:
        value = f"{label(value[0])} …" if len(value) > 1 else label(value[0])
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return on_one_line(text, _LONGEST_LABEL)
