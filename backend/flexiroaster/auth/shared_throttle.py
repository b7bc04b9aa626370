"""The counts of `LoginThrottle`, kept in Redis for all servers: more of them let no more attempts through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, Protocol

from flexiroaster.auth import throttle as rules
from flexiroaster.auth.errors import Throttled
from flexiroaster.auth.throttle import Throttle

KNOWN_SECONDS = 30 * 24 * 3600
"""How long it is remembered that an account signed in from an address: as long as a session."""

_COUNTS = """
local now = tonumber(ARGV[1])
if now < 0 then
  local time = redis.call('TIME')
  now = time[1] + time[2] / 1000000
end
local forget = tonumber(ARGV[2])
local function count(key)
  local found = redis.call('HMGET', key, 'attempts', 'last', 'open_at')
  if not found[1] or now - found[2] > forget then return 0, 0 end
  return tonumber(found[1]), tonumber(found[3])
end
"""
ADMIT = (
    _COUNTS
    + """
local free_pair, longest_pair, free_address, longest_address = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local crowd, crowd_wait, crowd_offer = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local pair, address, account, offer, known = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local function left(key)
  local _, open_at = count(key)
  return open_at - now
end
local function add(key, free, longest)
  local attempts = count(key) + 1
  local over = attempts - free
  local open_at = 0
  if over >= 0 then open_at = now + math.min(2 ^ math.min(over, 30), tonumber(longest)) end
  redis.call('HSET', key, 'attempts', attempts, 'last', now, 'open_at', open_at)
  redis.call('EXPIRE', key, forget + 1)
end
local function left_in_crowd()
  if count(account) < crowd then return 0 end
  local due = redis.call('GET', offer)
  if due and tonumber(due) <= now and now <= due + crowd_offer then
    redis.call('DEL', offer)
    return 0
  end
  if not due or now > tonumber(due) then
    due = now + crowd_wait
    redis.call('SET', offer, due, 'EX', crowd_wait + crowd_offer + 1)
  end
  return due - now
end
local wait = left(pair)
if wait > 0 then return tostring(wait) end
if redis.call('EXISTS', known) == 0 then
  wait = left(address)
  if wait > 0 then return tostring(wait) end
  wait = left_in_crowd()
  if wait > 0 then return tostring(wait) end
  add(address, free_address, longest_address)
  add(account, crowd, 0)
end
add(pair, free_pair, longest_pair)
return '0'
"""
)
SUCCEEDED = (
    _COUNTS
    + """
local pair, address, account, offer, known = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
redis.call('DEL', pair, offer)
if redis.call('EXISTS', known) == 0 then
  for _, key in ipairs({address, account}) do
    if count(key) > 0 then redis.call('HINCRBY', key, 'attempts', -1) end
  end
end
redis.call('SET', known, 1, 'EX', ARGV[3])
return '0'
"""
)


class Shared(Protocol):
    def evaluate(self, script: str, keys: Sequence[str], arguments: Sequence[str | float]) -> Any:
        """What a Lua script answers, which nothing comes between; None at once while nobody answers."""
        ...


class SharedThrottle:
    """As `LoginThrottle`; while Redis is away `alone` decides. Redis sees neither accounts nor addresses: `key` hides
    them. `clock` is monotonic seconds; None: Redis' own, which all servers share.
    """

    def __init__(self, shared: Shared, key: bytes, alone: Throttle, clock: Callable[[], float] | None = None) -> None:
        self._shared = shared
        self._key = key
        self._alone = alone
        self._clock = clock

    def admit(self, account: str, address: str) -> None:
        wait = self._ask(
            ADMIT,
            (account, rules.network(address)),
            rules.FREE_PER_PAIR,
            rules.LONGEST_PAIR_WAIT,
            rules.FREE_PER_ADDRESS,
            rules.LONGEST_ADDRESS_WAIT,
            rules.CROWD_PER_ACCOUNT,
            int(rules.CROWD_WAIT),
            int(rules.CROWD_OFFER),
        )
        if wait is None:
            self._alone.admit(account, address)
        elif float(wait) > 0:
            raise Throttled(float(wait))

    def succeeded(self, account: str, address: str) -> None:
        if self._ask(SUCCEEDED, (account, rules.network(address)), KNOWN_SECONDS) is None:
            self._alone.succeeded(account, address)

    def _ask(self, script: str, pair: tuple[str, str], *arguments: float) -> Any:
        account, address = pair
        names = [("pair", *pair), ("address", address), ("account", account), ("offer", *pair), ("known", *pair)]
        now = -1.0 if self._clock is None else self._clock()
        return self._shared.evaluate(
            script, [self._hidden(*name) for name in names], [now, int(rules.FORGET_SECONDS), *arguments]
        )

    def _hidden(self, kind: str, *parts: str) -> str:
        name = "\x00".join((kind, *parts)).encode(errors="surrogatepass")
        return f"sign-in:{blake2b(name, key=self._key, digest_size=16).hexdigest()}"
