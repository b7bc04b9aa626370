"""Why somebody is not let in."""

from __future__ import annotations

import math

from flexiroaster.engine.errors import FlexiRoasterError
from flexiroaster.engine.plurals import counted


class Unauthenticated(FlexiRoasterError):
    """No valid credential. The message never says which part of it was wrong beyond what helps its owner."""

    code = "unauthenticated"

    def __init__(self, message: str = "Sign in first.", code: str = "unauthenticated") -> None:
        self.code = code
        super().__init__(message)


class Forbidden(FlexiRoasterError):
    """Signed in, but the role does not allow it."""

    code = "forbidden"

    def __init__(self, role: str, operation: str, needed: str) -> None:
        self.role = role
        self.operation = operation
        self.needed = needed
        super().__init__(
            f"Your role {role} does not allow {operation}: it needs {needed}. Ask an administrator for that role."
        )


class NotAssigned(FlexiRoasterError):
    """The role would allow it, but it is for others to decide."""

    code = "not_assigned"


class Throttled(FlexiRoasterError):
    """Too many attempts; `retry_after_seconds` is when the next one is looked at."""

    code = "too_many_requests"

    def __init__(self, retry_after_seconds: float, what: str = "sign-in attempts") -> None:
        self.retry_after_seconds = max(1, math.ceil(retry_after_seconds))
        super().__init__(f"Too many {what}: try again in {counted(self.retry_after_seconds, 'second')}.")
