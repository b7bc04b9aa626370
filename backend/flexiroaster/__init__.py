"""FlexiRoaster: what an author of pipelines and stages imports. Each name is loaded when it is first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flexiroaster.engine.builder import PipelineBuilder as Pipeline
    from flexiroaster.engine.errors import StageFailed
    from flexiroaster.local import run_local
    from flexiroaster.stages.base import Stage, StageConfig, StageContext

__version__ = "0.1.0"

__all__ = ["Pipeline", "Stage", "StageConfig", "StageContext", "StageFailed", "__version__", "run_local"]

_EXPORTS = {
    "Pipeline": "flexiroaster.engine.builder:PipelineBuilder",
    "Stage": "flexiroaster.stages.base:Stage",
    "StageConfig": "flexiroaster.stages.base:StageConfig",
    "StageContext": "flexiroaster.stages.base:StageContext",
    "StageFailed": "flexiroaster.engine.errors:StageFailed",
    "run_local": "flexiroaster.local:run_local",
}


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _EXPORTS[name].partition(":")
    value = globals()[name] = getattr(importlib.import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
