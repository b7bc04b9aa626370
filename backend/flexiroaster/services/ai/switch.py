"""Whether the AI layer looks at anything, and at which pipelines."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass

LABEL = "ai"
OFF = "off"
EXTRA = {"numpy": "numpy", "scikit-learn": "sklearn"}
"""What the extra `ai` installs, by what is imported of it."""
ENOUGH = 20
"""Ended executions of a pipeline before its predictions are more than a guess."""


@dataclass(frozen=True, slots=True)
class Switch:
    """`on` is the server's setting; the label `ai: off` keeps a pipeline out."""

    on: bool = True

    def looks_at(self, labels: Mapping[str, str] | None) -> bool:
        return self.on and str((labels or {}).get(LABEL, "")).lower() != OFF

    def why_not(self, labels: Mapping[str, str] | None) -> str | None:
        """A sentence for people; None where it looks."""
        if not self.on:
            return "The AI layer is switched off: set FLEXIROASTER_AI=true and start again."
        if not self.looks_at(labels):
            return f"This pipeline has the label {LABEL}={OFF}: take it away to get predictions."
        return None


def missing_packages() -> list[str]:
    """What training needs and is not installed. Nothing is imported to find out."""
    return [package for package, module in EXTRA.items() if importlib.util.find_spec(module) is None]


def not_enough(executions: int, wanted: int = ENOUGH) -> str:
    return f"Not enough data yet ({executions} of {wanted} executions)."
