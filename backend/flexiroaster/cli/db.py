"""`flexiroaster db …`: the tables."""

from __future__ import annotations

import typer

from flexiroaster.cli.help_text import WholeSentences
from flexiroaster.cli.options import FolderOption

app = typer.Typer(cls=WholeSentences, help="The database's tables.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """The database's tables."""


@app.command()
def upgrade(folder: FolderOption = None) -> None:
    """Bring the tables to this release's shape. `up` does it by itself; nothing happens where they have it."""
    from flexiroaster.composition import open_database
    from flexiroaster.config import Settings
    from flexiroaster.data_folder import DataFolder
    from flexiroaster.store.migrate import HEAD

    settings = Settings.load(data_folder=folder)
    opened = DataFolder.open(settings.data_folder)
    try:
        open_database(settings.database_url).close()
    finally:
        opened.close()
    typer.echo(f"The tables are at revision {HEAD}.")
