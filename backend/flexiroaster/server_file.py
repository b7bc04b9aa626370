"""What a running server leaves in its data folder, so that commands on the same machine find it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from flexiroaster.data_folder import running_pid


@dataclass(frozen=True, slots=True)
class RunningServer:
    """`url` is the address it listens on; `instance_id` is what its /health answers."""

    url: str
    pid: int
    instance_id: str

    def write(self, folder: Path) -> None:
        path = _path(folder)
        draft = path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump(asdict(self), file)
        draft.replace(path)


def running_server(folder: Path) -> RunningServer | None:
    """The server that holds this folder now, None where none does."""
    pid = running_pid(folder)
    try:
        found = RunningServer(**json.loads(_path(folder).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return found if found.pid == pid else None


def forget_server(folder: Path) -> None:
    _path(folder).unlink(missing_ok=True)


def _path(folder: Path) -> Path:
    return folder / "server.json"
