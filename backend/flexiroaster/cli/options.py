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
HostOption = Annotated[
    str | None, typer.Option("--host", help="The address to listen on (127.0.0.1).", show_default=False)
]
PortOption = Annotated[int | None, typer.Option("--port", "-p", help="The port (8000); 0 takes a free one.")]
PublicUrlOption = Annotated[
    str | None, typer.Option("--public-url", help="The address people type, where it is another one.")
]
CodeOption = Annotated[
    bool | None, typer.Option("--code-stages/--no-code-stages", help="Whether pipelines may run `python` stages.")
]
ExamplesOption = Annotated[
    bool | None, typer.Option("--examples/--no-examples", help="Whether the first start loads the examples.")
]
LevelOption = Annotated[str | None, typer.Option("--log-level", help="debug, info, warning or error.")]
FormatOption = Annotated[str | None, typer.Option("--log-format", help="auto, console or json.")]
ReadyOption = Annotated[bool, typer.Option("--json", help="When it is ready, print one line of JSON instead of text.")]
