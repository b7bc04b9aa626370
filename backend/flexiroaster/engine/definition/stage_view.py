"""The stages of a normalised document as far as they are well formed: what the checks go through.

The checks run even where the models refused something, so that an author sees every problem at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from flexiroaster.engine.definition.nodes import Path
from flexiroaster.engine.definition.normalise import STAGE_LISTS


@dataclass(slots=True)
class StageView:
    """`needs` holds only texts, with their place in the list."""

    path: Path
    id: str
    type: str | None
    needs: list[tuple[int, str]]
    raw: dict[str, Any]

    @property
    def group(self) -> str:
        """`stages`, `on_failure`, `on_success` or `finally`."""
        return str(self.path[0])

    @property
    def config(self) -> dict[str, Any]:
        config = self.raw.get("config")
        return config if isinstance(config, dict) else {}


def stage_views(document: dict[str, Any]) -> list[StageView]:
    """Without the stages that have no text as id."""
    views = []
    for key in STAGE_LISTS:
        stages = document.get(key)
        for index, raw in enumerate(stages if isinstance(stages, list) else []):
            if isinstance(raw, dict) and isinstance(raw.get("id"), str):
                views.append(_view((key, index), raw))
    return views


def compensation_views(views: Iterable[StageView]) -> Iterator[StageView]:
    """What undoes stages, as stages that need nothing; each has the id of the stage it belongs to."""
    for view in views:
        raw = view.raw.get("compensate")
        if isinstance(raw, dict):
            yield _view((*view.path, "compensate"), {**raw, "id": view.id})


def _view(path: Path, raw: dict[str, Any]) -> StageView:
    needs = raw.get("needs")
    kind = raw.get("type")
    return StageView(
        path=path,
        id=raw["id"],
        type=kind if isinstance(kind, str) else None,
        needs=[
            (index, need)
            for index, need in enumerate(needs if isinstance(needs, list) else [])
            if isinstance(need, str)
        ],
        raw=raw,
    )
