"""Takes files that code has written over as artifacts, and gives it those it asks for."""

from __future__ import annotations

import stat
from collections import Counter
from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import Any

from flexiroaster.data.table import TableRef
from flexiroaster.engine.errors import NotFound, StageFailed
from flexiroaster.stages.base import ArtifactDraft, StageContext
from flexiroaster.stages.json_lines import MEDIA_TYPE, columns_of, widened

MOST_FILES = 1000
TABLE_MEDIA_TYPES = {"jsonl": MEDIA_TYPE, "parquet": "application/vnd.apache.parquet"}


class Keeper:
    """The artifacts of one attempt that come from its scratch folder, and the copies of those kept elsewhere."""

    def __init__(self, context: StageContext) -> None:
        self._context = context
        self._names: Counter[str] = Counter()

    def answer(self, frame: Mapping[str, Any]) -> dict[str, Any]:
        """To code that asks for a file to be kept, or for the path of a table."""
        try:
            if frame["op"] == "fetch":
                return {"value": self._fetched(str(frame["uri"]))}
            path = within(self._context.scratch_dir, Path(frame["path"]))
            return {
                "value": self._table(path, frame)
                if frame["kind"] == "table"
                else self.file(path, str(frame["name"]), frame["media_type"])
            }
        except (StageFailed, NotFound) as error:
            return {"error": str(error)}
        except OSError as error:
            return {"error": error.strerror or str(error), "errno": error.errno}

    def _fetched(self, uri: str) -> str:
        path = self._context.local_artifact(uri, pinned=False)
        if path is None:
            raise StageFailed(f"The table {uri} is not on this machine.")
        return str(path)

    def file(self, path: Path, name: str, media_type: str) -> dict[str, Any]:
        with self._context.artifact(self._name(name), kind="file", media_type=media_type) as draft:
            move(path, draft)
        return {"artifact_id": draft.id, "uri": draft.uri, "bytes": draft.bytes, "media_type": media_type}

    def _table(self, path: Path, frame: Mapping[str, Any]) -> dict[str, Any]:
        columns = columns_of(types_of(frame["samples"])) if "samples" in frame else ()
        schema = [column.model_dump() for column in columns] or None
        with self._context.artifact(
            self._name(str(frame["name"])),
            kind="table",
            media_type=TABLE_MEDIA_TYPES[frame["format"]],
            rows=frame["rows"],
            schema=schema,
        ) as draft:
            move(path, draft)
        return TableRef(
            table=draft.uri,
            format=frame["format"],
            columns=columns,
            rows=frame["rows"],
            bytes=draft.bytes,
            artifact_id=draft.id,
        ).to_json()

    def _name(self, wanted: str) -> str:
        """A safe name for an artifact, and another one when the code uses it again."""
        if self._names.total() >= MOST_FILES:
            raise StageFailed(f"A stage may keep {MOST_FILES:,} files and tables: put several into one.")
        stem, dot, suffix = file_name(wanted).partition(".")
        self._names[stem + dot + suffix] += 1
        count = self._names[stem + dot + suffix]
        return f"{stem}{dot}{suffix}" if count == 1 else f"{stem}-{count}{dot}{suffix}"


def types_of(samples: Mapping[str, list[Any]]) -> dict[str, str | None]:
    """The types of columns from one value of each type seen in them."""
    return {column: reduce(widened, values, None) for column, values in samples.items()}


def file_name(text: str) -> str:
    """The last part of a path, with nothing in it that a file system or a URL reads differently."""
    name = "".join(char if char.isalnum() or char in "._-" else "_" for char in text.rpartition("/")[2])
    return name.lstrip(".")[-100:] or "file"


def within(folder: Path, path: Path) -> Path:
    """`path` if it is an ordinary file inside `folder`, links resolved."""
    real = path.resolve()
    if not real.is_relative_to(folder.resolve()):
        raise StageFailed(f"{path.name} is not in the stage's scratch_dir: write it there to keep it.")
    if not stat.S_ISREG(real.stat().st_mode):
        raise StageFailed(f"{path.name} is not an ordinary file.")
    return real


def move(path: Path, draft: ArtifactDraft) -> None:
    try:
        path.replace(draft.path)
    except OSError:  # another file system
        import shutil

        shutil.move(path, draft.path)
