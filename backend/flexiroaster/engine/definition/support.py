"""What the format knows and this version does not run yet. To switch a feature on, delete its line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flexiroaster.engine.definition.findings import Findings
from flexiroaster.engine.definition.nodes import Path
from flexiroaster.engine.definition.report import StageTypes
from flexiroaster.engine.definition.stage_view import compensation_views, stage_views

NOT_YET: Mapping[str, str] = {
    "trigger.webhook": "Triggers of type 'webhook' are",
    "trigger.pipeline": "Triggers of type 'pipeline' are",
    "trigger.file": "Triggers of type 'file' are",
    "trigger.event": "Triggers of type 'event' are",
    "stage.output": "Choosing how a stage's table is kept is",
    "config.connection": "Stored connections are",
    "namespace.secrets": "Stored secrets are",
    "type.notify": "The stage type 'notify' is",
    "type.sql": "The stage type 'sql' is",
}

STAGE_TYPES_OF_THE_FORMAT = frozenset({"notify", "sql"})
"""Known by name even where nothing runs them: their use is answered by `not_supported_yet`."""


def check_support(document: dict[str, Any], stage_types: StageTypes, findings: Findings) -> None:
    for feature, path in _used(document, stage_types):
        if feature in NOT_YET:
            refuse(feature, path, findings)


def refuse(feature: str, path: Path, findings: Findings, *, within: str | None = None, offset: int = 0) -> None:
    findings.add(
        "not_supported_yet",
        f"{NOT_YET[feature]} not available in this version: remove it.",
        path,
        at_key=within is None and path[-1] != "type",
        within=within,
        offset=offset,
    )


def _used(document: dict[str, Any], stage_types: StageTypes) -> Iterator[tuple[str, Path]]:
    """Every feature of the document by its name in the table, once per place."""
    triggers = document.get("triggers")
    for index, trigger in enumerate(triggers if isinstance(triggers, list) else []):
        if isinstance(trigger, dict):
            yield f"trigger.{trigger.get('type')}", ("triggers", index, "type")
    views = stage_views(document)
    for view in views:
        for key, value in view.raw.items():
            if value is not None:
                yield f"stage.{key}", (*view.path, key)
    for view in (*views, *compensation_views(views)):
        if view.type is not None and view.type not in stage_types:
            yield f"type.{view.type}", (*view.path, "type")
        if isinstance(view.config.get("connection"), str):
            yield "config.connection", (*view.path, "config", "connection")
