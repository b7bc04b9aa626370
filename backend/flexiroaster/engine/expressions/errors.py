"""What goes wrong with an expression."""

from __future__ import annotations

from flexiroaster.engine.errors import FlexiRoasterError


class ExpressionError(FlexiRoasterError):
    """An expression cannot be read or evaluated; the message names it and the cause.

    `offset` counts characters from the start of the text the expression stands in, None where unknown.
    """

    code = "expression"

    def __init__(
        self,
        message: str,
        *,
        code: str = "expression",
        source: str | None = None,
        offset: int | None = None,
        suggestion: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.source = source
        self.offset = offset
        self.suggestion = suggestion
