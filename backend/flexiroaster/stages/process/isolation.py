"""What keeps the user's code from the server, on this machine."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from flexiroaster.stages.base import StageContext
from flexiroaster.stages.process.inside.confine import landlock_version
from flexiroaster.stages.process.inside.kernel import LINUX, PR_SET_DUMPABLE, prctl


def protect_this_process() -> str:
    """To be called at the start of a server that runs code stages. Gives what holds, for the log.

    Without Landlock a process of the same user can read this one's memory and environment, unless this one counts as
    not dumpable, which also keeps core dumps and debuggers of that user away. Files stay readable for it then.
    """
    version = landlock_version()
    if version >= 6:
        return "files, memory and signals"
    if version:
        return "files and memory"
    if LINUX:
        prctl(PR_SET_DUMPABLE, 0)
        return "memory"
    return "nothing"


def confinement(context: StageContext) -> dict[str, list[str]] | None:
    """What code can reach of the folders that are hidden from it, beside its scratch folder; None where none are."""
    if not context.hidden_from_code:
        return None
    library = Path(os.__file__).parent
    return {
        "hidden": _real(context.hidden_from_code),
        "readable": _real((*context.code_dirs, context.artifact_dir, library)),
        "writable": _real(context.data_dirs),
    }


@lru_cache(maxsize=100)
def _real(paths: tuple[Path, ...]) -> list[str]:
    """Looked up once: these folders are settings of the server."""
    return [os.path.realpath(path) for path in paths]
