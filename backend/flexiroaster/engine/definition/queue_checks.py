"""What stages and executions wait for: pools that are there, limits that have an effect."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from flexiroaster.engine.definition.findings import Findings
from flexiroaster.engine.definition.stage_view import stage_views


def check_queues(document: dict[str, Any], pools: Set[str] | None, findings: Findings) -> None:
    """`pools` are those that are defined; None: it is not known."""
    concurrency = document.get("concurrency")
    if isinstance(concurrency, dict) and concurrency.get("max_queued") is not None:
        when_full = concurrency.get("when_full", "queue")
        if when_full in ("skip", "fail", "cancel_oldest"):
            findings.add(
                "no_effect",
                f"`max_queued` bounds who waits for a place. With `when_full: {when_full}` nobody waits, except while "
                "the pipeline is paused: remove it, or write `when_full: queue`.",
                ("concurrency", "max_queued"),
                severity="warning",
                at_key=True,
            )
    if pools is None:
        return
    for view in stage_views(document):
        pool = view.raw.get("pool")
        if isinstance(pool, str) and pool not in pools:
            meant = findings.closest(pool, sorted(pools))
            hint = f"did you mean {meant!r}?" if meant else f"define it with `flexiroaster pool set {pool} 4`."
            findings.add(
                "unknown_pool",
                f"There is no pool {pool!r}, so all stages that name it share one slot: {hint}",
                (*view.path, "pool"),
                found=pool,
                suggestion=meant,
                severity="warning",
            )
