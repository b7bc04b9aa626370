"""Alembic's entry: runs on the connection it is handed, or on FLEXIROASTER_DATABASE_URL from the command line."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from flexiroaster.store.tables import metadata


def migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def run() -> None:
    connection = context.config.attributes.get("connection")
    if connection is not None:
        migrate(connection)
        return
    from flexiroaster.config import Settings
    from flexiroaster.data_folder import DataFolder
    from flexiroaster.store.database import Database

    settings = Settings.load()
    folder = DataFolder.open(settings.data_folder)  # made where there is none; and no server uses it meanwhile
    database = Database.open(settings.database_url, statement_seconds=None)
    with database.engine.connect() as opened:
        migrate(opened)
        opened.commit()
    database.close()
    folder.close()


run()
