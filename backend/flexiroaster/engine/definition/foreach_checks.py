"""`foreach`: a name for the item that hides nothing, and numbers that go together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flexiroaster.engine.definition.findings import Findings
from flexiroaster.engine.definition.stage_view import StageView
from flexiroaster.engine.expressions import NAMESPACES
from flexiroaster.engine.expressions.analysis import LITERALS, TYPE_NAMES
from flexiroaster.engine.foreach import items

_TAKEN = (frozenset(NAMESPACES) | LITERALS | TYPE_NAMES | {"index"}) - {"item"}


def item_names(view: StageView) -> frozenset[str]:
    """What expressions of an item can use besides all others."""
    foreach = view.raw.get("foreach")
    return frozenset({"item", "index", str(foreach.get("as", "item"))}) if isinstance(foreach, Mapping) else frozenset()


def check_foreach(views: Sequence[StageView], findings: Findings) -> None:
    for view in views:
        foreach = view.raw.get("foreach")
        if isinstance(foreach, dict):
            _check_name(view, foreach, findings)
            _check_count(view, foreach, findings)


def _check_name(view: StageView, foreach: Mapping[str, Any], findings: Findings) -> None:
    name = foreach.get("as")
    if isinstance(name, str) and name in _TAKEN:
        findings.add(
            "name_taken",
            f"Expressions know `{name}` already: give the item another name.",
            (*view.path, "foreach", "as"),
            found=name,
            suggestion=f"one_{name}",
        )


def _check_count(view: StageView, foreach: Mapping[str, Any], findings: Findings) -> None:
    """Of a list that stands in the definition it is known how many there are."""
    given, least, batch = foreach.get("items"), foreach.get("min_success"), foreach.get("batch")
    if not isinstance(given, list) or type(least) is not int:
        return
    count = -(-len(given) // batch) if type(batch) is int and batch > 0 else len(given)
    if least > count:
        findings.add(
            "too_few_items",
            f"At least {least:,} must succeed, but there {'is' if count == 1 else 'are'} only {items(count)}.",
            (*view.path, "foreach", "min_success"),
            found=least,
            suggestion=str(count),
        )
