"""Keeps a process from what belongs to the server: its files, its memory, its other processes.

Files, signals and `/proc/<pid>/…` by Landlock (Linux 5.13; signals 6.12), which needs no privilege. Landlock knows
only what is allowed, so "everything but these folders" is written as: for each folder above them, all its other
entries. What those folders get later, and files directly in them, is not reachable for a process that runs already.

Of root's powers it takes those that would undo this, or the limits.
"""

# pathlib would double the start time
# ruff: noqa: PTH116

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator

from .kernel import LINUX, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, prctl, system_call

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
_CAPABILITY_VERSION = 0x20080522


def landlock_version() -> int:
    """0 where the kernel has none."""
    if not LINUX:
        return 0
    try:
        return system_call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_QUERY_VERSION))
    except OSError:
        return 0


class Confinement:
    """Of `hidden` only what `readable` and `writable` name can be reached. Made ahead, then entered for good."""

    def __init__(self, given: dict[str, list[str]]) -> None:
        self.given = given
        self.version = landlock_version()
        if self.version:
            self.stamps = stamps_above(given["hidden"])
            self.ruleset = _ruleset(self.version)
            _allow(self.ruleset, "/", _READ_DIR)
            for path, is_folder in everything_but("/", given["hidden"]):
                _allow(self.ruleset, path, self._every if is_folder else self._every & _OF_FILES)
            for path in given["readable"]:
                _allow(self.ruleset, path, _READ)
            for path in given["writable"]:
                _allow(self.ruleset, path, self._every)

    def holds(self, given: dict[str, list[str]]) -> bool:
        """Whether it is what is wanted now: the same folders, and nothing has come or gone beside them."""
        return self.given == given and (not self.version or self.stamps == stamps_above(given["hidden"]))

    def enter(self, writable: list[str]) -> None:
        """For this process and what it starts; `writable` in addition."""
        if not LINUX:
            return
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        if self.version:
            for path in writable:
                _allow(self.ruleset, path, self._every)
            system_call(_RESTRICT_SELF, ctypes.c_int(self.ruleset), ctypes.c_uint(0))
            os.close(self.ruleset)
        if os.geteuid() == 0:
            _give_up(POWERS)

    @property
    def _every(self) -> int:
        return (1 << _RIGHTS_OF_VERSION.get(self.version, _NEWEST_RIGHTS)) - 1


def _ruleset(version: int) -> int:
    every = (1 << _RIGHTS_OF_VERSION.get(version, _NEWEST_RIGHTS)) - 1
    scoped = _SCOPE_SIGNALS if version >= 6 else 0
    attributes = struct.pack("=QQQ", every, 0, scoped)[: 24 if version >= 6 else 8]
    return system_call(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0))


def stamps_above(hidden: list[str]) -> list[int]:
    """Of each folder above the hidden ones, when an entry last came or went."""
    stamps = []
    for folder in sorted({above for path in hidden for above in _above(path)}):
        try:
            stamps.append(os.stat(folder).st_mtime_ns)
        except OSError:
            stamps.append(0)
    return stamps


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) or "/" for count in range(1, len(parts))]


def _allow(ruleset: int, path: str, rights: int) -> None:
    """What cannot be opened now (it ended, or is another user's) stays forbidden."""
    try:
        handle = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rule = struct.pack("=Qi", rights, handle)
        system_call(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_BENEATH), rule, ctypes.c_uint(0))
    except OSError:
        pass
    finally:
        os.close(handle)


def everything_but(folder: str, hidden: list[str]) -> Iterator[tuple[str, bool]]:
    """The entries to allow below `folder`, each with whether it is a folder. Links lead to what has its own rule."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.path in hidden or entry.is_symlink():
            continue
        if any(path.startswith(f"{entry.path}/") for path in hidden):
            yield from everything_but(entry.path, hidden)
        else:
            yield entry.path, entry.is_dir(follow_symlinks=False)


def _give_up(powers: tuple[int, ...]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for power in powers:
        prctl(PR_CAPBSET_DROP, power)  # or the next program that root starts had them again
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    held = ctypes.create_string_buffer(24)
    if libc.capget(header, held) != 0:
        return
    words = list(struct.unpack("=6I", held.raw))  # low and high words of effective, permitted, inheritable
    for power in powers:
        for kind in range(3):
            words[3 * (power // 32) + kind] &= ~(1 << power % 32)
    libc.capset(header, struct.pack("=6I", *words))
