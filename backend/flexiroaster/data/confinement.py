"""Which files a data stage may touch: the data folders, and for reading the artifacts. Nothing else, by no detour."""

from __future__ import annotations

import glob
import os
import stat
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import unquote, urlsplit

from flexiroaster.data import limits
from flexiroaster.engine.errors import Location, StageFailed

_SETTING = "FLEXIROASTER_DATA_DIRS"


@dataclass(frozen=True, slots=True)
class Confinement:
    """Paths are checked after every symlink is resolved, and the resolved path is the one that is opened.

    `shared` names the folders of the process's database where sessions are to use it (see `data.database`); without
    it, each session has a database that sees its own files only.
    """

    data_dirs: tuple[Path, ...]
    artifact_dir: Path | None = None
    shared: tuple[Path, ...] = ()

    def inputs(self, pattern: str) -> list[Path]:
        """The regular files that a path or glob names, sorted; relative ones in the first data folder that has any."""
        path = self._found(pattern)
        if glob.has_magic(pattern):
            return self._matches(pattern, path)
        return [self._regular_file(path, pattern)]

    def output(self, target: str) -> Path:
        """Where a file or folder may be written. Its parent folders are made."""
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
        resolved.parent.mkdir(parents=True, exist_ok=True)
        return resolved

    def source(self, uri: str) -> Path:
        """The file of a table reference: in a data folder or an artifact of this server."""
        path = uri_path(uri)
        try:
            resolved = path.resolve(strict=True)
        except OSError as error:
            raise StageFailed(
                f"'{path.name}' no longer exists: it was moved or deleted after the stage before read it. "
                "Put it back, or run again from the stage that reads it.",
                code="file_not_found",
                kind="data",
                location=Location(file=path.name),
            ) from error
        if not (self._in_data_dirs(resolved) or self._is_artifact(resolved)):
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
        return path if path.is_absolute() else self.data_dirs[0] / path

    def _matches(self, pattern: str, path: Path) -> list[Path]:
        literal_part = Path(*_before_magic(path.parts))
        if not self._in_data_dirs(literal_part.resolve()):
            raise outside(pattern, "read")
        rest = "/".join(path.parts[len(literal_part.parts) :])
        found = sorted(match for match in literal_part.glob(rest) if not match.is_dir())
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
