"""`flexiroaster db …`: the tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The database's tables.", no_args_is_help=True, rich_markup_mode=None)

DataOption = Annotated[
    Path | None, typer.Option("--data", help="The data folder (FLEXIROASTER_DATA_FOLDER).", show_default=False)
]


@app.callback()
def _group() -> None:
    """The database's tables."""


@app.command()
def upgrade(data: DataOption = None) -> None:
    """Bring the tables to this release's shape. `up` does it by itself; nothing happens where they have it."""
    from flexiroaster.composition import open_database
    from flexiroaster.config import Settings
    from flexiroaster.data_folder import DataFolder
    from flexiroaster.store.migrate import HEAD

    settings = Settings.load(data_folder=data)
    folder = DataFolder.open(settings.data_folder)
    try:
        open_database(settings.database_url).close()
    finally:
        folder.close()
    typer.echo(f"The tables are at revision {HEAD}.")
