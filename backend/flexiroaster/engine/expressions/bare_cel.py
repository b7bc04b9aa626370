"""CEL without its command line, which its package imports with prompt_toolkit and rich: half a second and 25 MB."""

from __future__ import annotations

import sys
from functools import cache
from types import ModuleType


@cache
def cel() -> ModuleType:
    """Loaded with the first expression."""
    sys.modules.setdefault("cel.cli", ModuleType("cel.cli"))
    import cel

    return cel
