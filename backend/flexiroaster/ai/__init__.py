"""What learns from the history of runs: predictions, insights, suggestions. Plain rows in, findings out.

It knows no database and no server, and can be used alone: give it `Run` rows (or mappings with the same keys). The
numeric libraries come with the extra `ai` (`pip install "flexiroaster[ai]"`); nothing is imported before its first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flexiroaster.ai.prediction.predictor import Prediction, Predictor
    from flexiroaster.ai.prediction.registry import ModelRecord, Registry
    from flexiroaster.ai.runs import MissingExtra, Run

__all__ = ["MissingExtra", "ModelRecord", "Prediction", "Predictor", "Registry", "Run"]

_EXPORTS = {
    "ModelRecord": "flexiroaster.ai.prediction.registry:ModelRecord",
    "Prediction": "flexiroaster.ai.prediction.predictor:Prediction",
    "Predictor": "flexiroaster.ai.prediction.predictor:Predictor",
    "Registry": "flexiroaster.ai.prediction.registry:Registry",
    "MissingExtra": "flexiroaster.ai.runs:MissingExtra",
    "Run": "flexiroaster.ai.runs:Run",
}


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _EXPORTS[name].partition(":")
    value = globals()[name] = getattr(importlib.import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
