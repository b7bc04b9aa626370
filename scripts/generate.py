"""Write what is generated from the code: `openapi.json`, the frontend's types, the reference of stages.

`--check` writes nothing that stays and ends with 1 when something is not in step; it also compares the migrations with
the tables. It looks at the files as they are, committed or not.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OPENAPI = ROOT / "backend" / "openapi.json"
TYPES = ROOT / "frontend" / "src" / "types" / "api.d.ts"


def main(arguments: list[str]) -> int:
    check = arguments == ["--check"]
    if arguments and not check:
        print("usage: generate.py [--check]", file=sys.stderr)
        return 2
    wrong = [name for name, in_step in STEPS.items() if not in_step(check)]
    for name in wrong:
        print(f"Not in step with the code: {name}.", file=sys.stderr)
    if wrong:
        print("Run `make generate`, look at what changed, and commit it.", file=sys.stderr)
    return 1 if wrong else 0


def openapi(check: bool) -> bool:
    return kept(OPENAPI, openapi_of_the_code(), check)


def types(check: bool) -> bool:
    """Generated in place, because that is what the frontend's script does; put back where it was only a check."""
    before = TYPES.read_bytes() if TYPES.exists() else None
    subprocess.run(["npm", "run", "--silent", "types"], cwd=ROOT / "frontend", check=True, stdout=subprocess.DEVNULL)
    after = TYPES.read_bytes()
    if check and before is not None and after != before:
        TYPES.write_bytes(before)
    return not check or after == before


def migrations(check: bool) -> bool:
    """Whether the tables that the migrations make are those of `store.tables`, on SQLite."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from flexiroaster.store.database import Database
    from flexiroaster.store.migrate import migrate
    from flexiroaster.store.tables import metadata

    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(f"sqlite:///{folder}/migrated.db")
        migrate(database)
        with database.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            differences = compare_metadata(context, metadata)
        database.close()
    for difference in differences:
        print(f"  {difference}", file=sys.stderr)
    return not differences


def stage_pages(check: bool) -> bool:
    from flexiroaster.stages.reference import main as write_pages

    return write_pages(["--check"] if check else []) == 0


def kept(path: Path, content: bytes, check: bool) -> bool:
    """Write the file, or say whether it is what would be written."""
    if check:
        return path.exists() and path.read_bytes() == content
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return True


def openapi_of_the_code() -> bytes:
    from flexiroaster.config import Settings
    from flexiroaster.log_output import configure_logs
    from flexiroaster.main import make_app, make_server
    from flexiroaster.web.docs import openapi_text

    configure_logs("warning", json=False)
    with tempfile.TemporaryDirectory() as folder:
        server = make_server(Settings.load(data_folder=folder))
        try:
            return openapi_text(make_app(server, "http://127.0.0.1:8000"))
        finally:
            server.stop()


STEPS: dict[str, Callable[[bool], bool]] = {
    "backend/openapi.json": openapi,
    "frontend/src/types/api.d.ts": types,
    "docs/reference/stages": stage_pages,
    "the migrations (tables in store/tables.py)": migrations,
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
