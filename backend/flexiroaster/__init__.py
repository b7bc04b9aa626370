"""FlexiRoaster: what an author of pipelines and stages imports. Each name is loaded when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flexiroaster.lazy_names import lazy_names

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


__getattr__ = lazy_names(__name__, _EXPORTS)


def __dir__() -> list[str]:
    return sorted(__all__)
