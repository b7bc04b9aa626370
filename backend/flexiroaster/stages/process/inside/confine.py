"""Keeps a process from what belongs to the server: its files, its memory, its other processes.

Files, signals and `/proc/<pid>/…` by Landlock (Linux 5.13; signals 6.12), which needs no privilege. Landlock knows
only what is allowed, so "everything but these folders" is written as: for each folder above them, all its other
entries. A file that is made directly in one of those folders is therefore out of reach for a process that runs already.

Of root's powers it takes those that would undo this, or the limits.
"""

# pathlib would double the start time
# ruff: noqa: PTH116

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator

from .kernel import LINUX, PR_SET_NO_NEW_PRIVS, drop_capabilities, prctl, system_call

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_QUERY_VERSION = 1
_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEVICE = 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_SCOPE_SIGNALS = 1 << 1
_RIGHTS_OF_VERSION = {1: 13, 2: 14, 3: 15, 4: 15}
_NEWEST_RIGHTS = 16

_DAC_READ_SEARCH, _SYS_MODULE, _SYS_RAWIO, _SYS_PTRACE, _SYS_ADMIN, _SYS_BOOT, _SYS_RESOURCE = 2, 16, 17, 19, 21, 22, 24
_MAC_OVERRIDE, _MAC_ADMIN, _PERFMON, _BPF, _CHECKPOINT_RESTORE = 32, 33, 38, 39, 40
POWERS = (
    _DAC_READ_SEARCH, _SYS_MODULE, _SYS_RAWIO, _SYS_PTRACE, _SYS_ADMIN, _SYS_BOOT, _SYS_RESOURCE,
    _MAC_OVERRIDE, _MAC_ADMIN, _PERFMON, _BPF, _CHECKPOINT_RESTORE,
)  # fmt: skip
"""Capabilities that read other processes, go round Landlock, lift limits, or change the system itself."""


def landlock_version() -> int:
    """0 where the kernel has none."""
    if not LINUX:
        return 0
    try:
        return system_call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_QUERY_VERSION))
    except OSError:
        return 0


class Confinement:
    """Of `hidden` only what `readable` and `writable` name can be reached.

    Made ahead and kept up to date with `refresh`, then entered by one process after another. Each adds a folder of its
    own, which is removed before the next one enters: it stays allowed.
    """

    def __init__(self, given: dict[str, list[str]]) -> None:
        self.given = given
        self.version = landlock_version()
        self.every = (1 << _RIGHTS_OF_VERSION.get(self.version, _NEWEST_RIGHTS)) - 1
        self.allowed: set[tuple[str, int]] = set()
        self.stamps: dict[str, int] = {}
        self.ruleset = -1
        if self.version:
            scoped = _SCOPE_SIGNALS if self.version >= 6 else 0
            attributes = struct.pack("=QQQ", self.every, 0, scoped)[: 24 if self.version >= 6 else 8]
            self.ruleset = system_call(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0))
            self._allow("/", 0, _READ_DIR)
            self.refresh()

    def refresh(self) -> None:
        """Allow what has come since: beside the hidden folders, or in place of a named one."""
        if not self.version:
            return
        for folder in folders_above(self.given["hidden"]):
            stamp = _stamp(folder)
            if self.stamps.get(folder) != stamp:
                self.stamps[folder] = stamp
                for path, inode, is_folder in entries_beside(folder, self.given["hidden"]):
                    self._allow(path, inode, self.every if is_folder else self.every & _OF_FILES)
        for path in self.given["readable"]:
            self._allow(path, _inode(path), _READ)
        for path in self.given["writable"]:
            self._allow(path, _inode(path), self.every)

    def enter(self, writable: list[str]) -> None:
        """For this process and what it starts, for good; `writable` in addition."""
        give_up_powers()
        if self.version:
            for path in writable:
                self._allow(path, _inode(path), self.every)
            system_call(_RESTRICT_SELF, ctypes.c_int(self.ruleset), ctypes.c_uint(0))
        self.close()

    def close(self) -> None:
        if self.ruleset >= 0:
            os.close(self.ruleset)
            self.ruleset = -1

    def _allow(self, path: str, inode: int, rights: int) -> None:
        """What cannot be opened now (it is gone, or another user's) stays forbidden."""
        if (path, inode) in self.allowed:
            return
        self.allowed.add((path, inode))
        try:
            handle = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return
        try:
            rule = struct.pack("=Qi", rights, handle)
            system_call(_ADD_RULE, ctypes.c_int(self.ruleset), ctypes.c_int(_BENEATH), rule, ctypes.c_uint(0))
        except OSError:
            pass
        finally:
            os.close(handle)


def folders_above(hidden: list[str]) -> list[str]:
    """Of absolute paths, from the root down. What is hidden as a whole has no entries to be allowed."""
    parts = [path.split("/") for path in hidden]
    above = {"/".join(path[:count]) or "/" for path in parts for count in range(1, len(path))}
    return sorted(folder for folder in above if not any(f"{folder}/".startswith(f"{path}/") for path in hidden))


def entries_beside(folder: str, hidden: list[str]) -> Iterator[tuple[str, int, bool]]:
    """The entries that neither are hidden nor hold what is: path, inode, whether it is a folder.

    Links are left out: what they lead to is allowed, or not, where it is.
    """
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        holds_hidden = any(path == entry.path or path.startswith(f"{entry.path}/") for path in hidden)
        if not holds_hidden and not entry.is_symlink():
            yield entry.path, entry.inode(), entry.is_dir(follow_symlinks=False)


def _stamp(folder: str) -> int:
    """When an entry last came or went."""
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return 0


def _inode(path: str) -> int:
    try:
        return os.stat(path).st_ino
    except OSError:
        return 0


def give_up_powers() -> None:
    """For good. Called again it does nothing."""
    global _given_up
    if _given_up or not LINUX:
        return
    _given_up = True
    if os.geteuid() == 0:
        drop_capabilities(POWERS)
    prctl(PR_SET_NO_NEW_PRIVS, 1)


_given_up = False
