"""What a stage promises beside its work: a result to be kept for others, a time to be done by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flexiroaster.engine.definition.findings import Findings
from flexiroaster.engine.definition.nodes import Path
from flexiroaster.engine.definition.stage_view import StageView

NEVER_CACHED = frozenset({"approval", "wait"})
"""What they are for is to happen each time. (Stages that only decide take no `cache` either.)"""


def check_promises(
    document: dict[str, Any], views: Sequence[StageView], findings: Findings, *, check_support: bool
) -> None:
    """With `check_support`, also what this version does not do yet."""
    if check_support:
        _check_notified(document.get("deadline"), ("deadline",), findings)
        for view in views:
            _check_notified(view.raw.get("deadline"), (*view.path, "deadline"), findings)
    for view in views:
        if view.raw.get("cache") is not None and view.type in NEVER_CACHED:
            findings.add(
                "never_cached",
                f"A stage of type {view.type} is not cached, since it is there to happen each time: remove `cache`.",
                (*view.path, "cache"),
                at_key=True,
            )


def _check_notified(deadline: Any, path: Path, findings: Findings) -> None:
    if isinstance(deadline, dict) and deadline.get("notify"):
        findings.add(
            "not_delivered_yet",
            "A missed deadline is shown, logged and told as an event, but this version sends it to nobody: `notify` "
            "has no effect yet.",
            (*path, "notify"),
            severity="warning",
            at_key=True,
        )
