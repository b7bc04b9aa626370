"""The example pipelines that the first start of a server loads, with their data."""

from __future__ import annotations

import shutil
from pathlib import Path

import structlog

from flexiroaster.engine.errors import Conflict
from flexiroaster.services.pipelines import Author, Pipelines, Source

log = structlog.get_logger(__name__)

AUTHOR = Author(email="FlexiRoaster", role="admin")
LOADED = "examples.loaded"
"""Left in the data folder, so that examples which were deleted stay deleted."""
NOT_DATA = shutil.ignore_patterns("reports", "*.py", "*.md", "__pycache__")


def examples_folder() -> Path | None:
    """`backend/pipelines` of a checkout, else what the wheel carries."""
    package = Path(__file__).resolve().parent
    return next((path for path in (package.parent / "pipelines", package / "examples") if path.is_dir()), None)


def load_examples(pipelines: Pipelines, data_folder: Path, files: Path) -> list[str]:
    """Store the examples and put their data into `files`, once in the life of a data folder; answers their ids."""
    folder = examples_folder()
    marker = data_folder / LOADED
    if folder is None or marker.exists():
        return []
    if (folder / "data").is_dir():
        _copy_new(folder / "data", files)
    loaded = [_store(pipelines, path) for path in sorted(folder.glob("*.yaml"))]
    marker.touch()
    found = [id for id in loaded if id is not None]
    log.info("examples.loaded", pipelines=found)
    return found


def _store(pipelines: Pipelines, path: Path) -> str | None:
    try:
        return pipelines.create(Source(path.read_text(encoding="utf-8"), "yaml"), AUTHOR).row.id
    except Conflict:
        return None  # somebody has a pipeline of that name already


def _copy_new(source: Path, target: Path) -> None:
    """Copy a tree; files that are there already stay as they are."""

    def copy(origin: str, destination: str) -> None:
        if not Path(destination).exists():
            shutil.copyfile(origin, destination)

    shutil.copytree(source, target, ignore=NOT_DATA, dirs_exist_ok=True, copy_function=copy)
