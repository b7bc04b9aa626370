"""How groups of commands are listed: with whole sentences, which the library would cut after 45 characters.

Plain text: drawing it with rich takes longer than all the rest together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typer.core import TyperGroup

LONGEST_SENTENCE = 200


class WholeSentences(TyperGroup):
    def format_commands(self, ctx: Any, formatter: Any) -> None:
        self.list_under("Commands", list(self.commands), formatter)

    def list_under(self, heading: str, names: Sequence[str], formatter: Any) -> None:
        with formatter.section(heading):
            formatter.write_dl([(name, self.commands[name].get_short_help_str(LONGEST_SENTENCE)) for name in names])
