"""What the kernel is asked for that `os` has no name for. Linux only; elsewhere these do nothing."""

from __future__ import annotations

import ctypes
import os
import struct
import sys

LINUX = sys.platform == "linux"
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int) -> None:
    if LINUX:
        _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0)


def system_call(number: int, *arguments: object) -> int:
    """For calls that libc has no function for. Raises OSError."""
    answer: int = _libc.syscall(ctypes.c_long(number), *arguments)
    if answer < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return answer


def drop_capabilities(numbers: tuple[int, ...]) -> None:
    """For good, also for programs that are started later."""
    for number in numbers:
        prctl(PR_CAPBSET_DROP, number)  # or the next program that root starts had them again
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    held = ctypes.create_string_buffer(24)
    if _libc.capget(header, held) != 0:
        return
    words = list(struct.unpack("=6I", held.raw))  # effective, permitted, inheritable: of the low and of the high ones
    for number in numbers:
        for kind in range(3):
            words[3 * (number // 32) + kind] &= ~(1 << number % 32)
    _libc.capset(header, struct.pack("=6I", *words))


class StartVariable:
    """A variable where `/proc/<pid>/environ` reads it: in the memory that the process was started with.

    To be made before anybody changes the environment, which moves it elsewhere. Forks have it in the same place; they
    could not be told from each other otherwise.
    """

    def __init__(self, name: str) -> None:
        find = _libc.getenv
        find.restype = ctypes.c_void_p
        self._address: int | None = find(name.encode())
        self._length = len(ctypes.string_at(self._address)) if self._address else 0

    def write(self, value: str) -> None:
        """`value` must be as long as the first one."""
        if self._address and len(value) == self._length:
            ctypes.memmove(self._address, value.encode(), self._length)
