"""From what people may write to the one normalised document.

Spec-style flat stage keys move into `config`; `needs` becomes explicit (left out means the stage above); a missing
name is the id and a missing id is made from the name. What has the wrong shape is left for the checks to name.
"""

from __future__ import annotations

import re
from typing import Any

from flexiroaster.engine.definition.findings import Findings
from flexiroaster.engine.definition.nodes import Path
from flexiroaster.engine.pipeline import Pipeline, StageSpec

STAGE_LISTS = ("stages", "on_failure", "on_success", "finally")
STAGE_KEYS = frozenset(info.alias or name for name, info in StageSpec.model_fields.items())
PIPELINE_KEYS = frozenset(info.alias or name for name, info in Pipeline.model_fields.items())


def normalise(document: dict[str, Any], findings: Findings, id: str | None = None) -> dict[str, Any]:
    """A new document; doing it twice changes nothing more. `id` is for a document that has none."""
    normal = {key: value for key, value in document.items() if value is not None or key not in PIPELINE_KEYS}
    if "id" not in normal and (id is not None or isinstance(normal.get("name"), str)):
        normal = {"id": id if id is not None else _id_from(normal["name"]), **normal}
    if "name" not in normal and isinstance(normal.get("id"), str):
        normal["name"] = normal["id"]
    for key in STAGE_LISTS:
        if isinstance(normal.get(key), list):
            normal[key] = _stages(normal[key], (key,), findings)
    return normal


def _id_from(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:80]


def _stages(stages: list[Any], path: Path, findings: Findings) -> list[Any]:
    normal = []
    above: str | None = None
    for index, stage in enumerate(stages):
        if not isinstance(stage, dict):
            normal.append(stage)
            continue
        normal.append(_stage(stage, above, (*path, index), findings))
        above = stage["id"] if isinstance(stage.get("id"), str) else None
    return normal


def _stage(stage: dict[str, Any], above: str | None, path: Path, findings: Findings) -> dict[str, Any]:
    normal = {key: value for key, value in stage.items() if key in STAGE_KEYS and (value is not None or key == "needs")}
    flat = {key: value for key, value in stage.items() if key not in STAGE_KEYS}
    if flat:
        normal["config"] = _merged(normal.get("config", {}), flat, path, findings)
    if "needs" not in normal:
        normal["needs"] = [above] if above is not None else []
    if isinstance(normal.get("when"), bool):
        normal["when"] = "${{ true }}" if normal["when"] else "${{ false }}"
    return normal


def _merged(config: Any, flat: dict[str, Any], path: Path, findings: Findings) -> Any:
    if not isinstance(config, dict):
        return config
    for key in flat.keys() & config.keys():
        findings.add(
            "given_twice",
            f"`{key}` stands both in the stage and in its `config`: keep the one in `config`.",
            (*path, "config", key),
            at_key=True,
        )
    return {**config, **{key: value for key, value in flat.items() if key not in config}}
