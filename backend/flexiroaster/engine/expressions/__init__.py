"""Expressions: `${{ }}` holds CEL, the Common Expression Language, with limits.

A scope gives values to the names `inputs vars results execution trigger secrets item`. Evaluating may take up to
half a second and cannot be interrupted: workers do it, never an event loop.
"""

from __future__ import annotations

from flexiroaster.engine.expressions.errors import ExpressionError
from flexiroaster.engine.expressions.program import NAMESPACES, Expression, did_you_mean
from flexiroaster.engine.expressions.template import EVERYTHING, Template, is_templated, whole_expression

__all__ = [
    "EVERYTHING",
    "NAMESPACES",
    "Expression",
    "ExpressionError",
    "Template",
    "did_you_mean",
    "is_templated",
    "whole_expression",
]
