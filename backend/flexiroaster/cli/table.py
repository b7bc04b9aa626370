"""A table for a terminal; elsewhere tab-separated lines under their headings, so that `cut` and `awk` can read them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, nothing: str = "") -> None:
    if not rows:
        typer.echo(nothing, err=True)
    elif sys.stdout.isatty():
        _draw(headings, rows)
    else:
        for row in (headings, *rows):
            typer.echo("\t".join(row))


def _draw(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(value) for value in row))
    Console().print(table)
