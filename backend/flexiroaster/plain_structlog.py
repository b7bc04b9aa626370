"""structlog without rich and pygments, which it takes for tracebacks that we do not show: 7 MB and 60 ms.

Import it before whatever logs.
"""

from __future__ import annotations

from flexiroaster.lean_imports import left_out

with left_out("rich"):
    import structlog

__all__ = ["structlog"]
