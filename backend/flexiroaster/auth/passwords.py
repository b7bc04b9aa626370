"""Passwords: argon2id, a policy in sentences, and the same time for accounts that do not exist."""

from __future__ import annotations

import base64
import secrets
import threading
import unicodedata
from functools import cache
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from flexiroaster.auth.errors import Throttled
from flexiroaster.engine.errors import InvalidRequest
from flexiroaster.engine.plurals import counted

MINIMUM_LENGTH = 10
MAXIMUM_LENGTH = 1024
"""Checked before hashing: argon2 would read a password of any size."""
HASHES_AT_ONCE = 2
"""Each takes 64 MiB and 0.1 s of a core; more at once would starve everything else."""
PATIENCE_SECONDS = 5.0


@cache
def common_passwords() -> frozenset[str]:
    """Those of ten characters and more that are tried first, in lower case."""
    return frozenset((Path(__file__).parent / "common_passwords.txt").read_text(encoding="utf-8").split())


class Passwords:
    """Hashing blocks its thread: never call it on the event loop. Cheaper parameters are for tests."""

    def __init__(self, *, time_cost: int = 3, memory_kib: int = 65536, parallelism: int = 4) -> None:
        self._hasher = PasswordHasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=parallelism)
        self._slots = threading.BoundedSemaphore(HASHES_AT_ONCE)
        self._of_nobody = _hash_of_nobody(time_cost, memory_kib, parallelism)

    def check_policy(self, password: str, email: str) -> None:
        """Raises `InvalidRequest` with the reason a password is refused."""
        if len(password) < MINIMUM_LENGTH:
            has = counted(len(password), "character")
            raise InvalidRequest(f"The password has {has}: use at least {MINIMUM_LENGTH}.", "weak_password")
        if len(password) > MAXIMUM_LENGTH:
            raise InvalidRequest(f"The password is longer than {MAXIMUM_LENGTH} characters.", "weak_password")
        plain = password.casefold()
        name = email.partition("@")[0].casefold()
        if plain in common_passwords() or len(set(plain)) < 4 or plain in (email.casefold(), name + name):
            raise InvalidRequest(
                "The password is one of those that are tried first: choose one that is yours alone.", "weak_password"
            )

    def hash(self, password: str) -> str:
        raw = _encoded(password)
        if raw is None:
            raise InvalidRequest("The password holds characters that are no text: type it again.", "weak_password")
        self._take_slot()
        try:
            return self._hasher.hash(raw)
        finally:
            self._slots.release()

    def verify(self, password: str, known_hash: str | None) -> bool:
        """`None` for an account that does not exist: it takes as long and answers False."""
        raw = _encoded(password)
        self._take_slot()
        try:
            self._hasher.verify(known_hash or self._of_nobody, raw or b"")
        except (VerificationError, InvalidHashError):
            return False
        finally:
            self._slots.release()
        return known_hash is not None and raw is not None

    def is_outdated(self, known_hash: str) -> bool:
        """Whether it was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(known_hash)

    def _take_slot(self) -> None:
        if not self._slots.acquire(timeout=PATIENCE_SECONDS):
            raise Throttled(PATIENCE_SECONDS, "sign-ins at this moment")


def _encoded(password: str) -> bytes | None:
    """As UTF-8, composed one way however the keyboard composed it; None for what cannot be a password."""
    if len(password) > MAXIMUM_LENGTH:
        return None
    try:
        return unicodedata.normalize("NFKC", password).encode()
    except UnicodeEncodeError:
        return None


def _hash_of_nobody(time_cost: int, memory_kib: int, parallelism: int) -> str:
    """What unknown accounts are compared with: random bits in place of a hash, so that no start waits for one."""
    salt, key = (base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (16, 32))
    return f"$argon2id$v=19$m={memory_kib},t={time_cost},p={parallelism}${salt}${key}"
