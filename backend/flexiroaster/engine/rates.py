"""Rate limits by the generic cell rate algorithm: one moment per key is all there is to remember.

`limit` may start at once; then one more each time `per / limit` has passed. So over any long time no more than `limit`
start per `per`; within a single `per`, after a time without any, up to twice as many.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from flexiroaster.engine.pipeline import RateLimit


@dataclass(frozen=True, slots=True)
class Passed:
    """`full_at` is what to remember: when all of the burst is there again."""

    full_at: datetime


@dataclass(frozen=True, slots=True)
class TooSoon:
    until: datetime


def interval(rate: RateLimit) -> timedelta:
    return rate.per / rate.limit


def passes(rate: RateLimit, full_at: datetime | None, now: datetime) -> Passed | TooSoon:
    """Whether one more may start; `full_at` None: nothing has started yet."""
    step = interval(rate)
    begin = now if full_at is None else max(full_at, now)
    allowed_at = begin + step - rate.per
    return Passed(begin + step) if allowed_at <= now else TooSoon(allowed_at)
