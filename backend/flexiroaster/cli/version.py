"""`flexiroaster version`."""

from __future__ import annotations

import typer

import flexiroaster


def version() -> None:
    """Print the version."""
    typer.echo(flexiroaster.__version__)
