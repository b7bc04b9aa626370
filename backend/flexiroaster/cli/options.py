"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

FolderOption = Annotated[
    Path | None,
    typer.Option(
        "--data-folder", metavar="FOLDER", help="The data folder (FLEXIROASTER_DATA_FOLDER).", show_default=False
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
InputsOption = Annotated[
    list[str] | None,
    typer.Option("--input", "-i", metavar="KEY=VALUE", help="An input; KEY=@FILE takes its value from a file."),
]
StartDataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="FILE|-|JSON",
        help="What the pipeline reads as execution.data: a file of JSON, - for standard input, or JSON itself.",
    ),
]
