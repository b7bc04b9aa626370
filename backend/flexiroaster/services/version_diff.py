"""What changed between two versions: by stage and key for programs, as text for people."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, NamedTuple

from flexiroaster.engine import definition
from flexiroaster.store.pipelines import VersionText

MOST_LINES = 20_000
"""Of one text: the time to compare grows with the square of the lines, a second here."""
STAGE_LISTS = ("stages", "on_failure", "on_success", "finally")


class StageChange(NamedTuple):
    """`keys` are dotted: `config.path`, `retry.max_attempts`."""

    stage: str
    keys: list[str]


class VersionDiff(NamedTuple):
    """`settings` are the dotted keys that changed outside of stages."""

    pipeline_id: str
    old: int
    new: int
    added: list[str]
    removed: list[str]
    changed: list[StageChange]
    settings: list[str]
    text: str

    @property
    def identical(self) -> bool:
        return not (self.added or self.removed or self.changed or self.settings)


def compare(old: VersionText, new: VersionText) -> VersionDiff:
    before, after = _stages(old.document), _stages(new.document)
    changes = [StageChange(id, changed_keys(before[id], after[id])) for id in after if id in before]
    return VersionDiff(
        pipeline_id=new.pipeline_id,
        old=old.version,
        new=new.version,
        added=[id for id in after if id not in before],
        removed=[id for id in before if id not in after],
        changed=[change for change in changes if change.keys],
        settings=changed_keys(_settings(old.document), _settings(new.document)),
        text=_unified(old, new),
    )


def changed_keys(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """The dotted keys whose values differ, as deep as both sides are objects, in order."""
    found: list[str] = []
    for key in [*old, *(key for key in new if key not in old)]:
        left, right = old.get(key), new.get(key)
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            found += changed_keys(left, right, f"{prefix}{key}.")
        elif left != right or (key in old) != (key in new):
            found.append(f"{prefix}{key}")
    return found


def _stages(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """By id; a stage that moved to another list has changed its `in`."""
    return {
        stage["id"]: stage if list_name == "stages" else {**stage, "in": list_name}
        for list_name in STAGE_LISTS
        for stage in document.get(list_name) or []
    }


def _settings(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in STAGE_LISTS}


def _unified(old: VersionText, new: VersionText) -> str:
    before, after = _texts(old, new)
    if max(len(before), len(after)) > MOST_LINES:
        return f"# The texts are too long to compare (more than {MOST_LINES:,} lines): see the stages and keys instead."
    lines = difflib.unified_diff(
        before, after, fromfile=f"version {old.version}", tofile=f"version {new.version}", lineterm=""
    )
    return "\n".join(lines)


def _texts(old: VersionText, new: VersionText) -> tuple[list[str], list[str]]:
    """The authors' own texts where both are YAML; JSON is often one line, so it is compared as normalised YAML."""
    if old.source_format == new.source_format == "yaml":
        return old.source.splitlines(), new.source.splitlines()
    return definition.to_yaml(old.document).splitlines(), definition.to_yaml(new.document).splitlines()
