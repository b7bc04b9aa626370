"""Whether the AI layer looks at anything, and at which pipelines."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from typing import NamedTuple

LABEL = "ai"
OFF = "off"
PROJECT_LABEL = "project"
DEFAULT_PROJECT = "default"
"""The project of pipelines without the label."""
EXTRA = {"numpy": "numpy", "scikit-learn": "sklearn"}
"""What the extra `ai` installs, by what is imported of it."""
ENOUGH = 20
"""Ended executions of a pipeline before its predictions are more than a guess."""


def project_of(labels: Mapping[str, str] | None) -> str:
    return str((labels or {}).get(PROJECT_LABEL, "")).strip() or DEFAULT_PROJECT


class Switch(NamedTuple):
    """`on` is the server's setting, `learns` says it of a project; the label `ai: off` keeps a pipeline out."""

    on: bool = True
    learns: Callable[[str], bool] = lambda project: True

    def looks_at(self, labels: Mapping[str, str] | None) -> bool:
        return self.why_not(labels) is None

    def why_not(self, labels: Mapping[str, str] | None) -> str | None:
        """A sentence for people; None where it looks."""
        off = self.why_nothing(labels)
        if off is None and not self.learns(project := project_of(labels)):
            return f"Learning is switched off for project {project!r}: an administrator can switch it on again."
        return off

    def why_nothing(self, labels: Mapping[str, str] | None) -> str | None:
        """Where neither learning nor the assistant may look, whatever the project says; otherwise None."""
        if not self.on:
            return "The AI layer is switched off: set FLEXIROASTER_AI=true and start again."
        if str((labels or {}).get(LABEL, "")).lower() == OFF:
            return f"This pipeline has the label {LABEL}={OFF}: take it away to get predictions."
        return None


def missing_packages() -> list[str]:
    """What training needs and is not installed. Nothing is imported to find out."""
    return [package for package, module in EXTRA.items() if importlib.util.find_spec(module) is None]


def not_enough(executions: int, wanted: int = ENOUGH) -> str:
    return f"Not enough data yet ({executions} of {wanted} executions)."
