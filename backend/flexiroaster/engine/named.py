"""States and kinds by their names."""

from __future__ import annotations

from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING


class Named(StrEnum):
    """A text with a fixed set of values."""

    if not TYPE_CHECKING:
        # The library's own is Python code, and an execution of three stages asks forty times.
        value = property(attrgetter("_value_"))
