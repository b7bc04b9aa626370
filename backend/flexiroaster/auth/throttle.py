"""How often a password may be tried, and how often something costly may be asked for.

For passwords three counts, in memory here and in Redis where servers share them. One per (account, address) backs off
from the sixth failure on: who guesses waits, the account's owner at another address does not. One per address stops
trying many accounts. One per account, for guesses from many addresses at once: while it is high, an address that never
signed in to this account must come back after a short wait, which costs the owner seconds and can never keep them out.
An address that did sign in before is spared the last two.
"""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from flexiroaster.auth.errors import Throttled

FREE_PER_PAIR = 5
FREE_PER_ADDRESS = 20
CROWD_PER_ACCOUNT = 30
LONGEST_PAIR_WAIT = 60.0
LONGEST_ADDRESS_WAIT = 300.0
CROWD_WAIT = 5.0
CROWD_OFFER = 600.0
"""How long an address that was asked to wait may come back."""
FORGET_SECONDS = 3600.0
REMEMBERED = 20_000
"""Entries per count: bounds the memory; the oldest is dropped first."""

Key = TypeVar("Key")


@dataclass(slots=True)
class _Count:
    attempts: int = 0
    last: float = 0.0
    open_at: float = 0.0


class _Counts(Generic[Key]):
    """Attempts by key; from the `free`-th on each doubles the wait before the next, up to `longest_wait` seconds."""

    def __init__(self, free: int, longest_wait: float) -> None:
        self._free = free
        self._longest_wait = longest_wait
        self._counts: OrderedDict[Key, _Count] = OrderedDict()

    def add(self, key: Key, now: float) -> None:
        count = self._counts.get(key)
        if count is None or now - count.last > FORGET_SECONDS:
            count = self._counts[key] = _Count()
        count.attempts += 1
        count.last = now
        over = count.attempts - self._free
        count.open_at = now + min(2.0 ** min(over, 30), self._longest_wait) if over >= 0 else 0.0
        self._counts.move_to_end(key)
        if len(self._counts) > REMEMBERED:
            self._counts.popitem(last=False)

    def attempts(self, key: Key, now: float) -> int:
        count = self._counts.get(key)
        return 0 if count is None or now - count.last > FORGET_SECONDS else count.attempts

    def refuse_early(self, key: Key, now: float) -> None:
        count = self._counts.get(key)
        if count is not None and now < count.open_at:
            raise Throttled(count.open_at - now)

    def forgive_one(self, key: Key) -> None:
        count = self._counts.get(key)
        if count is not None and count.attempts > 0:
            count.attempts -= 1

    def forget(self, key: Key) -> None:
        self._counts.pop(key, None)


class Throttle(Protocol):
    """Call `admit` before looking at the password and `succeeded` when it was right."""

    def admit(self, account: str, address: str) -> None:
        """Count an attempt. It counts as a failure until `succeeded` is called, so that many at once gain nothing.

        Raises `Throttled`; a refused attempt is not counted.
        """
        ...

    def succeeded(self, account: str, address: str) -> None:
        """The last admitted attempt was right: forget the pair's failures and remember where its owner is."""
        ...


class LoginThrottle:
    """The `Throttle` of one server. `clock` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._pairs: _Counts[tuple[str, str]] = _Counts(FREE_PER_PAIR, LONGEST_PAIR_WAIT)
        self._addresses: _Counts[str] = _Counts(FREE_PER_ADDRESS, LONGEST_ADDRESS_WAIT)
        self._accounts: _Counts[str] = _Counts(CROWD_PER_ACCOUNT, 0.0)
        self._offers: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def admit(self, account: str, address: str) -> None:
        address = network(address)
        pair = (account, address)
        now = self._clock()
        with self._lock:
            self._pairs.refuse_early(pair, now)
            if pair not in self._known:
                self._addresses.refuse_early(address, now)
                self._refuse_crowd(pair, now)
                self._addresses.add(address, now)
                self._accounts.add(account, now)
            self._pairs.add(pair, now)

    def succeeded(self, account: str, address: str) -> None:
        address = network(address)
        pair = (account, address)
        with self._lock:
            self._pairs.forget(pair)
            self._offers.pop(pair, None)
            if pair not in self._known:
                self._addresses.forgive_one(address)
                self._accounts.forgive_one(account)
            self._known[pair] = None
            self._known.move_to_end(pair)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)

    def _refuse_crowd(self, pair: tuple[str, str], now: float) -> None:
        if self._accounts.attempts(pair[0], now) < CROWD_PER_ACCOUNT:
            return
        due = self._offers.get(pair)
        if due is not None and due <= now <= due + CROWD_OFFER:
            del self._offers[pair]
            return
        if due is None or now > due:
            due = now + CROWD_WAIT
            self._offers[pair] = due
            if len(self._offers) > REMEMBERED:
                self._offers.popitem(last=False)
        raise Throttled(due - now)


class RequestRate:
    """So many a second for each user, and `burst` at once after a quiet time. `clock` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float], per_second: float, burst: int, what: str) -> None:
        self._clock = clock
        self._gap = 1.0 / per_second
        self._ahead = burst * self._gap
        self._what = what
        self._lock = threading.Lock()
        self._due: OrderedDict[str, float] = OrderedDict()

    def take(self, user_id: str) -> None:
        """Raises `Throttled`; what is refused does not count."""
        now = self._clock()
        with self._lock:
            due = max(self._due.get(user_id, 0.0), now)
            if due + self._gap > now + self._ahead + 1e-9:
                raise Throttled(due + self._gap - now - self._ahead, self._what)
            self._due[user_id] = due + self._gap
            self._due.move_to_end(user_id)
            if len(self._due) > REMEMBERED:
                self._due.popitem(last=False)


def network(address: str) -> str:
    """One household has one IPv4 address, but 2^64 of IPv6."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
