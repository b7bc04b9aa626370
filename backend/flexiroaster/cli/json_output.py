"""What `--json` prints."""

from __future__ import annotations

from typing import Any

import typer


def print_json(value: Any, *, indent: bool = True) -> None:
    """Moments and paths as text; without `indent` on one line."""
    import orjson

    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2 if indent else 0, default=str).decode())
