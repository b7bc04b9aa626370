"""CEL without its command line, which its package imports with prompt_toolkit and rich: half a second and 25 MB."""

from __future__ import annotations

import sys
from types import ModuleType

sys.modules.setdefault("cel.cli", ModuleType("cel.cli"))

import cel  # noqa: E402

__all__ = ["cel"]
