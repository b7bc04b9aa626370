"""The folder that keeps everything of one server: private to its owner, used by one process at a time."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import stat
import time
from pathlib import Path

from flexiroaster.engine.errors import ConfigurationError

KEY_BYTES = 48
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
LOCK_PATIENCE_SECONDS = 0.3
"""Outlasts a command that only asks who holds the lock (`running_pid`), not a server."""


class DataFolder:
    """Open with `DataFolder.open(path)`; the lock ends with `close` or with the process, however it dies."""

    def __init__(self, path: Path, lock: int | None) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def open(cls, path: Path) -> DataFolder:
        """Make the folder where there is none, and take its lock. Raises `ConfigurationError` with one sentence."""
        _make_private(path)
        return cls(path, _take_lock(path / "lock"))

    @classmethod
    def open_free(cls, path: Path) -> DataFolder | None:
        """The same, None where another process has it."""
        _make_private(path)
        lock = _lock_file(path / "lock", patience_seconds=0)
        return None if lock is None else cls(path, lock)

    @property
    def identity(self) -> str | None:
        """Names this very folder among all that this machine's kernel knows, since it was started: a copy is another
        one. None where the system does not tell.
        """
        try:
            kernel = Path("/proc/sys/kernel/random/boot_id").read_text()
        except OSError:
            return None
        if self._lock is None:
            return None
        lock = os.fstat(self._lock)
        return hashlib.sha256(f"{kernel} {lock.st_dev} {lock.st_ino}".encode()).hexdigest()

    def folder(self, name: str) -> Path:
        """A private folder inside, made where there is none."""
        path = self.path / name
        _make_private(path)
        return path

    def key(self, name: str) -> str:
        """A random secret that is made at the first start and kept; only the owner may read its file."""
        return read_key(self.path, name) or _make_key(_key_file(self.path, name))

    def close(self) -> None:
        """Let go of the lock. Safe to call twice."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def read_key(folder: Path, name: str) -> str | None:
    """A key made by a server that used this folder, None where there was none yet. Needs no lock."""
    path = _key_file(folder, name)
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        key = path.read_text().strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(
            f"The key file {path} cannot be read ({error.strerror}): {_owner_cure(path)}"
        ) from None
    if mode & 0o077:
        raise ConfigurationError(f"The key file {path} is open to others (mode {mode:04o}): run chmod 600 {path}.")
    if len(key) < KEY_BYTES:
        raise ConfigurationError(
            f"The key file {path} is damaged: put back its copy, or delete it and let everybody sign in again."
        )
    return key


def running_pid(folder: Path) -> int | None:
    """The process that holds the folder now, None where nobody does."""
    try:
        handle = os.open(folder / "lock", os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _pid_in(handle)
    finally:
        os.close(handle)
    return None


def inner_pids(folder: Path) -> list[int]:
    """Of the workers and schedulers that were told this data folder: each has one of its own inside."""
    inside = sorted([*folder.glob("workers/*"), *folder.glob("schedulers/*")])
    return [pid for path in inside if (pid := running_pid(path)) is not None]


def unusable(path: Path, error: OSError, what: str = "folder") -> ConfigurationError:
    """What a start says of a folder that it cannot write to."""
    if error.errno in NO_SPACE:
        return ConfigurationError(
            f"The {what} {path} cannot be written to, because its disk is full ({error.strerror}): free some space, or "
            "name another data folder."
        )
    return ConfigurationError(f"The {what} {path} cannot be written to ({error.strerror}): {_owner_cure(path)}")


def _key_file(folder: Path, name: str) -> Path:
    return folder / f"{name}.key"


def _make_key(path: Path) -> str:
    try:
        return _new_key(path)
    except OSError as error:
        raise unusable(path.parent, error, "data folder") from None


def _new_key(path: Path) -> str:
    key = secrets.token_urlsafe(KEY_BYTES)
    # Written beside and renamed: a crash in between must not leave an empty key behind.
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(key + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    return key


def _make_private(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except FileExistsError:
        raise ConfigurationError(
            f"The data folder {path} is a file: name a folder with FLEXIROASTER_DATA_FOLDER."
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"The data folder {path} cannot be made ({error.strerror}): name another with FLEXIROASTER_DATA_FOLDER."
        ) from None
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigurationError(f"The data folder {path} cannot be written to: {_owner_cure(path)}")


def _owner_cure(path: Path) -> str:
    return f"give it to the user who starts FlexiRoaster (chown -R {os.geteuid()} {path}), or name another data folder."


def _take_lock(path: Path) -> int:
    handle = _lock_file(path, patience_seconds=LOCK_PATIENCE_SECONDS)
    if handle is None:
        raise ConfigurationError(
            f"The data folder {path.parent} is in use by pid {running_pid(path.parent) or 'unknown'}: "
            "stop that process, or name another folder with FLEXIROASTER_DATA_FOLDER (--data-folder)."
        )
    return handle


def _lock_file(path: Path, *, patience_seconds: float) -> int | None:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise unusable(path.parent, error, "data folder") from None
    if not _locked_within(handle, patience_seconds):
        os.close(handle)
        return None
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
    except OSError as error:
        os.close(handle)
        raise unusable(path.parent, error, "data folder") from None
    return handle


def _locked_within(handle: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        else:
            return True


def _pid_in(handle: int) -> int | None:
    text = os.pread(handle, 20, 0).decode(errors="replace").strip()
    return int(text) if text.isdigit() else None
