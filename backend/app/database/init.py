"""`python -m app.database.init`: create or upgrade the tables of FLEXIROASTER_DATABASE_URL."""

from __future__ import annotations

from flexiroaster.cli.main import main

if __name__ == "__main__":
    main(["db", "upgrade"])
