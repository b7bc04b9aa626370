"""Which files a data stage may touch: the data folders, and for reading the artifacts. Nothing else, by no detour."""

from __future__ import annotations

import glob
import os
import stat
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from flexiroaster.data import limits
from flexiroaster.engine.errors import Location, NotFound, StageFailed

UNFINISHED = ".part"
"""How the (hidden) folder ends in which an output is being written."""
_SETTING = "FLEXIROASTER_DATA_DIRS"
_NAME_BYTES = 255
_PATH_BYTES = 3_000
"""Linux allows 4,096 with the data folder's own."""
_ODD = ("Cc", "Cs", "Zl", "Zp")
"""Control characters, halves of characters, and separators of lines and paragraphs."""
_TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""What turns the direction of text: `\u202evsc.exe` looks like `exe.csv`."""


@dataclass(frozen=True, slots=True)
class Confinement:
    """Paths are checked after every symlink is resolved, and the resolved path is the one that is opened.

    `artifact` gives the file of an artifact's URI, None for what is no artifact; whatever it gives may be read.
    `shared` names the folders of the process's database where sessions are to use it (see `data.database`); without
    it, each session has a database that sees its own files only.
    """

    data_dirs: tuple[Path, ...]
    artifact_dir: Path | None = None
    shared: tuple[Path, ...] = ()
    artifact: Callable[[str], Path | None] | None = None

    def inputs(self, pattern: str) -> list[Path]:
        """The regular files that a path or glob names, sorted; relative ones in the first data folder that has any."""
        path = self._found(pattern)
        if glob.has_magic(pattern):
            return self._matches(pattern, path)
        return [self._regular_file(path, pattern)]

    def output(self, target: str) -> Path:
        """Where a file or folder may be written. Its parent folders are made."""
        _refuse_odd_name(target)
        path = self._absolute(target)
        parent = _nearest_existing(path.parent)
        resolved = Path(os.path.normpath(parent.resolve() / path.relative_to(parent)))
        if not self._is_writable(resolved):
            raise outside(target, "write to")
        if any(resolved == folder.resolve() for folder in self.data_dirs):
            raise StageFailed(
                f"'{target}' is the data folder itself: name a file or folder in it.",
                code="not_a_file",
                location=Location(file=target),
            )
        if path.is_symlink():
            raise StageFailed(
                f"'{target}' is a symbolic link: write to a plain path in a data folder instead.",
                code="outside_data_dirs",
                location=Location(file=target),
            )
        if resolved.exists() and not (resolved.is_file() or resolved.is_dir()):
            raise StageFailed(
                f"'{target}' is no file but a pipe, a socket or a device, and would be replaced: choose another path.",
                code="not_a_file",
                location=Location(file=target),
            )
        _make_folder(resolved.parent, target)
        return resolved

    def source(self, uri: str) -> Path:
        """The file of a table reference: in a data folder or an artifact of this server."""
        try:
            artifact = self.artifact(uri) if self.artifact is not None else None
            path = artifact or uri_path(uri)
            resolved = path.resolve(strict=True)
        except (OSError, NotFound) as error:
            shown = PurePosixPath(urlsplit(uri).path).name
            raise StageFailed(
                f"'{unquote(shown)}' no longer exists: it was moved or deleted after the stage before read it. "
                "Put it back, or run again from the stage that reads it.",
                code="file_not_found",
                kind="data",
                location=Location(file=unquote(shown)),
            ) from error
        if artifact is None and not (self._in_data_dirs(resolved) or self._is_artifact(resolved)):
            raise outside(path.name, "read")
        _require_regular(resolved, path.name)
        return resolved

    def shown(self, path: Path) -> str:
        """A path as its user knows it: relative to its data folder."""
        for folder in self.data_dirs:
            if path.is_relative_to(folder.resolve()):
                return str(path.relative_to(folder.resolve()))
        return path.name

    def _found(self, pattern: str) -> Path:
        """Absolute; where no data folder has it, as it would be in the first."""
        first = self._absolute(pattern)
        if Path(pattern).is_absolute() or "://" in pattern:
            return first
        magic = glob.has_magic(pattern)
        for folder in self.data_dirs:
            path = folder / pattern
            if next(folder.glob(pattern), None) is not None if magic else path.exists():
                return path
        return first

    def _absolute(self, text: str) -> Path:
        if "\0" in text or not text.strip():
            raise StageFailed(f"{text!r} is not a file name.", code="file_not_found")
        scheme = urlsplit(text).scheme if "://" in text else ""
        if scheme not in ("", "file"):
            raise StageFailed(
                f"'{text}' is not a local file: fetch it with an `http` stage first, or copy it to a data folder.",
                code="outside_data_dirs",
                location=Location(file=text),
            )
        if not self.data_dirs:
            raise StageFailed(
                f"No data folder is configured, so '{text}' cannot be used: set {_SETTING} to a folder.",
                code="no_data_dirs",
            )
        path = uri_path(text) if scheme else Path(text)
        _refuse_long_name(path)
        return path if path.is_absolute() else self.data_dirs[0] / path

    def _matches(self, pattern: str, path: Path) -> list[Path]:
        literal_part = Path(*_before_magic(path.parts))
        if not self._in_data_dirs(literal_part.resolve()):
            raise outside(pattern, "read")
        rest = "/".join(path.parts[len(literal_part.parts) :])
        found = sorted(match for match in literal_part.glob(rest) if _may_be_read(match))
        if not found:
            raise StageFailed(
                f"No file matches '{pattern}' in the data folder.",
                code="file_not_found",
                kind="data",
                location=Location(file=pattern),
                suggestion="Check the pattern: `*` stays in one folder, `**` goes into sub-folders.",
            )
        most = limits.current().files
        if len(found) > most:
            raise StageFailed(f"'{pattern}' matches {len(found)} files, more than {most}: use a narrower pattern.")
        return [self._regular_file(match, self.shown(match)) for match in found]

    def _regular_file(self, path: Path, shown: str) -> Path:
        try:
            resolved = path.resolve(strict=True)
        except (OSError, RuntimeError) as error:
            if not self._in_data_dirs(path.resolve()):
                raise outside(shown, "read") from error
            raise StageFailed(
                f"There is no file '{shown}' in the data folder.{_similar_file(path)}",
                code="file_not_found",
                kind="data",
                location=Location(file=shown),
            ) from error
        if not self._in_data_dirs(resolved):
            raise outside(shown, "read")
        _require_regular(resolved, shown)
        return resolved

    def _in_data_dirs(self, path: Path) -> bool:
        return any(path.is_relative_to(folder.resolve()) for folder in self.data_dirs)

    def _is_artifact(self, path: Path) -> bool:
        return self.artifact_dir is not None and path.is_relative_to(self.artifact_dir.resolve())

    def _is_writable(self, path: Path) -> bool:
        return self._in_data_dirs(path) and not self._is_artifact(path) and ".." not in path.parts


def uri_path(uri: str) -> Path:
    """The path of a `file://` URI (or of a plain path)."""
    parts = urlsplit(uri)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path))
    if "://" in uri:
        raise outside(uri, "read")
    return Path(uri)


def outside(shown: str, verb: str) -> StageFailed:
    return StageFailed(
        f"'{shown}' is outside the data folders, so this stage may not {verb} it. "
        f"Move it into a data folder, or ask an administrator to add its folder to {_SETTING}.",
        code="outside_data_dirs",
        location=Location(file=shown),
    )


def _require_regular(path: Path, shown: str) -> None:
    mode = path.lstat().st_mode
    if stat.S_ISDIR(mode):
        raise StageFailed(
            f"'{shown}' is a folder: name a file in it, or a pattern such as '{shown.rstrip('/')}/*.csv'.",
            code="not_a_file",
            location=Location(file=shown),
        )
    if not stat.S_ISREG(mode):
        raise StageFailed(
            f"'{shown}' is a device, pipe or socket, not a file.", code="not_a_file", location=Location(file=shown)
        )


def _before_magic(parts: tuple[str, ...]) -> list[str]:
    plain: list[str] = []
    for part in parts:
        if glob.has_magic(part):
            break
        plain.append(part)
    return plain


def _may_be_read(match: Path) -> bool:
    """Files, and links that lead nowhere, so that these are told; not folders, pipes, sockets, devices, or unfinished
    outputs."""
    if any(part.startswith(".") and part.endswith(UNFINISHED) for part in match.parts):
        return False
    try:
        return stat.S_ISREG(match.stat().st_mode)
    except OSError:
        return True


def _refuse_long_name(path: Path) -> None:
    if len(os.fsencode(path)) > _PATH_BYTES or any(len(os.fsencode(part)) > _NAME_BYTES for part in path.parts):
        raise StageFailed(
            f"The path '{str(path)[:60]}…' is too long: a name may have {_NAME_BYTES} bytes, a path {_PATH_BYTES:,}.",
            code="bad_name",
        )


def _refuse_odd_name(text: str) -> None:
    """What a terminal, a log or a list of files would show as something else."""
    odd = next((char for char in text if unicodedata.category(char) in _ODD or char in _TURNING), None)
    if odd is not None:
        raise StageFailed(
            f"The path {text[:100]!r} has the character {odd!a}, which file names may not have here: leave it out.",
            code="bad_name",
        )


def _make_folder(folder: Path, target: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise StageFailed(
            f"'{target}' cannot be written: a part of its path is a file, not a folder. Choose another path.",
            code="file_exists",
            location=Location(file=target),
        ) from error
    except PermissionError as error:
        raise StageFailed(
            f"'{target}' cannot be written: the server may not make its folder. Give it leave, or choose another path.",
            code="no_permission",
            location=Location(file=target),
        ) from error


def _nearest_existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def _similar_file(path: Path) -> str:
    try:
        present = [file.name for file in path.parent.iterdir()]
    except OSError:
        return ""
    close = get_close_matches(path.name, present, n=1)
    return f" Did you mean '{close[0]}'?" if close else ""
