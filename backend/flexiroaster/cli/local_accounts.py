"""The accounts of a data folder, for whoever owns the folder: no password is asked, the file permissions decide."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flexiroaster.config import Settings
from flexiroaster.data_folder import DataFolder, read_key, running_pid
from flexiroaster.engine.errors import ConfigurationError

if TYPE_CHECKING:
    from flexiroaster.services.accounts import Accounts
    from flexiroaster.store.database import Database


@contextmanager
def local_accounts(settings: Settings) -> Iterator[Accounts]:
    """Works beside a running server, and without one; then the tables are made where there are none."""
    from flexiroaster.composition import open_database
    from flexiroaster.log_output import configure_logs
    from flexiroaster.sign_in import make_accounts
    from flexiroaster.store.database import Database

    configure_logs("warning", json=False)
    running = running_pid(settings.data_folder) is not None
    folder = None if running else DataFolder.open(settings.data_folder)
    database = open_database(settings.database_url) if folder is not None else Database.open(settings.database_url)
    try:
        yield make_accounts(database, secret(settings, folder))
    finally:
        close(database, folder)


def close(database: Database, folder: DataFolder | None) -> None:
    database.close()
    if folder is not None:
        folder.close()


def secret(settings: Settings, folder: DataFolder | None) -> str:
    """What tokens are signed with: the setting, else the folder's own key."""
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value()
    key = folder.key("secret") if folder is not None else read_key(settings.data_folder, "secret")
    if key is None:
        raise ConfigurationError(f"The data folder {settings.data_folder} has no key yet: start the server once.")
    return key
