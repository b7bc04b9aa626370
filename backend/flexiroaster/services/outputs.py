"""What an execution answers to who started it."""

from __future__ import annotations

from typing import Any

from flexiroaster.engine.expressions import ExpressionError, Template
from flexiroaster.services.live import Live
from flexiroaster.services.scope import ReadSpilled, scope


def outputs_of(live: Live, read_spilled: ReadSpilled) -> dict[str, Any]:
    """An output that needs the result of a stage which did not run is null. Raises `ExpressionError`."""
    visible = scope(live, read_spilled)
    return {name: _value(live, template, visible) for name, template in live.version.outputs.items()}


def _value(live: Live, template: Template, visible: dict[str, Any]) -> Any:
    try:
        return template.render(visible)
    except ExpressionError:
        if any(root == "results" and name not in live.results for root, name in template.references()):
            return None  # skipped, or the execution was stopped before it
        raise
