"""Bring the tables to this release's shape. Alembic loads only when there is something to do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from flexiroaster.engine.errors import ConfigurationError
from flexiroaster.store.database import Database

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = 0x666C657869  # "flexi"
HEAD = "0001"
"""The newest revision; a test holds it against the migration files, so that a start need not load Alembic."""


def upgrade(database: Database) -> bool:
    """Run what is missing; answers whether anything was. Refuses a database of a newer release."""
    current = revision(database)
    if current == HEAD:
        return False
    from alembic import command

    config = alembic_config()
    with database.engine.connect() as connection:
        if database.dialect == "postgresql":  # several servers may be started at once
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
            if (current := revision(database)) == HEAD:
                return False
        _refuse_newer(config, current)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
    return True


def revision(database: Database) -> str | None:
    with database.read() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        return found


def alembic_config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def _refuse_newer(config: Config, current: str | None) -> None:
    from alembic.script import ScriptDirectory

    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise ConfigurationError(
            f"The database is at revision {current}, this FlexiRoaster knows revisions up to {HEAD}. "
            "It was written by a newer release: start that release, or restore the copy made before its upgrade."
        )
