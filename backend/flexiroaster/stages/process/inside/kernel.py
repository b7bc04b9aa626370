"""What the kernel is asked for that `os` has no name for. Linux only; elsewhere these do nothing."""

from __future__ import annotations

import ctypes
import os
import sys

LINUX = sys.platform == "linux"
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

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


def rewrite_environment(name: str, value: str) -> None:
    """Change a variable where `/proc/<pid>/environ` reads it: in the memory that the process was started with.

    `value` must be as long as the present one. A forked process cannot be told from its parent otherwise.
    """
    find = _libc.getenv
    find.restype = ctypes.c_void_p
    address = find(name.encode())
    if address and len(ctypes.string_at(address)) == len(value):
        ctypes.memmove(address, value.encode(), len(value))
